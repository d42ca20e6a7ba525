"""Windows and real processes: a job that waits for an opening, one that does not; and the example of the page."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hybridjob.api.common import format_timestamp
from hybridjob.api.manifests import load_files
from hybridjob.engine.facts import Facts
from hybridjob.engine.forecast import foretell
from hybridjob.engine.ledger import Book
from hybridjob.engine.loads import Loads
from hybridjob.engine.windows import window_report
from support.build import job
from support.command_line import EXAMPLES, CommandLine, hybridjob, policy, ring, write_manifests

AER = {"name": "aer", "kind": "Simulator", "sdk": "Qiskit", "qubits": 24}


def closed_for(seconds: float) -> dict[str, object]:
    now = datetime.now(UTC)
    start, end = (format_timestamp(now + timedelta(seconds=s)) for s in (-60, seconds))
    return AER | {"maintenance": [{"startTime": start, "endTime": end, "reason": "repair"}]}


def test_a_job_waits_for_its_backend_to_open(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    file = write_manifests(
        tmp_path / "job.yaml", policy(closed_for(6), spreadSeconds=0), hybridjob(problem=ring(4), quantum={})
    )
    status = hybridjob_command("run", file, "-o", "json").object["status"]
    assert (status["state"], status["route"]) == ("Succeeded", "Quantum")
    assert "waiting" not in status
    assert "in maintenance until" in hybridjob_command("describe", "job").stdout


def test_a_job_that_cannot_wait_is_answered_at_once(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    file = write_manifests(tmp_path / "job.yaml", policy(closed_for(7200)), hybridjob(problem=ring(4), quantum={}))
    status = hybridjob_command("run", file, "-o", "json").object["status"]
    assert (status["state"], status["route"]) == ("Succeeded", "Classical")
    assert status["fallback"]["reason"] == "WindowClosed"
    (option,) = [option for option in status["decision"]["rejected"] if option["backend"] == "aer"]
    assert option["nextOpen"]


@pytest.mark.parametrize(
    ("now", "action", "backend", "opens"),
    [
        ("2026-01-07T12:00:00+01:00", "FallBack", "classical", "2026-01-07T22:00:00+01:00"),  # a Wednesday
        ("2026-01-07T21:55:00+01:00", "Wait", None, "2026-01-07T22:00:00+01:00"),  # soon
        ("2026-01-08T05:59:59+01:00", "Start", "first", None),
        ("2026-01-10T12:00:00+01:00", "Start", "second", "2026-01-12T01:00:00+01:00"),  # a Saturday, under maintenance
        ("2026-12-26T12:00:00+01:00", "Start", "second", "2027-01-03T00:00:00+01:00"),  # the holidays
    ],
)
def test_the_example_does_what_it_says(now: str, action: str, backend: str | None, opens: str | None) -> None:
    (rules,) = load_files([EXAMPLES / "policies" / "windows.yaml"]).policies
    instant = datetime.fromisoformat(now)
    new = job()
    new = new.model_copy(update={"metadata": new.metadata.model_copy(update={"creation_timestamp": instant})})
    forecast = foretell(new, rules, Facts(), Book("windows"), Loads(lambda _: None), instant)
    assert (forecast.action, forecast.status.backend) == (action, backend)
    expected = None if opens is None else datetime.fromisoformat(opens)
    assert window_report(rules, instant)[0].next_open == expected
