"""The book of one policy: what its jobs may still cost, and what they did cost. Pure.

Money moves through an entry, one for each attempt that is under way:

    reserve ──> Reserved ──> Submitted ──> settled: folded into the accounts' totals, and the entry is gone
                    └────> Unknown ────┘   stays reserved until somebody finds out, or its time is over

Two rules hold for every operation. Doing it twice is doing it once: the key is the job's uid and the attempt's number.
And whatever order they come in, what an account has committed and reserved stays within each limit that a reservation
was held to, unless the limit was lowered since or a provider charged more than was reserved.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from hybridjob.engine import breaker, hedging, latency
from hybridjob.engine.accounts import LIFETIME, Claim, Key, ScopeKind, Series, from_micros, to_micros
from hybridjob.engine.breaker import Breaker, BreakerRequest, ProbeRequest, ReleaseRequest, ReportRequest
from hybridjob.engine.hedging import Hedge, HedgeRequest
from hybridjob.engine.instants import millis
from hybridjob.engine.latency import DurationRequest, History
from hybridjob.engine.ledger_requests import (
    AlertRequest,
    Answer,
    Entry,
    EntryState,
    Request,
    ReserveRequest,
    SettleRequest,
    SubmitRequest,
    UnknownRequest,
    charge_in_full,
)
from hybridjob.engine.pricing import display

MAX_OPEN_ENTRIES = 1000
MAX_ACCOUNTS = 4000
_ENTRY_BYTES, _ACCOUNT_BYTES, _NOTE_BYTES = 200, 500, 400
"""What each adds at most to a book that is written down, an entry beside its names."""


@dataclass(frozen=True, slots=True)
class Account:
    """One period of a series."""

    start: int
    end: int | None
    until: int | None
    committed: int = 0
    """Micros that were charged."""
    reserved: int = 0
    """Micros that are set aside: the sum of the entries that it counts, kept because it is read so often."""
    alerted: tuple[str, ...] = ()
    """The alerts that were given for it."""

    def holds(self, instant: int) -> bool:
        return self.start <= instant and (self.end is None or instant < self.end)


@dataclass(frozen=True)
class Book:
    """What is spent and reserved under one policy. A value: `apply` returns a new one."""

    policy: str
    accounts: Mapping[Series, Mapping[int, Account]] = field(default_factory=lambda: MappingProxyType({}))
    """By series, then by the period's start."""
    entries: Mapping[Key, Entry] = field(default_factory=lambda: MappingProxyType({}))
    breakers: Mapping[str, Breaker] = field(default_factory=lambda: MappingProxyType({}))
    """By backend. They are kept here because they need what money needs: one writer, and to survive a restart."""
    latencies: Mapping[str, History] = field(default_factory=lambda: MappingProxyType({}))
    """What attempts took, by backend."""
    hedges: tuple[Hedge, ...] = ()
    """Those of the last minute."""

    @classmethod
    def restore(
        cls,
        policy: str,
        accounts: Iterable[tuple[Series, Account]],
        entries: Iterable[Entry],
        breakers: Mapping[str, Breaker],
        latencies: Mapping[str, History],
        hedges: tuple[Hedge, ...],
    ) -> "Book":
        """A book from what was written down of it: the reserved sums follow from the entries."""
        draft = _Draft(cls(policy, breakers=breakers, latencies=latencies, hedges=hedges))
        for series, account in accounts:
            draft.accounts.setdefault(series, {})[account.start] = account
        draft.periods = {series.period for series in draft.accounts}
        for entry in entries:
            draft.entries[entry.key] = entry
            draft.count(entry, reserved=entry.micros)
        return draft.book()

    def apply(self, requests: Sequence[Request], now: datetime, room: int | None = None) -> tuple["Book", list[Answer]]:
        """Do what is asked, one after the other, and forget the accounts that nothing needs any more.

        `room`: by how many bytes the book may grow where it is written down. What has no room is refused, and what is
        only noted is not; what settles always has.
        """
        draft = _Draft(self, room)
        draft.forget(now)
        answers = [draft.do(request, now) for request in requests]
        return draft.book(), answers

    def window(self, series: Series, since: int = 0) -> list[Account]:
        """The accounts of the periods from `since` on."""
        return [account for start, account in self.accounts.get(series, {}).items() if start >= since]

    def used(self, series: Series, since: int = 0) -> int:
        """The micros that are committed and reserved in the periods from `since` on."""
        return sum(account.committed + account.reserved for account in self.window(series, since))

    def begun(self, uid: str, attempts: int) -> frozenset[int]:
        """Those of a job's first so many attempts that have begun, and that money is reserved for."""
        entries = ((number, self.entries.get((uid, number))) for number in range(1, attempts + 1))
        return frozenset(number for number, entry in entries if entry is not None and entry.state != "Reserved")

    def unknown(self) -> list[Entry]:
        """What is reserved for attempts that nobody knows the cost of, the first to be charged first."""
        return _unknown(self.entries.values())

    def overdue(self, now: datetime) -> list[SettleRequest]:
        """The charges for what has stayed unknown for as long as it may."""
        return [charge_in_full(entry) for entry in self.unknown() if (entry.until or 0) <= now.timestamp()]

    def totals(self) -> dict[str, Account]:
        """What was ever charged and is reserved now, by unit, whether or not a budget asks for it."""
        return {series.unit: periods[0] for series, periods in self.accounts.items() if series == _total(series.unit)}


class _Draft:
    """A copy of a book, while it is changed."""

    def __init__(self, book: Book, room: int | None = None) -> None:
        self.policy = book.policy
        self.room = room
        self.accounts = {series: dict(periods) for series, periods in book.accounts.items()}
        self.entries = dict(book.entries)
        self.breakers = dict(book.breakers)
        self.latencies, self.hedges = dict(book.latencies), book.hedges
        self.periods = {series.period for series in self.accounts}

    def book(self) -> Book:
        return Book(self.policy, self.accounts, self.entries, self.breakers, self.latencies, self.hedges)

    def forget(self, now: datetime) -> None:
        """Drop the accounts of periods that are past, unless an attempt is still to be charged to one."""
        instant = now.timestamp()
        for series, periods in list(self.accounts.items()):
            for start, account in list(periods.items()):
                if account.until is not None and account.until <= instant and account.reserved == 0:
                    del periods[start]
            if not periods:
                del self.accounts[series]

    def do(self, request: Request, now: datetime) -> Answer:
        match request:
            case ReserveRequest():
                return self._reserve(request)
            case SettleRequest(key=key, micros=micros):
                return self._settle(key, micros)
            case SubmitRequest(key=key):
                return self._mark(key, "Submitted", None)
            case UnknownRequest(key=key, until=until):
                return self._mark(key, "Unknown", until)
            case AlertRequest():
                return self._alert(request)
            case ReportRequest() | ProbeRequest() | ReleaseRequest():
                return self._tell_breaker(request, now)
            case DurationRequest() | HedgeRequest() if not self._has_room(_NOTE_BYTES):
                return Answer(done=False)
            case DurationRequest(backend=backend):
                before = self.latencies.get(backend, ())
                self.latencies[backend] = latency.remember(before, request)
                return Answer(done=self.latencies[backend] != before)
            case HedgeRequest():
                hedges, self.hedges = self.hedges, hedging.grant(self.hedges, request, millis(now))
                return Answer(done=self.hedges != hedges)

    def _reserve(self, request: ReserveRequest) -> Answer:
        entry = request.entry
        existing = self.entries.get(entry.key)
        if existing is not None:
            return Answer(existing, done=False)
        if len(self.entries) >= MAX_OPEN_ENTRIES:
            self._charge_oldest_unknown()
        if len(self.entries) >= MAX_OPEN_ENTRIES:
            return Answer(
                done=False,
                refusal="LedgerFull",
                message=f"the ledger of policy {self.policy} holds {MAX_OPEN_ENTRIES} attempts under way, and takes no "
                "more until one of them ends",
            )
        total = Claim("", Decimal(0), _total(entry.unit))
        missing = [c for c in (total, *request.claims) if c.start not in self.accounts.get(c.series, {})]
        if missing and sum(map(len, self.accounts.values())) + len(missing) > MAX_ACCOUNTS:
            return Answer(
                done=False,
                refusal="LedgerFull",
                message=f"the ledger of policy {self.policy} keeps {MAX_ACCOUNTS} accounts, and takes no more: it has "
                "too many budgets by namespace or backend",
            )
        names = sum(map(len, (entry.job_uid, entry.namespace, entry.job, entry.backend)))
        if not self._has_room(_ENTRY_BYTES + names + _ACCOUNT_BYTES * len(missing)):
            return Answer(
                done=False,
                refusal="LedgerFull",
                message=f"the ledger of policy {self.policy} has grown as large as an object may be, and takes no more "
                "until attempts end: it has too many attempts, budgets or backends under one policy",
            )
        for claim in missing:
            self._open(claim)
        lacking = [(claim, left) for claim in request.claims if (left := self._left(claim)) < entry.micros]
        if lacking:
            return _refused(self.policy, entry, lacking)
        self.entries[entry.key] = entry
        self.count(entry, reserved=entry.micros)
        return Answer(entry)

    def _has_room(self, size: int) -> bool:
        if self.room is None or size <= self.room:
            self.room = None if self.room is None else self.room - size
            return True
        return False

    def _open(self, claim: Claim) -> None:
        """A new account counts what is under way already."""
        account = Account(claim.start, claim.end, claim.until)
        counted = (e.micros for e in self.entries.values() if _counts(claim.series, e) and account.holds(e.time))
        account = replace(account, reserved=sum(counted))
        self.accounts.setdefault(claim.series, {})[claim.start] = account
        self.periods.add(claim.series.period)

    def _left(self, claim: Claim) -> int:
        periods = self.accounts[claim.series].items()
        used = sum(account.committed + account.reserved for start, account in periods if start >= claim.since)
        return to_micros(claim.limit) - used

    def _settle(self, key: Key, micros: int) -> Answer:
        entry = self.entries.pop(key, None)
        if entry is None:
            return Answer(done=False)
        self.count(entry, reserved=-entry.micros, committed=max(0, micros))
        return Answer(entry)

    def _mark(self, key: Key, state: EntryState, until: int | None) -> Answer:
        entry = self.entries.get(key)
        if entry is None or entry.state in (state, "Unknown"):
            return Answer(entry, done=False)
        self.entries[key] = replace(entry, state=state, until=until)
        return Answer(self.entries[key])

    def _charge_oldest_unknown(self) -> None:
        """Make room for work: to charge all that was reserved is what would become of it anyway."""
        for oldest in _unknown(self.entries.values())[:1]:
            self._settle(oldest.key, oldest.micros)

    def _alert(self, request: AlertRequest) -> Answer:
        account = self.accounts.get(request.series, {}).get(request.start)
        if account is None or request.alert in account.alerted:
            return Answer(done=False)
        self.accounts[request.series][request.start] = replace(account, alerted=(*account.alerted, request.alert))
        return Answer()

    def _tell_breaker(self, request: BreakerRequest, now: datetime) -> Answer:
        if isinstance(request, ReportRequest) and not self._has_room(_NOTE_BYTES):
            return Answer(done=False)
        before = self.breakers.get(request.backend, Breaker())
        self.breakers[request.backend] = breaker.apply(before, request, millis(now))
        return Answer(done=self.breakers[request.backend] != before)

    def count(self, entry: Entry, *, reserved: int = 0, committed: int = 0) -> None:
        """Add to every account that counts the entry."""
        for periods, account in self._accounts_of(entry):
            periods[account.start] = replace(
                account, reserved=account.reserved + reserved, committed=account.committed + committed
            )

    def _accounts_of(self, entry: Entry) -> Iterator[tuple[dict[int, Account], Account]]:
        scopes: tuple[tuple[ScopeKind, str], ...] = (
            ("Policy", ""),
            ("Namespace", entry.namespace),
            ("Backend", entry.backend),
        )
        for scope, value in scopes:
            for period in self.periods:
                periods = self.accounts.get(Series(entry.unit, scope, value, period), {})
                for account in periods.values():
                    if account.holds(entry.time):
                        yield periods, account
                        break


def _unknown(entries: Iterable[Entry]) -> list[Entry]:
    found = (entry for entry in entries if entry.state == "Unknown")
    return sorted(found, key=lambda entry: (entry.until or 0, entry.key))


def _total(unit: str) -> Series:
    """The series that is kept for every unit, whatever the budgets: what a policy's jobs cost since it exists."""
    return Series(unit, "Policy", "", LIFETIME)


def _counts(series: Series, entry: Entry) -> bool:
    of_scope = {"Policy": "", "Namespace": entry.namespace, "Backend": entry.backend}
    return series.unit == entry.unit and series.value == of_scope[series.scope]


def _refused(policy: str, entry: Entry, lacking: Sequence[tuple[Claim, int]]) -> Answer:
    parts = [
        f"budget {claim.budget} of policy {policy} has {display(from_micros(max(0, left)), entry.unit)} left of "
        f"{display(claim.limit, entry.unit)}"
        for claim, left in lacking
    ]
    return Answer(
        done=False,
        refusal="BudgetExceeded",
        budgets=tuple(claim.budget for claim, _ in lacking),
        message=f"needs {display(entry.amount, entry.unit)}, and {' and '.join(parts)}",
    )
