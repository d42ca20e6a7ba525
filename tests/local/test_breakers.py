"""Circuit breakers and real processes: a backend that fails, across runs; and the example of docs/breakers.md."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.command_line import EXAMPLES, CommandLine, Outcome, hybridjob, policy, ring, write_manifests

BROKEN = {"name": "aer", "kind": "NoisySimulator", "sdk": "Qiskit", "qubits": 20, "snapshot": "FakeNowhere"}
"""Its device snapshot does not exist."""
MENDED = {"name": "aer", "kind": "Simulator", "sdk": "Qiskit", "qubits": 20}
QUICK = {"shots": 8, "layers": 1, "maxIterations": 0}


class Bench:
    """Runs one job after the other, each in a process of its own."""

    def __init__(self, command: CommandLine, directory: Path, breaker: dict[str, Any]) -> None:
        self.command, self.file, self.breaker = command, directory / "job.yaml", breaker

    def run(self, namespace: str, backend: dict[str, Any]) -> dict[str, Any]:
        manifest = hybridjob(problem=ring(4), quantum=QUICK)
        manifest["metadata"]["namespace"] = namespace
        write_manifests(self.file, policy(backend, circuitBreaker=self.breaker), manifest)
        outcome = self.command("run", self.file, "-o", "json")
        assert outcome.status == 0, outcome.stderr
        status: dict[str, Any] = outcome.object["status"]
        return status

    def breaker_of(self) -> dict[str, Any]:
        (backend,) = json.loads(self.report("json").stdout)["backends"]
        found: dict[str, Any] = backend["breaker"]
        return found

    def report(self, output: str) -> Outcome:
        return self.command("policy", "policy", "-o", output)


def test_faults_of_two_namespaces_open_it_for_all_across_runs_and_a_probe_closes_it(
    hybridjob_command: CommandLine, tmp_path: Path
) -> None:
    bench = Bench(hybridjob_command, tmp_path, {"consecutiveFailures": 2, "openSeconds": 40})
    for namespace in ("red", "blue"):
        status = bench.run(namespace, BROKEN)
        assert [attempt["backend"] for attempt in status["attempts"]] == ["aer", "classical"]
        assert "FakeNowhere" in status["fallback"]["message"]
    breaker = bench.breaker_of()
    assert (breaker["state"], breaker["scope"], breaker["failures"]) == ("Open", "All", 2)

    status = bench.run("green", MENDED)  # it is mended, and nobody knows yet
    assert [attempt["backend"] for attempt in status["attempts"]] == ["classical"]
    assert "its circuit breaker is Open since" in status["fallback"]["message"]

    next_probe = datetime.fromisoformat(breaker["nextProbeTime"])
    time.sleep(max(0.0, (next_probe - datetime.now(UTC)).total_seconds()))
    assert "breaker HalfOpen for all since" in bench.report("human").stdout
    assert bench.breaker_of()["state"] == "HalfOpen"
    status = bench.run("green", MENDED)
    assert (status["route"], status["backend"]) == ("Quantum", "aer")
    assert "probe" in status["decision"]["chosen"]["message"]
    assert bench.breaker_of()["state"] == "Closed"


def test_faults_of_one_namespace_keep_only_that_one_from_it(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    bench = Bench(hybridjob_command, tmp_path, {"consecutiveFailures": 1, "openSeconds": 600})
    bench.run("red", BROKEN)
    breaker = bench.breaker_of()
    assert (breaker["state"], breaker["scope"], breaker["namespaces"]) == ("Open", "Namespaces", ["red"])
    assert bench.run("red", MENDED)["route"] == "Classical"
    assert bench.run("blue", MENDED)["route"] == "Quantum"


def test_the_example_does_what_it_says(hybridjob_command: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    rules = EXAMPLES / "policies" / "circuit-breaker.yaml"
    tried = []
    for _ in range(3):
        write_manifests(file, hybridjob(problem=ring(4), quantum=QUICK))
        status = hybridjob_command("run", "--policy", rules, file, "-o", "json").object["status"]
        tried.append([attempt["backend"] for attempt in status["attempts"]])
    assert tried == [["broken", "works"], ["broken", "works"], ["works"]]
    explained = hybridjob_command("explain", "--policy", rules, file).stdout
    assert "it is in another building" in explained
    assert "its circuit breaker for namespace default is Open" in explained
