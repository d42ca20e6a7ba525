"""One tenant's trouble stays that tenant's: malformed objects, foreign children, quotas, Pod Security."""

from pathlib import Path

from support.cluster import Cluster
from support.jobs import aer, hybrid_job, policy, read, state, wait_for_end, wait_until, without_validation
from support.operator import OperatorProcess, eventually


def test_a_malformed_stored_job_gets_a_condition_and_does_not_stop_the_others(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    poison = hybrid_job("poison", quantum={"shots": "many"}, unheardOf=True)
    without_validation(cluster, poison, namespace=namespace)
    cluster.apply(hybrid_job("healthy"), namespace=namespace)
    assert state(wait_for_end(cluster, namespace, "healthy")) == "Succeeded"
    eventually(lambda: bool(cluster.get("hj", "-n", namespace, "poison").get("status")), "the poison job has a status")
    status = cluster.get("hj", "-n", namespace, "poison")["status"]
    assert (status["state"], status["reason"]) == ("Failed", "InvalidProblem")
    assert "quantum.shots" in status["message"]


def test_a_malformed_stored_policy_says_so_and_starts_nothing(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    broken = policy(namespace, aer(qubits=-1))
    without_validation(cluster, broken, namespace=namespace)

    def ready() -> dict[str, str]:
        conditions = cluster.get("qbp", namespace).get("status", {}).get("conditions", [{}])
        found: dict[str, str] = conditions[0]
        return found

    eventually(lambda: ready().get("status") == "False", "the policy's condition says that it is invalid")
    assert "qubits" in ready()["message"]
    cluster.apply(hybrid_job(policyName=namespace, quantum={}), namespace=namespace)
    waiting = wait_until(cluster, namespace, "job", lambda job: state(job) == "Pending")
    assert waiting.status is not None
    assert "is invalid" in waiting.status.message
    cluster.apply(policy(namespace, aer(qubits=10)))
    assert state(wait_for_end(cluster, namespace, "job")) == "Succeeded"
    cluster.kubectl("delete", "qbp", namespace)


def test_a_job_of_that_name_that_belongs_to_somebody_else_is_not_adopted(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    """A tenant who guesses the name of a solver's Job gains nothing, and is told what stands in the way."""
    cluster.apply(hybrid_job(suspend=True), namespace=namespace)
    held = wait_until(cluster, namespace, "job", lambda job: state(job) == "Held")
    name = f"job-{(held.metadata.uid or '').replace('-', '')[:12]}-1"
    spoof = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "suspend": True,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "localhost/a"}]}},
        },
    }
    cluster.apply(spoof, namespace=namespace)
    cluster.kubectl("patch", "hj", "job", "-n", namespace, "--type=merge", "-p", '{"spec": {"suspend": false}}')
    told = wait_until(
        cluster, namespace, "job", lambda job: job.status is not None and "somebody else" in job.status.message
    )
    assert state(told) == "Pending"
    cluster.kubectl("delete", "job", name, "-n", namespace)
    assert state(wait_for_end(cluster, namespace, "job")) == "Succeeded"


def test_a_resource_quota_that_refuses_the_solver_is_told_and_waited_for(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }
    cluster.apply(quota, namespace=namespace)
    eventually(lambda: "hard" in cluster.get("quota", "none", "-n", namespace)["status"], "the quota holds")
    cluster.apply(hybrid_job(), namespace=namespace)
    told = wait_until(
        cluster, namespace, "job", lambda job: job.status is not None and "exceeded quota" in job.status.message
    )
    assert state(told) == "Pending"
    cluster.kubectl("delete", "quota", "none", "-n", namespace)
    assert state(wait_for_end(cluster, namespace, "job")) == "Succeeded"


def test_a_policy_reaches_only_the_namespaces_that_it_selects(
    cluster: Cluster, namespace: str, operator: OperatorProcess, tmp_path: Path
) -> None:
    selective = policy(namespace, aer(), namespaceSelector={"matchLabels": {"team": "quantum"}})
    cluster.apply(selective)
    cluster.apply(hybrid_job(policyName=namespace, quantum={}), namespace=namespace)
    waiting = wait_until(cluster, namespace, "job", lambda job: state(job) == "Pending")
    assert waiting.status is not None
    assert "selects this namespace" in waiting.status.message
    cluster.kubectl("label", "namespace", namespace, "team=quantum")
    assert state(wait_for_end(cluster, namespace, "job")) == "Succeeded"
    cluster.kubectl("delete", "qbp", namespace)


def test_an_operator_of_named_namespaces_leaves_the_others_alone(
    cluster: Cluster, namespace: str, operator: OperatorProcess, images: dict[str, str], tmp_path: Path
) -> None:
    operator.stop()
    narrow = OperatorProcess(
        cluster, tmp_path / "narrow.log", images, "--no-leader-election", f"--namespaces={namespace}"
    )
    narrow.start()
    other = f"{namespace}-other"
    cluster.kubectl("create", "namespace", other)
    cluster.apply(policy(namespace, aer()))  # policies belong to no namespace, and are seen as they come
    cluster.apply(hybrid_job(policyName=namespace), namespace=other)
    cluster.apply(hybrid_job(policyName=namespace), namespace=namespace)
    assert state(wait_for_end(cluster, namespace, "job")) == "Succeeded"
    assert read(cluster, other, "job").status is None
    assert narrow.stop() == 0
    operator.start()
    operator.wait_until_it_leads()
    assert state(wait_for_end(cluster, other, "job")) == "Succeeded"
    cluster.kubectl("delete", "namespace", other, "--wait=false")
    cluster.kubectl("delete", "qbp", namespace)
