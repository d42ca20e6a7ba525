"""Latency and real processes: what is measured decides about the jobs that follow; and the example of the page."""

import json
from pathlib import Path

from support.command_line import EXAMPLES, CommandLine, hybridjob, policy, ring, write_manifests

CIRQ = {"name": "cirq", "kind": "Simulator", "sdk": "Cirq", "qubits": 20}
QUICK = {"shots": 8, "layers": 1, "maxIterations": 0}


def test_jobs_learn_from_those_before(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    rules = policy(CIRQ, latency={"minimumSamples": 2})
    file = tmp_path / "job.yaml"
    for name in ("first", "second", "third"):
        write_manifests(file, rules, hybridjob(name, problem=ring(4), quantum=QUICK))
        assert hybridjob_command("run", file, "-o", "json").object["status"]["route"] == "Quantum"
    (backend,) = json.loads(hybridjob_command("policy", "policy", "-o", "json").stdout)["backends"]
    assert backend["latency"]["samples"] == 3
    assert backend["latency"]["estimated"] == 1
    assert "of 3 attempts" in hybridjob_command("policy", "policy").stdout

    longest = backend["latency"]["total"]["p99"]
    limits = {"completionDeadlineSeconds": max(1, int(longest * 0.9))}
    write_manifests(file, rules, hybridjob("urgent", problem=ring(4), quantum=QUICK, limits=limits))
    assert "LatencyExceeded: nine of ten attempts take up to" in hybridjob_command("explain", file).stdout
    status = hybridjob_command("run", file, "-o", "json").object["status"]
    assert [attempt["route"] for attempt in status["attempts"]] == ["Classical"]
    assert status["fallback"]["reason"] == "LatencyExceeded"
    assert "measured on 3 attempts" in status["fallback"]["message"]


def test_the_example_does_what_it_says(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    file = write_manifests(tmp_path / "job.yaml", hybridjob(problem=ring(4), quantum=QUICK))
    outcome = hybridjob_command("explain", "--policy", EXAMPLES / "policies" / "latency.yaml", file, "-o", "json")
    decision = json.loads(outcome.stdout)["decision"]
    assert decision["chosen"]["backend"] == "near"
    (distant,) = [option for option in decision["rejected"] if option["backend"] == "distant"]
    assert distant["reason"] == "LatencyExceeded"
    assert "7260 s to end (as the policy expects)" in distant["message"]


def test_a_slow_quantum_solver_is_hedged_and_the_first_answer_wins(
    hybridjob_command: CommandLine, tmp_path: Path
) -> None:
    rules = policy(CIRQ, classical={"expectedLatency": {"runSeconds": 20}})
    slow = hybridjob(
        problem=ring(20),
        quantum={"layers": 16, "maxIterations": 10_000},  # hours
        routing={"strategy": "Hedged"},
        limits={"completionDeadlineSeconds": 30},
    )
    file = write_manifests(tmp_path / "job.yaml", rules, slow)
    outcome = hybridjob_command("run", "--jobs", 2, file, "-o", "json")
    assert outcome.status == 0, outcome.stderr
    status = outcome.object["status"]
    assert (status["state"], status["route"], status.get("fallback")) == ("Succeeded", "Classical", None)
    assert [(a["route"], a["state"]) for a in status["attempts"]] == [
        ("Quantum", "Cancelled"),
        ("Classical", "Succeeded"),
    ]
    assert status["attempts"][0]["message"] == "another attempt has answered"
    assert status["latency"]["totalSeconds"] < 30
