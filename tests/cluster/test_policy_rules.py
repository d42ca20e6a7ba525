"""What a policy says of time and of numbers, on a real cluster."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hybridjob.api.hybridjob import HybridJob
from hybridjob.engine.holds import POLL
from support.cluster import Cluster
from support.jobs import aer, hybrid_job, policy, state, wait_for_end, wait_until
from support.operator import OperatorProcess, eventually

QUICK = {"maxIterations": 0, "shots": 10, "layers": 1}


def stamp(seconds: float) -> str:
    """An instant so many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")


def maintenance(until: float) -> list[dict[str, str]]:
    return [{"startTime": stamp(-3600), "endTime": stamp(until), "reason": "calibration"}]


def test_a_job_waits_for_a_backend_to_open_and_runs_on_it(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(policy(namespace, aer(maintenance=maintenance(until=12)), spreadSeconds=0))
    cluster.apply(hybrid_job(policyName=namespace, quantum=QUICK), namespace=namespace)
    held = wait_until(cluster, namespace, "job", lambda job: state(job) == "Held")
    assert held.status is not None
    assert held.status.waiting is not None
    assert held.status.waiting.reason == "WindowClosed"
    assert "calibration" in held.status.message
    ended = wait_for_end(cluster, namespace, "job")
    assert ended.status is not None
    assert (ended.status.state, ended.status.route) == ("Succeeded", "Quantum"), ended.status.message
    cluster.kubectl("delete", "qbp", namespace)


def test_a_backend_that_opens_too_late_rolls_back_at_once(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(policy(namespace, aer(maintenance=maintenance(until=7200))))
    cluster.apply(hybrid_job(policyName=namespace, quantum=QUICK), namespace=namespace)
    ended = wait_for_end(cluster, namespace, "job")
    assert ended.status is not None
    assert ended.status.fallback is not None
    assert ended.status.fallback.reason == "WindowClosed"

    def reported() -> list[bool]:
        return [backend["open"] for backend in cluster.get("qbp", namespace).get("status", {}).get("backends", [])]

    eventually(lambda: reported() == [False], "the policy's status says that the backend is closed")
    cluster.kubectl("delete", "qbp", namespace)


def test_a_window_that_closes_while_a_job_is_suspended_rolls_it_back(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(policy(namespace, aer()))
    cluster.apply(hybrid_job(policyName=namespace, quantum=QUICK, suspend=True), namespace=namespace)
    wait_until(cluster, namespace, "job", lambda job: state(job) == "Held")
    cluster.apply(policy(namespace, aer(maintenance=maintenance(until=7200))))
    cluster.kubectl("patch", "hj", "job", "-n", namespace, "--type=merge", "-p", '{"spec": {"suspend": false}}')
    ended = wait_for_end(cluster, namespace, "job")
    assert ended.status is not None
    assert ended.status.fallback is not None
    assert ended.status.fallback.reason == "WindowClosed"
    cluster.kubectl("delete", "qbp", namespace)


def test_a_quota_of_one_lets_one_quantum_solver_run_at_a_time(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(policy(namespace, aer(), quotas={"maxConcurrent": 1}))
    names = [f"job-{number}" for number in range(5)]
    cluster.apply(*(hybrid_job(name, policyName=namespace, quantum=QUICK) for name in names), namespace=namespace)
    runs = []
    for name in names:
        ended = wait_for_end(cluster, namespace, name)
        assert ended.status is not None
        assert (ended.status.state, ended.status.route) == ("Succeeded", "Quantum"), ended.status.message
        (attempt,) = ended.status.attempts
        assert attempt.start_time is not None
        assert attempt.end_time is not None
        runs.append((attempt.start_time, attempt.end_time))
    for (_, end), (start, _) in pairwise(sorted(runs)):
        assert end <= start
    cluster.kubectl("delete", "qbp", namespace)


PER_SECOND = {"formula": "PerSecond", "currency": "USD", "perSecond": "0.001"}  # 0.9 USD of an attempt, at most
DAY = {"queueDeadlineSeconds": 86_400, "completionDeadlineSeconds": 86_400}


def hold(limit: str) -> dict[str, Any]:
    return {"name": "all", "limit": limit, "currency": "USD", "onExceeded": "Hold", "holdSeconds": 86_400}


def test_a_held_job_goes_on_when_another_gives_its_money_back(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(policy(namespace, aer(rateCard=PER_SECOND), budgets=[hold("1")]))
    jobs = [hybrid_job(name, policyName=namespace, quantum=QUICK, limits=DAY) for name in ("first", "second")]
    cluster.apply(*jobs, namespace=namespace)
    found = [wait_for_end(cluster, namespace, name) for name in ("first", "second")]
    (first,), (second,) = sorted((job.status.attempts for job in found if job.status), key=lambda a: a[0].created_time)
    assert {first.route, second.route} == {"Quantum"}
    assert first.end_time is not None
    assert first.end_time <= second.created_time < first.created_time + POLL, "it did not wait for its next look"
    cluster.kubectl("delete", "qbp", namespace)


def test_a_held_job_goes_on_when_its_budget_is_raised(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(policy(namespace, aer(rateCard=PER_SECOND), budgets=[hold("1")]))
    cluster.apply(hybrid_job("spender", policyName=namespace, quantum=QUICK, limits=DAY), namespace=namespace)
    wait_for_end(cluster, namespace, "spender")
    cluster.apply(policy(namespace, aer(rateCard=PER_SECOND), budgets=[hold("0.9")]))  # fits no more
    cluster.apply(hybrid_job("held", policyName=namespace, quantum=QUICK, limits=DAY), namespace=namespace)
    held = wait_until(cluster, namespace, "held", lambda job: state(job) == "Held")
    assert held.status is not None
    assert held.status.hold is not None
    cluster.apply(policy(namespace, aer(rateCard=PER_SECOND), budgets=[hold("10")]))
    ended = wait_for_end(cluster, namespace, "held")
    assert ended.status is not None
    (attempt,) = ended.status.attempts
    assert attempt.route == "Quantum"
    assert attempt.created_time < held.status.hold.since_time + POLL, "it did not wait for its next look"
    cluster.kubectl("delete", "qbp", namespace)


def test_a_backend_whose_pods_fail_is_left_alone_until_a_probe_answers(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    """Its image cannot be pulled, for two namespaces; then it is repaired."""
    other = f"{namespace}-other"
    assert cluster.kubectl("create", "namespace", other).returncode == 0
    rule = {"consecutiveFailures": 2, "openSeconds": 20}
    cluster.apply(policy(namespace, aer(image="localhost/no//such:image"), circuitBreaker=rule))
    for place in (namespace, other):
        cluster.apply(hybrid_job("fails", policyName=namespace, quantum=QUICK), namespace=place)
        assert rolled_back_for(wait_for_end(cluster, place, "fails")) == "BackendUnavailable"

    def breaker() -> str | None:
        (backend,) = cluster.get("qbp", namespace).get("status", {}).get("backends", [{}])
        found: str | None = backend.get("breaker", {}).get("state")
        return found

    eventually(lambda: breaker() == "Open", "the policy's status says that the breaker is open")
    cluster.apply(hybrid_job("refused", policyName=namespace, quantum=QUICK), namespace=namespace)
    refused = wait_for_end(cluster, namespace, "refused")
    assert rolled_back_for(refused) == "BackendUnavailable"
    assert refused.status is not None
    assert [attempt.route for attempt in refused.status.attempts] == ["Classical"], "nothing was tried on the backend"

    cluster.apply(policy(namespace, aer(), circuitBreaker=rule))
    eventually(lambda: breaker() == "HalfOpen", "a probe may start")
    cluster.apply(hybrid_job("probe", policyName=namespace, quantum=QUICK), namespace=namespace)
    probe = wait_for_end(cluster, namespace, "probe")
    assert probe.status is not None
    assert probe.status.route == "Quantum", probe.status.message
    eventually(lambda: breaker() in (None, "Closed"), "the breaker is closed")
    cluster.kubectl("delete", "namespace", other, "--wait=false")
    cluster.kubectl("delete", "qbp", namespace)


def rolled_back_for(job: HybridJob) -> str | None:
    assert job.status is not None
    return job.status.fallback.reason if job.status.fallback else None
