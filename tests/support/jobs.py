"""HybridJobs on the test cluster: small ones to apply, and what has become of them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hybridjob.api.hybridjob import HybridJob
from hybridjob.engine.lifecycle import TERMINAL, is_legal
from support.cluster import Cluster
from support.command_line import REPOSITORY
from support.operator import eventually

SMALL = {"memory": "512Mi", "cpu": "50m"}
RING = {"nodes": 6, "edges": [[i, (i + 1) % 6, 1.0] for i in range(6)]}


def policy(name: str, *backends: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A policy whose solvers are small enough for many of them to fit on one node."""
    return {
        "apiVersion": "hybridjob.dev/v1alpha1",
        "kind": "QuantumBackendPolicy",
        "metadata": {"name": name},
        "spec": {"backends": list(backends), "classical": {"resources": SMALL}} | spec,
    }


def aer(name: str = "aer", **fields: Any) -> dict[str, Any]:
    return {"name": name, "kind": "Simulator", "sdk": "Qiskit", "qubits": 24, "resources": SMALL} | fields


DEFAULT_POLICY = policy(
    "default",
    aer(resources={"memory": "1Gi", "cpu": "50m"}),
    {"name": "cirq", "kind": "Simulator", "sdk": "Cirq", "qubits": 20, "resources": SMALL},
    {
        "name": "noisy",
        "kind": "NoisySimulator",
        "sdk": "Qiskit",
        "snapshot": "FakeLagosV2",
        "qubits": 7,
        "resources": {"memory": "1Gi", "cpu": "50m"},
    },
    default=True,
)


def hybrid_job(name: str = "job", **spec: Any) -> dict[str, Any]:
    """A MaxCut job on a ring of six; classical unless `quantum` is given."""
    return {
        "apiVersion": "hybridjob.dev/v1alpha1",
        "kind": "HybridJob",
        "metadata": {"name": name},
        "spec": {"problem": {"type": "MaxCut", "inline": RING}} | spec,
    }


def read(cluster: Cluster, namespace: str, name: str) -> HybridJob:
    """The job as the API server has it, through the project's own model."""
    return HybridJob.model_validate_json(json.dumps(cluster.get("hj", "-n", namespace, name)))


def wait_until(
    cluster: Cluster, namespace: str, name: str, holds: Callable[[HybridJob], bool], patience_seconds: float = 180
) -> HybridJob:
    """Wait for something to hold of a job, and return the job."""
    last: list[HybridJob] = []

    def look() -> bool:
        last[:] = [read(cluster, namespace, name)]
        return holds(last[0])

    try:
        eventually(look, f"{namespace}/{name}", patience_seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {last[0].status if last else 'unknown'}") from None
    return last[0]


def wait_for_end(cluster: Cluster, namespace: str, name: str, patience_seconds: float = 180) -> HybridJob:
    return wait_until(cluster, namespace, name, lambda job: state(job) in TERMINAL, patience_seconds)


def state(job: HybridJob) -> str | None:
    return job.status.state if job.status else None


def without_validation(cluster: Cluster, *manifests: object, namespace: str) -> None:
    """Store objects that today's schema refuses, as an older or a looser one would have let them pass."""
    open_schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    crds = ["hybridjobs.hybridjob.dev", "quantumbackendpolicies.hybridjob.dev"]
    patch = json.dumps(
        [{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec", "value": open_schema}]
    )
    try:
        for crd in crds:
            done = cluster.kubectl("patch", "crd", crd, "--type=json", "-p", patch)
            assert done.returncode == 0, done.stderr

        def stored() -> bool:
            return all(
                cluster.kubectl("apply", "-n", namespace, "-f", "-", manifest=m).returncode == 0 for m in manifests
            )

        eventually(stored, "the looser schema is served")
    finally:
        done = cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", REPOSITORY / "crds")
        assert done.returncode == 0, done.stderr


class Recorder:
    """Watches the HybridJobs of a namespace and keeps each version of each."""

    def __init__(self, cluster: Cluster, namespace: str, file: Path) -> None:
        self._file = file
        command = cluster.inside(
            "kubectl", "get", "hj", "-n", namespace, "--watch", "-o", "json", "--output-watch-events"
        )
        with file.open("wb") as output:
            self._process = subprocess.Popen(command, env=cluster.environment(), stdout=output)

    def stop(self) -> dict[str, list[HybridJob]]:
        """All versions by name, in order."""
        self._process.terminate()
        self._process.wait(timeout=10)
        versions: dict[str, list[HybridJob]] = {}
        text, decoder, position = self._file.read_text(), json.JSONDecoder(), 0
        while position < len(text):
            try:
                event, position = decoder.raw_decode(text, position)
            except json.JSONDecodeError:
                break  # cut off in the middle
            position += len(text[position:]) - len(text[position:].lstrip())
            if event["type"] != "DELETED":
                job = HybridJob.model_validate_json(json.dumps(event["object"]))
                versions.setdefault(job.metadata.name, []).append(job)
        return versions


def assert_legal(versions: list[HybridJob]) -> None:
    """No state ever went backwards, and nothing changed after the end."""
    before = None
    for version in versions:
        if version.status is None:
            assert before is None, "a status was lost"
            continue
        if before is not None:
            assert is_legal(before.state, version.status.state), f"{before.state} → {version.status.state}"
            if before.state in TERMINAL:
                assert version.status == before
            numbers = [attempt.number for attempt in version.status.attempts]
            assert numbers[: len(before.attempts)] == [attempt.number for attempt in before.attempts]
        before = version.status
