"""One task in, one verdict and its payload out; the exit code says what kind of end it was.

Nothing heavy is imported before the task is read: what it needs is imported where it is used.
"""

import argparse
import json
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from hybridjob.contract.exit_codes import ExitCode
from hybridjob.contract.task import Task
from hybridjob.contract.verdict import MAX_MESSAGE_LENGTH, Payload, Verdict
from hybridjob_solver.failures import BackendFailedError, InputUnreadableError, InvalidTaskError, SolverError
from hybridjob_solver.inputs import MAX_BYTES, read_bounded
from hybridjob_solver.progress import ThrottledProgress
from hybridjob_solver.results import clip, write_result
from hybridjob_solver.sentences import sentences

MAX_UID_LENGTH = 253

_LIBRARIES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "dwave.samplers": "dwave-samplers",
    "highspy": "highspy",
    "openqasm3": "openqasm3",
    "fsspec": "fsspec",
    "qiskit": "qiskit",
    "qiskit_aer": "qiskit-aer",
    "qiskit_ibm_runtime": "qiskit-ibm-runtime",
    "cirq": "cirq-core",
}
"""Modules whose versions are told where they took part, and their distributions."""

_ALLOCATION_FAILURES = (
    "insufficient memory",  # Aer
    "std::bad_alloc",
    "unable to allocate",
    "pyobject pointer is null",  # a panic in pydantic's core
    "failed to map segment",  # the loader of shared libraries
)
"""What libraries say in errors of their own when an allocation failed."""


def main(argv: list[str]) -> int:
    """Run the command line. Returns an `ExitCode`; everything but a wrong command line leaves a verdict.

    `--check` is the exception: where nothing is wrong it writes nothing and prints nothing.
    """
    try:
        arguments = _parser().parse_args(argv)
    except _UsageError as error:
        print(error, file=sys.stderr)
        return ExitCode.USAGE
    ended = _attempt(arguments.task, arguments.check)
    if ended is None:
        return ExitCode.SOLVED
    verdict, payload = ended
    try:
        write_result(arguments.result, verdict, payload, arguments.termination_log)
    except OSError as error:
        print(f"The result {arguments.result} cannot be written: {error.strerror}", file=sys.stderr)
        return ExitCode.RESULT_UNWRITABLE
    return verdict.exit_code


def _attempt(path: Path, only_check: bool) -> tuple[Verdict, Payload | None] | None:
    """What becomes of the task; None where it was only checked and nothing is wrong."""
    content = b""
    task: Task | None = None
    try:
        content = _read_task(path)
        task = _parse_task(content)
        if not only_check:
            return _solve(task)
        _check(task)
        return None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is no Exception, and out of memory causes some
        code, message = _failure(error)
        backend_failed = isinstance(error, BackendFailedError | ModuleNotFoundError) and code != ExitCode.OUT_OF_MEMORY
    # After the handler, which keeps the failed attempt's arrays alive: out of memory is told in freed memory.
    uid, attempt = _identity(content) if task is None else (task.job_uid, task.attempt)
    verdict = Verdict(
        job_uid=uid,
        attempt=attempt,
        exit_code=code,
        message=clip(message, MAX_MESSAGE_LENGTH),
        backend_failed=backend_failed,
    )
    return verdict, None


class _UsageError(Exception):
    """The command line is wrong."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{self.format_usage()}{self.prog}: {message}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m hybridjob_solver", description="Solve one task.", allow_abbrev=False)
    parser.add_argument("--task", type=Path, required=True, metavar="FILE", help="the task, a JSON file")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="where the verdict goes")
    parser.add_argument(
        "--termination-log",
        type=Path,
        metavar="FILE",
        help="in a container: write the verdict there, too, and print the payload",
    )
    parser.add_argument("--check", action="store_true", help="only say what is wrong with the task")
    return parser


def _read_task(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = read_bounded(file)
    except OSError as error:
        raise InputUnreadableError(
            f"The task {path} cannot be read: {error.strerror}; it must be a readable file."
        ) from error
    if len(content) > MAX_BYTES:
        raise InvalidTaskError(f"The task {path} is larger than {MAX_BYTES // 2**20} MiB: it must be smaller.")
    return content


def _identity(content: bytes) -> tuple[str, int]:
    """Whose task it is, even where it is malformed: the verdict says so to a reader that checks."""
    try:
        document = json.loads(content)
        uid, attempt = document["jobUid"], document["attempt"]
    except (ValueError, KeyError, TypeError, RecursionError, MemoryError):
        return "", 0
    return clip(str(uid), MAX_UID_LENGTH), attempt if isinstance(attempt, int) else 0


def _parse_task(content: bytes) -> Task:
    try:
        task = Task.model_validate_json(content)
    except ValidationError as error:
        raise InvalidTaskError(f"The task is malformed: {sentences(error)}.") from error
    if len(task.job_uid) > MAX_UID_LENGTH:
        raise InvalidTaskError(f"jobUid has {len(task.job_uid)} characters: it must have at most {MAX_UID_LENGTH}.")
    return task


def _check(task: Task) -> None:
    from hybridjob_solver import solve

    solve.check(task)


def _solve(task: Task) -> tuple[Verdict, Payload]:
    from hybridjob_solver import solve

    outcome = solve.solve(task, ThrottledProgress())
    payload = Payload(job_uid=task.job_uid, attempt=task.attempt, versions=_versions(), **outcome.payload_fields)
    verdict = Verdict(
        job_uid=task.job_uid,
        attempt=task.attempt,
        exit_code=ExitCode.SOLVED,
        message=clip(outcome.message, MAX_MESSAGE_LENGTH),
        algorithm=outcome.algorithm,
        answer=outcome.answer,
        usage=outcome.usage,
        qubits=outcome.qubits,
        circuit_depth=outcome.circuit_depth,
    )
    return verdict, payload


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for module, name in _LIBRARIES.items() if module in sys.modules}


def _failure(error: BaseException) -> tuple[ExitCode, str]:
    """The exit code and message of a failed attempt. Unforeseen ones leave their traceback in the log."""
    text = str(error)
    if isinstance(error, MemoryError) or any(sign in text.lower() for sign in _ALLOCATION_FAILURES):
        code, message = ExitCode.OUT_OF_MEMORY, "The solver ran out of memory: the limit must be raised"
        if text:
            message += f" ({text})"
    elif isinstance(error, SolverError):
        code, message = error.exit_code, text
    elif isinstance(error, ModuleNotFoundError):
        code = ExitCode.BACKEND_UNAVAILABLE
        message = f"{error.name} is not installed: the task must go to an image that has it"
    else:
        traceback.print_exception(error)
        code = ExitCode.INTERNAL_ERROR
        message = f"The solver failed unforeseen, its log has the traceback: {type(error).__name__}: {text}"
    message = message if message.endswith(".") else f"{message}."
    print(message, file=sys.stderr)
    return code, message
