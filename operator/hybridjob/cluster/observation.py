"""From what Kubernetes says about an attempt to the engine's facts. Pure: no clock, no request."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hybridjob.api.status import AttemptStatus, Sample
from hybridjob.cluster.views import JobView, PodView
from hybridjob.contract.exit_codes import ExitCode
from hybridjob.contract.verdict import Verdict
from hybridjob.engine.facts import AttemptFacts, Fault
from hybridjob.engine.results import BadResultError, read_verdict

_PULL_ERRORS = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError")
_HOPELESS = ("InvalidImageName", "ErrImageNeverPull")
_START_ERRORS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")

PULL_PATIENCE = timedelta(seconds=60)
"""How long an image may not be pulled before the attempt counts as impossible: a registry may be busy."""
LOST_NODE_PATIENCE = timedelta(seconds=60)
"""How long after its time a pod may refuse to be gone before its node counts as lost."""


@dataclass(frozen=True)
class Stored:
    """What was kept of a payload: where, and the best of it."""

    reference: str | None = None
    top: tuple[Sample, ...] = ()
    error: str | None = None
    """What is wrong with the payload, if anything: then the verdict that names it is not to be trusted either."""


@dataclass(frozen=True)
class Observed:
    """All that the cluster says about one attempt."""

    job: JobView | None = None
    pod: PodView | None = None
    stored: Stored = Stored()


def is_over(pod: PodView | None, now: datetime) -> bool:
    """Whether nothing of the pod runs any more: it ended, is gone, or is lost with its node."""
    if pod is None or pod.end_time is not None or pod.phase in ("Succeeded", "Failed"):
        return True
    return pod.deletion_time is not None and now >= pod.deletion_time + LOST_NODE_PATIENCE


def observe(
    observed: Mapping[int, Observed], attempts: Mapping[int, AttemptStatus], memory: Mapping[int, str], now: datetime
) -> dict[int, AttemptFacts]:
    """The facts of every attempt that exists. `memory` is the limit of each, for people."""
    facts = {}
    for number, seen in observed.items():
        attempt = attempts.get(number)
        found = _observe(seen, attempt, memory.get(number, ""), now)
        if found is not None:
            facts[number] = found
    for number, attempt in attempts.items():
        if number not in facts and attempt.state == "Running":
            facts[number] = AttemptFacts(start_time=attempt.start_time, end_time=now, detail="its Job was deleted")
    return facts


def _observe(seen: Observed, attempt: AttemptStatus | None, memory: str, now: datetime) -> AttemptFacts | None:
    job, pod = seen.job, seen.pod
    known = job or pod
    identity = AttemptFacts(route=known.route, backend=known.backend) if known else AttemptFacts()
    if pod is not None and pod.end_time is not None:
        return _ended(identity, job, pod, seen.stored, memory)
    if job is None and is_over(pod, now):
        return None
    if job is not None and job.ended is not None and is_over(pod, now):
        # The Job ended and left no container behind that could say how.
        start = pod.start_time if pod else (attempt.start_time if attempt else None)
        return replace(identity, start_time=start, end_time=job.ended_time or now, detail=job.reason or None)
    start = pod.start_time if pod else None
    if job is not None and job.suspended:
        queue = f"in queue {job.queue}" if job.queue else "for whoever suspended its Job"
        return replace(identity, held=f"waits {queue}: its Job {job.name} is suspended")
    return replace(identity, start_time=start, fault=_fault(pod), waiting=_waiting(pod))


def _ended(identity: AttemptFacts, job: JobView | None, pod: PodView, stored: Stored, memory: str) -> AttemptFacts:
    verdict, error = verdict_of(pod)
    exit_code, detail = pod.exit_code, None
    if exit_code is not None and exit_code > 128:
        exit_code = 128 - exit_code  # as a process says it: negative for the signal
    if pod.end_reason == "OOMKilled":
        exit_code, detail = ExitCode.OUT_OF_MEMORY, f"OOMKilled, memory limit {memory}"
    elif verdict is None and job is None:
        detail = "its Job was deleted"
    elif verdict is None and exit_code and (lines := pod.end_message.strip().splitlines()):
        detail = f"its log ends with {lines[-1][:200]!r}"
    if stored.error is not None:
        verdict, error = None, stored.error
    return replace(
        identity,
        start_time=pod.start_time,
        end_time=pod.end_time,
        exit_code=exit_code,
        verdict=verdict,
        verdict_error=error,
        detail=detail,
        reference=stored.reference,
        top=stored.top,
    )


def verdict_of(pod: PodView) -> tuple[Verdict | None, str | None]:
    """The verdict of the pod's termination message, or why there is none."""
    if not pod.end_message.startswith("{"):
        return None, "its termination message holds none"
    try:
        return read_verdict(pod.end_message.encode(), pod.owner_uid, pod.attempt), None
    except BadResultError as error:
        return None, str(error)


def _fault(pod: PodView | None) -> Fault | None:
    if pod is None:
        return None
    if pod.deletion_time is not None:  # it may still go in time
        message = f"its node is lost: pod {pod.name} should be gone and is not"
        return Fault(pod.deletion_time, message, LOST_NODE_PATIENCE, of_backend=False)
    reason, message = pod.waiting_reason, f"{pod.waiting_reason}: {pod.waiting_message}"[:1024]
    if reason in _HOPELESS:
        return Fault(pod.created_time, message)
    if reason in _PULL_ERRORS or reason in _START_ERRORS:
        return Fault(pod.created_time, message, PULL_PATIENCE)
    return None


def _waiting(pod: PodView | None) -> str | None:
    if pod is None:
        return None
    if pod.unschedulable is not None:
        return f"it cannot be scheduled: {pod.unschedulable}"[:1024]
    return pod.waiting_reason or None
