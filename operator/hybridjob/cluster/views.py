"""What the operator keeps of the cluster's Jobs and Pods: a few fields, in the size of a line, not of a page."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.status import Route

UID_LABEL = "hybridjob.dev/job-uid"
ATTEMPT_LABEL = "hybridjob.dev/attempt"
ROUTE_LABEL = "hybridjob.dev/route"
BACKEND_LABEL = "hybridjob.dev/backend"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
MANAGED_BY = "app.kubernetes.io/managed-by"
CHILDREN = f"{MANAGED_BY}=hybridjob,{UID_LABEL}"
"""Selects the Jobs and Pods of all HybridJobs."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A batch/v1 Job: one attempt."""

    uid: str
    namespace: str
    name: str
    version: int
    owner_uid: str
    """The HybridJob that controls it."""
    attempt: int
    route: Route
    backend: str
    suspended: bool
    queue: str | None
    ended: Literal["Complete", "Failed"] | None
    reason: str
    """Why it failed, or is about to."""
    created_time: datetime
    ended_time: datetime | None

    def is_news(self, before: "JobView | None") -> bool:
        """Whether it says more than the one before. Kubernetes writes a Job's status half a dozen times."""
        return before is None or replace(before, version=self.version) != self


@dataclass(frozen=True, slots=True)
class PodView:
    """A Pod of such a Job. It has one container."""

    uid: str
    namespace: str
    name: str
    version: int
    job_uid: str
    """The batch/v1 Job that controls it."""
    owner_uid: str
    attempt: int
    phase: str
    created_time: datetime
    start_time: datetime | None
    """When its container began to run, also when it has ended since."""
    end_time: datetime | None
    exit_code: int | None
    end_reason: str
    end_message: str
    waiting_reason: str
    """Why its container does not run, in the kubelet's word."""
    waiting_message: str
    unschedulable: str | None
    deletion_time: datetime | None
    """When it shall be gone at the latest."""
    route: Route | None = None
    backend: str | None = None
    """As its Job, which may be gone before it, says them."""

    def is_news(self, before: "PodView | None") -> bool:
        """Whether it says more than the one before, or than that there is a pod."""
        if before is not None:
            return replace(before, version=self.version) != self
        return self.phase != "Pending" or bool(self.waiting_reason) or self.unschedulable is not None


def job_view(raw: Mapping[str, Any]) -> JobView | None:
    """None for a Job that is none of ours, whatever its labels say: no controller, or labels that do not parse."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status", {})
    owner, labels = _controller(metadata, HybridJob.__name__), metadata.get("labels", {})
    attempt = labels.get(ATTEMPT_LABEL, "")
    if owner is None or not attempt.isdecimal():
        return None
    true = {c["type"]: c for c in status.get("conditions", []) if c.get("status") == "True"}
    ended: Literal["Complete", "Failed"] | None = None
    if "Complete" in true:
        ended = "Complete"
    elif "Failed" in true:
        ended = "Failed"
    failure = true.get("Failed") or true.get("FailureTarget") or {}
    return JobView(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        version=int(metadata["resourceVersion"]),
        owner_uid=owner,
        attempt=int(attempt),
        route=_route(labels),
        backend=labels.get(BACKEND_LABEL, ""),
        suspended=bool(spec.get("suspend")),
        queue=labels.get(QUEUE_LABEL),
        ended=ended,
        reason=": ".join(filter(None, (failure.get("reason"), failure.get("message")))),
        created_time=_time(metadata["creationTimestamp"]) or datetime.min,
        ended_time=_time(true[ended].get("lastTransitionTime")) if ended else None,
    )


def pod_view(raw: Mapping[str, Any]) -> PodView | None:
    """None for a Pod that no Job of ours can have made."""
    metadata, status = raw["metadata"], raw.get("status", {})
    owner, labels = _controller(metadata, "Job"), metadata.get("labels", {})
    attempt = labels.get(ATTEMPT_LABEL, "")
    if owner is None or not attempt.isdecimal():
        return None
    containers = status.get("containerStatuses") or [{}]
    state = containers[0].get("state", {})
    running, ended, waiting = (state.get(key) or {} for key in ("running", "terminated", "waiting"))
    scheduled: Mapping[str, Any] = next(
        (c for c in status.get("conditions", []) if c.get("type") == "PodScheduled"), {}
    )
    unschedulable = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    return PodView(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        version=int(metadata["resourceVersion"]),
        job_uid=owner,
        owner_uid=labels.get(UID_LABEL, ""),
        attempt=int(attempt),
        phase=status.get("phase", "Pending"),
        created_time=_time(metadata["creationTimestamp"]) or datetime.min,
        start_time=_start(running.get("startedAt") or ended.get("startedAt")),
        end_time=_time(ended.get("finishedAt")),
        exit_code=ended.get("exitCode"),
        end_reason=ended.get("reason", ""),
        end_message=ended.get("message", ""),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        unschedulable=scheduled.get("message", "") if unschedulable else None,
        deletion_time=_time(metadata.get("deletionTimestamp")),
        route=_route(labels),
        backend=labels.get(BACKEND_LABEL),
    )


def _route(labels: Mapping[str, str]) -> Route:
    return "Classical" if labels.get(ROUTE_LABEL) == "Classical" else "Quantum"


def _controller(metadata: Mapping[str, Any], kind: str) -> str | None:
    """The uid of the controlling owner, if it is of that kind."""
    for owner in metadata.get("ownerReferences", []):
        if owner.get("controller") and owner.get("kind") == kind:
            uid: str = owner["uid"]
            return uid
    return None


def _start(text: str | None) -> datetime | None:
    """The kubelet says 1970 of a container that never began."""
    return None if text is None or text.startswith("1970-") else _time(text)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
