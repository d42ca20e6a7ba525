"""What Kubernetes says of an attempt, and the facts that follow. The objects are what a real cluster showed."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridjob.api.status import AttemptStatus
from hybridjob.cluster.cache import Cache
from hybridjob.cluster.observation import LOST_NODE_PATIENCE, PULL_PATIENCE, Observed, Stored, observe
from hybridjob.cluster.views import JobView, PodView, job_view, pod_view
from hybridjob.engine.facts import AttemptFacts
from support.build import START, UID, after, verdict

NOW = after(10)


def stamp(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def labels() -> dict[str, str]:
    return {
        "hybridjob.dev/job-uid": UID,
        "hybridjob.dev/attempt": "1",
        "hybridjob.dev/route": "Quantum",
        "hybridjob.dev/backend": "aer",
    }


def raw_job(**fields: Any) -> dict[str, Any]:
    owner = {"kind": "HybridJob", "uid": UID, "controller": True}
    metadata = {
        "uid": "job-uid",
        "namespace": "default",
        "name": "job-1",
        "resourceVersion": "5",
        "labels": labels(),
        "creationTimestamp": stamp(START),
        "ownerReferences": [owner],
    }
    return {"metadata": metadata, "spec": {"suspend": False}, "status": {}} | fields


def raw_pod(state: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    metadata = {
        "uid": "pod-uid",
        "namespace": "default",
        "name": "job-1-abcde",
        "resourceVersion": "6",
        "labels": labels(),
        "creationTimestamp": stamp(START),
        "ownerReferences": [{"kind": "Job", "uid": "job-uid", "controller": True}],
    }
    containers = [{"state": state}] if state is not None else []
    return {"metadata": metadata, "status": {"phase": "Pending", "containerStatuses": containers} | status}


def terminated(code: int, message: str = "", reason: str = "Error", **fields: Any) -> dict[str, Any]:
    ended = {
        "exitCode": code,
        "reason": reason,
        "message": message,
        "startedAt": stamp(after(2)),
        "finishedAt": stamp(after(9)),
    }
    return {"terminated": ended | fields}


def facts(
    job: dict[str, Any] | None,
    pod: dict[str, Any] | None = None,
    *,
    now: datetime = NOW,
    attempt: AttemptStatus | None = None,
    stored: Stored | None = None,
) -> AttemptFacts | None:
    seen: JobView | None = job_view(job) if job else None
    of_pod: PodView | None = pod_view(pod) if pod else None
    observed = {1: Observed(seen, of_pod, stored or Stored())} if seen or of_pod else {}
    known = {1: attempt} if attempt else {}
    return observe(observed, known, {1: "1Gi"}, now).get(1)


def running_attempt(**changes: Any) -> AttemptStatus:
    fields = {"number": 1, "route": "Quantum", "backend": "aer", "state": "Running", "created_time": START}
    return AttemptStatus.model_validate(fields | {"start_time": after(2)} | changes)


def conditions(*types: str) -> dict[str, Any]:
    return {
        "conditions": [
            {"type": t, "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": stamp(after(9))}
            for t in types
        ]
    }


def test_a_new_job_waits_and_remembers_what_it_is() -> None:
    found = facts(raw_job())
    assert found == AttemptFacts(route="Quantum", backend="aer")


def test_a_container_that_runs_has_a_start_time() -> None:
    found = facts(raw_job(), raw_pod({"running": {"startedAt": stamp(after(2))}}, phase="Running"))
    assert found is not None
    assert (found.start_time, found.end_time) == (after(2), None)


def test_the_verdict_is_read_as_soon_as_the_container_has_ended() -> None:
    answer = verdict().model_dump_json(by_alias=True, exclude_none=True)
    found = facts(raw_job(), raw_pod(terminated(0, answer, "Completed")), stored=Stored("configmap/x"))
    assert found is not None
    assert (found.verdict, found.exit_code, found.end_time) == (verdict(), 0, after(9))
    assert found.reference == "configmap/x"


def test_a_payload_that_does_not_match_makes_the_verdict_worthless() -> None:
    answer = verdict().model_dump_json(by_alias=True, exclude_none=True)
    found = facts(raw_job(), raw_pod(terminated(0, answer)), stored=Stored(error="the payload does not match"))
    assert found is not None
    assert (found.verdict, found.verdict_error) == (None, "the payload does not match")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("", "holds none"),
        ("Traceback (most recent call last)", "holds none"),
        ("{", "malformed"),
        (verdict(attempt=2).model_dump_json(by_alias=True), "is of job"),
        ("{" + " " * 5000, "more than 4096 bytes"),
    ],
)
def test_a_verdict_that_is_none_says_why(message: str, error: str) -> None:
    found = facts(raw_job(), raw_pod(terminated(0, message)))
    assert found is not None
    assert found.verdict is None
    assert error in (found.verdict_error or "")


@given(st.text(max_size=200))
def test_no_termination_message_breaks_the_reader(message: str) -> None:
    found = facts(raw_job(), raw_pod(terminated(1, message)))
    assert found is not None
    assert found.verdict is None


def test_a_solver_killed_for_its_memory_says_so() -> None:
    found = facts(raw_job(), raw_pod(terminated(137, reason="OOMKilled")))
    assert found is not None
    assert found.exit_code == 71
    assert found.detail == "OOMKilled, memory limit 1Gi"


def test_a_signal_is_told_as_a_process_tells_it() -> None:
    found = facts(raw_job(), raw_pod(terminated(143)))
    assert found is not None
    assert found.exit_code == -15


def test_a_container_that_never_began_has_no_start_time() -> None:
    never = terminated(128, reason="StartError", startedAt="1970-01-01T00:00:00Z")
    found = facts(raw_job(), raw_pod(never))
    assert found is not None
    assert (found.start_time, found.end_time) == (None, after(9))


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"])
def test_an_error_that_may_pass_is_a_fault_with_patience(reason: str) -> None:
    found = facts(raw_job(), raw_pod({"waiting": {"reason": reason, "message": "no such image"}}))
    assert found is not None
    assert found.fault is not None
    assert found.fault.patience == PULL_PATIENCE
    assert reason in found.fault.message


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
def test_an_error_that_cannot_pass_is_a_fault_at_once(reason: str) -> None:
    found = facts(raw_job(), raw_pod({"waiting": {"reason": reason}}))
    assert found is not None
    assert found.fault is not None
    assert found.fault.patience == timedelta(0)


def test_a_pod_that_cannot_be_scheduled_says_why() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    found = facts(raw_job(), raw_pod(conditions=[condition]))
    assert found is not None
    assert found.fault is None
    assert "0/1 nodes" in (found.waiting or "")


def test_a_suspended_job_is_held_by_its_queue() -> None:
    queued = raw_job(spec={"suspend": True})
    queued["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "lq"
    found = facts(queued)
    assert found is not None
    assert "queue lq" in (found.held or "")


def test_the_first_sight_of_failure_counts_and_not_the_jobs_last_word() -> None:
    """Kubernetes sets Failed only after every pod has ended; the container's own end is there before."""
    found = facts(raw_job(status=conditions("FailureTarget")), raw_pod(terminated(1)))
    assert found is not None
    assert found.end_time == after(9)


def test_a_job_that_failed_and_left_no_pod_has_ended_somehow() -> None:
    found = facts(raw_job(status=conditions("FailureTarget", "Failed")), attempt=running_attempt())
    assert found is not None
    assert (found.start_time, found.end_time, found.exit_code) == (after(2), after(9), None)
    assert "BackoffLimitExceeded" in (found.detail or "")


def test_a_job_that_failed_is_not_over_while_its_pod_lives() -> None:
    """Money is settled on the last sight, not on the first."""
    living = raw_pod({"running": {"startedAt": stamp(after(2))}}, phase="Running")
    found = facts(raw_job(status=conditions("FailureTarget", "Failed")), living)
    assert found is not None
    assert found.end_time is None


def test_an_attempt_whose_job_is_gone_exists_while_its_pod_lives() -> None:
    living = raw_pod({"running": {"startedAt": stamp(after(2))}}, phase="Running")
    assert facts(None, living) is not None


def test_a_running_attempt_of_which_nothing_is_left_has_ended_and_nobody_knows_how() -> None:
    found = facts(None, attempt=running_attempt())
    assert found is not None
    assert (found.end_time, found.exit_code) == (after(10), None)


def test_a_pending_attempt_of_which_nothing_is_left_does_not_exist() -> None:
    assert facts(None, attempt=running_attempt(state="Pending", start_time=None)) is None


def test_a_pod_that_will_not_go_is_lost_with_its_node() -> None:
    stuck = raw_pod({"running": {"startedAt": stamp(after(2))}}, phase="Running")
    stuck["metadata"]["deletionTimestamp"] = stamp(after(100))
    later = after(100) + LOST_NODE_PATIENCE
    seen = facts(raw_job(), stuck, now=later)
    assert seen is not None
    assert seen.fault is not None
    assert facts(None, stuck, now=after(101)) is not None
    assert facts(None, stuck, now=later) is None


def test_a_job_of_somebody_else_is_none_of_ours_whatever_its_labels_say() -> None:
    foreign = raw_job()
    foreign["metadata"]["ownerReferences"] = []
    assert job_view(foreign) is None
    mislabelled = raw_job()
    mislabelled["metadata"]["labels"]["hybridjob.dev/attempt"] = "one"
    assert job_view(mislabelled) is None


def test_a_pod_of_a_job_that_was_deleted_says_nothing_of_the_job_that_was_made_again() -> None:
    """A watch that was late told of the first pod's end, and the attempt was settled while the second pod ran."""
    known = Cache(lambda _: None)
    again = raw_job()
    again["metadata"] = again["metadata"] | {"uid": "second"}
    known.put_batch_job(again)
    known.put_pod(raw_pod(terminated(0, "", "Completed"), phase="Succeeded"))
    assert known.attempts(UID)[1].pod is None
    pod = raw_pod({"running": {"startedAt": stamp(after(1))}}, phase="Running")
    owner = {"kind": "Job", "uid": "second", "controller": True}
    pod["metadata"] = pod["metadata"] | {"uid": "pod-2", "name": "job-1-fghij", "ownerReferences": [owner]}
    known.put_pod(pod)
    seen = known.attempts(UID)[1].pod
    assert seen is not None
    assert seen.uid == "pod-2"
