"""What each job takes of its policy's quotas, counted from the moment at which it is decided.

Starts that are decided and cannot be seen yet count, as those do that the scheduler of Kubernetes and Kueue assume.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import PolicySpec, QuantumBackendPolicy
from hybridjob.api.status import CLASSICAL_BACKEND
from hybridjob.engine.actions import Action, Reserve
from hybridjob.engine.facts import PolicyLoad, Waiter
from hybridjob.engine.quotas import NO_SLOT, began, has_quotas, in_turn, namespace_of


@dataclass(frozen=True)
class JobLoad:
    """What one job takes of its policy's quotas."""

    uid: str
    namespace: str
    slots: tuple[str, ...] = ()
    """The backends of its quantum attempts that have not ended, or are about to start."""
    waiter: Waiter | None = None
    """Set while it waits for a quota."""
    started: datetime | None = None
    """When its quantum work began."""
    served: datetime | None = None
    """When its last quantum attempt did."""


def load_of(
    job: HybridJob, actions: Sequence[Action] = (), unrecorded: Sequence[str] = (), known_start: datetime | None = None
) -> JobLoad:
    """What a job takes, by its status and by what was decided with it: money that is asked for takes the slot already.

    `unrecorded`: the backends of solvers that run, and whose attempts the status does not have (yet). `known_start`:
    when the first such attempt began, also where it has ended.
    """
    asked = [action for action in actions if isinstance(action, Reserve) and action.backend != CLASSICAL_BACKEND]
    attempts = [a for a in job.status.attempts if a.route == "Quantum"] if job.status else []
    slots = [a.backend for a in attempts if a.end_time is None] + [a.backend for a in asked] + list(unrecorded)
    started = began(job) or known_start or min((action.time for action in asked), default=None)
    served = max((time for time in [*(a.created_time for a in attempts), *(a.time for a in asked)]), default=None)
    return JobLoad(job.metadata.uid or "", namespace_of(job), tuple(slots), _waiter(job), started, served)


def _waiter(job: HybridJob) -> Waiter | None:
    status = job.status
    if status is None or status.waiting is None or status.waiting.reason != "QuotaExceeded":
        return None
    rejected = status.decision.rejected if status.decision else []
    backends = tuple(option.backend for option in rejected if option.reason == NO_SLOT)
    since = job.metadata.creation_timestamp
    assert since is not None  # noqa: S101 — the runtime gives every job one
    return Waiter(since, job.metadata.uid or "", namespace_of(job), backends)


@dataclass
class _Book:
    """The loads of one policy's jobs, and their sums."""

    spec: PolicySpec
    jobs: dict[str, JobLoad] = field(default_factory=dict)
    running: Counter[tuple[str, str]] = field(default_factory=Counter)
    waiting: dict[str, Waiter] = field(default_factory=dict)
    starts: dict[str, dict[str, datetime]] = field(default_factory=dict)
    """By namespace and job, where the policy has a quota on periods; kept when the job is gone."""
    served: dict[str, datetime] = field(default_factory=dict)

    def put(self, load: JobLoad) -> None:
        self.drop(load.uid)
        self.jobs[load.uid] = load
        self.running.update((load.namespace, backend) for backend in load.slots)
        if load.waiter is not None:
            self.waiting[load.uid] = load.waiter
        if load.started is not None and self.spec.quotas.jobs_per_period is not None:
            self.starts.setdefault(load.namespace, {})[load.uid] = load.started
        if load.served is not None:
            self.served[load.namespace] = max(load.served, self.served.get(load.namespace, load.served))

    def drop(self, uid: str) -> None:
        load = self.jobs.pop(uid, None)
        if load is not None:
            self.running.subtract((load.namespace, backend) for backend in load.slots)
            self.waiting.pop(uid, None)


class Loads:
    """What all jobs take of the quotas, kept up with every decision: what is decided counts before it can be seen.

    A runtime must, without giving way to another decision in between: read `of`, decide, and `put` the load of what was
    decided. Then no two jobs take the last slot. It puts the loads of all jobs that it knows before it decides about
    any, and removes a job that is gone. `on_turn` is told the uid of each waiting job that may start: it must be
    decided about soon. It may be told again, and is never told for a period that moves on: decisions name that time.
    """

    def __init__(self, on_turn: Callable[[str], None]) -> None:
        self._on_turn = on_turn
        self._books: dict[str, _Book] = {}
        self._policies: dict[str, str] = {}
        """The policy of each job."""

    def of(self, policy: QuantumBackendPolicy, job: HybridJob, now: datetime) -> PolicyLoad:
        """What the policy's other jobs take."""
        book = self._books.get(policy.metadata.name)
        if book is None or not has_quotas(policy.spec):
            return PolicyLoad()
        uid, namespace = job.metadata.uid or "", namespace_of(job)
        running = book.running.copy()
        if (mine := book.jobs.get(uid)) is not None:
            running.subtract((mine.namespace, backend) for backend in mine.slots)
        waiting = tuple(waiter for waiter in book.waiting.values() if waiter.uid != uid)
        kept = mine.slots if mine is not None else ()
        return PolicyLoad(running, waiting, dict(book.served), kept, self._recent(policy, book, namespace, uid, now))

    def _recent(
        self, policy: QuantumBackendPolicy, book: _Book, namespace: str, uid: str, now: datetime
    ) -> tuple[datetime, ...]:
        quota = policy.spec.quotas.jobs_per_period
        starts = book.starts.get(namespace)
        if quota is None or not starts:
            return ()
        oldest = now - timedelta(seconds=quota.seconds)
        for other in [other for other, start in starts.items() if start <= oldest]:
            del starts[other]
        return tuple(start for other, start in starts.items() if other != uid)

    def put(self, policy: QuantumBackendPolicy, load: JobLoad) -> None:
        """Count a job as it stands now."""
        name = policy.metadata.name
        book = self._books.setdefault(name, _Book(policy.spec))
        unchanged = (
            self._policies.get(load.uid) == name and book.jobs.get(load.uid) == load and book.spec == policy.spec
        )
        if unchanged:
            return
        if self._policies.get(load.uid, name) != name:
            self.remove(load.uid)
        book.spec = policy.spec
        self._policies[load.uid] = name
        book.put(load)
        self._tell(book)

    def remove(self, uid: str) -> None:
        """Forget a job that is gone. That it began once still counts for the period."""
        name = self._policies.pop(uid, None)
        if name is not None:
            self._books[name].drop(uid)
            self._tell(self._books[name])

    def _tell(self, book: _Book) -> None:
        if book.waiting:
            for waiter, _ in list(in_turn(book.spec, book.running, tuple(book.waiting.values()), book.served)):
                self._on_turn(waiter.uid)
