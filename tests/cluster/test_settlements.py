"""What becomes of the money of solvers that end and leave nothing to tell what they cost, on a real cluster."""

from typing import Any

from support.cluster import Cluster
from support.command_line import COMMAND
from support.jobs import aer, hybrid_job, policy, wait_for_end, wait_until
from support.operator import OperatorProcess, eventually

PRICED = {"rateCard": {"formula": "PerTaskPerShot", "currency": "USD", "perTask": "0.3", "perShot": "0.001"}}
BUDGETS = [{"name": "all", "limit": "10", "currency": "USD"}]
SLOW = {
    "problem": {"type": "MaxCut", "inline": {"nodes": 22, "edges": [[n, (n + 1) % 22, 1.0] for n in range(22)]}},
    "quantum": {"shots": 1000, "layers": 10, "maxIterations": 10000},
}


def test_a_solver_that_was_ended_stays_reserved_until_a_person_settles_it(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(policy(namespace, aer(**PRICED), budgets=BUDGETS))
    late = hybrid_job(policyName=namespace, limits={"activeDeadlineSeconds": 5}, **SLOW)
    cluster.apply(late, namespace=namespace)
    ended = wait_for_end(cluster, namespace, "job")
    assert ended.status is not None
    assert ended.status.cost is not None
    assert (ended.status.state, ended.status.route) == ("Succeeded", "Classical"), ended.status.message
    assert (str(ended.status.cost.actual), str(ended.status.cost.reserved)) == ("0", "1.3")
    attempt = f"{ended.metadata.uid}/1"

    eventually(lambda: reported(cluster, namespace) == ("0", "1.3", [attempt]), "the policy's status says so")
    audit = policy_command(cluster, "audit", namespace)
    assert audit.returncode == 0, audit.stdout

    settled = policy_command(cluster, "settle", namespace, attempt, "0.4")
    assert settled.returncode == 0, settled.stderr
    eventually(lambda: reported(cluster, namespace) == ("0.4", "0", []), "the operator goes on from what was settled")
    cluster.kubectl("delete", "qbp", namespace)


def test_a_job_that_is_deleted_while_it_runs_is_charged_in_full_when_nobody_has_found_out_in_time(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(policy(namespace, aer(**PRICED), budgets=BUDGETS, reconcileSeconds=8))
    cluster.apply(hybrid_job(policyName=namespace, **SLOW), namespace=namespace)
    running = wait_until(
        cluster, namespace, "job", lambda job: job.status is not None and job.status.state == "Running"
    )
    attempt = f"{running.metadata.uid}/1"
    cluster.kubectl("delete", "hj", "job", "-n", namespace)
    eventually(lambda: reported(cluster, namespace) == ("0", "1.3", [attempt]), "what it cost is unknown")
    eventually(lambda: reported(cluster, namespace) == ("1.3", "0", []), "all of it is charged")
    cluster.kubectl("delete", "qbp", namespace)


def reported(cluster: Cluster, name: str) -> tuple[str, str, list[str]]:
    """Committed, reserved, and the attempts of unknown cost, as the policy's status says."""
    status = cluster.get("qbp", name).get("status", {})
    (budget,) = status.get("budgets", [{}])
    unknown = [f"{outcome['jobUid']}/{outcome['attempt']}" for outcome in status.get("unknownOutcomes", [])]
    return budget.get("committed", ""), budget.get("reserved", ""), unknown


def policy_command(cluster: Cluster, verb: str, *words: str) -> Any:
    operators = ("--cluster", "--operator-namespace", "hybridjob-system")
    return cluster.run("timeout", "100", *COMMAND, "policy", verb, *words, *operators)
