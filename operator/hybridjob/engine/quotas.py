"""Quotas: who may start quantum work now, and whose turn is next.

The turn goes to the namespace with the fewest attempts under way; of those with as many, to the one that was served
longest ago; and in it to the oldest job. The first is max-min fairness, as in the fair scheduler of Hadoop and the fair
sharing of Kueue: whoever asks for less than an equal share gets it first, however many jobs the others bring. The
second bounds the wait where slots are fewer than namespaces: one with nothing under way waits for at most as many
slots as there are other namespaces. A job that none of the free slots fits does not keep others from them, and keeps
its own place.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hybridjob.api.common import format_timestamp
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import PolicySpec, QuantumBackendPolicy
from hybridjob.engine.facts import PolicyLoad, Waiter
from hybridjob.engine.policies import find_backend
from hybridjob.engine.pricing import workload

NO_SLOT = "NoSlot"
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Shortfall:
    """Why a quota keeps a job from a backend now."""

    word: str
    """NoSlot, JobsPerPeriod, QueueFull or TooManyShots."""
    message: str
    passes: bool = False
    passes_time: datetime | None = None


def shortfalls(
    policy: QuantumBackendPolicy, job: HybridJob, load: PolicyLoad, usable: tuple[str, ...], now: datetime
) -> Mapping[str, Shortfall]:
    """What the quotas say against each of the backends that the job could use otherwise."""
    if not usable or not has_quotas(policy.spec):
        return {}
    why = _too_many_shots(policy, job) or _too_many_jobs(policy, job, load, now)
    if why is None:
        me = Waiter(job.metadata.creation_timestamp or now, job.metadata.uid or "", namespace_of(job), usable)
        room = _room(policy.spec, load, me)
        lacking = {backend: _no_slot(policy, load, me, backend) for backend in usable if backend not in room}
        if room:
            return lacking
    else:
        lacking = dict.fromkeys(usable, why)
    full = _queue_full(policy, job, load)
    return dict.fromkeys(usable, full) if full and any(why.passes for why in lacking.values()) else lacking


@dataclass(frozen=True)
class QuotaUse:
    """How much of a quota is used by other jobs, or of maxShotsPerJob by this one."""

    name: str
    used: int
    limit: int


def quota_report(policy: QuantumBackendPolicy, job: HybridJob, load: PolicyLoad, now: datetime) -> list[QuotaUse]:
    """Every quota that the job is held to: for people, not for decisions."""
    if job.spec.quantum is None:
        return []
    quotas, namespace, slots = policy.spec.quotas, namespace_of(job), _Slots(policy.spec, load.running)
    period = quotas.jobs_per_period
    began_lately = sum(start > now - timedelta(seconds=period.seconds) for start in load.starts) if period else 0
    uses: list[tuple[str, int, int | None]] = [
        ("maxConcurrent", sum(load.running.values()), quotas.max_concurrent),
        ("maxConcurrentPerNamespace", slots.in_namespace[namespace], quotas.max_concurrent_per_namespace),
        *((f"maxConcurrent of {b.name}", slots.on_backend[b.name], b.max_concurrent) for b in policy.spec.backends),
        ("jobsPerPeriod", began_lately, period.count if period else None),
        ("maxQueued", sum(waiter.namespace == namespace for waiter in load.waiting), quotas.max_queued),
        ("maxShotsPerJob", workload(job.spec).shots, quotas.max_shots_per_job),
    ]
    return [QuotaUse(name, used, limit) for name, used, limit in uses if limit is not None]


def has_quotas(spec: PolicySpec) -> bool:
    return spec.quotas != type(spec.quotas)() or any(backend.max_concurrent for backend in spec.backends)


def in_turn(
    spec: PolicySpec, running: Mapping[tuple[str, str], int], waiting: Sequence[Waiter], served: Mapping[str, datetime]
) -> Iterator[tuple[Waiter, tuple[str, ...]]]:
    """Those of the waiting whose turn has come, in order; each with the backends that have a slot for it after those
    before have taken the first of theirs."""
    slots = _Slots(spec, running)
    if slots.is_full():
        return
    queues: dict[str, list[Waiter]] = {}
    for waiter in sorted(waiting, key=_age, reverse=True):
        queues.setdefault(waiter.namespace, []).append(waiter)  # the oldest last
    heap = [(slots.in_namespace[name], 0, served.get(name, _NEVER), name) for name in queues]
    heapq.heapify(heap)
    given = 0
    while heap and not slots.is_full():
        *_, name = heapq.heappop(heap)
        queue = queues[name]
        while queue and slots.has_room_for(name):
            waiter = queue.pop()
            room = tuple(backend for backend in waiter.backends if slots.has_room_on(backend))
            if room:  # where there is none, there will be none in this round
                yield waiter, room
                slots.take(name, room[0])
                given += 1
                if queue:
                    heapq.heappush(heap, (slots.in_namespace[name], given, _NEVER, name))
                break


def _age(waiter: Waiter) -> tuple[datetime, str]:
    return waiter.since, waiter.uid


class _Slots:
    """Counts what is taken while slots are given out."""

    def __init__(self, spec: PolicySpec, running: Mapping[tuple[str, str], int]) -> None:
        self._spec, self._total = spec, sum(running.values())
        self._limits = {backend.name: backend.max_concurrent for backend in spec.backends}
        self.in_namespace: Counter[str] = Counter()
        self.on_backend: Counter[str] = Counter()
        for (namespace, backend), count in running.items():
            self.in_namespace[namespace] += count
            self.on_backend[backend] += count

    def is_full(self) -> bool:
        return _reached(self._total, self._spec.quotas.max_concurrent)

    def has_room_for(self, namespace: str) -> bool:
        return not _reached(self.in_namespace[namespace], self._spec.quotas.max_concurrent_per_namespace)

    def has_room_on(self, backend: str) -> bool:
        return not _reached(self.on_backend[backend], self._limits.get(backend))

    def take(self, namespace: str, backend: str) -> None:
        self._total += 1
        self.in_namespace[namespace] += 1
        self.on_backend[backend] += 1


def _reached(count: int, limit: int | None) -> bool:
    return limit is not None and count >= limit


def _room(spec: PolicySpec, load: PolicyLoad, me: Waiter) -> tuple[str, ...]:
    """The backends that the job has a slot of, or gets one of now because it is its turn."""
    turns = in_turn(spec, load.running, (*load.waiting, me), load.served)
    return load.kept + next((room for waiter, room in turns if waiter.uid == me.uid), ())


def _no_slot(policy: QuantumBackendPolicy, load: PolicyLoad, me: Waiter, backend: str) -> Shortfall:
    """Names the first limit that is reached."""
    spec, name = policy.spec, policy.metadata.name
    slots = _Slots(spec, load.running)
    found = find_backend(policy, backend)
    limits = (
        (f"slot of backend {backend}", slots.on_backend[backend], found.max_concurrent if found else None),
        (
            f"slot of namespace {me.namespace} under policy {name}",
            slots.in_namespace[me.namespace],
            spec.quotas.max_concurrent_per_namespace,
        ),
        (f"slot of policy {name}", sum(load.running.values()), spec.quotas.max_concurrent),
    )
    for what, count, limit in limits:
        if limit is not None and count >= limit:
            return Shortfall(NO_SLOT, f"no {what}: {count} of {limit} in use", passes=True)
    return Shortfall(NO_SLOT, f"the free slots of policy {name} go to jobs whose turn is before", passes=True)


def _too_many_shots(policy: QuantumBackendPolicy, job: HybridJob) -> Shortfall | None:
    limit, shots = policy.spec.quotas.max_shots_per_job, workload(job.spec).shots
    if limit is None or shots <= limit:
        return None
    message = f"the job asks for {shots} shots, and policy {policy.metadata.name} allows {limit}"
    return Shortfall("TooManyShots", message)


def _too_many_jobs(policy: QuantumBackendPolicy, job: HybridJob, load: PolicyLoad, now: datetime) -> Shortfall | None:
    """A job that has begun counts, and may go on."""
    quota = policy.spec.quotas.jobs_per_period
    if quota is None or began(job) is not None:
        return None
    period = timedelta(seconds=quota.seconds)
    recent = sorted(start for start in load.starts if start > now - period)
    if len(recent) < quota.count:
        return None
    next_time = recent[-quota.count] + period
    message = (
        f"{len(recent)} jobs of namespace {namespace_of(job)} began in the last {quota.seconds} s, and policy "
        f"{policy.metadata.name} allows {quota.count}: the next may at {format_timestamp(next_time)}"
    )
    return Shortfall("JobsPerPeriod", message, passes=True, passes_time=next_time)


def _queue_full(policy: QuantumBackendPolicy, job: HybridJob, load: PolicyLoad) -> Shortfall | None:
    """A job that waits already keeps its place."""
    limit, waiting = policy.spec.quotas.max_queued, job.status.waiting if job.status else None
    if limit is None or (waiting is not None and waiting.reason == "QuotaExceeded"):
        return None
    queued = sum(waiter.namespace == namespace_of(job) for waiter in load.waiting)
    if queued < limit:
        return None
    message = (
        f"{queued} jobs of namespace {namespace_of(job)} wait already, and policy {policy.metadata.name} allows {limit}"
    )
    return Shortfall("QueueFull", message)


def began(job: HybridJob) -> datetime | None:
    """When a job's quantum work began."""
    attempts = job.status.attempts if job.status else []
    return min((a.created_time for a in attempts if a.route == "Quantum"), default=None)


def namespace_of(job: HybridJob) -> str:
    return job.metadata.namespace or ""
