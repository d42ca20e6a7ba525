"""The operator, its leader and its API server die and freeze; no job notices."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hybridjob.engine.lifecycle import TERMINAL
from support.cluster import Cluster
from support.jobs import Recorder, aer, assert_legal, hybrid_job, policy, wait_for_end
from support.operator import OPERATOR_NAMESPACE, OperatorProcess, eventually

JOBS = 50
KILLS = 20
PRICE = {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "0.25", "perShot": "0"}


@pytest.fixture
def paid(cluster: Cluster, namespace: str) -> Iterator[str]:
    """A policy with a backend that costs 0.25 USD a task, and money for all of the jobs."""
    budget = {"name": "all", "limit": "1000", "currency": "USD"}
    cluster.apply(policy(namespace, aer("paid", rateCard=PRICE), budgets=[budget]))
    yield namespace
    cluster.kubectl("delete", "qbp", namespace)


def ended(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    items = cluster.get("hj", "-n", namespace)["items"]
    return [item for item in items if item.get("status", {}).get("state") in TERMINAL]


def test_fifty_jobs_survive_an_operator_that_is_killed_twenty_times(
    cluster: Cluster, namespace: str, lone_operator: OperatorProcess, paid: str, tmp_path: Path
) -> None:
    """Some classical, some that fall back, and a few that pay."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    recorder = Recorder(cluster, namespace, tmp_path / "watch.json")
    jobs: list[dict[str, Any]] = []
    for number in range(JOBS):
        name = f"job-{number}"
        if number % 10 == 0:
            jobs.append(hybrid_job(name, policyName=paid, quantum={"maxIterations": 0, "shots": 10}))
        elif number % 3 == 0:
            jobs.append(hybrid_job(name, policyName=paid, quantum={"backends": ["gone"]}))
        else:
            jobs.append(hybrid_job(name, policyName=paid))
    cluster.apply({"apiVersion": "v1", "kind": "List", "items": jobs}, namespace=namespace)
    for _ in range(KILLS):
        time.sleep(moments.uniform(0.0, 1.5))  # the kill comes at any moment: this is what is tested
        lone_operator.kill()
        lone_operator.start()
    eventually(lambda: len(ended(cluster, namespace)) == JOBS, "all jobs have ended", 400)

    versions = recorder.stop()
    for job in versions.values():
        assert_legal(job)
    made = Counter(
        (job["metadata"]["labels"]["hybridjob.dev/job-uid"], job["metadata"]["labels"]["hybridjob.dev/attempt"])
        for job in cluster.get("jobs", "-n", namespace)["items"]
    )
    attempts = [
        (item["metadata"]["uid"], str(attempt["number"]))
        for item in ended(cluster, namespace)
        for attempt in item["status"]["attempts"]
    ]
    assert made == Counter(attempts), "each attempt is exactly one Job"
    assert {item["status"]["state"] for item in ended(cluster, namespace)} == {"Succeeded"}
    paying = [item for item in ended(cluster, namespace) if item["status"]["cost"]["actual"] != "0"]
    priced = [item["status"] for item in ended(cluster, namespace) if int(item["metadata"]["name"][4:]) % 10 == 0]
    assert len(paying) == JOBS // 10, [(s["cost"], s["attempts"]) for s in priced if s["cost"]["actual"] == "0"]
    assert {item["status"]["cost"]["actual"] for item in paying} == {"0.25"}
    (budget,) = eventually_reported(cluster, paid, committed="1.25")
    assert budget["reserved"] == "0"


def eventually_reported(cluster: Cluster, name: str, committed: str) -> list[dict[str, Any]]:
    def budgets() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = cluster.get("qbp", name).get("status", {}).get("budgets", [])
        return found

    eventually(lambda: [b["committed"] for b in budgets()] == [committed], f"the policy reports {committed} committed")
    return budgets()


@pytest.fixture
def standby(operator: OperatorProcess, cluster: Cluster, images: dict[str, str], tmp_path: Path) -> Iterator[Any]:
    """A second replica, which stands by."""
    operator.wait_until_it_leads()
    second = OperatorProcess(cluster, tmp_path / "standby.log", images)
    second.port = operator.port + 1
    second.start()
    assert second.metric("hybridjob_leader") == 0
    yield second
    if not operator.is_running:
        operator.start()
    second.stop()
    operator.wait_until_it_leads()


def test_the_standby_takes_over_at_once_when_the_leader_is_told_to_stop(
    cluster: Cluster, namespace: str, operator: OperatorProcess, standby: OperatorProcess
) -> None:
    began = time.monotonic()
    assert operator.stop() == 0
    eventually(lambda: standby.metric("hybridjob_leader") == 1, "the standby leads")
    # Well before the Lease would have run out: it was given back.
    assert time.monotonic() - began < 14
    cluster.apply(hybrid_job(), namespace=namespace)
    wait_for_end(cluster, namespace, "job")


def test_the_standby_takes_over_when_the_leader_dies(
    cluster: Cluster, namespace: str, operator: OperatorProcess, standby: OperatorProcess
) -> None:
    cluster.apply(hybrid_job(), namespace=namespace)
    operator.kill()
    eventually(lambda: standby.metric("hybridjob_leader") == 1, "the standby leads")
    job = wait_for_end(cluster, namespace, "job")
    assert job.status is not None
    assert len(job.status.attempts) == 1


def test_a_leader_that_froze_writes_nothing_when_it_wakes(
    cluster: Cluster, namespace: str, operator: OperatorProcess, standby: OperatorProcess, tmp_path: Path
) -> None:
    recorder = Recorder(cluster, namespace, tmp_path / "watch.json")
    jobs = [hybrid_job(f"job-{number}") for number in range(5)]
    cluster.apply(*jobs, namespace=namespace)
    operator.signal(signal.SIGSTOP)
    eventually(lambda: standby.metric("hybridjob_leader") == 1, "the standby leads")
    operator.signal(signal.SIGCONT)
    eventually(lambda: not operator.is_running, "the frozen leader finds that it leads no more, and ends")
    for job in jobs:
        wait_for_end(cluster, namespace, job["metadata"]["name"])
    for versions in recorder.stop().values():
        assert_legal(versions)
    (lease,) = [
        item
        for item in cluster.get("leases", "-n", OPERATOR_NAMESPACE)["items"]
        if "operator" in item["metadata"]["name"]
    ]
    assert lease["spec"]["holderIdentity"]


def test_jobs_go_on_when_the_api_server_is_restarted(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(*(hybrid_job(f"job-{number}") for number in range(5)), namespace=namespace)
    cluster.restart_api_server()
    cluster.apply(hybrid_job("later"), namespace=namespace)
    for name in ("job-0", "job-1", "job-2", "job-3", "job-4", "later"):
        job = wait_for_end(cluster, namespace, name)
        assert job.status is not None
        assert job.status.state == "Succeeded", job.status.message
