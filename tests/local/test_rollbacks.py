"""Each cause of a rollback, provoked by the cause itself: a memory limit, a deadline, a price, too many nodes, a bad
answer. And each of them without fallback: the job fails with the same reason."""

from typing import Any

import pytest

from support.command_line import CommandLine, hybridjob, policy, ring, write_manifests

AER = {"name": "aer", "kind": "Simulator", "sdk": "Qiskit", "qubits": 24}
NOISY = {"name": "noisy", "kind": "NoisySimulator", "sdk": "Qiskit", "qubits": 7, "snapshot": "FakeLagosV2"}
DEAR = AER | {"rateCard": {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "0.30", "perShot": "0.01"}}
FRUSTRATED = {
    "type": "Qubo",
    "inline": {
        "variables": 7,
        "linear": [[0, -5], [1, -4], [2, -6], [3, -3], [4, -5], [5, -4], [6, -5]],
        "quadratic": [[0, 1, 7], [0, 2, 4], [1, 2, 6], [1, 3, 5], [2, 4, 8], [3, 4, 3], [3, 5, 6], [4, 6, 7]],
    },
}

CAUSES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "SolverFailed": (
        policy(AER | {"resources": {"memory": "160Mi"}}),
        {"problem": ring(22), "quantum": {"layers": 2}},
    ),
    "BackendUnavailable": (policy(AER), {"problem": ring(30), "quantum": {}}),
    "BudgetExceeded": (
        policy(DEAR),
        {"problem": ring(6), "quantum": {"shots": 1000}, "limits": {"maxCost": "5.00", "currency": "USD"}},
    ),
    "LatencyExceeded": (
        policy(AER),
        {
            "problem": ring(22),
            "quantum": {"layers": 10, "maxIterations": 10000},
            "limits": {"activeDeadlineSeconds": 6},
        },
    ),
    "QualityRegressed": (
        policy(NOISY),
        {
            "problem": FRUSTRATED,
            "quantum": {"layers": 1, "maxIterations": 0, "shots": 2, "seed": 1},
            "acceptance": {"minImprovementOverBaseline": "0"},
        },
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_the_answer_still_arrives_from_the_classical_solver(
    cause: str, hybridjob_command: CommandLine, tmp_path: Any
) -> None:
    rules, spec = CAUSES[cause]
    file = write_manifests(tmp_path / "job.yaml", rules, hybridjob(**spec))
    outcome = hybridjob_command("run", file, "-o", "json")
    assert outcome.status == 0, outcome.stderr
    status = outcome.object["status"]
    assert status["state"] == "Succeeded"
    assert status["route"] == "Classical"
    assert status["fallback"]["reason"] == cause
    assert len(status["fallback"]["message"]) > 20
    assert status["result"]["feasible"] is True
    if spec["problem"]["type"] == "MaxCut":
        assert status["result"]["objective"] == len(spec["problem"]["inline"]["edges"])
    assert status["cost"]["actual"] == "0"


@pytest.mark.parametrize("cause", CAUSES)
def test_without_fallback_the_job_fails_with_the_same_reason(
    cause: str, hybridjob_command: CommandLine, tmp_path: Any
) -> None:
    rules, spec = CAUSES[cause]
    file = write_manifests(tmp_path / "job.yaml", rules, hybridjob(**spec, fallback={"on": []}))
    outcome = hybridjob_command("run", file, "-o", "json")
    assert outcome.status == 1
    status = outcome.object["status"]
    assert (status["state"], status["reason"]) == ("Failed", cause)
    assert "fallback" not in status
    assert "result" not in status


def test_a_policy_budget_holds_over_runs(hybridjob_command: CommandLine, tmp_path: Any) -> None:
    """500 shots at 0.01 and a task at 0.30 are 5.30: the budget of 12 has room for two."""
    rules = policy(DEAR, budgets=[{"name": "team", "limit": "12", "currency": "USD"}])
    file = write_manifests(tmp_path / "job.yaml", rules, hybridjob(problem=ring(4), quantum={"shots": 500}))
    statuses = [hybridjob_command("run", file, "-o", "json").object["status"] for _ in range(3)]
    assert [status["route"] for status in statuses] == ["Quantum", "Quantum", "Classical"]
    assert [status["cost"]["actual"] for status in statuses] == ["5.3", "5.3", "0"]
    assert statuses[2]["fallback"]["reason"] == "BudgetExceeded"
    report = hybridjob_command("policy", "policy", "-o", "json").stdout
    assert '"committed": "10.6"' in report
    assert '"remaining": "1.4"' in report


def test_a_policy_budget_holds_over_two_runs_at_once(hybridjob_command: CommandLine, tmp_path: Any) -> None:
    rules = policy(DEAR, budgets=[{"name": "team", "limit": "12", "currency": "USD"}])
    jobs = [hybridjob(f"job-{n}", problem=ring(4), quantum={"shots": 500}) for n in range(3)]
    file = write_manifests(tmp_path / "jobs.yaml", rules, *jobs)
    runs = [hybridjob_command.start("run", file, "-o", "json") for _ in range(2)]
    assert [run.wait(timeout=300) for run in runs] == [0, 0]
    listed = hybridjob_command("get", "-o", "json").objects
    routes = sorted(item["status"]["route"] for item in listed)
    assert routes == ["Classical"] * 4 + ["Quantum"] * 2
    assert '"committed": "10.6"' in hybridjob_command("policy", "policy", "-o", "json").stdout
