"""The lines that a solver prints on standard output while it works.

One JSON object per line. A reader ignores what it does not understand: libraries print on standard output, too.
"""

import sys
from typing import Literal

from pydantic import ValidationError

from hybridjob.contract.base import Model


class Progress(Model):
    """How far a solver is.

    `best_objective` is in the problem's own units and sense.
    """

    kind: Literal["hybridjob.dev/progress"] = "hybridjob.dev/progress"
    stage: str
    iteration: int | None = None
    iterations: int | None = None
    best_objective: float | None = None


def report(progress: Progress) -> None:
    """Print one progress line. A reader that has gone away must not fail the solver."""
    try:
        sys.stdout.write(progress.model_dump_json(by_alias=True, exclude_none=True) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        pass


def parse_line(line: str) -> Progress | None:
    """The progress that a line of standard output holds, or None."""
    if not line.startswith("{"):
        return None
    try:
        return Progress.model_validate_json(line)
    except ValidationError:
        return None
