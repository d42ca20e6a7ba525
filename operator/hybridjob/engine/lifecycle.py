"""The states of a job and the legal transitions between them: one table, from which docs/ draws the diagram."""

from collections.abc import Mapping
from typing import get_args

from hybridjob.api.status import State

TRANSITIONS: Mapping[State, frozenset[State]] = {
    "Pending": frozenset({"Held", "Running", "FallingBack", "Succeeded", "Failed", "Cancelled"}),
    "Held": frozenset({"Pending", "Running", "FallingBack", "Succeeded", "Failed", "Cancelled"}),
    "Running": frozenset({"Held", "FallingBack", "Succeeded", "Failed", "Cancelled"}),
    "FallingBack": frozenset({"Held", "Running", "Succeeded", "Failed", "Cancelled"}),
    "Succeeded": frozenset(),
    "Failed": frozenset(),
    "Cancelled": frozenset(),
}

MEANINGS: Mapping[State, str] = {
    "Pending": "accepted; its first solver has not started",
    "Held": "suspended, or waits for a budget, a window, a quota or a queue; the message says for what",
    "Running": "a solver runs, or the next attempt is about to",
    "FallingBack": "the quantum route was given up; the classical solver has not started",
    "Succeeded": "an accepted answer is in the status",
    "Failed": "no accepted answer; the reason says why",
    "Cancelled": "cancelled on request",
}

TERMINAL: frozenset[State] = frozenset(state for state in get_args(State) if not TRANSITIONS[state])

OPEN = ("Pending", "Running", "Cancelling")
"""The states of an attempt that has not ended."""


def is_legal(old: State, new: State) -> bool:
    """Whether a status write may change the state from `old` to `new`."""
    return old == new or new in TRANSITIONS[old]
