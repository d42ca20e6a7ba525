"""Budgets: what all jobs of a policy may cost together, over which period, and what happens when it is used up."""

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from hybridjob.api.common import Currency, Money, Name, Resource, Rule, list_of

Scope = Literal["Policy", "Namespace", "Backend"]
OnExceeded = Literal["Fallback", "Hold", "Reject"]
CalendarUnit = Literal["Day", "Week", "Month", "Quarter"]

TIME_ZONE_PATTERN = r"^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"


def _known_zone(name: str) -> str:
    """No rule of the API server can know the zones; the operator says in the policy's conditions what is wrong."""
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        message = "must be a time zone of the IANA database, such as Europe/Berlin or UTC"
        raise PydanticCustomError("time_zone", message) from error
    return name


TimeZone = Annotated[str, StringConstraints(pattern=TIME_ZONE_PATTERN, max_length=64), AfterValidator(_known_zone)]
"""The name of a time zone in the IANA database."""


def _only_with(kind: str, field: str, name: str, needed: bool) -> Rule:
    cel = f"(self.type == '{kind}') == has(self.{field})" if needed else f"self.type == '{kind}' || !has(self.{field})"

    def holds(period: Any) -> bool:
        given = getattr(period, name) is not None
        return bool((period.type == kind) == given if needed else period.type == kind or not given)

    must = (
        f"must be given with type {kind}, and only with it"
        if needed
        else f"must not be given with another type than {kind}"
    )
    return Rule(cel=cel, message=must, holds=holds, field=field)


class PeriodSpec(Resource):
    """How long a budget counts before it begins anew."""

    type: Literal["Lifetime", "Calendar", "Rolling"]
    """Lifetime: it never does. Calendar: with each day, week (from Monday), month or quarter. Rolling: what was charged
    longer ago than `seconds` counts no more."""
    unit: CalendarUnit | None = None
    """The part of the calendar."""
    time_zone: TimeZone | None = None
    """Where it begins; UTC by default."""
    seconds: Annotated[int, Field(ge=60, le=31_622_400)] | None = None
    """The length of a rolling period. It is counted in sixtieths, the oldest of which counts as a whole."""

    rules = (
        _only_with("Calendar", "unit", "unit", needed=True),
        _only_with("Calendar", "timeZone", "time_zone", needed=False),
        _only_with("Rolling", "seconds", "seconds", needed=True),
    )


class BudgetSpec(Resource):
    """A limit on what jobs of this policy may cost together."""

    name: Name
    """What reports call it."""
    limit: Money
    """The most that may be charged and reserved together, at any time. Lowered below that, it blocks what is new and
    ends nothing."""
    currency: Currency
    """The currency of the limit; it holds for costs in this currency."""
    scope: Scope = "Policy"
    """Policy: one limit for all. Namespace and Backend: the same limit for each of them."""
    period: PeriodSpec = PeriodSpec(type="Lifetime")
    """Over which time it counts."""
    on_exceeded: OnExceeded = "Fallback"
    """What becomes of a job that no backend has money for. Fallback: it goes on as spec.fallback says. Hold: it waits
    for money, for holdSeconds at most, and then goes on as spec.fallback says. Reject: it fails."""
    hold_seconds: Annotated[int, Field(ge=1, le=2_678_400)] | None = None
    """How long a job may be held; the job's own deadlines hold, too."""
    alerts: Annotated[list[Annotated[int, Field(ge=1, le=100)]], list_of("atomic", 8)] = []
    """Percentages of the limit at which to tell people, once each period."""

    rules = (
        Rule(
            cel="(self.onExceeded == 'Hold') == has(self.holdSeconds)",
            message="must be given with onExceeded Hold, and only with it",
            holds=lambda b: (b.on_exceeded == "Hold") == (b.hold_seconds is not None),
            field="holdSeconds",
        ),
    )
