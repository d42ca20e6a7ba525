"""A job's life, as its user steers it."""

from pathlib import Path
from typing import Any

from support.cluster import Cluster
from support.jobs import RING, Recorder, aer, assert_legal, hybrid_job, policy, read, state, wait_for_end, wait_until
from support.operator import OperatorProcess, eventually

SLOW = {"type": "MaxCut", "inline": {"nodes": 22, "edges": [[i, j, 1.0] for i in range(22) for j in range(i)]}}


def slow_job(name: str = "job", **spec: Any) -> dict[str, Any]:
    """A job that runs for longer than any test waits before it does something about it."""
    return hybrid_job(name, problem=SLOW, quantum={"maxIterations": 10_000, "layers": 16, "backends": ["aer"]}, **spec)


def patch(cluster: Cluster, namespace: str, name: str, spec: str) -> None:
    done = cluster.kubectl("patch", "hj", name, "-n", namespace, "--type=merge", "-p", f'{{"spec": {spec}}}')
    assert done.returncode == 0, done.stderr


def children(cluster: Cluster, namespace: str) -> list[str]:
    items = cluster.get("jobs", "-n", namespace)["items"] + cluster.get("pods", "-n", namespace)["items"]
    return [item["metadata"]["name"] for item in items]


def test_transitions_are_written_in_order(
    cluster: Cluster, namespace: str, operator: OperatorProcess, tmp_path: Path
) -> None:
    recorder = Recorder(cluster, namespace, tmp_path / "watch.json")
    cluster.apply(
        hybrid_job("classical"),
        hybrid_job("fallback", quantum={"backends": ["no-such-backend"]}),
        namespace=namespace,
    )
    wait_for_end(cluster, namespace, "classical")
    wait_for_end(cluster, namespace, "fallback")
    versions = recorder.stop()
    for job in versions.values():
        assert_legal(job)
    states = [v.status.state for v in versions["fallback"] if v.status]
    assert list(dict.fromkeys(states)) == ["FallingBack", "Running", "Succeeded"]
    assert len(states) <= 3


def test_suspending_a_running_job_ends_its_solver_and_resuming_starts_another(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(slow_job(), namespace=namespace)
    wait_until(cluster, namespace, "job", lambda job: state(job) == "Running")
    patch(cluster, namespace, "job", '{"suspend": true}')
    held = wait_until(
        cluster,
        namespace,
        "job",
        lambda job: state(job) == "Held" and job.status is not None and job.status.attempts[0].state == "Cancelled",
    )
    assert held.status is not None
    assert {c.type: c.status for c in held.status.conditions}["Suspended"] == "True"
    assert held.status.attempts[0].reason is None
    eventually(lambda: not children(cluster, namespace), "its solver is gone")
    patch(cluster, namespace, "job", '{"suspend": false}')
    wait_until(cluster, namespace, "job", lambda job: state(job) == "Running")
    patch(cluster, namespace, "job", '{"cancel": true}')
    ended = wait_for_end(cluster, namespace, "job")
    assert ended.status is not None
    assert (ended.status.state, ended.status.reason) == ("Cancelled", "Cancelled")
    assert [attempt.state for attempt in ended.status.attempts] == ["Cancelled", "Cancelled"]
    assert ended.status.fallback is None


def test_a_job_that_is_suspended_from_the_start_starts_nothing(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(hybrid_job(suspend=True, limits={"queueDeadlineSeconds": 1}), namespace=namespace)
    wait_until(cluster, namespace, "job", lambda job: state(job) == "Held")
    assert not children(cluster, namespace)
    patch(cluster, namespace, "job", '{"suspend": false}')
    ended = wait_for_end(cluster, namespace, "job")
    assert state(ended) == "Succeeded" or (ended.status is not None and ended.status.reason == "LatencyExceeded")


def test_deleting_a_running_job_deletes_its_solver(cluster: Cluster, namespace: str, operator: OperatorProcess) -> None:
    cluster.apply(slow_job(), namespace=namespace)
    wait_until(cluster, namespace, "job", lambda job: state(job) == "Running")
    assert cluster.kubectl("delete", "hj", "job", "-n", namespace).returncode == 0
    eventually(lambda: not children(cluster, namespace), "its solver is gone")


def test_a_job_made_again_under_the_same_name_is_another_job(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(hybrid_job(), namespace=namespace)
    first = wait_for_end(cluster, namespace, "job")
    replaced = cluster.kubectl("replace", "--force", "-n", namespace, "-f", "-", manifest=hybrid_job())
    assert replaced.returncode == 0, replaced.stderr
    second = wait_for_end(cluster, namespace, "job")
    assert second.metadata.uid != first.metadata.uid
    assert second.status is not None
    assert [attempt.state for attempt in second.status.attempts] == ["Succeeded"]
    owners = {job["metadata"]["ownerReferences"][0]["uid"] for job in cluster.get("jobs", "-n", namespace)["items"]}
    assert second.metadata.uid in owners


def test_a_terminal_job_never_runs_again_when_its_solver_is_deleted(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(hybrid_job(), namespace=namespace)
    ended = wait_for_end(cluster, namespace, "job")
    cluster.kubectl("delete", "jobs", "--all", "-n", namespace)
    cluster.apply(hybrid_job("later"), namespace=namespace)  # the operator has seen the deletion when this one ends
    wait_for_end(cluster, namespace, "later")
    assert read(cluster, namespace, "job").status == ended.status
    assert all(name.startswith("later-") for name in children(cluster, namespace))


def test_a_running_solver_that_is_deleted_by_hand_counts_as_failed_and_is_tried_again(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(slow_job(), namespace=namespace)
    wait_until(cluster, namespace, "job", lambda job: state(job) == "Running")
    assert cluster.kubectl("delete", "jobs", "--all", "-n", namespace).returncode == 0
    again = wait_until(cluster, namespace, "job", lambda job: job.status is not None and len(job.status.attempts) == 2)
    assert again.status is not None
    assert (again.status.attempts[0].state, again.status.attempts[0].reason) == ("Failed", "SolverFailed")
    assert "deleted" in again.status.attempts[0].message
    patch(cluster, namespace, "job", '{"cancel": true}')
    wait_for_end(cluster, namespace, "job")


def test_a_job_is_deleted_after_its_time_to_live(cluster: Cluster, namespace: str, operator: OperatorProcess) -> None:
    cluster.apply(hybrid_job(ttlSecondsAfterFinished=1), namespace=namespace)
    eventually(lambda: not cluster.get("hj", "-n", namespace)["items"], "the job is gone")
    eventually(lambda: not children(cluster, namespace), "its solver is gone, too")


def test_a_queue_holds_the_solver_until_it_admits_it(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(hybrid_job(queueName="lq-quantum"), namespace=namespace)
    held = wait_until(cluster, namespace, "job", lambda job: state(job) == "Held")
    assert held.status is not None
    assert "lq-quantum" in held.status.message
    (job,) = cluster.get("jobs", "-n", namespace)["items"]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "lq-quantum"
    admit = ["patch", "job", job["metadata"]["name"], "-n", namespace, "--type=merge", "-p"]
    assert cluster.kubectl(*admit, '{"spec": {"suspend": false}}').returncode == 0
    assert state(wait_for_end(cluster, namespace, "job")) == "Succeeded"


def test_what_a_job_refers_to_may_come_later(cluster: Cluster, namespace: str, operator: OperatorProcess) -> None:
    """Tools that apply many files apply them in any order."""
    reference = {"configMapKeyRef": {"name": "data", "key": "graph"}}
    waits = hybrid_job(policyName=namespace, problem={"type": "MaxCut", "format": "EdgeList"} | reference)
    cluster.apply(waits, namespace=namespace)
    waiting = wait_until(cluster, namespace, "job", lambda job: state(job) == "Pending")
    assert waiting.status is not None
    assert "policyName" in waiting.status.message
    cluster.apply(policy(namespace, aer()))
    wait_until(cluster, namespace, "job", lambda job: job.status is not None and "ConfigMap" in job.status.message)
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "data"}, "data": {"graph": "2 1\n1 2 1\n"}}
    cluster.apply(data, namespace=namespace)
    ended = wait_for_end(cluster, namespace, "job")
    assert ended.status is not None
    assert ended.status.result is not None, ended.status.message
    assert ended.status.result.objective == 1
    cluster.kubectl("delete", "qbp", namespace)


def test_a_policy_edit_reaches_jobs_that_have_not_started(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(policy(namespace, aer(qubits=2)))
    suspended = hybrid_job(policyName=namespace, quantum={}, suspend=True)
    cluster.apply(suspended, namespace=namespace)
    wait_until(cluster, namespace, "job", lambda job: state(job) == "Held")
    cluster.apply(policy(namespace, aer(qubits=20)))
    patch(cluster, namespace, "job", '{"suspend": false}')
    ended = wait_for_end(cluster, namespace, "job")
    assert ended.status is not None
    assert ended.status.route == "Quantum", ended.status.message
    cluster.kubectl("delete", "qbp", namespace)


def test_a_large_problem_travels_in_a_config_map(cluster: Cluster, namespace: str, operator: OperatorProcess) -> None:
    edges = [[i, j, 1.0] for i in range(200) for j in range(i)]
    cluster.apply(hybrid_job(problem={"type": "MaxCut", "inline": {"nodes": 200, "edges": edges}}), namespace=namespace)
    ended = wait_for_end(cluster, namespace, "job")
    assert state(ended) == "Succeeded"
    names = [item["metadata"]["name"] for item in cluster.get("configmaps", "-n", namespace)["items"]]
    assert any(name.endswith("-1-task") for name in names)


def test_a_problem_on_a_volume(cluster: Cluster, namespace: str, operator: OperatorProcess, tmp_path: Path) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "graphs"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": namespace,
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": namespace,
            "capacity": {"storage": "1Mi"},
            "hostPath": {"path": str(tmp_path)},
        },
    }
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_mode & 0o005 != 0o005 and "pytest" in str(folder):
            folder.chmod(0o755)
    (tmp_path / "graphs").mkdir(mode=0o755)
    (tmp_path / "graphs" / "ring.txt").write_text("3 3\n1 2 1\n2 3 1\n1 3 1\n")
    cluster.apply(volume)
    source = {"persistentVolumeClaim": {"claimName": "graphs", "path": "graphs/ring.txt"}}
    cluster.apply(claim, hybrid_job(problem={"type": "MaxCut", "format": "EdgeList"} | source), namespace=namespace)
    ended = wait_for_end(cluster, namespace, "job")
    assert ended.status is not None
    assert ended.status.result is not None, ended.status.message
    assert ended.status.result.objective == 2
    cluster.kubectl("delete", "pv", namespace, "--wait=false")


def test_inline_data_that_breaks_its_shape_is_refused_with_its_place(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    broken = RING | {"edges": [[0, 9, 1.0]]}
    cluster.apply(hybrid_job(problem={"type": "MaxCut", "inline": broken}), namespace=namespace)
    ended = wait_for_end(cluster, namespace, "job")
    assert ended.status is not None
    assert ended.status.reason == "InvalidProblem"
    assert "spec.problem.inline.edges[0]" in ended.status.message
    assert not children(cluster, namespace)
