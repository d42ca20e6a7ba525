"""Hedging on a real cluster: who answers, what becomes of the other, and what the ledger says of it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from hybridjob.api.hybridjob import HybridJob
from hybridjob.cluster.ledger import DOCUMENT_KEY, ledger_name
from hybridjob.cluster.views import ATTEMPT_LABEL
from hybridjob.engine.accounts import from_micros
from hybridjob.engine.ledger_document import load
from support.cluster import Cluster
from support.jobs import aer, hybrid_job, policy, read, state, wait_for_end, wait_until
from support.operator import OPERATOR_NAMESPACE, OperatorProcess, eventually

QUICK = {"maxIterations": 0, "shots": 10, "layers": 1}
RING = {"type": "MaxCut", "inline": {"nodes": 20, "edges": [[i, (i + 1) % 20, 1.0] for i in range(20)]}}
PER_SECOND = {"formula": "PerSecond", "currency": "USD", "perSecond": "0.01"}
PER_TASK = {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "0.30", "perShot": "0.001"}
BUDGET = {"name": "all", "limit": "1000", "currency": "USD"}


@pytest.fixture
def rules(cluster: Cluster, namespace: str, operator: OperatorProcess) -> Iterator[Any]:
    """Applies a policy for one paid backend."""

    def apply(rate_card: dict[str, Any], **classical: Any) -> None:
        made = policy(namespace, aer(rateCard=rate_card), budgets=[BUDGET])
        made["spec"]["classical"] |= classical
        cluster.apply(made)

    yield apply
    cluster.kubectl("delete", "qbp", namespace)


def hedged(namespace: str, deadline: int, **spec: Any) -> dict[str, Any]:
    limits = {"completionDeadlineSeconds": deadline}
    return hybrid_job(policyName=namespace, routing={"strategy": "Hedged"}, limits=limits, **spec)


def solver_jobs(cluster: Cluster, namespace: str) -> dict[int, dict[str, Any]]:
    """The Jobs of the attempts, by number."""
    items = cluster.get("jobs", "-n", namespace)["items"]
    return {int(item["metadata"]["labels"][ATTEMPT_LABEL]): item for item in items}


def attempts(job: HybridJob) -> list[tuple[str, str]]:
    assert job.status is not None
    return [(attempt.route, attempt.state) for attempt in job.status.attempts]


def committed(cluster: Cluster, name: str) -> Decimal:
    """What the ledger has charged; nothing may be reserved any more."""
    document = cluster.get("configmap", "-n", OPERATOR_NAMESPACE, ledger_name(name))["data"][DOCUMENT_KEY]
    book = load(document).book
    assert not book.entries
    total = book.totals()["USD"]
    assert total.reserved == 0
    return from_micros(total.committed)


def test_a_quantum_solver_that_is_slow_loses_and_is_settled_once(cluster: Cluster, namespace: str, rules: Any) -> None:
    rules(PER_SECOND, expectedLatency={"runSeconds": 100})
    hours = {"layers": 16, "maxIterations": 10_000}
    cluster.apply(hedged(namespace, 120, problem=RING, quantum=hours), namespace=namespace)
    job = wait_for_end(cluster, namespace, "job")
    assert job.status is not None
    assert (job.status.state, job.status.route, job.status.fallback) == ("Succeeded", "Classical", None)
    assert attempts(job) == [("Quantum", "Cancelled"), ("Classical", "Succeeded")]
    quantum, hedge = job.status.attempts
    created = job.metadata.creation_timestamp
    assert created is not None
    assert 10 <= (hedge.created_time - created).total_seconds() < 120, "at the last moment: 110 s before the deadline"
    assert quantum.message == "another attempt has answered"
    assert set(solver_jobs(cluster, namespace)) == {2}, "the Job of the quantum attempt is gone"

    assert quantum.run_seconds is not None
    assert quantum.cost == Decimal(str(quantum.run_seconds)) / 100
    assert job.status.cost is not None
    assert (job.status.cost.reserved, job.status.cost.actual) == (0, quantum.cost)
    assert committed(cluster, namespace) == quantum.cost


def test_a_quantum_answer_in_time_needs_no_hedge(cluster: Cluster, namespace: str, rules: Any) -> None:
    rules(PER_TASK)
    cluster.apply(hedged(namespace, 3600, quantum=QUICK), namespace=namespace)
    job = wait_for_end(cluster, namespace, "job")
    assert attempts(job) == [("Quantum", "Succeeded")]
    assert set(solver_jobs(cluster, namespace)) == {1}
    assert committed(cluster, namespace) == Decimal("0.31")


def test_a_quantum_answer_ends_the_hedge_that_runs(cluster: Cluster, namespace: str, rules: Any) -> None:
    """The hedge starts at once, and no node has room for it."""
    room = {"memory": "900Gi", "cpu": "50m"}
    rules(PER_TASK, expectedLatency={"runSeconds": 200}, resources=room)
    cluster.apply(hedged(namespace, 220, quantum=QUICK), namespace=namespace)
    job = wait_for_end(cluster, namespace, "job")
    assert job.status is not None
    assert (job.status.state, job.status.route, job.status.fallback) == ("Succeeded", "Quantum", None)
    assert attempts(job) == [("Quantum", "Succeeded"), ("Classical", "Cancelled")]
    assert set(solver_jobs(cluster, namespace)) == {1}
    assert committed(cluster, namespace) == Decimal("0.31")


def test_a_quantum_answer_that_comes_too_late_is_kept_as_evidence(cluster: Cluster, namespace: str, rules: Any) -> None:
    """A finalizer keeps the loser's Job, and so its pod, when it is cancelled, as a provider may go on with a task."""
    rules(PER_TASK, expectedLatency={"runSeconds": 100})
    half_a_minute = {"layers": 16, "maxIterations": 40, "shots": 100}
    cluster.apply(hedged(namespace, 120, problem=RING, quantum=half_a_minute), namespace=namespace)
    eventually(lambda: 1 in solver_jobs(cluster, namespace), "the quantum attempt has a Job")
    name = solver_jobs(cluster, namespace)[1]["metadata"]["name"]

    def finalizers(value: str) -> None:
        patch = f'{{"metadata": {{"finalizers": {value}}}}}'
        done = cluster.kubectl("patch", "job", name, "-n", namespace, "--type=merge", "-p", patch)
        assert done.returncode == 0, done.stderr

    finalizers('["hybridjob.dev/test"]')
    try:
        answered = wait_until(cluster, namespace, "job", lambda job: job.status is not None and bool(job.status.result))
        assert answered.status is not None
        assert (answered.status.state, answered.status.route) == ("Running", "Classical")
        assert attempts(answered)[0] == ("Quantum", "Cancelling")
        eventually(
            lambda: "deletionTimestamp" in solver_jobs(cluster, namespace)[1]["metadata"], "the loser is cancelled"
        )
        job = wait_for_end(cluster, namespace, "job")
    finally:
        finalizers("null")
    assert job.status is not None
    assert job.status.result == answered.status.result
    assert job.status.route == "Classical"
    quantum = job.status.attempts[0]
    assert (quantum.state, quantum.message) == ("Cancelled", "another attempt has answered")
    assert quantum.feasible is True
    assert quantum.objective is not None
    assert 0 < quantum.objective <= 20
    assert (quantum.shots, quantum.cost) == (100, Decimal("0.4"))
    assert committed(cluster, namespace) == Decimal("0.4")
    eventually(lambda: set(solver_jobs(cluster, namespace)) == {2}, "the loser's Job is gone")
    assert state(read(cluster, namespace, "job")) == "Succeeded"
    assert read(cluster, namespace, "job").status == job.status
