"""Kubernetes Events, for people: few, and each only once."""

import asyncio
import logging
from datetime import UTC, datetime

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.status import HybridJobStatus
from hybridjob.cluster.api_client import ApiError, KubernetesApi, Object
from hybridjob.cluster.kinds import EVENTS

_COMPONENT = "hybridjob"
_MAX_MESSAGE = 1024

log = logging.getLogger(__name__)


class Events:
    """Posts in the background: an Event that is lost harms nobody."""

    def __init__(self, api: KubernetesApi, identity: str) -> None:
        self._api, self._identity = api, identity
        self._posting: set[asyncio.Task[None]] = set()

    def status_written(self, job: HybridJob, before: HybridJobStatus | None, after: HybridJobStatus) -> None:
        """Tell of what a status write made final: a fallback, a failure."""
        if after.fallback is not None and (before is None or before.fallback is None):
            self.post(job, "Warning", "FellBack", f"{after.fallback.reason}: {after.fallback.message}")
        if after.state == "Failed":
            self.post(job, "Warning", after.reason or "Failed", after.message)

    def post(self, job: HybridJob, kind: str, reason: str, message: str) -> None:
        task = asyncio.create_task(self._post(_event(job, kind, reason, message, self._identity)))
        self._posting.add(task)
        task.add_done_callback(self._posting.discard)

    async def _post(self, event: Object) -> None:
        try:
            await self._api.create(EVENTS, event["metadata"]["namespace"], event)
        except ApiError as error:
            if error.status != 409:  # posted before: its name is made of what it says
                log.warning("an Event is lost: %s", error)
        except Exception as error:  # not even a lost Lease matters here
            log.warning("an Event is lost: %r", error)


def _event(job: HybridJob, kind: str, reason: str, message: str, identity: str) -> Object:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    metadata = job.metadata
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata.name[:180]}.{(metadata.uid or '')[:13]}.{reason.lower()}",
            "namespace": metadata.namespace,
        },
        "type": kind,
        "reason": reason,
        "message": message[:_MAX_MESSAGE],
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "reportingInstance": identity,
        "involvedObject": {
            "apiVersion": job.api_version,
            "kind": job.kind,
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
        },
    }
