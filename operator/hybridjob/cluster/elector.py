"""Leader election by a Lease: one process acts, the others stand by.

The rules of client-go's leaderelection: whoever sees the Lease unchanged for its duration, by its own monotonic clock,
may take it; every write carries the resource version. No two clocks are ever compared.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from hybridjob.cluster.api_client import ApiError, KubernetesApi, Object
from hybridjob.cluster.kinds import LEASES

DURATION_SECONDS = 15.0
"""A Lease that has not changed for so long is free."""
RENEW_DEADLINE_SECONDS = 10.0
"""A leader that could not renew for so long stops: before anyone else may start."""
RETRY_SECONDS = 2.0

log = logging.getLogger(__name__)


class LeadershipLostError(Exception):
    """This process may not act any more: another one may."""


class Elector:
    """One candidate for one Lease."""

    def __init__(
        self,
        api: KubernetesApi,
        namespace: str,
        name: str,
        identity: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._namespace, self._name, self._identity = api, namespace, name, identity
        self._monotonic = monotonic
        self._lease: Object | None = None
        self._seen: tuple[str | None, float] = (None, 0.0)
        """The version of the Lease that was last seen, and since when."""
        self._renewed = float("-inf")

    @property
    def is_leader(self) -> bool:
        """Whether this process holds the Lease, and has renewed it lately enough to be sure."""
        return self._monotonic() - self._renewed < RENEW_DEADLINE_SECONDS

    def guard(self) -> None:
        """Raise LeadershipLostError unless this process leads: to be called before each write."""
        if not self.is_leader:
            raise LeadershipLostError("the leader's Lease was not renewed in time")

    async def acquire(self) -> None:
        """Wait until this process leads."""
        while True:
            try:
                if await self._try_acquire():
                    log.info("leads", extra={"identity": self._identity})
                    return
            except ApiError as error:
                if error.status != 409:  # a conflict: somebody else was faster
                    log.warning("the Lease cannot be taken: %s", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _try_acquire(self) -> bool:
        try:
            lease = await self._with_timeout(self._api.get(LEASES, self._namespace, self._name))
        except ApiError as error:
            if error.status != 404:
                raise
            return await self._take(None)
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = version, self._monotonic()
        holder = lease["spec"].get("holderIdentity")
        duration = lease["spec"].get("leaseDurationSeconds", DURATION_SECONDS)
        if holder and holder != self._identity and self._monotonic() - self._seen[1] < duration:
            return False
        return await self._take(lease)

    async def _take(self, lease: Object | None) -> bool:
        began = self._monotonic()
        now = _micro_time()
        spec: Object = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(DURATION_SECONDS),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": (lease["spec"].get("leaseTransitions", 0) + 1) if lease else 0,
        }
        if lease is None:
            body: Object = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": self._namespace},
                "spec": spec,
            }
            self._lease = await self._with_timeout(self._api.create(LEASES, self._namespace, body))
        else:
            self._lease = await self._put(lease | {"spec": spec})
        self._renewed = began
        return True

    async def keep(self) -> None:
        """Renew the Lease until it is lost. Raises LeadershipLostError."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            began = self._monotonic()
            try:
                assert self._lease is not None  # noqa: S101 — acquired before
                self._lease = await self._put(
                    self._lease | {"spec": self._lease["spec"] | {"renewTime": _micro_time()}}
                )
                self._renewed = began
            except ApiError as error:
                if error.status == 409:
                    await self._look_after_conflict()
                log.warning("the Lease cannot be renewed: %s", error)
            self.guard()

    async def _look_after_conflict(self) -> None:
        """A conflict: either somebody took the Lease, or touched it, or an earlier answer of ours was lost."""
        try:
            lease = await self._with_timeout(self._api.get(LEASES, self._namespace, self._name))
        except ApiError:
            return
        if lease["spec"].get("holderIdentity") != self._identity:
            self._renewed = float("-inf")
            raise LeadershipLostError("another process has taken the leader's Lease")
        self._lease = lease

    async def release(self) -> None:
        """Give the Lease back, so that another may lead at once."""
        if self._lease is None or not self.is_leader:
            return
        spec = self._lease["spec"] | {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _micro_time()}
        lease, self._lease = self._lease, None
        self._renewed = float("-inf")
        try:
            await self._put(lease | {"spec": spec})
        except ApiError as error:
            log.warning("the Lease cannot be released, and runs out: %s", error)

    async def _put(self, lease: Object) -> Object:
        return await self._with_timeout(self._api.replace(LEASES, self._namespace, self._name, lease))

    async def _with_timeout(self, request: Coroutine[Any, Any, Object]) -> Object:
        """A request must fail before the deadline by which it matters."""
        try:
            return await asyncio.wait_for(request, RENEW_DEADLINE_SECONDS / 2)
        except TimeoutError as error:
            raise ApiError(0, "Timeout", "the API server did not answer in time") from error


def _micro_time() -> str:
    """metav1.MicroTime."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
