"""The page about rates does what it says: its example, its price lists, and what is expected to be paid."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from hybridjob.api.rates import RateCard
from hybridjob.contract.verdict import GateShots, Usage
from hybridjob.engine.pricing import charge
from support.command_line import REPOSITORY, CommandLine, hybridjob, policy, ring, write_manifests

PAGE = (REPOSITORY / "docs" / "rates.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
PRICES = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| ([\d.]+) \|$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rates") / "all.yaml"
    file.write_text("---\n".join(EXAMPLES))
    return file


def test_the_page_shows_what_explain_prints(hybridjob_command: CommandLine, files: Path) -> None:
    shown = re.search(r"\$ hybridjob explain [^\n]*\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    assert hybridjob_command("explain", files).stdout == shown[1]


def test_the_job_is_charged_for_the_gates_that_ran(hybridjob_command: CommandLine, files: Path) -> None:
    cost = hybridjob_command("run", files, "-o", "json").object["status"]["cost"]
    assert cost == {"currency": "AQT", "estimated": "37.1462", "reserved": "0", "actual": "35.11868"}
    assert "`35.11868`" in PAGE


def numbers(text: str) -> list[str]:
    return re.findall(r"(?<![\w-])\d+(?:\.\d+)?", text)


def card(rates: str) -> RateCard:
    """A rate card in the words of the page."""
    found = numbers(rates)
    match re.sub(r"[\d.]+", "#", rates):
        case "# USD a task, # a shot":
            fields = {"formula": "PerTaskPerShot", "perTask": found[0], "perShot": found[1]}
        case "# USD an hour":
            fields = {"formula": "PerHour", "perHour": found[0]}
        case "# USD a second":
            fields = {"formula": "PerSecond", "perSecond": found[0]}
        case "# AQT a task, # and # a gate-shot":
            names = ("perTask", "perOneQubitGateShot", "perTwoQubitGateShot")
            fields = {"formula": "GateShots", "currency": "AQT"} | dict(zip(names, found, strict=True))
        case _:
            fields = {"formula": "HQC", "currency": "HQC", "perHqc": found[0]}
    return RateCard.model_validate({"currency": "USD"} | fields)


def usage(attempt: str) -> Usage:
    counts = [int(float(number)) for number in numbers(attempt)]
    if attempt.endswith("shots") and len(counts) == 1:
        return Usage(tasks=1, shots=counts[0])
    if attempt.endswith("seconds"):
        return Usage(tasks=1, seconds=float(numbers(attempt)[0]))
    one, two, *others = counts
    return Usage(tasks=1, gate_shots=GateShots(one_qubit=one, two_qubit=two, measurements=sum(others)))


@pytest.mark.parametrize(("device", "rates", "attempt", "total"), PRICES, ids=[row[0] for row in PRICES])
def test_the_totals_of_the_price_lists(device: str, rates: str, attempt: str, total: str) -> None:
    assert charge(card(rates), usage(attempt)) == Decimal(total)


def test_every_price_list_is_on_the_page() -> None:
    assert len(PRICES) == 16


def test_what_is_expected_is_learnt_from_those_before(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    ibm = yaml.safe_load(EXAMPLES[0])["spec"]["backends"][1]
    rules = policy(ibm, latency={"minimumSamples": 2})
    quick = {"shots": 8, "layers": 1, "maxIterations": 0}
    jobs = [
        hybridjob(f"job-{number}", problem=ring(4), quantum=quick, limits={"activeDeadlineSeconds": 120})
        for number in range(3)
    ]
    before = write_manifests(tmp_path / "before.yaml", rules, *jobs[:2])
    assert "192 USD  Preferred" in hybridjob_command("explain", before).stdout
    assert hybridjob_command("run", before).status == 0
    after = write_manifests(tmp_path / "after.yaml", rules, jobs[2])
    assert re.search(r"[\d.]+, at most 192 USD  Preferred", hybridjob_command("explain", after).stdout)
    cost = hybridjob_command("run", after, "-o", "json").object["status"]["cost"]
    assert Decimal(0) < Decimal(cost["actual"]) < Decimal(cost["estimated"]) < 192
