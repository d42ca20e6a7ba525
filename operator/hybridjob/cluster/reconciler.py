"""One pass over one HybridJob: gather the facts, ask the engine, do what it says, write the status.

Everything here may be repeated: a crash between any two steps leaves nothing that the next pass does not find again.
"""

import contextlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from hybridjob.api.errors import sentence
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import HybridJobStatus
from hybridjob.cluster.api_client import ApiError, KubernetesApi
from hybridjob.cluster.cache import Cache, Record
from hybridjob.cluster.events import Events
from hybridjob.cluster.executor import Executor
from hybridjob.cluster.inputs import Problem, find_policy, read_inputs
from hybridjob.cluster.kinds import HYBRID_JOBS
from hybridjob.cluster.ledger import ClusterLedger
from hybridjob.cluster.loads import known_loads
from hybridjob.cluster.metrics import Metrics
from hybridjob.cluster.observation import observe
from hybridjob.cluster.status_writes import delay
from hybridjob.cluster.work_queue import RetryLaterError, WorkQueue
from hybridjob.engine.conditions import acknowledged, malformed_status
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import Facts, ReservationFacts
from hybridjob.engine.held_jobs import HeldJobs
from hybridjob.engine.lifecycle import OPEN, TERMINAL
from hybridjob.engine.loads import Loads, load_of
from hybridjob.engine.policies import find_backend
from hybridjob.engine.reservations import with_book

_INPUT_POLL = timedelta(seconds=10)
"""A ConfigMap that is not there yet is looked for so often."""

log = logging.getLogger(__name__)


@dataclass
class _Memory:
    """What is worth remembering of a job between two passes. Losing it costs time, and nothing else."""

    job: HybridJob | None = None
    """As it was written last, at `version`: it need not be parsed again."""
    version: int = 0
    problem: Problem | None = None
    decided: HybridJobStatus | None = None
    """Decided, and not written yet."""
    decided_on: int = 0
    """The version of the job that it was decided on. It holds for no other one: another operator may have written that,
    or this one by a request whose answer was lost."""
    due: datetime | None = None
    """When that must be written."""
    answered: ReservationFacts | None = field(default=None)
    """What the ledger refused, until the engine has heard it."""


class Reconciler:
    """Looks at one job at a time; the work queue sees to it that no job is looked at twice at once."""

    def __init__(
        self,
        api: KubernetesApi,
        cache: Cache,
        queue: WorkQueue,
        ledger: ClusterLedger,
        executor: Executor,
        events: Events,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._api, self._cache, self._queue, self._ledger = api, cache, queue, ledger
        self._executor, self._events, self._metrics, self._clock = executor, events, metrics, clock
        self._memory: dict[str, _Memory] = {}
        self._loads = Loads(queue.add)
        self._held = HeldJobs(queue.add_at)
        ledger.on_room = lambda policy: self._held.room(policy, clock())

    def count_all(self) -> None:
        """Count what every job takes of its quotas. Nothing may be reconciled before: slots would be given twice."""
        for policy, load in known_loads(self._cache):
            self._loads.put(policy, load)

    async def reconcile(self, uid: str) -> None:
        """Bring one job as far as it goes now."""
        began = time.perf_counter()
        try:
            await self._reconcile(uid)
        except ApiError as error:
            if error.retry_after is not None:
                raise RetryLaterError(error.retry_after, str(error)) from error
            raise
        finally:
            self._metrics.reconcile_seconds.observe(time.perf_counter() - began)

    async def _reconcile(self, uid: str) -> None:
        record = self._cache.jobs.get(uid)
        if record is None:
            self._forget_place(uid)
            await self._executor.settle_orphan(uid)
            return
        if record.state in TERMINAL and not record.raw:
            await self._executor.settle_orphan(uid)
            await self._expire(record)
            return
        memory = self._memory.setdefault(uid, _Memory())
        again = True
        while again and (record.state not in TERMINAL or record.raw):
            job = await self._parse(record, memory)
            if job is None:
                self._forget_place(uid)
                return
            again = await self._pass(record, job, memory)
            record = self._cache.jobs.get(uid, record)
        if record.state in TERMINAL:
            self._forget(uid)
            await self._executor.settle_orphan(uid)
            await self._expire(record)

    async def _pass(self, record: Record, job: HybridJob, memory: _Memory) -> bool:
        """One decision, done and written. True where the next one can follow at once."""
        written = job.status if record.state is not None else None
        if memory.decided_on != record.version:
            memory.decided = memory.due = None
        update: dict[str, object] = {"status": memory.decided or written}
        if record.deleted:  # as if it had been cancelled, but for the status, which nobody would read
            update["spec"] = job.spec.model_copy(update={"cancel": True})
        job = job.model_copy(update=update)
        policy, policy_missing = find_policy(job, self._cache)
        now = self._clock()
        facts = await self._facts(job, policy, policy_missing, memory, now)
        # Nothing may come in between from here until the load of what was decided is put.
        facts = replace(facts, load=self._loads.of(policy, job, now))
        decision = decide(job, policy, facts, now)
        decided = job.model_copy(update={"status": decision.status})
        self._loads.put(policy, load_of(decided, decision.actions))
        self._held.put(policy.metadata.name, decided, now)
        answered = await self._executor.execute(job, policy, decision.actions)
        again = answered is not None
        memory.answered = answered if answered is not None and not answered.granted else None
        if decision.wake_time is not None:
            if decision.wake_time <= now:
                again = True
            else:
                self._queue.add_at(record.uid, decision.wake_time)
        await self._keep(record, job, written, decision.status, memory, now)
        return again and not (record.deleted and decision.status.state in TERMINAL)

    async def _facts(
        self,
        job: HybridJob,
        policy: QuantumBackendPolicy,
        policy_missing: str | None,
        memory: _Memory,
        now: datetime,
    ) -> Facts:
        uid, status = job.metadata.uid or "", job.status
        attempts = {attempt.number: attempt for attempt in status.attempts} if status else {}
        await self._executor.retry_refused(job, policy)
        observed = await self._executor.observed(job, attempts)
        limits = {
            number: (
                find_backend(policy, seen.job.backend if seen.job else "") or policy.spec.classical
            ).resources.memory
            for number, seen in observed.items()
        }
        problem = Problem()
        if not attempts and not policy_missing:
            if memory.problem is None or memory.problem.missing:
                memory.problem = await read_inputs(job, self._api)
            problem = memory.problem
            if problem.missing:
                self._queue.add_at(uid, now + _INPUT_POLL)
        known = Facts(
            attempts=observe(observed, attempts, limits, now) | dict(self._executor.refused(uid)),
            problem_size=memory.problem.size if memory.problem else None,
            problem_error=problem.error,
            problem_missing=problem.missing,
            policy_missing=policy_missing,
        )
        return with_book(known, job, policy, self._ledger.book(policy.metadata.name), memory.answered, now)

    async def _keep(
        self,
        record: Record,
        job: HybridJob,
        written: HybridJobStatus | None,
        decided: HybridJobStatus,
        memory: _Memory,
        now: datetime,
    ) -> None:
        """Write what was decided, or remember it until it is worth a write."""
        memory.decided_on = record.version
        if record.deleted:
            memory.decided = decided
            if decided.state in TERMINAL and not self._cache.children_of(record.uid):
                self._cache.forget_job(record.uid)
                self._forget(record.uid)
                self._queue.add(record.uid)  # once more, for money that none of its attempts answers for
            return
        patience = delay(written, decided)
        if patience is None:
            memory.decided = memory.due = None
            return
        due = min(memory.due or now + patience, now + patience)
        if due > now:
            memory.decided, memory.due = decided, due
            self._queue.add_at(record.uid, due)
            return
        memory.version = await self._write(record, decided)
        # Kept only while something goes on: ten thousand jobs that wait should not take ten thousand parsed objects.
        is_active = any(attempt.state in OPEN for attempt in decided.attempts)
        memory.job = job.model_copy(update={"status": decided}) if is_active else None
        memory.decided = memory.due = None
        self._metrics.status_written(job, written, decided)
        self._events.status_written(job, written, decided)
        _log_transition(job, written, decided)

    async def _write(self, record: Record, status: HybridJobStatus) -> int:
        """Write a status on top of the version that is known; the version that it then has."""
        body = {
            "apiVersion": "hybridjob.dev/v1alpha1",
            "kind": "HybridJob",
            "metadata": {
                "namespace": record.namespace,
                "name": record.name,
                "uid": record.uid,
                "resourceVersion": str(record.version),
            },
            "status": json.loads(status.model_dump_json(by_alias=True, exclude_none=True)),
        }
        try:
            answer = await self._api.replace(HYBRID_JOBS, record.namespace, record.name, body, "status")
        except ApiError as error:
            if error.status == 409:  # it was changed: by its user, or by an operator that this one took over from
                await self._refresh(record)
                raise RetryLaterError(0, str(error)) from error
            if error.status == 404:
                self._cache.delete_job(record.uid)
                raise RetryLaterError(0, str(error)) from error
            raise
        self._cache.put_job(answer, own_write=True)
        return int(answer["metadata"]["resourceVersion"])

    async def _refresh(self, record: Record) -> None:
        try:
            raw = await self._api.get(HYBRID_JOBS, record.namespace, record.name)
        except ApiError as error:
            if error.status != 404:
                raise
            self._cache.delete_job(record.uid)
            return
        if raw["metadata"]["uid"] != record.uid:  # made again under the same name: another job
            self._cache.delete_job(record.uid)
        self._cache.put_job(raw)

    async def _parse(self, record: Record, memory: _Memory) -> HybridJob | None:
        """The job; or None, and its status says what is wrong with it. The API server lets pass what its schema cannot
        say, and what an older schema allowed."""
        if memory.job is not None and memory.version == record.version:
            return memory.job
        try:
            return HybridJob.model_validate_json(record.raw)
        except ValidationError as error:
            problem = sentence(error, HybridJob)
        if record.deleted:
            self._cache.forget_job(record.uid)
            return None
        log.warning("a stored HybridJob is malformed", extra={"job": f"{record.namespace}/{record.name}"})
        await self._write(record, _status_of_malformed(record, problem, self._clock()))
        return None

    async def _expire(self, record: Record) -> None:
        if record.expires is None or record.deleted:
            return
        if self._clock() < record.expires:
            self._queue.add_at(record.uid, record.expires)
        else:
            await self._api.delete(HYBRID_JOBS, record.namespace, record.name, record.uid)

    def _forget(self, uid: str) -> None:
        self._memory.pop(uid, None)
        self._forget_place(uid)
        self._executor.forget(uid)

    def _forget_place(self, uid: str) -> None:
        self._loads.remove(uid)
        self._held.remove(uid)


def _status_of_malformed(record: Record, problem: str, now: datetime) -> HybridJobStatus:
    """It ends; if it had ended before it was edited, then as it did."""
    if record.state in TERMINAL:
        with contextlib.suppress(ValidationError):
            ended = HybridJobStatus.model_validate_json(json.dumps(json.loads(record.raw)["status"]))
            return acknowledged(ended, record.generation)
    return malformed_status(problem, record.generation, now)


def _log_transition(job: HybridJob, before: HybridJobStatus | None, after: HybridJobStatus) -> None:
    if before is None or before.state != after.state:
        log.info(
            "%s: %s",
            after.state,
            after.message,
            extra={
                "job": f"{job.metadata.namespace}/{job.metadata.name}",
                "uid": job.metadata.uid,
                "correlation_id": job.spec.correlation_id,
                "state": after.state,
                "reason": after.reason,
                "backend": after.backend,
            },
        )
