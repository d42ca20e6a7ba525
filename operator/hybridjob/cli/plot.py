"""Draws a result: how the solver converged, and the distribution of its samples against the baseline."""

from pathlib import Path
from typing import TYPE_CHECKING

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.status import ResultStatus
from hybridjob.contract.verdict import Payload

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FORMATS = (".png", ".svg")
_QUANTUM, _BASELINE, _BEST = "#3b6fb6", "#c44e52", "#2a9d54"


class PlotError(Exception):
    """The plot cannot be drawn; the message says what must hold."""


def plot_result(job: HybridJob, payload: Payload, path: Path) -> None:
    """Draw the result of a job into a PNG or SVG file. Raises PlotError."""
    if path.suffix.lower() not in _FORMATS:
        raise PlotError(f"{path}: the name must end in .png or .svg")
    result = job.status.result if job.status else None
    if result is None:
        raise PlotError(f"job {job.metadata.name} has no result to draw")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PlotError("matplotlib is not installed: pip install 'hybridjob[all]'") from error

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_convergence(left, payload, result)
    _draw_samples(right, payload, result)
    backend = f" on {job.status.backend}" if job.status else ""
    figure.suptitle(f"{job.metadata.name}: {result.algorithm or 'result'}{backend}, objective {result.objective:.6g}")
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise PlotError(f"{path} cannot be written: {error.strerror}") from error


def _draw_convergence(axes: "Axes", payload: Payload, result: ResultStatus) -> None:
    axes.set(title="Convergence", xlabel="iteration", ylabel="objective")
    if not payload.convergence:
        axes.text(0.5, 0.5, "solved in one step", ha="center", va="center", transform=axes.transAxes)
        return
    iterations = [point.iteration for point in payload.convergence]
    axes.plot(iterations, [p.objective for p in payload.convergence], ".-", color=_QUANTUM, label="this iteration")
    axes.plot(iterations, [p.best for p in payload.convergence], "-", color=_BEST, label="best so far")
    if result.baseline is not None:
        axes.axhline(result.baseline, color=_BASELINE, linestyle="--", label="classical baseline")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)


def _draw_samples(axes: "Axes", payload: Payload, result: ResultStatus) -> None:
    axes.set(title="Samples", xlabel="objective", ylabel="share of samples")
    total = sum(sample.count for sample in payload.samples)
    if not total:
        axes.text(0.5, 0.5, "no samples", ha="center", va="center", transform=axes.transAxes)
        return
    for feasible, colour, label in ((True, _QUANTUM, "feasible"), (False, "#b0b7c3", "infeasible")):
        chosen = [sample for sample in payload.samples if sample.feasible is feasible]
        if chosen:
            axes.hist(
                [sample.objective for sample in chosen],
                weights=[sample.count / total for sample in chosen],
                bins=40,
                color=colour,
                alpha=0.8,
                label=label,
            )
    axes.axvline(result.objective, color=_BEST, label="answer")
    if result.baseline is not None:  # dashed and last, so that both show where they are the same
        axes.axvline(result.baseline, color=_BASELINE, linestyle="--", label="classical baseline")
    axes.legend(frameon=False)
