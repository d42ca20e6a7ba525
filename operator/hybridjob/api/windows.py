"""When quantum work may start: windows in local time, and maintenance of a backend.

A window is a predicate on the instant: it is converted to the window's time zone, where every instant has exactly one
local time. So a clock that jumps or goes back needs no special case: an hour that does not exist is never inside, and
one that comes twice is inside both times.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints

from hybridjob.api.budgets import TimeZone
from hybridjob.api.common import Name, Resource, Rule, Timestamp, list_of

WindowsMode = Literal["Allow", "Deny"]
Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
DAYS: tuple[Day, ...] = get_args(Day)

HORIZON = timedelta(days=400)
"""How far ahead an opening is looked for: every date of the year, the 29th of February aside, lies within it."""

START_TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
END_TIME_PATTERN = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
DATE_PATTERN = r"^(2[0-9]{3}-)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"

_DAY_MINUTES = 24 * 60
_ONE_DAY = timedelta(days=1)
_LEAP_YEAR = 2024
_LAST_YEAR = 2999

DateText = Annotated[str, StringConstraints(pattern=DATE_PATTERN, max_length=10)]


class DateRange(Resource):
    """Local dates: of every year, such as 12-24, or of one, such as 2026-12-24."""

    start: Annotated[DateText, Field(alias="from")]
    """The first date."""
    until: DateText
    """The last date. Of every year it may be before `from`: 12-24 to 01-02 spans the new year."""

    rules = (
        Rule(
            cel="self.from.size() == self.until.size()",
            message="must have a year where from has one, and only there",
            holds=lambda r: len(r.start) == len(r.until),
            field="until",
        ),
        Rule(
            cel="self.from.size() != 10 || self.until.size() != 10 || self.from <= self.until",
            message="must not be before from, where both have a year",
            holds=lambda r: len(r.start) != 10 or len(r.until) != 10 or r.start <= r.until,
            field="until",
        ),
    )

    def contains(self, day: date) -> bool:
        text = day.isoformat()[-len(self.start) :]
        if self.start <= self.until:
            return self.start <= text <= self.until
        return text >= self.start or text <= self.until


class WindowSpec(Resource):
    """A time that comes again: on these days, from one local time until another."""

    name: Name
    """What messages call it."""
    time_zone: TimeZone
    """The zone of its times, days and dates: a name of the IANA database."""
    days: Annotated[list[Day], list_of("set", 7)] = list(DAYS)
    """The days on which it begins."""
    start: Annotated[str, StringConstraints(pattern=START_TIME_PATTERN, max_length=5), Field(alias="from")] = "00:00"
    """When it begins."""
    until: Annotated[str, StringConstraints(pattern=END_TIME_PATTERN, max_length=5)] = "24:00"
    """When it ends, which is outside it. Before `from`: on the next day."""
    dates: DateRange | None = None
    """The dates on which it may begin; all by default."""

    rules = (
        Rule(
            cel="self.days.size() > 0",
            message="must name at least one day",
            holds=lambda w: bool(w.days),
            field="days",
        ),
        Rule(
            cel="self.from != self.until",
            message="must differ from from: a window of the whole day is from 00:00 until 24:00",
            holds=lambda w: w.start != w.until,
            field="until",
        ),
    )

    def covers(self, instant: datetime) -> bool:
        """Whether the instant is inside. What is after midnight belongs to the day before, on which it began."""
        local = instant.astimezone(ZoneInfo(self.time_zone))
        minute, day = local.hour * 60 + local.minute, local.date()
        start, until = _minute(self.start), _minute(self.until)
        if start < until:
            if not start <= minute < until:
                return False
        elif minute < until:
            day -= _ONE_DAY
        elif minute < start:
            return False
        return DAYS[day.weekday()] in self.days and (self.dates is None or self.dates.contains(day))


class MaintenanceSpec(Resource):
    """A time, once, in which nothing starts on the backend."""

    start_time: Timestamp
    """Its first instant."""
    end_time: Timestamp
    """Its end, which is outside it."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    """What people are told."""

    rules = (
        Rule(
            cel="self.startTime < self.endTime",
            message="must be after startTime",
            holds=lambda m: m.start_time < m.end_time,
            field="endTime",
        ),
    )

    def covers(self, instant: datetime) -> bool:
        return self.start_time <= instant < self.end_time


@dataclass(frozen=True)
class Hours:
    """Windows that stand together, and whether they allow or deny."""

    windows: Sequence[WindowSpec]
    mode: WindowsMode

    def is_open(self, instant: datetime) -> bool:
        """Without windows, always."""
        if not self.windows:
            return True
        return any(window.covers(instant) for window in self.windows) == (self.mode == "Allow")


@dataclass(frozen=True)
class Schedule:
    """When work may start on one backend: inside the policy's hours, inside its own, and outside its maintenance."""

    hours: Sequence[Hours]
    maintenance: Sequence[MaintenanceSpec] = ()

    def is_open(self, instant: datetime) -> bool:
        return all(hours.is_open(instant) for hours in self.hours) and not any(
            maintenance.covers(instant) for maintenance in self.maintenance
        )

    def next_change(self, instant: datetime, horizon: timedelta = HORIZON) -> datetime | None:
        """The first instant after this one at which `is_open` is no longer what it is now; None where there is none
        within the horizon."""
        now = self.is_open(instant)
        return next((time for time in self._edges(instant, horizon) if self.is_open(time) != now), None)

    def next_open(self, instant: datetime, horizon: timedelta = HORIZON) -> datetime | None:
        """The first instant from this one on at which it is open; None where there is none within the horizon."""
        return instant if self.is_open(instant) else self.next_change(instant, horizon)

    def ever_opens(self) -> bool:
        """Whether there is a time for any work at all. No clock is asked: what is closed for now, or was open once,
        does not make a policy invalid, only what is wrong whenever it is read. Looked at are a leap year, all years
        that are named, and the years after them, when what was named has passed."""
        named = {
            int(text[:4])
            for hours in self.hours
            for window in hours.windows
            if window.dates is not None and len(window.dates.start) == 10
            for text in (window.dates.start, window.dates.until)
        } | {time.year for maintenance in self.maintenance for time in (maintenance.start_time, maintenance.end_time)}
        years = {_LEAP_YEAR} | named | {year + 1 for year in named}
        starts = (datetime(year - 1, 12, 31, tzinfo=UTC) for year in sorted(years) if 1970 < year <= _LAST_YEAR)
        return any(self.next_open(start) is not None for start in starts)

    def _edges(self, instant: datetime, horizon: timedelta) -> Iterator[datetime]:
        """The instants after this one at which anything can change, in order: a local time that a window begins or ends
        at, the change of a clock, an end of a maintenance."""
        minutes: dict[str, set[int]] = {}
        for window in (window for hours in self.hours for window in hours.windows):
            ends = (_minute(window.start) % _DAY_MINUTES, _minute(window.until) % _DAY_MINUTES)
            minutes.setdefault(window.time_zone, set()).update(ends)
        once = [time for m in self.maintenance for time in (m.start_time, m.end_time)]
        day, last = instant.astimezone(UTC).date(), instant + horizon
        while True:
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
            if midnight > last:
                return
            edges = {time for time in once if midnight <= time < midnight + _ONE_DAY}
            for zone, shown in minutes.items():
                edges.update(_local_times(zone, day, shown))
            yield from (time for time in sorted(edges) if instant < time <= last)
            day += _ONE_DAY


def _local_times(zone: str, day: date, minutes: set[int]) -> Iterator[datetime]:
    """The instants of a UTC day at which the zone's clocks show one of these minutes of their day, or are changed."""
    for start, end, offset in _offsets(zone, day):
        yield start
        local = start + offset
        shown = local.hour * 3600 + local.minute * 60 + local.second
        for minute in minutes:
            time = start + timedelta(seconds=(minute * 60 - shown) % 86400)
            if time < end:
                yield time


@lru_cache(maxsize=4096)
def _offsets(zone: str, day: date) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """The parts of a UTC day in which the zone's distance from UTC is one: its only part, or the two around a change of
    its clocks. No zone has changed them twice in a day."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = start + _ONE_DAY
    before, after = _offset(zone, start), _offset(zone, end - timedelta(seconds=1))
    if before == after:
        return ((start, end, before),)
    low, high = 0, 86400  # seconds; the change is after `low`, and not after `high`
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, start + timedelta(seconds=middle)) == before:
            low = middle
        else:
            high = middle
    change = start + timedelta(seconds=high)
    return ((start, change, before), (change, end, after))


def _offset(zone: str, instant: datetime) -> timedelta:
    offset = instant.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None  # noqa: S101 — every zone has one
    return offset


def _minute(text: str) -> int:
    """The minute of the day of 22:30; 1,440 of 24:00."""
    return int(text[:2]) * 60 + int(text[3:])
