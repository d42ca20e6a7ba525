"""Does what the engine says: solver Jobs, their payloads, the ledger."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import PolicySpec, QuantumBackendPolicy
from hybridjob.api.status import AttemptStatus
from hybridjob.cluster.api_client import ApiError, KubernetesApi, Object
from hybridjob.cluster.cache import Cache
from hybridjob.cluster.kinds import CONFIG_MAPS, JOBS, PODS, Kind
from hybridjob.cluster.ledger import ClusterLedger
from hybridjob.cluster.observation import Observed, Stored, is_over, verdict_of
from hybridjob.cluster.payloads import store_payload
from hybridjob.cluster.solver_jobs import SolverSettings, solver_objects
from hybridjob.cluster.views import UID_LABEL, PodView
from hybridjob.cluster.work_queue import RetryLaterError, WorkQueue
from hybridjob.engine.actions import Action, CancelAttempt, KeepReserved, Note, Reserve, Settle, StartAttempt
from hybridjob.engine.facts import AttemptFacts, Fault, ReservationFacts
from hybridjob.engine.ledger_requests import SettleRequest, UnknownRequest
from hybridjob.engine.lifecycle import OPEN
from hybridjob.engine.policies import find_backend
from hybridjob.engine.pricing import display
from hybridjob.engine.reservations import settlement

_START_PATIENCE = timedelta(seconds=60)
"""How long the API server may refuse a solver's Job (a quota, an admission webhook) before the attempt is given up."""
_START_RETRY = timedelta(seconds=5)
_LOG_TRIES = 3

log = logging.getLogger(__name__)


class Executor:
    """The one hand that touches solvers and money."""

    def __init__(
        self,
        api: KubernetesApi,
        cache: Cache,
        queue: WorkQueue,
        ledger: ClusterLedger,
        settings: SolverSettings,
        clock: Callable[[], datetime],
    ) -> None:
        self._api, self._cache, self._queue, self._ledger = api, cache, queue, ledger
        self._settings, self._clock = settings, clock
        self._stored: dict[str, dict[int, Stored]] = {}
        self._log_tries: dict[str, int] = {}
        self._refused: dict[str, dict[int, AttemptFacts]] = {}
        """Attempts whose Job the API server does not take, by job."""
        self._unanswered: set[str] = set()
        """The jobs that a solver's Job may have been made for: nobody said that it was not."""

    def refused(self, uid: str) -> Mapping[int, AttemptFacts]:
        return self._refused.get(uid, {})

    def forget(self, uid: str) -> None:
        for memory in (self._stored, self._refused, self._log_tries):
            memory.pop(uid, None)
        self._unanswered.discard(uid)

    async def observed(self, job: HybridJob, attempts: Mapping[int, AttemptStatus]) -> dict[int, Observed]:
        """What the cluster says of each attempt, with the payloads of those that answered, which are kept first."""
        uid = job.metadata.uid or ""
        seen = self._cache.attempts(uid)
        open_ = (number for number, attempt in attempts.items() if attempt.state in OPEN)
        if uid in self._unanswered or any(self._lacks(uid, seen.get(number), number) for number in open_):
            await self._look(job)
            self._unanswered.discard(uid)
            seen = self._cache.attempts(uid)
        for number, observed in seen.items():
            if observed.pod is not None:
                stored = await self._store(job, number, observed.pod)
                seen[number] = replace(observed, stored=stored)
        return seen

    def _lacks(self, uid: str, seen: Observed | None, number: int) -> bool:
        """Whether an attempt seems to be gone, or to have ended without a word: a watch may only be late."""
        if seen is None:
            return number not in self.refused(uid)
        return seen.job is not None and seen.job.ended is not None and (seen.pod is None or seen.pod.end_time is None)

    async def _look(self, job: HybridJob) -> None:
        """Ask the API server itself about the job's solvers: that a watch has not told of one yet does not mean that it
        does not run, and what is thought to be gone is settled, or started again."""
        selector = f"{UID_LABEL}={job.metadata.uid}"
        for kind, put in ((JOBS, self._cache.put_batch_job), (PODS, self._cache.put_pod)):
            async for page in self._api.pages(kind, job.metadata.namespace, selector):
                for item in page.items:
                    put(item)

    async def _store(self, job: HybridJob, number: int, pod: PodView) -> Stored:
        uid = job.metadata.uid or ""
        known = self._stored.setdefault(uid, {})
        if number in known:
            return known[number]
        verdict = verdict_of(pod)[0] if pod.end_time is not None else None
        if verdict is None or verdict.payload_digest is None:
            return Stored()
        try:
            stored = await store_payload(self._api, job, pod, verdict.payload_digest)
        except ApiError as error:
            tries = self._log_tries[uid] = self._log_tries.get(uid, 0) + 1
            # What is gone does not come back, and while it is asked for, its verdict may go, too.
            if tries < _LOG_TRIES and error.status != 404:
                raise RetryLaterError(1.0, str(error)) from error
            log.warning("a payload is lost, its answer is not: %s", error, extra={"uid": uid})
            stored = Stored()
        known[number] = stored
        return stored

    async def execute(
        self, job: HybridJob, policy: QuantumBackendPolicy, actions: Sequence[Action]
    ) -> ReservationFacts | None:
        """Do the actions in their order. The ledger's answer to a reservation is a fact for the next pass."""
        name = policy.metadata.name
        notes = (self._ledger.note(name, action.request) for action in actions if isinstance(action, Note))
        await asyncio.gather(*notes)  # all at once, so that they share a write
        answered = None
        for action in actions:
            answered = await self._do(job, policy, action) or answered
        return answered

    async def _do(self, job: HybridJob, policy: QuantumBackendPolicy, action: Action) -> ReservationFacts | None:
        uid = job.metadata.uid or ""
        match action:
            case Reserve():
                return await self._ledger.reserve(policy.metadata.name, job, action)
            case StartAttempt():
                await self._start(job, policy, action)
            case CancelAttempt(attempt=number):
                await self._cancel(uid, number)
            case Settle() | KeepReserved():
                await self._ledger.settle(policy.metadata.name, settlement(uid, action))
            case Note():
                pass  # noted already
        return None

    async def _start(self, job: HybridJob, policy: QuantumBackendPolicy, action: StartAttempt) -> None:
        made, task = solver_objects(job, policy, action, self._settings)
        namespace = job.metadata.namespace or ""
        uid = job.metadata.uid or ""
        try:
            if task is not None:
                await self._create(CONFIG_MAPS, namespace, task, uid)
            raw = await self._create(JOBS, namespace, made, uid)
        except ApiError as error:
            if not 400 <= error.status < 500 or error.status == 429:
                self._unanswered.add(uid)
                raise
            self._refuse(uid, action, str(error))
            return
        self._refused.get(uid, {}).pop(action.attempt, None)
        view = self._cache.put_batch_job(raw)
        if view is not None and (view.route, view.backend) != (action.route, action.backend):
            raise RetryLaterError(0, f"attempt {view.attempt} was started on {view.backend} already")

    async def _create(self, kind: Kind, namespace: str, body: Object, owner_uid: str) -> Object:
        """Create, or find that it exists already: its name says whose it is, its owner must, too."""
        try:
            return await self._api.create(kind, namespace, body)
        except ApiError as error:
            if error.status != 409:
                raise
        name = body["metadata"]["name"]
        existing = await self._api.get(kind, namespace, name)
        owners = [owner["uid"] for owner in existing["metadata"].get("ownerReferences", [])]
        if owners != [owner_uid]:
            raise ApiError(422, "NameTaken", f"{kind.plural} {name} exists and belongs to somebody else: delete it")
        return existing

    def _refuse(self, uid: str, action: StartAttempt, message: str) -> None:
        """Remember that an attempt's Job was not taken: a fact, like an image that cannot be pulled."""
        refused = self._refused.setdefault(uid, {})
        before = refused.get(action.attempt)
        first = before.fault.time if before and before.fault else self._clock()
        fault = Fault(first, f"its Job cannot be created: {message}"[:1024], _START_PATIENCE, of_backend=False)
        refused[action.attempt] = AttemptFacts(route=action.route, backend=action.backend, fault=fault)
        self._queue.add_at(uid, self._clock() + _START_RETRY)

    async def retry_refused(self, job: HybridJob, policy: QuantumBackendPolicy) -> None:
        """Try again to create the Jobs that were not taken, on backends that the policy still has."""
        for number, facts in list(self.refused(job.metadata.uid or "").items()):
            if facts.route is None or facts.backend is None:
                continue
            if facts.route == "Classical" or find_backend(policy, facts.backend) is not None:
                await self._start(job, policy, StartAttempt(number, facts.route, facts.backend))

    async def _cancel(self, uid: str, number: int) -> None:
        self._refused.get(uid, {}).pop(number, None)
        view = self._cache.attempts(uid).get(number, Observed()).job
        if view is not None:
            await self._api.delete(JOBS, view.namespace, view.name, view.uid)

    async def settle_orphan(self, uid: str) -> None:
        """Money that is held for a job that has ended or is gone, and that no attempt of its status answers for: once
        nothing of the job runs any more, nobody will know what it cost. Where the job is there and never had such an
        attempt, it is free."""
        now, attempts = self._clock(), self._cache.attempts(uid)
        if any(not _has_ended(seen, now) for seen in attempts.values()):
            return
        record = self._cache.jobs.get(uid)
        begun = record.attempts if record is not None and not record.deleted else None
        for policy, entry in list(self._ledger.open_entries()):
            if entry.job_uid != uid or entry.state == "Unknown":
                continue
            if begun is None or entry.attempt <= begun or entry.attempt in attempts:
                until = now + timedelta(seconds=self._reconcile_seconds(policy))
                money = display(entry.amount, entry.unit)
                log.warning("%s stay reserved: nobody knows what became of them", money, extra={"uid": uid})
                await self._ledger.settle(policy, UnknownRequest(entry.key, int(until.timestamp())))
            else:
                await self._ledger.settle(policy, SettleRequest(entry.key, 0))

    def _reconcile_seconds(self, policy: str) -> int:
        record = self._cache.policies.get(policy)
        spec = record.policy.spec if record is not None and record.policy is not None else PolicySpec()
        return spec.reconcile_seconds


def _has_ended(seen: Observed, now: datetime) -> bool:
    return (seen.job is None or seen.job.ended is not None) and is_over(seen.pod, now)
