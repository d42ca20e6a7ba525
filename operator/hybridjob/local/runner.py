"""Drives jobs to their end: gives the engine facts, does what it says, writes what it decided."""

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from hybridjob.api.common import memory_bytes
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.contract.progress import Progress
from hybridjob.engine.actions import (
    Action,
    CancelAttempt,
    Decision,
    KeepReserved,
    Note,
    Reserve,
    Settle,
    Settlement,
    StartAttempt,
)
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import Facts, ReservationFacts
from hybridjob.engine.held_jobs import HeldJobs
from hybridjob.engine.lifecycle import TERMINAL
from hybridjob.engine.loads import Loads, load_of
from hybridjob.engine.policies import find_backend
from hybridjob.engine.reservations import with_book
from hybridjob.engine.tasks import build_task
from hybridjob.local.loads import count_past
from hybridjob.local.sdks import unavailable_backends
from hybridjob.local.solvers import Solvers
from hybridjob.local.store import Store, StoredJob

_CANCEL_POLL_SECONDS = 0.5

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Who is told how the jobs are doing."""

    def status_changed(self, job: HybridJob) -> None: ...

    def progressed(self, uid: str, progress: Progress) -> None: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


class Runner:
    """Runs jobs side by side, each in a task of its own, its solvers within the machine's cores."""

    def __init__(
        self,
        store: Store,
        name: str,
        observer: Observer,
        slots: int | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store, self._name, self._observer, self._clock = store, name, observer, clock
        self._changed: dict[str, asyncio.Event] = {}
        self._drives: dict[str, asyncio.Task[None]] = {}
        self._cancels: asyncio.Task[None] | None = None
        self._loads = Loads(self._wake)
        self._held = HeldJobs(self._wake_at)
        store.ledger.on_room = lambda policy: self._held.room(policy, clock())
        self._knows_past = False
        self._solvers = Solvers(store, slots or len(os.sched_getaffinity(0)), clock, self._wake, observer.progressed)

    def start(self, uid: str) -> asyncio.Task[None]:
        """Begin to drive a job of this runner. The task ends with the job, or with the error that keeps it from its
        end; other jobs go on."""
        if self._cancels is None:
            self._cancels = asyncio.create_task(self._watch_cancels())
        self._changed[uid] = asyncio.Event()
        stored = self._store.get(uid)
        self._store.ledger.charge_overdue(stored.policy.metadata.name)
        self._count(stored)
        self._drives[uid] = asyncio.create_task(self._drive(uid))
        return self._drives[uid]

    async def stop(self) -> None:
        """End the solvers, and leave the jobs that have not ended resumable."""
        tasks = [*self._drives.values(), *([self._cancels] if self._cancels else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._solvers.stop()

    def _count(self, stored: StoredJob) -> None:
        """Count what a job takes of its quotas before any job is decided about: a solver of its may run already."""
        if stored.policy.spec.quotas.jobs_per_period is not None and not self._knows_past:
            self._knows_past = True
            count_past(self._store, self._loads)
        self._loads.put(stored.policy, load_of(stored.job))

    def _wake(self, uid: str) -> None:
        self._changed[uid].set()

    def _wake_at(self, uid: str, time: datetime) -> None:
        asyncio.get_running_loop().call_later((time - self._clock()).total_seconds(), self._wake, uid)

    async def _watch_cancels(self) -> None:
        """Another process asks for a cancel through the database."""
        seen: set[str] = set()
        while True:
            requested = self._store.cancel_requests(self._name)
            for uid in requested - seen:
                self._wake(uid)
            seen |= requested
            await asyncio.sleep(_CANCEL_POLL_SECONDS)

    async def _drive(self, uid: str) -> None:
        try:
            await self._decide_until_ended(uid)
        finally:
            self._loads.remove(uid)
            self._held.remove(uid)

    async def _decide_until_ended(self, uid: str) -> None:
        self._solvers.recover(uid)
        changed = self._changed[uid]
        answered: ReservationFacts | None = None
        while not (stored := self._store.get(uid)).ended:
            changed.clear()
            decision = decide(stored.job, stored.policy, self._facts(stored, answered), self._clock())
            decided = stored.job.model_copy(update={"status": decision.status})
            self._loads.put(stored.policy, load_of(decided, decision.actions))
            self._held.put(stored.policy.metadata.name, decided, self._clock())
            answered = self._execute(stored, decision)
            self._save(stored, decision)
            self._give_alerts(stored.policy, decision)
            if answered is None and decision.status.state not in TERMINAL:
                await self._wait(changed, decision.wake_time)

    def _facts(self, stored: StoredJob, answered: ReservationFacts | None) -> Facts:
        now = self._clock()
        known = Facts(
            attempts=self._solvers.facts(stored.uid),
            load=self._loads.of(stored.policy, stored.job, now),
            unavailable=unavailable_backends(stored.policy),
            problem_size=stored.problem_size,
            policy_missing=stored.policy_error,
        )
        book = self._store.ledger.book(stored.policy.metadata.name)
        return with_book(known, stored.job, stored.policy, book, answered, now)

    def _execute(self, stored: StoredJob, decision: Decision) -> ReservationFacts | None:
        """Do the actions; the answer to a reservation is a fact for the next pass."""
        answered = None
        for action in decision.actions:
            answered = self._do(stored, action) or answered
        return answered

    def _do(self, stored: StoredJob, action: Action) -> ReservationFacts | None:
        match action:
            case Reserve():
                return self._store.ledger.reserve(stored.policy.metadata.name, stored.job, action)
            case StartAttempt(attempt=number, backend=name):
                backend = find_backend(stored.policy, name)
                task = build_task(stored.job, number, backend, stored.data)
                resources = (backend or stored.policy.spec.classical).resources
                self._solvers.start((stored.uid, number), task, memory_bytes(resources.memory))
            case CancelAttempt(attempt=number):
                self._solvers.cancel((stored.uid, number))
            case Note(request=request):
                self._store.ledger.note(stored.policy.metadata.name, request)
            case Settle() | KeepReserved():
                pass  # written together with the status
        return None

    def _save(self, stored: StoredJob, decision: Decision) -> None:
        settlements = [action for action in decision.actions if isinstance(action, Settlement)]
        if decision.status == stored.job.status and not settlements:
            return
        self._store.save_status(stored.uid, decision.status, settlements, self._clock())
        self._observer.status_changed(stored.job.model_copy(update={"status": decision.status}))

    def _give_alerts(self, policy: QuantumBackendPolicy, decision: Decision) -> None:
        """Tell of thresholds that were reached: each once in its period, whichever run it is."""
        if any(isinstance(action, Reserve | Settlement) for action in decision.actions):
            for alert in self._store.ledger.give_alerts(policy):
                log.warning("%s", alert.message)

    async def _wait(self, changed: asyncio.Event, wake_time: datetime | None) -> None:
        seconds = None if wake_time is None else max(0.0, (wake_time - self._clock()).total_seconds())
        try:
            await asyncio.wait_for(changed.wait(), seconds)
        except TimeoutError:
            return
