"""The periods of budgets: which one an instant belongs to, when it began and when the next one begins.

A calendar period begins at the first instant of its first local day. Where the clocks jump over midnight that is the
instant of the jump; where midnight comes twice it is the first one.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hybridjob.api.budgets import CalendarUnit, PeriodSpec
from hybridjob.engine.accounts import LIFETIME

ROLLING_PARTS = 60
"""A rolling period is counted in so many parts: what is charged leaves it at most one part too late."""


@dataclass(frozen=True)
class Period:
    """One period, in seconds since 1970."""

    name: str
    """Its length and zone, the same for all periods of one kind."""
    start: int
    end: int | None
    since: int
    """The start of the first period that counts together with this one."""
    until: int | None
    """When its account may be forgotten: one length after it stops to count, lest a clock that is set back find it gone
    and spend it twice."""


def period_at(spec: PeriodSpec, now: datetime) -> Period:
    """The period that `now` belongs to."""
    if spec.type == "Rolling":
        return _rolling(spec.seconds or 0, now)
    if spec.type == "Calendar" and spec.unit is not None:
        return _calendar(spec.unit, spec.time_zone or "UTC", now)
    return Period(LIFETIME, 0, None, 0, None)


def _rolling(seconds: int, now: datetime) -> Period:
    width = -(-seconds // ROLLING_PARTS)
    instant = int(now.timestamp())
    start = instant // width * width
    since = (instant - seconds) // width * width
    return Period(f"Rolling {seconds}", start, start + width, since, start + width + 2 * seconds)


def _calendar(unit: CalendarUnit, zone_name: str, now: datetime) -> Period:
    zone = ZoneInfo(zone_name)
    first = _first_day(unit, now.astimezone(zone).date())
    following = _next(unit, first)
    if now >= day_start(following, zone):  # the clocks went back over midnight: the day has begun already
        first, following = following, _next(unit, following)
    start, end = (int(day_start(day, zone).timestamp()) for day in (first, following))
    return Period(f"{unit} {zone_name}", start, end, start, end + (end - start))


def _first_day(unit: CalendarUnit, day: date) -> date:
    match unit:
        case "Day":
            return day
        case "Week":
            return day - timedelta(days=day.weekday())
        case "Month":
            return day.replace(day=1)
        case "Quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)


def _next(unit: CalendarUnit, first: date) -> date:
    """The first day of the period that follows."""
    match unit:
        case "Day":
            return first + timedelta(days=1)
        case "Week":
            return first + timedelta(days=7)
        case "Month" | "Quarter":
            months = first.month - 1 + (1 if unit == "Month" else 3)
            return date(first.year + months // 12, months % 12 + 1, 1)


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    late = midnight.astimezone(UTC)
    if late.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return late
    # The clocks jump over midnight. The jump lies between the two ways to read a time that does not exist.
    early = midnight.replace(fold=1).astimezone(UTC)
    seconds = int((late - early).total_seconds())
    low, high = 0, seconds
    while low < high:
        middle = (low + high) // 2
        if (early + timedelta(seconds=middle)).astimezone(zone).date() >= day:
            high = middle
        else:
            low = middle + 1
    return early + timedelta(seconds=low)
