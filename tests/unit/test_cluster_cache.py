"""What the operator keeps of the cluster, when news of it come late and in another order."""

from typing import Any

from hybridjob.cluster.cache import Cache

OWNER = "11111111-1111-4111-8111-111111111111"


def solver(version: int, uid: str = "solver") -> dict[str, Any]:
    labels = {"job-uid": OWNER, "attempt": "1", "route": "Classical", "backend": "classical"}
    metadata = {
        "uid": uid,
        "namespace": "default",
        "name": "job-1",
        "resourceVersion": str(version),
        "creationTimestamp": "2026-01-31T12:00:00Z",
        "labels": {f"hybridjob.dev/{name}": value for name, value in labels.items()},
        "ownerReferences": [{"kind": "HybridJob", "uid": OWNER, "controller": True}],
    }
    return {"metadata": metadata, "spec": {}, "status": {}}


def test_a_solver_whose_deletion_is_known_before_its_creation_was_answered_is_not_there() -> None:
    cache = Cache(lambda _: None)
    cache.put_batch_job(solver(5))
    cache.delete_child(solver(6))
    cache.put_batch_job(solver(5))
    assert cache.attempts(OWNER) == {}


def test_a_list_that_was_made_before_a_solver_does_not_keep_it_away() -> None:
    cache = Cache(lambda _: None)
    cache.put_batch_job(solver(5))
    cache.sweep_batch_jobs([], None)
    assert cache.attempts(OWNER) == {}
    cache.put_batch_job(solver(5))
    assert list(cache.attempts(OWNER)) == [1]


def test_the_pod_of_a_solver_that_was_deleted_by_hand_says_nothing_of_the_next_one() -> None:
    cache = Cache(lambda _: None)
    cache.put_batch_job(solver(5))
    pod = solver(6, "pod")
    pod["metadata"]["ownerReferences"] = [{"kind": "Job", "uid": "solver", "controller": True}]
    pod["status"] = {"phase": "Failed"}
    cache.put_pod(pod)
    assert cache.attempts(OWNER)[1].pod is not None
    cache.delete_child(solver(7))
    cache.put_batch_job(solver(8, "next"))
    assert cache.attempts(OWNER)[1].pod is None
