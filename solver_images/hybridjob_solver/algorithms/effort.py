"""How much work an algorithm may put into an answer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """A budget of time.

    Heuristics turn their nominal seconds into a number of reads by a speed that was measured once, never by a clock:
    the same seed gives the same answer everywhere. HiGHS alone stops by the clock, and never where it may take as long
    as a proof needs.
    """

    heuristic_seconds: float
    exact_seconds: float | None

    def reads(self, seconds_per_read: float, least: int, most: int) -> int:
        """How many reads the budget pays for, within limits."""
        return max(least, min(most, int(self.heuristic_seconds / seconds_per_read)))


ANSWER = Effort(heuristic_seconds=5, exact_seconds=60)
PROOF = Effort(heuristic_seconds=5, exact_seconds=None)
BASELINE = Effort(heuristic_seconds=1, exact_seconds=5)
