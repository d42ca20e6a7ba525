"""What can be asked of a policy's book, and what it answers. Doing it twice is doing it once."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from hybridjob.engine.accounts import Claim, Key, Series, from_micros
from hybridjob.engine.breaker import BreakerRequest
from hybridjob.engine.hedging import HedgeRequest
from hybridjob.engine.latency import DurationRequest

EntryState = Literal["Reserved", "Submitted", "Unknown"]
Refusal = Literal["BudgetExceeded", "LedgerFull"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Money that is set aside for one attempt."""

    job_uid: str
    attempt: int
    namespace: str
    job: str
    backend: str
    unit: str
    micros: int
    time: int
    """When it was reserved, in seconds since 1970: it belongs to the periods that hold this instant, also when it ends
    in a later one."""
    state: EntryState = "Reserved"
    until: int | None = None
    """When all of it is charged, in seconds since 1970, where nobody knows what became of the attempt."""

    @property
    def key(self) -> Key:
        return self.job_uid, self.attempt

    @property
    def amount(self) -> Decimal:
        return from_micros(self.micros)


@dataclass(frozen=True)
class ReserveRequest:
    """Set money aside, if every claim has room for it. A key that exists is answered as it was, whatever is asked."""

    entry: Entry
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class SubmitRequest:
    """Note that the attempt has begun: the provider may have the task now."""

    key: Key


@dataclass(frozen=True)
class UnknownRequest:
    """Note that the attempt is over, and that nobody knows what it cost. Its money stays reserved until somebody finds
    out; from `until` on, in seconds since 1970, all of it is due."""

    key: Key
    until: int


@dataclass(frozen=True)
class SettleRequest:
    """Charge the attempt; zero releases its money. More than was reserved is recorded: it has been spent already."""

    key: Key
    micros: int


def charge_in_full(entry: Entry) -> SettleRequest:
    """All that was reserved."""
    return SettleRequest(entry.key, entry.micros)


@dataclass(frozen=True)
class AlertRequest:
    """Note that an alert was given. Answered with the alert the first time only, so that it is given once."""

    series: Series
    start: int
    alert: str


NoteRequest = SubmitRequest | BreakerRequest | DurationRequest | HedgeRequest
"""What is noted and moves no money."""
Request = ReserveRequest | UnknownRequest | SettleRequest | AlertRequest | NoteRequest


@dataclass(frozen=True)
class Answer:
    """What became of a request: the entry as it stands (or stood, when it was settled), or why there is none."""

    entry: Entry | None = None
    refusal: Refusal | None = None
    budgets: tuple[str, ...] = ()
    """The budgets that have no room."""
    message: str = ""
    done: bool = True
    """Whether the book has changed: False for a refusal, and for what had been done before."""
