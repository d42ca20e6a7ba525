"""The chart on a real cluster: installed, tested, upgraded under load, uninstalled; and what its operator may do."""

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.command_line import REPOSITORY
from support.jobs import DEFAULT_POLICY, hybrid_job, read, wait_for_end, wait_until
from support.operator import OperatorProcess

RELEASE = "hybridjob"
NAMESPACE = "hybridjob-chart"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"


def helm(cluster: Cluster, *arguments: str) -> str:
    done = cluster.run("helm", *arguments, "--namespace", NAMESPACE)
    assert done.returncode == 0, f"{done.stderr}\n{cluster.kubectl('get', 'pods,events', '-n', NAMESPACE).stdout}"
    return done.stdout


def upgrade(cluster: Cluster, *options: str) -> None:
    chart = str(REPOSITORY / "charts" / "hybridjob")
    images = ["--set", "image.tag=test"]
    helm(
        cluster,
        "upgrade",
        "--install",
        RELEASE,
        chart,
        "--take-ownership",
        "--force-conflicts",
        "--wait",
        *images,
        *options,
    )


def can_i(cluster: Cluster, verb: str, resource: str, namespace: str, user: str) -> str:
    """kubectl's answer, yes or no; `resource` may name a subresource after a slash."""
    name, _, subresource = resource.partition("/")
    options = [f"--subresource={subresource}"] if subresource else []
    return cluster.kubectl("auth", "can-i", verb, name, *options, "-n", namespace, f"--as={user}").stdout.strip()


@pytest.fixture(scope="module")
def release(cluster: Cluster, operator: OperatorProcess) -> Iterator[str]:
    """The chart, installed with its default values in a namespace under the restricted standard."""
    cluster.load("operator")
    operator.stop()
    cluster.kubectl("delete", "qbp", "--all")
    assert cluster.kubectl("create", "namespace", NAMESPACE).returncode == 0
    cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    upgrade(cluster)
    yield NAMESPACE
    cluster.run("helm", "uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    cluster.kubectl("delete", "qbp", "--all")
    cluster.apply(DEFAULT_POLICY)
    operator.start()


def test_two_replicas_are_ready_and_one_leads(cluster: Cluster, release: str) -> None:
    deployment = cluster.get("deployment", RELEASE, "-n", release)
    assert deployment["status"]["readyReplicas"] == 2
    (lease,) = [item for item in cluster.get("leases", "-n", release)["items"] if item["spec"].get("holderIdentity")]
    pods = [item["metadata"]["name"] for item in cluster.get("pods", "-n", release)["items"]]
    assert any(lease["spec"]["holderIdentity"].startswith(pod) for pod in pods)


def test_a_quantum_job_runs_under_the_default_policy_in_a_restricted_namespace(
    cluster: Cluster, release: str, namespace: str
) -> None:
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    cluster.apply(hybrid_job(quantum={}), namespace=namespace)
    job = wait_for_end(cluster, namespace, "job")
    assert job.status is not None
    assert (job.status.state, job.status.route) == ("Succeeded", "Quantum"), job.status.message


def test_helm_test_passes_again_and_again(cluster: Cluster, release: str) -> None:
    for _ in range(2):
        helm(cluster, "test", RELEASE, "--timeout", "3m")


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("watch", "hybridjobs.hybridjob.dev"),
        ("delete", "hybridjobs.hybridjob.dev"),
        ("update", "hybridjobs.hybridjob.dev/status"),
        ("watch", "quantumbackendpolicies.hybridjob.dev"),
        ("update", "quantumbackendpolicies.hybridjob.dev/status"),
        ("create", "jobs.batch"),
        ("delete", "jobs.batch"),
        ("watch", "pods"),
        ("get", "pods/log"),
        ("create", "configmaps"),
        ("create", "events"),
    ],
)
def test_the_operator_may(verb: str, resource: str, cluster: Cluster, release: str, namespace: str) -> None:
    assert can_i(cluster, verb, resource, namespace, ACCOUNT) == "yes"


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("create", "hybridjobs.hybridjob.dev"),
        ("update", "hybridjobs.hybridjob.dev"),
        ("update", "quantumbackendpolicies.hybridjob.dev"),
        ("delete", "quantumbackendpolicies.hybridjob.dev"),
        ("get", "secrets"),
        ("list", "secrets"),
        ("create", "pods"),
        ("delete", "pods"),
        ("create", "pods/exec"),
        ("update", "jobs.batch"),
        ("update", "configmaps"),
        ("delete", "configmaps"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
        ("impersonate", "users"),
        ("update", "leases.coordination.k8s.io"),
        ("update", "customresourcedefinitions.apiextensions.k8s.io"),
    ],
)
def test_the_operator_may_not(verb: str, resource: str, cluster: Cluster, release: str, namespace: str) -> None:
    assert can_i(cluster, verb, resource, namespace, ACCOUNT) == "no"


@pytest.mark.parametrize(
    ("role", "verb", "resource", "allowed"),
    [
        ("edit", "create", "hybridjobs.hybridjob.dev", "yes"),
        ("edit", "patch", "hybridjobs.hybridjob.dev", "yes"),
        ("edit", "update", "hybridjobs.hybridjob.dev/status", "no"),
        ("edit", "update", "quantumbackendpolicies.hybridjob.dev", "no"),
        ("view", "watch", "hybridjobs.hybridjob.dev", "yes"),
        ("view", "create", "hybridjobs.hybridjob.dev", "no"),
    ],
)
def test_tenants_may_what_kubernetes_own_roles_say(
    role: str, verb: str, resource: str, allowed: str, cluster: Cluster, release: str, namespace: str
) -> None:
    bound = cluster.kubectl("create", "rolebinding", role, "-n", namespace, f"--clusterrole={role}", "--user=tenant")
    assert bound.returncode == 0, bound.stderr
    assert can_i(cluster, verb, resource, namespace, "tenant") == allowed


def test_an_upgrade_hands_running_jobs_over(cluster: Cluster, release: str, namespace: str) -> None:
    uid = cluster.get("qbp", "default")["metadata"]["uid"]
    running = hybrid_job(quantum={"maxIterations": 3000, "layers": 12}, limits={"activeDeadlineSeconds": 90})
    cluster.apply(running, namespace=namespace)
    wait_until(cluster, namespace, "job", lambda job: job.status is not None and job.status.state == "Running")
    upgrade(cluster, "--set", "podAnnotations.upgraded=yes")
    job = wait_for_end(cluster, namespace, "job", 240)
    assert job.status is not None
    assert job.status.state == "Succeeded"
    assert len(cluster.get("jobs", "-n", namespace)["items"]) == len(job.status.attempts)
    assert cluster.get("qbp", "default")["metadata"]["uid"] == uid, "the default policy was made again"


def test_uninstalling_keeps_jobs_policies_and_definitions(cluster: Cluster, release: str, namespace: str) -> None:
    cluster.apply(hybrid_job(), namespace=namespace)
    before = wait_for_end(cluster, namespace, "job")
    helm(cluster, "uninstall", RELEASE, "--wait")
    assert read(cluster, namespace, "job").status == before.status
    assert cluster.get("qbp", "default")
    assert cluster.kubectl("get", "crd", "hybridjobs.hybridjob.dev").returncode == 0
    upgrade(cluster)
    cluster.apply(hybrid_job("later"), namespace=namespace)
    wait_for_end(cluster, namespace, "later")
