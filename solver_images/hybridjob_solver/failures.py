"""The failures that a solver foresees: each ends the process with its exit code and one sentence for people."""

from hybridjob.contract.exit_codes import ExitCode


class SolverError(Exception):
    """Ends the solver with `exit_code`; the message says what is wrong and what must hold."""

    exit_code = ExitCode.INTERNAL_ERROR


class InvalidTaskError(SolverError):
    """Nobody can solve this: the task or its data is wrong."""

    exit_code = ExitCode.INVALID_TASK


class InputUnreadableError(SolverError):
    exit_code = ExitCode.INPUT_UNREADABLE


class BackendUnavailableError(SolverError):
    """This backend cannot run this task; another, or a classical solver, may."""

    exit_code = ExitCode.BACKEND_UNAVAILABLE


class BackendFailedError(BackendUnavailableError):
    """This backend can run nothing now, whatever the task."""
