"""Windows in local time, against a reference that asks minute by minute, around every kind of change of a clock."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridjob.api.windows import DAYS, DateRange, Hours, MaintenanceSpec, Schedule, WindowSpec

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def window(zone: str = "UTC", start: str = "00:00", until: str = "24:00", **fields: Any) -> WindowSpec:
    body = {"name": "w", "timeZone": zone, "from": start, "until": until} | fields
    return WindowSpec.model_validate(body, by_alias=True, by_name=False)


def dates(start: str, until: str) -> dict[str, str]:
    return {"from": start, "until": until}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def inside(window: WindowSpec, instant: datetime) -> bool:
    """The reference: whether the wall clock's time lies between two times on the wall."""
    wall = instant.astimezone(ZoneInfo(window.time_zone)).replace(tzinfo=None)
    for day in (wall.date(), wall.date() - DAY):
        begins = datetime.combine(day, time.fromisoformat(window.start))
        ends = datetime.combine(day, time.fromisoformat(window.until.replace("24:00", "00:00")))
        if ends <= begins:
            ends += DAY
        if begins <= wall < ends and DAYS[day.weekday()] in window.days and dated(window.dates, day):
            return True
    return False


def dated(range_: DateRange | None, day: date) -> bool:
    if range_ is None:
        return True
    if len(range_.start) == 10:
        return range_.start <= day.isoformat() <= range_.until
    first, last, today = ((int(t[-5:-3]), int(t[-2:])) for t in (range_.start, range_.until, day.isoformat()))
    return first <= today <= last if first <= last else not last < today < first


def is_open(schedule: Schedule, instant: datetime) -> bool:
    for hours in schedule.hours:
        if hours.windows and any(inside(w, instant) for w in hours.windows) != (hours.mode == "Allow"):
            return False
    return not any(m.start_time <= instant < m.end_time for m in schedule.maintenance)


def minutes(first: datetime, days: int) -> list[datetime]:
    return [first + n * MINUTE for n in range(days * 24 * 60)]


WINDOWS = [
    ("02:00", "03:00"),
    ("01:45", "02:15"),
    ("02:30", "24:00"),
    ("22:00", "06:00"),
    ("23:30", "00:15"),
    ("00:00", "01:00"),
    ("00:30", "24:00"),
    ("12:00", "00:00"),
]
CHANGES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("Africa/Cairo", "2026-04-24"),  # midnight does not exist
    ("Africa/Cairo", "2026-10-29"),  # midnight comes twice
    ("Australia/Lord_Howe", "2026-04-05"),  # by half an hour
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/New_York", "2026-11-01"),
    ("Asia/Kolkata", "2026-03-29"),  # never
    ("Pacific/Apia", "2011-12-30"),  # a day that does not exist
    ("Europe/Berlin", "2026-12-31"),
    ("Asia/Kolkata", "2027-12-31"),
    ("UTC", "2028-02-29"),
    ("America/New_York", "2027-02-28"),
]


@pytest.mark.parametrize(("zone", "day"), CHANGES)
@pytest.mark.parametrize("mode", ["Allow", "Deny"])
def test_every_minute_around_a_change(zone: str, day: str, mode: Any) -> None:
    first = datetime.fromisoformat(f"{day}T00:00:00+00:00") - DAY
    around = minutes(first, 3)
    for start, until in WINDOWS:
        for fields in ({}, {"days": ["Sun", "Fri"], "dates": dates("10-31", "04-05")}):
            schedule = Schedule([Hours([window(zone, start, until, **fields)], mode)])
            truth = [is_open(schedule, instant) for instant in around]
            assert [schedule.is_open(instant) for instant in around] == truth
            changes = [t for t, was, is_ in zip(around[1:], truth, truth[1:], strict=False) if was != is_]
            assert steps(schedule, around[0], around[-1]) == changes


def steps(schedule: Schedule, first: datetime, last: datetime) -> list[datetime]:
    """Every change in between, found by going from one to the next."""
    found: list[datetime] = []
    change = schedule.next_change(first)
    while change is not None and change <= last:
        found.append(change)
        change = schedule.next_change(change)
    return found


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Africa/Cairo", "Australia/Lord_Howe", "America/New_York"])
def test_all_of_2026(zone: str) -> None:
    schedule = Schedule([Hours([window(zone, "22:30", "02:20", days=["Sat", "Mon", "Thu"])], "Allow")])
    first = at("2026-01-01T00:00:00+00:00")
    instants = [first + n * 10 * MINUTE for n in range(365 * 24 * 6)]
    truth = [is_open(schedule, instant) for instant in instants]
    changes = [t for t, was, is_ in zip(instants[1:], truth, truth[1:], strict=False) if was != is_]
    assert steps(schedule, first, instants[-1]) == changes


ZONES = sorted({zone for zone, _ in CHANGES})
CLOCK = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59]))
DATE = st.builds("{:02}-{:02}".format, st.integers(1, 12), st.integers(1, 31))
DATES = st.builds(dates, DATE, DATE) | st.builds(
    lambda *days: dates(*sorted(f"2026-{day}" for day in days)), DATE, DATE
)


@st.composite
def windows(draw: st.DrawFn) -> WindowSpec:
    start = draw(CLOCK)
    until = draw((CLOCK | st.just("24:00")).filter(lambda text: text != start))
    days = draw(st.lists(st.sampled_from(DAYS), min_size=1, unique=True))
    return window(draw(st.sampled_from(ZONES)), start, until, days=days, dates=draw(st.none() | DATES))


HOURS = st.builds(Hours, st.lists(windows(), max_size=3), st.sampled_from(["Allow", "Deny"]))
NEAR = st.builds(
    lambda change, seconds: datetime.fromisoformat(f"{change[1]}T00:00:00+00:00") + timedelta(seconds=seconds),
    st.sampled_from(CHANGES),
    st.integers(-100_000, 200_000),
)
MAINTENANCE = st.builds(
    lambda start, length: MaintenanceSpec(
        start_time=start, end_time=start + timedelta(seconds=length), reason="repair"
    ),
    NEAR,
    st.integers(1, 200_000),
)
SCHEDULES = st.builds(Schedule, st.lists(HOURS, max_size=2), st.lists(MAINTENANCE, max_size=2))


@settings(max_examples=300, deadline=None)
@given(SCHEDULES, NEAR)
def test_it_is_open_when_the_wall_clock_says_so(schedule: Schedule, instant: datetime) -> None:
    assert schedule.is_open(instant) == is_open(schedule, instant)


@settings(max_examples=150, deadline=None)
@given(SCHEDULES, NEAR)
def test_the_next_opening_is_the_first_instant_that_is_open(schedule: Schedule, instant: datetime) -> None:
    opening = schedule.next_open(instant)
    last = instant + 2 * DAY
    if opening is not None:
        assert is_open(schedule, opening)
        assert opening == instant or not is_open(schedule, opening - timedelta(microseconds=1))
        last = min(last, opening - timedelta(microseconds=1))
    between = [instant + n * MINUTE for n in range(int((last - instant) / MINUTE) + 1)] if last >= instant else []
    assert not any(is_open(schedule, moment) for moment in between if moment <= last)


class TestInWords:
    """What the rules mean, case by case."""

    @pytest.mark.parametrize(
        ("instant", "expected"),
        [
            ("2026-03-29T00:59:00+00:00", False),  # 01:59
            ("2026-03-29T01:00:00+00:00", False),  # 03:00: two o'clock does not exist
            ("2026-10-25T00:30:00+00:00", True),  # 02:30 in summer
            ("2026-10-25T01:30:00+00:00", True),  # 02:30 in winter
            ("2026-10-25T02:00:00+00:00", False),  # 03:00
        ],
    )
    def test_an_hour_that_does_not_exist_is_never_and_one_that_comes_twice_is_twice(
        self, instant: str, expected: bool
    ) -> None:
        assert Schedule([Hours([window("Europe/Berlin", "02:00", "03:00")], "Allow")]).is_open(at(instant)) is expected

    def test_what_is_after_midnight_belongs_to_the_day_before(self) -> None:
        nights = window("Europe/Berlin", "22:00", "06:00", days=["Fri"])
        assert nights.covers(at("2026-01-31T05:59:59+01:00"))  # Saturday morning
        assert not nights.covers(at("2026-01-30T05:00:00+01:00"))

    def test_dates_may_span_the_new_year(self) -> None:
        holidays = window(dates=dates("12-24", "01-02"))
        assert [holidays.covers(at(f"{day}T12:00:00Z")) for day in ("2026-12-23", "2026-12-24", "2027-01-02")] == [
            False,
            True,
            True,
        ]
        assert not holidays.covers(at("2027-01-03T00:00:00Z"))

    def test_a_horizon_ends_the_search(self) -> None:
        once = Schedule([Hours([window(dates=dates("2030-01-01", "2030-01-31"))], "Allow")])
        assert once.next_open(at("2026-01-01T00:00:00Z")) is None
        assert once.next_open(at("2029-06-01T00:00:00Z")) == at("2030-01-01T00:00:00Z")
        assert once.next_open(at("2029-12-31T00:00:00Z"), timedelta(hours=23)) is None


EVER: list[tuple[Sequence[Hours], bool]] = [
    ([], True),
    ([Hours([window(dates=dates("02-29", "02-29"))], "Allow")], True),
    ([Hours([window(dates=dates("2020-01-01", "2020-01-02"))], "Allow")], True),  # it was once
    ([Hours([window(dates=dates("2023-01-01", "2026-06-30"))], "Deny")], True),  # it will be
    ([Hours([window(dates=dates("02-30", "02-30"))], "Allow")], False),
    ([Hours([window(dates=dates("2026-01-31", "2026-01-31"), days=["Mon"])], "Allow")], False),  # a Saturday
    ([Hours([window()], "Deny")], False),
    ([Hours([window(until="12:00"), window(start="12:00")], "Deny")], False),
    ([Hours([window("Europe/Berlin", "08:00", "18:00")], mode) for mode in ("Allow", "Deny")], False),
    # Nine to five in Berlin, and in Tokyo at night: eight hours apart, or seven.
    (
        [
            Hours([window("Europe/Berlin", "09:00", "15:00")], "Allow"),
            Hours([window("Asia/Tokyo", "00:00", "09:00")], "Allow"),
        ],
        False,
    ),
]


@pytest.mark.parametrize(("hours", "ever"), EVER)
def test_what_never_opens_is_known_without_a_clock(hours: Sequence[Hours], ever: bool) -> None:
    assert Schedule(hours).ever_opens() is ever


def test_a_maintenance_for_ever_never_opens() -> None:
    long = MaintenanceSpec(start_time=at("2000-01-01T00:00:00Z"), end_time=at("2998-12-31T00:00:00Z"), reason="sold")
    assert not Schedule([Hours([window(dates=dates("2030-01-01", "2030-12-31"))], "Allow")], [long]).ever_opens()
    assert Schedule([], [long]).ever_opens()
