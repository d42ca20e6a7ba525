"""A solver that is killed leaves nothing to tell what it cost: its money stays reserved until somebody finds out."""

from pathlib import Path
from typing import Any

import pytest

from support.command_line import CommandLine, hybridjob, policy, ring, write_manifests

PAID = {
    "name": "paid",
    "kind": "Simulator",
    "sdk": "Qiskit",
    "qubits": 24,
    "rateCard": {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "0.3", "perShot": "0.001"},
}
KILLED = {
    "problem": ring(22),
    "quantum": {"shots": 1000, "layers": 10, "maxIterations": 10000},
    "limits": {"activeDeadlineSeconds": 5},
}
BUDGETS = [{"name": "all", "limit": "10", "currency": "USD"}]


def run(command: CommandLine, directory: Path, **rules: Any) -> dict[str, Any]:
    """The job after its quantum solver was ended at the deadline, and the classical one has answered."""
    file = write_manifests(directory / "job.yaml", policy(PAID, budgets=BUDGETS, **rules), hybridjob(**KILLED))
    done = command("run", file, "-o", "json")
    assert done.status == 0, done.stderr
    return done.object


@pytest.fixture
def killed(hybridjob_command: CommandLine, tmp_path: Path) -> dict[str, Any]:
    return run(hybridjob_command, tmp_path)


def test_it_stays_reserved_and_a_person_settles_it(killed: dict[str, Any], hybridjob_command: CommandLine) -> None:
    status, attempt = killed["status"], f"{killed['metadata']['uid']}/1"
    assert status["fallback"]["reason"] == "LatencyExceeded"
    assert (status["cost"]["actual"], status["cost"]["reserved"]) == ("0", "1.3")
    assert "cost unknown, at most 1.3 USD" in hybridjob_command("describe", killed["metadata"]["name"]).stdout
    shown = hybridjob_command("policy", "policy").stdout
    assert "0 used, 1.3 reserved, 8.7 left of 10 USD" in shown
    assert f"unknown {attempt} (default/{killed['metadata']['name']} on paid) cost at most 1.3 USD" in shown
    assert hybridjob_command("policy", "audit", "policy").status == 0

    settled = hybridjob_command("policy", "settle", "policy", attempt, "0.4")
    assert (settled.status, settled.stderr) == (0, f"charged 0.4 for {attempt} to policy policy\n")
    shown = hybridjob_command("policy", "policy").stdout
    assert "0.4 used, 0 reserved, 9.6 left of 10 USD" in shown
    assert "unknown" not in shown
    assert hybridjob_command("policy", "audit", "policy").status == 0
    again = hybridjob_command("policy", "settle", "policy", attempt, "0.4")
    assert again.status == 1
    assert "it was settled, or there is none" in again.stderr


def test_all_of_it_is_charged_when_its_time_is_over(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    run(hybridjob_command, tmp_path, reconcileSeconds=0)
    assert "1.3 used, 0 reserved, 8.7 left of 10 USD" in hybridjob_command("policy", "policy").stdout
    assert hybridjob_command("policy", "audit", "policy").status == 0


@pytest.mark.parametrize(
    ("words", "must"),
    [
        (["policy"], "takes one NAME"),
        (["policy", "uid", "0.4"], "must be UID/ATTEMPT"),
        (["policy", "uid/1", "-1"], "must be an amount of money"),
        (["policy", "uid/1", "0.0000001"], "must be an amount of money"),
    ],
)
def test_wrong_words_are_refused(words: list[str], must: str, hybridjob_command: CommandLine) -> None:
    done = hybridjob_command("policy", "settle", "--", *words)
    assert done.status == 2
    assert must in done.stderr
