"""Budgets and real runs: jobs that are held for money, and alerts."""

import re
from datetime import datetime
from pathlib import Path

from hybridjob.engine.holds import POLL
from support.command_line import CommandLine, hybridjob, policy, ring, write_manifests

QUICK = {"shots": 8, "layers": 1, "maxIterations": 0}
DEAR = {
    "name": "cirq",
    "kind": "Simulator",
    "sdk": "Cirq",
    "qubits": 20,
    "rateCard": {"formula": "PerSecond", "currency": "USD", "perSecond": "0.001"},
}
ROOM_FOR_ONE = {"name": "all", "limit": "1", "currency": "USD", "onExceeded": "Hold", "holdSeconds": 600}


def test_a_held_job_goes_on_when_another_gives_its_money_back(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    jobs = [hybridjob(name, problem=ring(4), quantum=QUICK) for name in ("first", "second")]  # 0.9 USD each, at most
    file = write_manifests(tmp_path / "jobs.yaml", policy(DEAR, budgets=[ROOM_FOR_ONE]), *jobs)
    items = hybridjob_command("run", "--jobs", 2, file, "-o", "json").objects
    assert [item["status"]["route"] for item in items] == ["Quantum", "Quantum"]
    assert "waits for money" in hybridjob_command("describe", "second").stdout
    attempt = items[1]["status"]["attempts"][0]
    came, started = map(datetime.fromisoformat, (items[1]["metadata"]["creationTimestamp"], attempt["createdTime"]))
    assert started > datetime.fromisoformat(items[0]["status"]["attempts"][0]["endTime"])
    assert started - came < POLL, "it did not wait for its next look"


def test_an_alert_is_given_once_and_again_for_a_limit_that_is_raised(
    hybridjob_command: CommandLine, tmp_path: Path
) -> None:
    card = {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "1", "perShot": "0"}
    told = []
    for limit in ("2", "2", "4"):
        budget = {"name": "all", "limit": limit, "currency": "USD", "alerts": [50, 100]}
        rules = policy(DEAR | {"rateCard": card}, budgets=[budget])
        file = write_manifests(tmp_path / "job.yaml", rules, hybridjob(problem=ring(4), quantum=QUICK))
        outcome = hybridjob_command("run", file, "-o", "json")
        assert outcome.object["status"]["cost"]["actual"] == "1"
        told.append(re.findall(r"^budget all of policy policy: (.*) USD .* (\d+) % or more$", outcome.stderr, re.M))
    assert told == [[("1 of 2", "50")], [("2 of 2", "100")], [("3 of 4", "50")]]
