"""Periods against brute force: every quarter of an hour of the days around what clocks and calendars do."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hybridjob.api.budgets import PeriodSpec
from hybridjob.engine.periods import period_at

STEP = timedelta(minutes=15)

KEYS: dict[str, Callable[[date], Any]] = {
    "Day": lambda day: day,
    "Week": lambda day: day.isocalendar()[:2],
    "Month": lambda day: (day.year, day.month),
    "Quarter": lambda day: (day.year, (day.month - 1) // 3),
}
"""What two days of the same period have in common."""
ZONES = ["UTC", "Europe/Berlin", "Africa/Cairo", "America/Havana", "Australia/Lord_Howe", "Asia/Tokyo"]


def spec(**fields: Any) -> PeriodSpec:
    return PeriodSpec.model_validate(fields)


def calendar(unit: str, zone: str) -> PeriodSpec:
    return spec(type="Calendar", unit=unit, timeZone=zone)


@pytest.mark.parametrize("unit", KEYS)
@pytest.mark.parametrize(
    ("zone", "first"),
    [
        ("Europe/Berlin", "2026-03-27"),  # spring
        ("Europe/Berlin", "2026-10-23"),  # autumn
        ("Africa/Cairo", "2026-04-22"),  # midnight does not exist
        ("Africa/Cairo", "2026-10-28"),  # the hour before midnight comes twice
        ("America/Havana", "2026-10-30"),  # midnight comes twice
        ("Australia/Lord_Howe", "2026-04-03"),  # half an hour
        ("Australia/Lord_Howe", "2026-10-02"),
        ("Asia/Kathmandu", "2026-06-29"),  # 5:45, and no change ever
        ("Pacific/Apia", "2011-12-28"),  # a day that does not exist
        ("America/New_York", "2026-12-29"),  # the end of a year
        ("UTC", "2028-02-27"),  # a leap day
    ],
)
def test_calendar_periods(unit: str, zone: str, first: str) -> None:
    """By brute force: a period begins when the latest local day that was seen so far belongs to a new one."""
    instant = datetime.fromisoformat(first).replace(tzinfo=UTC)
    latest: date | None = None
    start: int | None = None
    for _ in range(6 * 24 * 4):
        day = instant.astimezone(ZoneInfo(zone)).date()
        period = period_at(calendar(unit, zone), instant)
        assert period.end is not None
        assert period.start <= instant.timestamp() < period.end
        if latest is not None and day > latest and KEYS[unit](day) != KEYS[unit](latest):
            start = int(instant.timestamp())
        if start is not None:
            assert period.start == start, f"{instant} in {zone}"
        latest = day if latest is None else max(latest, day)
        instant += STEP


@pytest.mark.parametrize(
    ("unit", "zone", "now", "start", "end"),
    [
        ("Day", "Africa/Cairo", "2026-04-24T00:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"),
        ("Week", "UTC", "2026-01-01T00:00:00Z", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"),
        ("Month", "Europe/Berlin", "2026-03-31T22:00:00Z", "2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z"),
        ("Quarter", "UTC", "2026-12-31T23:59:59Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ],
)
def test_edges(unit: str, zone: str, now: str, start: str, end: str) -> None:
    period = period_at(calendar(unit, zone), datetime.fromisoformat(now))
    assert (period.start, period.end) == tuple(int(datetime.fromisoformat(t).timestamp()) for t in (start, end))


@settings(max_examples=300, deadline=None)
@given(unit=st.sampled_from(list(KEYS)), zone=st.sampled_from(ZONES), now=st.integers(0, 4_000_000_000))
def test_periods_follow_each_other_without_gap(unit: str, zone: str, now: int) -> None:
    here = period_at(calendar(unit, zone), datetime.fromtimestamp(now, UTC))
    assert here.end is not None
    assert here.start <= now < here.end
    assert period_at(calendar(unit, zone), datetime.fromtimestamp(here.end, UTC)).start == here.end
    assert period_at(calendar(unit, zone), datetime.fromtimestamp(here.start, UTC)) == here


@settings(max_examples=300, deadline=None)
@given(seconds=st.integers(60, 10**7), now=st.integers(10**9, 2 * 10**9), ago=st.integers(0, 2 * 10**7))
def test_a_rolling_period_counts_all_of_its_length_and_at_most_a_part_more(seconds: int, now: int, ago: int) -> None:
    rolling = spec(type="Rolling", seconds=seconds)
    here = period_at(rolling, datetime.fromtimestamp(now, UTC))
    then = period_at(rolling, datetime.fromtimestamp(now - ago, UTC))
    assert here.end is not None
    assert here.start <= now < here.end
    counts = then.start >= here.since
    assert counts or ago > seconds
    assert not counts or ago < seconds + (here.end - here.start)
    if counts:
        assert then.until is not None
        assert then.until > now, "it may not be forgotten yet"


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "Mars", "localtime", "../etc/passwd", "CET/"])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError):
        calendar("Day", zone)
