"""Rate cards: the most that an attempt can cost before it starts, and what it did cost after it ended."""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from hybridjob.api.common import format_timestamp
from hybridjob.api.hybridjob import HybridJobSpec
from hybridjob.api.rates import RateCard
from hybridjob.contract.problems import ExpectationParameters
from hybridjob.contract.verdict import Usage

_MICRO = Decimal("0.000001")
ZERO = Decimal(0)


class PriceUnknownError(Exception):
    """The rate card says no price for this instant; the message says why."""


@dataclass(frozen=True)
class Workload:
    """The most that one attempt will ask of a backend."""

    tasks: int
    shots: int
    seconds: int


def round_up(amount: Decimal) -> Decimal:
    """Round up to the 6 fraction digits that money has: an estimate must never be too low."""
    return amount.quantize(_MICRO, rounding=ROUND_CEILING).normalize() + ZERO


def workload(spec: HybridJobSpec) -> Workload:
    """What one quantum attempt of the job asks for at most.

    QAOA searches its angles classically, so only the final circuit is a task. An expectation value needs a task for
    each group of commuting Pauli strings: never more than there are strings.
    """
    if spec.quantum is None:
        return Workload(0, 0, 0)
    tasks = 1
    if spec.problem.type == "Expectation":
        tasks = len(ExpectationParameters.model_validate(spec.problem.parameters).observable)
    return Workload(tasks, tasks * spec.quantum.shots, spec.limits.active_deadline_seconds)


def estimate(card: RateCard, work: Workload, now: datetime) -> Decimal:
    """The most that `work` can cost. Raises PriceUnknownError when the rate card has expired."""
    if card.formula == "Free":
        return ZERO
    if card.valid_until is not None and now >= card.valid_until:
        raise PriceUnknownError(f"its rate card expired at {format_timestamp(card.valid_until)}")
    return _price(card, work.tasks, work.shots, Decimal(work.seconds))


def charge(card: RateCard, usage: Usage) -> Decimal:
    """What an attempt with this usage cost."""
    return _price(card, usage.tasks, usage.shots, Decimal(str(usage.seconds)))


def _price(card: RateCard, tasks: int, shots: int, seconds: Decimal) -> Decimal:
    amount = tasks * (card.per_task or ZERO) + shots * (card.per_shot or ZERO) + seconds * (card.per_second or ZERO)
    return round_up(amount)


def display(amount: Decimal, currency: str | None) -> str:
    """An amount for people."""
    return f"{amount:f} {currency}" if currency else f"{amount:f}"
