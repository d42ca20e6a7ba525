"""What money is counted in: the series of accounts that a budget reads, and a reservation's claim on one of them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

ScopeKind = Literal["Policy", "Namespace", "Backend"]

LIFETIME = "Lifetime"
"""The period that never ends."""
Key = tuple[str, int]
"""What money is set aside for: a job's uid and the number of its attempt."""
MICROS = 1_000_000
"""Ledgers count in millionths of the unit, as integers: sums of them are exact, and quick."""


class Series(NamedTuple):
    """One account after the other, a new one each period. Two budgets that count the same share one series, and a
    budget that is renamed keeps what it has counted."""

    unit: str
    scope: ScopeKind
    value: str
    """The namespace or the backend; empty for the whole policy."""
    period: str
    """Lifetime, or the periods' length and zone."""


@dataclass(frozen=True)
class Claim:
    """A budget that applies to a reservation: where it counts, and what it may not exceed."""

    budget: str
    limit: Decimal
    series: Series
    start: int = 0
    """The beginning of the period that is charged, in seconds since 1970."""
    end: int | None = None
    """Its end, which is outside it; None for never."""
    since: int = 0
    """The first period that counts towards the limit: that one, or an earlier one where periods roll."""
    until: int | None = None
    """When nothing needs this period's account any more; None for never."""


def to_micros(amount: Decimal) -> int:
    """Raises ValueError for an amount of more than 6 fraction digits: it would be rounded in silence."""
    micros = amount * MICROS
    if micros != micros.to_integral_value():
        raise ValueError(f"{amount} must have at most 6 fraction digits")
    return int(micros)


def from_micros(micros: int) -> Decimal:
    return (Decimal(micros) / MICROS).normalize() + Decimal(0)
