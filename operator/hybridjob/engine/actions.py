"""What a runtime shall do. Every action names the job's attempt it is about, and doing it twice is doing it once."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from hybridjob.api.status import HybridJobStatus, Route
from hybridjob.engine.accounts import Claim
from hybridjob.engine.ledger_requests import NoteRequest


@dataclass(frozen=True)
class Reserve:
    """Set money aside before the attempt exists. All limits hold together, or nothing is reserved."""

    attempt: int
    backend: str
    amount: Decimal
    currency: str
    time: datetime
    """When it was decided: the money belongs to the periods that hold this instant."""
    claims: tuple[Claim, ...] = ()
    """The budgets that apply."""


@dataclass(frozen=True)
class StartAttempt:
    attempt: int
    route: Route
    backend: str


@dataclass(frozen=True)
class CancelAttempt:
    attempt: int


@dataclass(frozen=True)
class Settle:
    """Turn the attempt's reservation into a charge; zero releases it."""

    attempt: int
    amount: Decimal


@dataclass(frozen=True)
class KeepReserved:
    """The attempt is over, and nobody knows what it cost: all of it is charged at `until`, unless somebody finds
    out."""

    attempt: int
    until: datetime


@dataclass(frozen=True)
class Note:
    """Ask the policy's book to note something that moves no money. What becomes of it is seen in the book."""

    request: NoteRequest


Settlement = Settle | KeepReserved
"""What the end of an attempt does to its money."""
Action = Reserve | StartAttempt | CancelAttempt | Settlement | Note


@dataclass(frozen=True)
class Decision:
    """Do the actions in their order, then write the status, then tell others. Decide again at `wake_time` or when a
    fact changes, whichever is first."""

    status: HybridJobStatus
    actions: tuple[Action, ...] = ()
    wake_time: datetime | None = None
