"""Each cause of a rollback by its real cause: nothing is simulated but a price."""

from typing import Any

import pytest

from hybridjob.api.hybridjob import HybridJob
from support.cluster import Cluster
from support.jobs import aer, hybrid_job, policy, wait_for_end
from support.operator import OperatorProcess

DENSE = {"nodes": 22, "edges": [[i, j, 1.0] for i in range(22) for j in range(i)]}


@pytest.fixture
def rolled_back(cluster: Cluster, namespace: str, operator: OperatorProcess) -> Any:
    """Runs a job under a policy of its own, and returns it after it has ended with a classical answer."""
    created = []

    def run(backend: dict[str, Any], **spec: Any) -> HybridJob:
        cluster.apply(policy(namespace, backend))
        created.append(namespace)
        cluster.apply(hybrid_job(policyName=namespace, **({"quantum": {}} | spec)), namespace=namespace)
        job = wait_for_end(cluster, namespace, "job")
        assert job.status is not None
        assert job.status.state == "Succeeded", job.status
        assert job.status.route == "Classical"
        assert job.status.result is not None
        return job

    yield run
    for name in created:
        cluster.kubectl("delete", "qbp", name)


def why(job: HybridJob) -> tuple[str, str]:
    assert job.status is not None
    assert job.status.fallback is not None
    return job.status.fallback.reason, job.status.fallback.message


def test_a_solver_killed_for_its_memory(rolled_back: Any) -> None:
    job = rolled_back(aer(resources={"memory": "200Mi", "cpu": "50m"}), problem={"type": "MaxCut", "inline": DENSE})
    reason, message = why(job)
    assert reason == "SolverFailed"
    assert "OOMKilled" in message
    assert "200Mi" in message


def test_an_image_that_does_not_exist(rolled_back: Any) -> None:
    job = rolled_back(aer(image="localhost/no-such-image:never"), limits={"queueDeadlineSeconds": 15})
    reason, message = why(job)
    assert reason in ("BackendUnavailable", "LatencyExceeded")
    assert "image" in message.lower()


def test_an_image_whose_name_is_impossible_rolls_back_at_once(rolled_back: Any) -> None:
    job = rolled_back(aer(image="localhost/no//such:image"))
    reason, message = why(job)
    assert reason == "BackendUnavailable"
    assert "InvalidImageName" in message


def test_a_pod_that_no_node_can_hold(rolled_back: Any) -> None:
    job = rolled_back(aer(resources={"memory": "900Gi", "cpu": "50m"}), limits={"queueDeadlineSeconds": 5})
    reason, message = why(job)
    assert reason == "LatencyExceeded"
    assert "Insufficient memory" in message


def test_a_solver_that_runs_too_long(rolled_back: Any) -> None:
    endless = {"layers": 32, "maxIterations": 10_000}
    job = rolled_back(
        aer(resources={"memory": "1Gi", "cpu": "50m"}),
        problem={"type": "MaxCut", "inline": DENSE},
        classical={"algorithm": "Tabu"},
        quantum=endless,
        limits={"activeDeadlineSeconds": 20},
    )
    reason, message = why(job)
    assert reason == "LatencyExceeded"
    assert "activeDeadlineSeconds" in message


def test_a_price_above_the_limit(rolled_back: Any) -> None:
    card = {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "0.30", "perShot": "0.01"}
    job = rolled_back(aer(rateCard=card), limits={"maxCost": "1.00", "currency": "USD"})
    reason, message = why(job)
    assert reason == "BudgetExceeded"
    assert "maxCost" in message


def test_an_answer_that_is_not_good_enough(rolled_back: Any) -> None:
    job = rolled_back(aer(), acceptance={"minImprovementOverBaseline": "0.5"})
    reason, message = why(job)
    assert reason == "QualityRegressed"
    assert "minImprovementOverBaseline" in message
    assert job.status is not None
    assert [attempt.state for attempt in job.status.attempts] == ["Succeeded", "Succeeded"]
