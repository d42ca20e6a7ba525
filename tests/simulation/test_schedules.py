"""The real operator under 2,000 random schedules, and under those that have once failed. `make simulate` runs more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulation.explorer import CHOICES, Report, random_choices
from tests.simulation.schedules import explore, minimise, play, script

SCHEDULES = 2000
_CHUNK = 100


@pytest.mark.parametrize("first", range(0, SCHEDULES, _CHUNK))
def test_every_invariant_holds_under_random_schedules(first: int) -> None:
    failed: list[int] = []

    def on_report(number: int, report: Report) -> bool:
        if report.violation:
            failed.append(number)
        return bool(report.violation)

    total = explore(range(first, first + _CHUNK), on_report)
    for number in failed:
        choices = list(random_choices(number))
        violation = play(number, choices).violation
        shortest = script(number, minimise(number, choices, violation))
        pytest.fail(f"{violation}\nreplay it: python -m tests.simulation replay '{shortest}'")
    assert total.faults, "nothing went wrong"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, CHOICES - 1), max_size=60))
def test_every_invariant_holds_under_the_schedules_of_hypothesis(number: int, choices: list[int]) -> None:
    report = play(number, choices)
    assert not report.violation, f"{report.violation}\npython -m tests.simulation replay '{script(number, choices)}'"


def test_a_schedule_is_played_the_same_way_every_time() -> None:
    number = 11
    choices = list(random_choices(number))
    first, second = (play(number, choices, trace=True) for _ in range(2))
    assert first.trace == second.trace
    assert first.trace
