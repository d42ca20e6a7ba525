"""How objects are printed: as JSON, as YAML, or for people."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.status import AttemptStatus, HybridJobStatus
from hybridjob.cli.options import Output
from hybridjob.contract.base import Model
from hybridjob.engine.pricing import display

_STATE_COLOURS = {"Succeeded": "green", "Failed": "red", "Cancelled": "yellow", "FallingBack": "yellow"}


def plain(model: Model) -> dict[str, Any]:
    """The object as it goes over the wire."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def print_objects(objects: Sequence[Model], output: Output) -> None:
    """Print one object as itself and several as a `List`, as kubectl does."""
    items = [plain(item) for item in objects]
    document = items[0] if len(items) == 1 else {"apiVersion": "v1", "kind": "List", "items": items}
    print_document(document, output)


def print_document(document: Any, output: Output) -> None:
    if output == "json":
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        import yaml

        yaml.dump(document, sys.stdout, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120)


def print_summary(job: HybridJob) -> None:
    """What a person wants to know of a job, in a few lines."""
    status = job.status or HybridJobStatus()
    head = f"{click.style(job.metadata.name, bold=True)}  {coloured(status.state)}"
    if status.route:
        head += f"  {status.route} on {status.backend}" if status.route == "Quantum" else f"  {status.route}"
    click.echo(head)
    for label, text in _summary_lines(status):
        click.echo(f"  {label:<10} {text}")


def _summary_lines(status: HybridJobStatus) -> list[tuple[str, str]]:
    lines = []
    if status.fallback:
        lines.append(("rollback", f"{status.fallback.reason}: {status.fallback.message}"))
    result = status.result
    if result:
        is_compared = status.route == "Quantum" and result.baseline is not None
        baseline = f", classical baseline {result.baseline:.6g}" if is_compared else ""
        feasible = "feasible" if result.feasible else "not feasible"
        lines.append(("objective", f"{result.objective:.6g} ({result.sense.lower()}{baseline}), {feasible}"))
        if result.solution:
            lines.append(("solution", shorten(result.solution, 80)))
    if status.message:
        lines.append(("reason" if status.reason else "how", status.message))
    if status.cost:
        unknown = f", and {status.cost.reserved:f} reserved" if status.cost.reserved else ""
        lines.append(("cost", display(status.cost.actual, status.cost.currency) + unknown))
    if status.latency and status.latency.total_seconds is not None:
        lines.append(("time", f"{status.latency.total_seconds:.1f} s, solvers {status.latency.run_seconds or 0:.1f} s"))
    return lines


def print_table(jobs: Sequence[HybridJob], now: datetime) -> None:
    """The columns of `kubectl get hj`."""
    head = ("NAMESPACE", "NAME", "STATE", "ROUTE", "BACKEND", "OBJECTIVE", "COST", "AGE")
    rows = [head, *(_row(job, now) for job in jobs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(job: HybridJob, now: datetime) -> tuple[str, ...]:
    status = job.status or HybridJobStatus()
    created = job.metadata.creation_timestamp
    return (
        job.metadata.namespace or "default",
        job.metadata.name,
        status.state,
        status.route or "",
        status.backend or "",
        f"{status.result.objective:.6g}" if status.result else "",
        display(status.cost.actual, status.cost.currency) if status.cost else "",
        age((now - created).total_seconds()) if created else "",
    )


def attempt_line(attempt: AttemptStatus) -> str:
    """One attempt for people."""
    parts = [f"{attempt.number}. {attempt.route} on {attempt.backend}: {attempt.state}"]
    if attempt.reason:
        parts.append(attempt.reason)
    if attempt.objective is not None:
        parts.append(f"objective {attempt.objective:.6g}")
    if attempt.run_seconds is not None:
        parts.append(f"{attempt.run_seconds:.1f} s")
    if attempt.end_time is not None and attempt.reserved is not None and attempt.cost is None:
        currency = attempt.rate_card.currency if attempt.rate_card is not None else None
        parts.append(f"cost unknown, at most {display(attempt.reserved, currency)}")
    if attempt.circuit_depth is not None:
        parts.append(f"{attempt.qubits} qubits, depth {attempt.circuit_depth}, {attempt.shots} shots")
    return ", ".join(parts) + (f"\n     {attempt.message}" if attempt.message else "")


def coloured(state: str) -> str:
    return click.style(state, fg=_STATE_COLOURS.get(state, "blue"))


def shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def age(seconds: float) -> str:
    """An age as kubectl prints it."""
    whole = max(0, int(seconds))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if whole >= 2 * size:
            return f"{whole // size}{unit}"
    return f"{whole}s"
