"""`hybridjob get`, `describe` and `result`: what the state directory knows of jobs."""

from pathlib import Path

import click

from hybridjob.api.common import format_timestamp
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.status import HybridJobStatus, ResultStatus
from hybridjob.cli.options import (
    BadInputError,
    NotFoundError,
    Output,
    namespace_option,
    output_option,
    state_option,
)
from hybridjob.cli.output import attempt_line, plain, print_document, print_objects, print_summary, print_table
from hybridjob.cli.payload import PayloadError, chosen_variables, read_payload
from hybridjob.engine.pricing import display
from hybridjob.local.runner import utc_now
from hybridjob.local.store import Store


@click.command()
@click.argument("name", required=False)
@namespace_option
@state_option
@output_option
def get(name: str | None, namespace: str, state: Path, output: Output) -> None:
    """List the jobs, or show the newest one of a name."""
    store = Store(state)
    found = store.all() if name is None else [store.find(name, namespace)]
    jobs = [stored.job for stored in found]
    if output == "human":
        print_table(jobs, utc_now())
    elif name is not None:
        print_objects(jobs, output)
    else:
        print_document({"apiVersion": "v1", "kind": "List", "items": [plain(job) for job in jobs]}, output)


@click.command()
@click.argument("name")
@namespace_option
@state_option
def describe(name: str, namespace: str, state: Path) -> None:
    """Everything about a job: why this route, each attempt, each transition, the money."""
    store = Store(state)
    stored = store.find(name, namespace)
    status = stored.job.status or HybridJobStatus()
    print_summary(stored.job)
    click.echo(f"\nUID      {stored.uid}\nPolicy   {stored.policy.metadata.name}")
    _print_decision(status)
    if status.attempts:
        click.echo("\nAttempts")
        for attempt in status.attempts:
            click.echo(f"  {attempt_line(attempt)}")
    if status.cost:
        cost = status.cost
        click.echo(
            f"\nCost     estimated {display(cost.estimated, cost.currency)}, "
            f"reserved {display(cost.reserved, cost.currency)}, charged {display(cost.actual, cost.currency)}"
        )
    click.echo("\nConditions")
    for condition in status.conditions:
        click.echo(f"  {condition.type:<15} {condition.status:<8} {condition.reason:<20} {condition.message}")
    click.echo("\nTransitions")
    for transition in store.transitions(stored.uid):
        click.echo(f"  {format_timestamp(transition.time)}  {transition.state:<12} {transition.message}")


def _print_decision(status: HybridJobStatus) -> None:
    if status.decision is None:
        return
    click.echo("\nDecision")
    options = [(">", status.decision.chosen)] if status.decision.chosen else []
    for mark, option in [*options, *((" ", option) for option in status.decision.rejected)]:
        click.echo(f"  {mark} {option.route} on {option.backend}: {option.reason}: {option.message}")


@click.command()
@click.argument("name")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.png|svg",
    help="Draw convergence and the distribution of samples against the baseline.",
)
@namespace_option
@state_option
@output_option
def result(name: str, plot: Path | None, namespace: str, state: Path, output: Output) -> None:
    """The answer of a job that succeeded."""
    stored = Store(state).find(name, namespace)
    answer = stored.job.status.result if stored.job.status else None
    if answer is None:
        raise NotFoundError(f"job {name} has no result: it is {_state(stored.job)}")
    if output == "human":
        print_summary(stored.job)
        _print_answer(answer)
    else:
        print_document(plain(answer), output)
    if plot is not None:
        from hybridjob.cli.plot import PlotError, plot_result

        try:
            plot_result(stored.job, plot)
        except PlotError as error:
            raise BadInputError(str(error)) from error
        click.echo(f"drew {plot}", err=True)


def _print_answer(answer: ResultStatus) -> None:
    """What the summary has no room for: the names of what was chosen, and the ranking."""
    try:
        chosen = list(chosen_variables(read_payload(answer)))
    except PayloadError as error:
        chosen = []
        click.echo(f"  {error}", err=True)
    if chosen:
        click.echo(f"  chosen     {', '.join(chosen)}")
    for sample in answer.top:
        mark = " " if sample.feasible else "!"
        click.echo(f"  {mark} {sample.objective:>14.6g}  × {sample.count:<7} {sample.solution}")
    if answer.reference:
        click.echo(f"  payload    {answer.reference}")


def _state(job: HybridJob) -> str:
    if job.status is None:
        return "Pending"
    return f"{job.status.state}: {job.status.message}"
