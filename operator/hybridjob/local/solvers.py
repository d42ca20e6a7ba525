"""Solver processes: started in a group of their own, watched, and ended as a group."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from hybridjob.contract.exit_codes import ExitCode
from hybridjob.contract.files import write_atomically
from hybridjob.contract.progress import Progress, parse_line
from hybridjob.contract.task import Task
from hybridjob.engine.facts import AttemptFacts
from hybridjob.local import sandbox
from hybridjob.local.results import VERDICT_NAME, AttemptResult, read_result

if TYPE_CHECKING:  # SQLite is not needed to know how a solver is called
    from hybridjob.local.store import AttemptRow, Store

TASK_NAME = "task.json"
LOG_NAME = "solver.log"

_MEMORY_CODES = (ExitCode.OUT_OF_MEMORY, -signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV)
"""Ends that a memory limit can cause: libraries that cannot allocate abort, or worse."""
_MAX_LINE_BYTES = 2**20

Attempt = tuple[str, int]
"""Job uid and attempt number."""


class Solvers:
    """The solver processes of one runner, at most `slots` of them at once."""

    def __init__(
        self,
        store: "Store",
        slots: int,
        clock: Callable[[], datetime],
        on_change: Callable[[str], None],
        on_progress: Callable[[str, Progress], None],
    ) -> None:
        self._store, self._clock = store, clock
        self._on_change, self._on_progress = on_change, on_progress
        self._slots = asyncio.Semaphore(slots)
        self._supervisors: dict[Attempt, asyncio.Task[None]] = {}
        self._processes: dict[Attempt, Process] = {}
        self._results: dict[Attempt, AttemptResult] = {}

    def start(self, attempt: Attempt, task: Task, memory_bytes: int) -> None:
        """Start an attempt as soon as there is a place. Starting it again changes nothing."""
        if attempt in self._supervisors:
            return
        directory = self._directory(attempt)
        rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        write_atomically(directory / TASK_NAME, task.model_dump_json(by_alias=True, exclude_none=True).encode())
        self._store.create_attempt(*attempt)
        self._supervisors[attempt] = asyncio.create_task(self._supervise(attempt, directory, memory_bytes))

    def cancel(self, attempt: Attempt) -> None:
        """End an attempt, with all processes of its group. Its end becomes a fact later."""
        process = self._processes.get(attempt)
        if process is not None:
            _kill_group(process.pid)
        elif attempt in self._supervisors:
            self._supervisors[attempt].cancel()

    async def stop(self) -> None:
        """End every process and record nothing, as if this process had been killed: resume picks the jobs up."""
        for supervisor in self._supervisors.values():
            supervisor.cancel("stop")
        await asyncio.gather(*self._supervisors.values(), return_exceptions=True)

    def facts(self, uid: str) -> dict[int, AttemptFacts]:
        """What is known of the job's attempts."""
        return {row.number: self._facts((uid, row.number), row) for row in self._store.attempts(uid)}

    def _facts(self, attempt: Attempt, row: "AttemptRow") -> AttemptFacts:
        if row.end_time is None:
            return AttemptFacts(start_time=row.start_time)
        if attempt not in self._results:
            self._results[attempt] = read_result(self._directory(attempt), *attempt)
        result = self._results[attempt]
        return AttemptFacts(
            start_time=row.start_time,
            end_time=row.end_time,
            exit_code=row.exit_code,
            verdict=result.verdict,
            verdict_error=result.error,
            detail=row.detail,
            reference=result.reference,
            top=result.top,
        )

    def recover(self, uid: str) -> None:
        """Make the facts of a job true again whose runner died: end what is left of its solvers, keep what they
        finished, and forget what they did not."""
        for row in self._store.attempts(uid):
            if row.end_time is not None:
                continue
            if row.pid is not None and row.pid_start is not None and process_start(row.pid) == row.pid_start:
                _kill_group(row.pid)
            directory = self._directory((uid, row.number))
            result = read_result(directory, uid, row.number)
            if result.verdict is None:
                self._store.forget_attempt(uid, row.number)
            else:
                end_time = datetime.fromtimestamp((directory / VERDICT_NAME).stat().st_mtime, UTC)
                self._store.end_attempt(uid, row.number, result.verdict.exit_code, None, end_time)

    def _directory(self, attempt: Attempt) -> Path:
        return self._store.attempt_directory(*attempt)

    async def _supervise(self, attempt: Attempt, directory: Path, memory_bytes: int) -> None:
        try:
            async with self._slots:
                exit_code, detail = await self._run(attempt, directory, memory_bytes)
        except asyncio.CancelledError as cancelled:
            if cancelled.args == ("stop",):
                raise
            exit_code, detail = None, None  # cancelled while it waited
        self._store.end_attempt(*attempt, exit_code, detail, self._clock())
        self._on_change(attempt[0])

    async def _run(self, attempt: Attempt, directory: Path, memory_bytes: int) -> tuple[int | None, str | None]:
        log_path = directory / LOG_NAME
        try:
            with log_path.open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    *_sandboxed(solver_command(directory), memory_bytes),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=PIPE,
                    stderr=log,
                    start_new_session=True,
                    env=_environment(),
                    limit=_MAX_LINE_BYTES,
                )
        except OSError as error:
            return ExitCode.INTERNAL_ERROR, f"the solver process could not be started: {error}"
        self._processes[attempt] = process
        try:
            self._store.start_attempt(*attempt, process.pid, process_start(process.pid), self._clock())
            self._on_change(attempt[0])
            await self._read_progress(attempt, process)
            exit_code = await process.wait()
        finally:
            _kill_group(process.pid)  # whatever it left behind
            await process.wait()  # also when cancelled: its end must not find the event loop closed
            del self._processes[attempt]
        return exit_code, _detail(exit_code, memory_bytes, log_path)

    async def _read_progress(self, attempt: Attempt, process: Process) -> None:
        assert process.stdout is not None  # noqa: S101 — it was asked for
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                continue  # longer than any progress line
            if not line:
                return
            progress = parse_line(line.decode(errors="replace"))
            if progress is not None:
                self._on_progress(attempt[0], progress)


def process_start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when there is none, or no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[19])


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def solver_command(directory: Path) -> list[str]:
    """The solver on the task in this directory. `-P`: a module in the user's folder must not shadow a library's."""
    solver = [sys.executable, "-P", "-m", "hybridjob_solver"]
    return [*solver, "--task", str(directory / TASK_NAME), "--result", str(directory / VERDICT_NAME)]


def _sandboxed(command: list[str], memory_bytes: int) -> list[str]:
    limits = [str(memory_bytes), str(os.getpid())]
    return [sys.executable, "-S", "-E", "-P", str(sandbox.__file__), *limits, *command]


def _environment() -> dict[str, str]:
    """One thread each: several solvers share the cores, and a memory limit should not depend on their number."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **threads}


def _detail(exit_code: int, memory_bytes: int, log_path: Path) -> str | None:
    if exit_code == ExitCode.SOLVED:
        return None
    parts = []
    if exit_code in _MEMORY_CODES:
        parts.append(f"memory limit {memory_bytes // 2**20}Mi")
    if exit_code < 0:
        parts += [f"its log ends with {line!r}" for line in _last_line(log_path)]
    return "; ".join(parts) or None


def _last_line(path: Path) -> list[str]:
    """The last line of the log that is not empty, if there is one."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    return [line[:200] for line in lines if line][-1:]
