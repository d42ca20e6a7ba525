"""Schedules as text, many of them in a row, and the smallest that still fails."""

import gc
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from tests.simulation.explorer import Explorer, Report, random_choices

_COLLECT_EVERY = 25


def play(number: int, choices: Iterable[int], trace: bool = False) -> Report:
    """Play one schedule."""
    logging.disable(logging.CRITICAL)
    try:
        return Explorer(number, trace).play(choices)
    finally:
        logging.disable(logging.NOTSET)


def explore(numbers: Iterable[int], on_report: Callable[[int, Report], bool]) -> Report:
    """Play the random schedules of these numbers, until `on_report` says stop."""
    total = Report(schedules=0)
    gc.disable()  # it would look at every live schedule again and again
    gc.freeze()  # and at every module
    try:
        for count, number in enumerate(numbers):
            report = play(number, random_choices(number))
            total.add(report)
            if on_report(number, report):
                break
            if count % _COLLECT_EVERY == 0:
                gc.collect()
    finally:
        gc.unfreeze()
        gc.enable()
    return total


def script(number: int, choices: Sequence[int]) -> str:
    """A schedule as short text: `1234:0x12,345678` is scenario 1234, twelve zeros and one other choice."""
    runs = ((choice, len(list(run))) for choice, run in groupby(choices))
    return f"{number}:{','.join(f'{choice}x{count}' if count > 1 else str(choice) for choice, count in runs)}"


def read_script(text: str) -> tuple[int, list[int]]:
    number, _, rest = text.partition(":")
    choices: list[int] = []
    for part in filter(None, rest.split(",")):
        choice, _, count = part.partition("x")
        choices += [int(choice)] * int(count or 1)
    return int(number), choices


def sort_of(violation: str) -> str:
    """The same for violations that differ in names and numbers only."""
    return " ".join(re.sub(r"0000\w+-[-0-9]*|\d\d+", "#", violation).split()[:12])


def minimise(number: int, choices: Sequence[int], violation: str, tries: int = 400) -> list[int]:
    """Drop choices, and put zero for others, as long as the same invariant is violated."""
    best = list(choices)
    kind = sort_of(violation)

    def fails(candidate: list[int]) -> bool:
        nonlocal tries
        tries -= 1
        return tries >= 0 and sort_of(play(number, candidate).violation) == kind

    size = max(1, len(best) // 2)
    while size:
        start = 0
        while start < len(best):
            candidate = best[:start] + best[start + size :]
            if fails(candidate):
                best = candidate
            else:
                start += size
        size //= 2
    for index, choice in enumerate(best):
        if choice:
            candidate = [*best[:index], 0, *best[index + 1 :]]
            if fails(candidate):
                best = candidate
    return best
