"""The jobs that are held, by policy: whose turn it is to look again, as soon as there may be room for one of them.

Each looks every half a minute by itself. These wake-ups only make that sooner, so that losing one costs half a minute.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hybridjob.api.hybridjob import HybridJob
from hybridjob.engine.breaker import Breaker, Circuit
from hybridjob.engine.ledger import Book
from hybridjob.engine.quotas import namespace_of

AT_ONCE = 32
"""So many jobs of a policy look in one round."""
ROUND = timedelta(seconds=1)
"""From one round to the next at least."""


def gives_room(before: Book, after: Book) -> bool:
    """Whether a book grants what it refused before: money has come back to an account, a circuit has closed, or its
    probe was given back."""
    for series, periods in before.accounts.items():
        now = after.accounts.get(series, {})
        for start, old in periods.items():
            new = now.get(start, old)
            if new is not old and new.committed + new.reserved < old.committed + old.reserved:
                return True
    return any(
        _lets_in(breaker, after.breakers.get(backend, Breaker()))
        for backend, breaker in before.breakers.items()
        if breaker is not after.breakers.get(backend)
    )


def _lets_in(before: Breaker, after: Breaker) -> bool:
    for name, old in before.circuits.items():
        new = after.circuits.get(name, Circuit())
        given_back = old.probe is not None and new.probe is None and new.openings == old.openings
        if old.opened is not None and (new.opened is None or given_back):
            return True
    return False


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """One job's place in the line."""

    for_money: bool
    since: datetime
    uid: str
    namespace: str


@dataclass
class _Line:
    """Those that wait under one policy."""

    places: dict[str, _Place] = field(default_factory=dict)
    round_time: datetime | None = None
    """When the last round is, or was."""


class HeldJobs:
    """Who waits, kept up with every decision.

    A thousand jobs may wait for what one of them can take, and settlements come by the hundred. So there is at most one
    round in a second for each policy, whatever has happened since the one before, and in it a bounded number of jobs
    look: those that wait for money before those that wait for a window or a quota and could take another backend, each
    namespace in turn, and in it the one that has waited longest. When one of them has got its money there may be more:
    another round follows. `wake_at` is told who is to be decided about, and when.
    """

    def __init__(self, wake_at: Callable[[str, datetime], None]) -> None:
        self._wake_at = wake_at
        self._lines: dict[str, _Line] = {}
        self._policies: dict[str, str] = {}
        """The policy of each job that waits."""

    def put(self, policy: str, job: HybridJob, now: datetime) -> None:
        """Take note of a job as it was decided."""
        uid, place = job.metadata.uid or "", _place(job, now)
        had_to_pay = self._take_out(uid)
        if place is not None:
            self._lines.setdefault(policy, _Line()).places[uid] = place
            self._policies[uid] = policy
        elif had_to_pay:
            self.room(policy, now)

    def remove(self, uid: str) -> None:
        """Forget a job that is gone."""
        self._take_out(uid)

    def room(self, policy: str, now: datetime) -> None:
        """There may be room for a job of the policy."""
        line = self._lines.get(policy)
        if line is None or not line.places:
            return
        last = line.round_time
        if last is not None and now < last <= now + ROUND:
            return  # it is to come
        due = last + ROUND if last is not None and now - ROUND < last <= now else now
        line.round_time = due
        for uid in _first(line):
            self._wake_at(uid, due)

    def _take_out(self, uid: str) -> bool:
        """Whether it waited for money."""
        policy = self._policies.pop(uid, None)
        return policy is not None and self._lines[policy].places.pop(uid).for_money


def _place(job: HybridJob, now: datetime) -> _Place | None:
    status = job.status
    if status is None or (status.hold is None and status.waiting is None):
        return None
    since = status.hold.since_time if status.hold is not None else job.metadata.creation_timestamp or now
    return _Place(status.hold is not None, since, job.metadata.uid or "", namespace_of(job))


def _first(line: _Line) -> list[str]:
    ahead: Counter[tuple[bool, str]] = Counter()
    turns = []
    for place in sorted(line.places.values()):
        kind = (place.for_money, place.namespace)
        turns.append((not place.for_money, ahead[kind], place))
        ahead[kind] += 1
    return [place.uid for *_, place in heapq.nsmallest(AT_ONCE, turns)]
