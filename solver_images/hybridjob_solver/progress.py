"""Progress on standard output, no more often than a reader can use."""

import time
from collections.abc import Callable

from hybridjob.contract.progress import Progress, report

OnProgress = Callable[[str, int, int, float], None]
"""Called with stage, iteration, iterations (0 where nobody knows) and the best objective so far, in the problem's own
units and sense."""

_SECONDS_BETWEEN = 0.1


class ThrottledProgress:
    """Reports at most ten lines a second; the first and the last of a stage always."""

    def __init__(self) -> None:
        self._stage = ""
        self._next = 0.0

    def __call__(self, stage: str, iteration: int, iterations: int, best: float) -> None:
        now = time.monotonic()
        if stage == self._stage and iteration != iterations and now < self._next:
            return
        self._stage, self._next = stage, now + _SECONDS_BETWEEN
        finite = best if abs(best) < float("inf") else None
        report(Progress(stage=stage, iteration=iteration, iterations=iterations or None, best_objective=finite))
