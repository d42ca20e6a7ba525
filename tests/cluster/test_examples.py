"""Every example of the laptop, unchanged, through kubectl apply, with the outcome that its own text promises."""

from pathlib import Path

import pytest
import yaml

from support.cluster import Cluster
from support.command_line import REPOSITORY
from support.jobs import wait_for_end
from support.operator import OperatorProcess

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.yaml"))
ROLLBACKS = {
    "rollback-backend": "BackendUnavailable",
    "rollback-budget": "BudgetExceeded",
    "rollback-latency": "LatencyExceeded",
    "rollback-memory": "SolverFailed",
    "rollback-quality": "QualityRegressed",
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_ends_with_an_answer(
    example: Path, cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    applied = cluster.kubectl("apply", "-n", namespace, "-f", example)
    assert applied.returncode == 0, applied.stderr
    names = [
        document["metadata"]["name"]
        for document in yaml.safe_load_all(example.read_text())
        if document["kind"] == "HybridJob"
    ]
    for name in names:
        job = wait_for_end(cluster, namespace, name)
        status = job.status
        assert status is not None
        assert status.state == "Succeeded", status.message
        assert status.result is not None
        assert status.result.reference is not None
        payload = cluster.get("-n", namespace, status.result.reference)
        assert payload["metadata"]["ownerReferences"][0]["uid"] == job.metadata.uid
        fallback = ROLLBACKS.get(name)
        assert (status.fallback.reason if status.fallback else None) == fallback
        if job.spec.strategy != "Hedged":  # there the first answer wins
            assert status.route == ("Classical" if fallback or name == "maxcut-classical" else "Quantum")
        waited = cluster.kubectl("wait", "-n", namespace, f"hj/{name}", "--for=condition=Succeeded", "--timeout=5s")
        assert waited.returncode == 0, waited.stderr
