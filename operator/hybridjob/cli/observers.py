"""What `run` and `resume` show while jobs run: a live table on a terminal, quiet lines when piped. All of it goes to
standard error; standard output is for the final objects."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import click

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.status import HybridJobStatus
from hybridjob.contract.progress import Progress
from hybridjob.engine.pricing import display

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table


class Lines:
    """One line for each change of state or cause."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, str]] = {}

    def status_changed(self, job: HybridJob) -> None:
        status = job.status or HybridJobStatus()
        uid = job.metadata.uid or ""
        if self._last.get(uid) != (status.state, status.message):
            self._last[uid] = (status.state, status.message)
            click.echo(f"{job.metadata.name}: {status.state}: {status.message}", err=True)

    def progressed(self, uid: str, progress: Progress) -> None:
        """Nothing: a log file has no use for every iteration."""


class LiveTable:
    """A table that is redrawn as the jobs proceed."""

    def __init__(self, jobs: Sequence[HybridJob], live: "Live") -> None:
        self._jobs = {job.metadata.uid or "": job for job in jobs}
        self._progress: dict[str, Progress] = {}
        self._live = live

    def status_changed(self, job: HybridJob) -> None:
        self._jobs[job.metadata.uid or ""] = job
        self._live.update(self._table())

    def progressed(self, uid: str, progress: Progress) -> None:
        self._progress[uid] = progress
        self._live.update(self._table())

    def _table(self) -> "Table":
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("JOB", "STATE", "ROUTE", "BACKEND", "ITERATION", "BEST", "COST", "MESSAGE"):
            table.add_column(column, overflow="ellipsis", no_wrap=True, ratio=1 if column == "MESSAGE" else None)
        for uid, job in self._jobs.items():
            status = job.status or HybridJobStatus()
            progress = self._progress.get(uid)
            best = progress.best_objective if progress else None
            if status.result:
                best = status.result.objective
            table.add_row(
                job.metadata.name,
                status.state,
                status.route or "",
                status.backend or "",
                _iteration(progress),
                "" if best is None else f"{best:.6g}",
                display(status.cost.actual + status.cost.reserved, status.cost.currency) if status.cost else "",
                status.message,
            )
        return table


Observer = Lines | LiveTable
"""Who is told how the jobs are doing."""


def _iteration(progress: Progress | None) -> str:
    if progress is None or progress.iteration is None:
        return progress.stage if progress else ""
    of = f"/{progress.iterations}" if progress.iterations else ""
    return f"{progress.stage} {progress.iteration}{of}"


def observer_for(jobs: Sequence[HybridJob]) -> tuple[Observer, AbstractContextManager[object]]:
    """The observer that fits standard error, and the context in which it works."""
    if not sys.stderr.isatty():
        return Lines(), nullcontext()
    from rich.console import Console
    from rich.live import Live

    live = Live(console=Console(stderr=True), refresh_per_second=8)
    return LiveTable(jobs, live), live
