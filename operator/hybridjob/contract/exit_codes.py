"""The closed list of exit codes of a solver process.

The numbers follow BSD `sysexits.h`, so that they collide neither with a shell's (126-128, 128 + signal) nor with
Python's own 1 for an uncaught exception.
"""

from enum import Enum, IntEnum


class ExitCode(IntEnum):
    """How a solver process ended, when it ended by itself."""

    SOLVED = 0
    USAGE = 64
    """The command line was wrong."""
    INVALID_TASK = 65
    """Nobody can solve this task: malformed data, unreadable circuit, infeasible by construction."""
    INPUT_UNREADABLE = 66
    """The problem's data could not be read (missing file, unreachable URI)."""
    BACKEND_UNAVAILABLE = 69
    """This backend cannot run this task: too many qubits, SDK not installed, gate set, provider down."""
    INTERNAL_ERROR = 70
    """The solver failed in a way that it did not foresee; its log has the traceback."""
    OUT_OF_MEMORY = 71
    """An allocation failed under the memory limit."""
    RESULT_UNWRITABLE = 73
    """The result could not be written."""


class Disposition(Enum):
    """What the engine may do about an attempt that ended in this way."""

    DONE = "Done"
    RETRY = "Retry"
    """The same attempt may succeed when repeated."""
    FALL_BACK = "FallBack"
    """Repeating cannot help on this backend; another route may."""
    REJECT = "Reject"
    """No route can help: the task itself is wrong."""


_DISPOSITIONS = {
    ExitCode.SOLVED: Disposition.DONE,
    ExitCode.USAGE: Disposition.FALL_BACK,
    ExitCode.INVALID_TASK: Disposition.REJECT,
    ExitCode.INPUT_UNREADABLE: Disposition.RETRY,
    ExitCode.BACKEND_UNAVAILABLE: Disposition.FALL_BACK,
    ExitCode.INTERNAL_ERROR: Disposition.RETRY,
    ExitCode.OUT_OF_MEMORY: Disposition.FALL_BACK,
    ExitCode.RESULT_UNWRITABLE: Disposition.RETRY,
}


def disposition(exit_code: int) -> Disposition:
    """The disposition of any process exit code; unknown codes and signals (negative) count as a crash: retry."""
    try:
        return _DISPOSITIONS[ExitCode(exit_code)]
    except ValueError:
        return Disposition.RETRY
