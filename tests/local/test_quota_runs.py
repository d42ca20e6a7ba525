"""Quotas and real processes: how many solvers run at once, who waits, and the example of docs/quotas.md."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from support.command_line import EXAMPLES, CommandLine, hybridjob, policy, ring, write_manifests

CIRQ = {"name": "cirq", "kind": "Simulator", "sdk": "Cirq", "qubits": 20}
QUICK = {"shots": 8, "layers": 1, "maxIterations": 0}


def most_at_once(statuses: Iterable[dict[str, Any]]) -> int:
    """How many quantum solvers ran at the same time."""
    steps = []
    for status in statuses:
        for attempt in status["attempts"]:
            if attempt["route"] == "Quantum":
                steps += [
                    (datetime.fromisoformat(attempt["startTime"]), 1),
                    (datetime.fromisoformat(attempt["endTime"]), -1),
                ]
    count, most = 0, 0
    for _, step in sorted(steps):
        count += step
        most = max(most, count)
    return most


def test_of_thirty_jobs_two_run_at_once(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    jobs = [hybridjob(f"job-{number:02}", problem=ring(4), quantum=QUICK) for number in range(30)]
    file = write_manifests(tmp_path / "jobs.yaml", policy(CIRQ, quotas={"maxConcurrent": 2}), *jobs)
    outcome = hybridjob_command("run", "--jobs", 8, file, "-o", "json")
    assert outcome.status == 0, outcome.stderr
    statuses = [item["status"] for item in outcome.objects]
    assert {(status["state"], status["route"], len(status["attempts"])) for status in statuses} == {
        ("Succeeded", "Quantum", 1)
    }
    assert most_at_once(statuses) == 2
    assert "no slot of policy" in hybridjob_command("describe", "job-29").stdout


def test_jobs_of_earlier_runs_count_for_their_period(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    rules = policy(CIRQ, quotas={"jobsPerPeriod": {"count": 1, "seconds": 86400}})
    routes = []
    for name in ("first", "second"):
        file = write_manifests(tmp_path / "job.yaml", rules, hybridjob(name, problem=ring(4), quantum=QUICK))
        status = hybridjob_command("run", file, "-o", "json").object["status"]
        routes.append((status["route"], status.get("reason"), status.get("fallback", {}).get("reason")))
    assert routes == [("Quantum", None, None), ("Classical", None, "QuotaExceeded")]


def test_the_example_does_what_it_says(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    jobs = [
        *(hybridjob(f"job-{number}", problem=ring(4), quantum=QUICK) for number in range(3)),
        hybridjob("greedy", problem=ring(4), quantum=QUICK | {"shots": 10001}),
    ]
    other = hybridjob("other", problem=ring(4), quantum=QUICK)
    other["metadata"]["namespace"] = "other"
    file = write_manifests(tmp_path / "jobs.yaml", *jobs, other)
    rules = EXAMPLES / "policies" / "quotas.yaml"
    outcome = hybridjob_command("run", "--jobs", 8, "--policy", rules, file, "-o", "json")
    assert outcome.status == 0, outcome.stderr
    statuses = {item["metadata"]["name"]: item["status"] for item in outcome.objects}
    assert statuses["greedy"]["fallback"]["reason"] == "QuotaExceeded"
    assert {statuses[f"job-{number}"]["route"] for number in range(3)} == {"Quantum"}
    assert most_at_once(status for name, status in statuses.items() if name.startswith("job-")) == 1
    assert most_at_once(statuses.values()) == 2
    assert statuses["other"]["backend"] == "small"  # the larger one was taken
