"""`hybridjob explain`: the decision without the run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hybridjob.api.common import format_timestamp
from hybridjob.api.manifests import ManifestError
from hybridjob.api.status import DecisionStatus, OptionStatus
from hybridjob.cli.options import BadInputError, Output, files_argument, output_option, policy_option, state_option
from hybridjob.cli.output import plain, print_document
from hybridjob.cli.policy_lines import budget_line, state_lines
from hybridjob.engine.forecast import Forecast
from hybridjob.engine.pricing import display
from hybridjob.local.forecasts import forecasts
from hybridjob.local.runner import utc_now
from hybridjob.local.submission import read_jobs


@click.command()
@files_argument
@policy_option
@state_option
@output_option
def explain(files: tuple[Path, ...], policy_file: Path | None, state: Path, output: Output) -> None:
    """Say what would become of each job if all were run now: whether it starts, waits, is held, falls back or fails;
    what each option is estimated to cost, and what rules it out; and every limit that it meets, with the ledger of
    the state directory.

    Nothing is started and no money is set aside. Exit status: 0, or 2 for bad input.
    """
    now = utc_now()
    try:
        jobs = read_jobs(files, policy_file, now)
    except ManifestError as error:
        raise BadInputError(str(error)) from error
    found = forecasts(jobs, state, now)
    if output == "human":
        for forecast in found:
            _print(forecast)
    else:
        documents = [_document(forecast) for forecast in found]
        print_document(documents[0] if len(documents) == 1 else documents, output)


def _document(forecast: Forecast) -> dict[str, Any]:
    job, status = forecast.job, forecast.status
    told: dict[str, Any] = {"action": forecast.action, "message": forecast.message}
    if status.reason is not None:
        told["reason"] = status.reason
    if forecast.until is not None:
        told["untilTime"] = format_timestamp(forecast.until)
    if forecast.hedge is not None:
        told["hedgeTime"] = format_timestamp(forecast.hedge)
    return {
        "name": job.metadata.name,
        "namespace": job.metadata.namespace,
        "policy": status.policy,
        "forecast": told,
        "decision": plain(status.decision or DecisionStatus()),
        "budgets": [plain(budget) for budget in forecast.budgets],
        "quotas": [{"name": use.name, "used": use.used, "limit": use.limit} for use in forecast.quotas],
        "backends": [plain(backend) for backend in forecast.backends],
    }


def _print(forecast: Forecast) -> None:
    job, decision = forecast.job, forecast.status.decision or DecisionStatus()
    click.echo(f"{click.style(job.metadata.name, bold=True)}  under policy {forecast.status.policy}")
    if decision.chosen is not None:
        _print_option("->", decision.chosen)
    for option in decision.rejected:
        _print_option("  ", option)
    for label, line in _limits(forecast):
        click.echo(f"     {label:<9} {line}")


def _limits(forecast: Forecast) -> Iterator[tuple[str, str]]:
    yield "now", forecast.message
    if forecast.hedge is not None:
        yield "hedge", f"the classical solver starts beside it at {format_timestamp(forecast.hedge)}, at the latest"
    limits = forecast.job.spec.limits
    if limits.max_cost is not None:
        yield "maxCost", display(limits.max_cost, limits.currency)
    for budget in forecast.budgets:
        yield "budget", budget_line(budget)
    for use in forecast.quotas:
        yield "quota", f"{use.name}: {use.used} of {use.limit}"
    for backend in forecast.backends:
        for line in state_lines(backend):
            yield "backend", f"{backend.name:<12} {line}"


def _print_option(mark: str, option: OptionStatus) -> None:
    expected, most = option.estimated_cost, option.maximum_cost
    estimate = "" if most is None else display(most, option.currency)
    if expected is not None and expected != most:
        estimate = f"{expected:f}, at most {estimate}"
    click.echo(f"  {mark} {option.route:<9} {option.backend:<12} {estimate:>12}  {option.reason}: {option.message}")
