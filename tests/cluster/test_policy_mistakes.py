"""Bad policies on a real cluster: the API server refuses them, or the operator says what is wrong; nothing is lost."""

import sys
from decimal import Decimal
from typing import Any

import pytest

from support.bad_policies import BUDGET, CARD, MISTAKES
from support.cluster import Cluster
from support.jobs import aer, hybrid_job, policy, state, wait_for_end, wait_until, without_validation
from support.operator import OperatorProcess, eventually

QUICK = {"maxIterations": 0, "shots": 10, "layers": 1}
RING = {"type": "MaxCut", "inline": {"nodes": 20, "edges": [[i, (i + 1) % 20, 1.0] for i in range(20)]}}
NOWHERE = {"name": "nights", "timeZone": "Europe/Berlyn", "from": "22:00", "until": "06:00"}


def made(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {**policy(name), "spec": spec}


def ready(cluster: Cluster, name: str) -> dict[str, str]:
    conditions = cluster.get("qbp", name).get("status", {}).get("conditions", [{}])
    found: dict[str, str] = conditions[0]
    return found


@pytest.mark.parametrize("name", [name for name, mistake in MISTAKES.items() if mistake.refused])
def test_the_api_server_refuses_what_its_schema_can_tell(name: str, cluster: Cluster) -> None:
    refused = cluster.kubectl("create", "-f", "-", manifest=made("bad", MISTAKES[name].spec))
    assert refused.returncode != 0
    assert MISTAKES[name].refused in refused.stderr


@pytest.mark.parametrize("name", [name for name, mistake in MISTAKES.items() if not mistake.refused])
def test_the_operator_says_what_the_api_server_cannot_tell(
    name: str, cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(made(namespace, MISTAKES[name].spec | {"namespaceSelector": {"matchLabels": {"no": "body"}}}))
    eventually(lambda: ready(cluster, namespace).get("status") == "False", "the condition says that it is invalid")
    found = ready(cluster, namespace)
    assert (found["type"], found["reason"]) == ("Ready", "Invalid")
    assert found["message"].startswith("nothing starts under it: ")
    assert MISTAKES[name].must in found["message"]
    command = [sys.executable, "-P", "-c", "from hybridjob.cli.main import main; main()", "policy", "--cluster"]
    shown = cluster.run(*command, namespace)
    assert shown.returncode == 2
    assert f"policy {namespace} is invalid: " in shown.stderr
    assert MISTAKES[name].must in shown.stderr
    cluster.kubectl("delete", "qbp", namespace)


def paid(name: str, **spec: Any) -> dict[str, Any]:
    return policy(name, aer(rateCard=CARD), budgets=[BUDGET], **spec)


@pytest.mark.parametrize("older_schema", [False, True], ids=["that no rule can tell", "under an older schema"])
def test_a_policy_that_turns_invalid_stops_what_is_new_and_loses_nothing(
    cluster: Cluster, namespace: str, operator: OperatorProcess, older_schema: bool
) -> None:
    cluster.apply(paid(namespace))
    half_a_minute = {"layers": 16, "maxIterations": 40, "shots": 100}
    cluster.apply(hybrid_job("runs", policyName=namespace, problem=RING, quantum=half_a_minute), namespace=namespace)
    wait_until(cluster, namespace, "runs", lambda job: state(job) == "Running")
    if older_schema:
        broken = paid(namespace)
        broken["spec"]["budgets"] = [BUDGET | {"alerts": [101]}]
        without_validation(cluster, broken, namespace=namespace)
    else:
        cluster.apply(paid(namespace, windows=[NOWHERE]))
    eventually(lambda: ready(cluster, namespace).get("status") == "False", "the condition says that it is invalid")
    assert cluster.get("qbp", namespace)["status"]["openReservations"] == 1

    cluster.apply(hybrid_job("new", policyName=namespace, quantum=QUICK), namespace=namespace)
    waiting = wait_until(
        cluster, namespace, "new", lambda job: job.status is not None and "invalid" in job.status.message
    )
    assert waiting.status is not None
    assert (waiting.status.state, waiting.status.attempts) == ("Pending", [])
    assert f"policy {namespace} is invalid: spec." in waiting.status.message

    ended = wait_for_end(cluster, namespace, "runs")
    assert ended.status is not None
    assert (ended.status.state, ended.status.route) == ("Succeeded", "Quantum")
    assert ended.status.cost is not None
    assert (ended.status.cost.actual, ended.status.cost.reserved) == (Decimal("0.4"), 0)
    eventually(lambda: cluster.get("qbp", namespace)["status"]["openReservations"] == 0, "the report shows its end")
    assert ready(cluster, namespace)["status"] == "False"

    cluster.apply(paid(namespace))
    mended = wait_for_end(cluster, namespace, "new")
    assert mended.status is not None
    assert (mended.status.state, mended.status.route) == ("Succeeded", "Quantum")
    expected = Decimal("0.4") + Decimal("0.31")

    def committed() -> list[str]:
        return [budget["committed"] for budget in cluster.get("qbp", namespace)["status"].get("budgets", [])]

    eventually(lambda: committed() == [f"{expected}"], "what was spent before counts")
    assert ready(cluster, namespace)["status"] == "True"
    cluster.kubectl("delete", "qbp", namespace)


def test_the_report_on_an_invalid_policy_is_written_once(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    """The operator looks at all policies in one round: what it writes of a later one proves that it was here."""
    selector = {"matchLabels": {"no": "body"}}
    cluster.apply(policy(namespace, aer(), windows=[NOWHERE], namespaceSelector=selector))
    eventually(lambda: ready(cluster, namespace).get("status") == "False", "the condition says that it is invalid")
    written = cluster.get("qbp", namespace)
    for number in range(3):
        name = f"{namespace}-{number}"
        cluster.apply(policy(name, aer(), namespaceSelector=selector))
        eventually(lambda name=name: bool(ready(cluster, name)), "another policy has been reported")
        cluster.kubectl("delete", "qbp", name)
    assert cluster.get("qbp", namespace) == written
    cluster.kubectl("delete", "qbp", namespace)
