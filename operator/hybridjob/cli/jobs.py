"""`hybridjob get`, `describe`, `result` and `cancel`: the jobs that are there, on this machine or on a cluster."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from hybridjob.api.common import format_timestamp
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.status import HybridJobStatus, ResultStatus
from hybridjob.cli.options import BadInputError, NotFoundError, Output, output_option, world_options
from hybridjob.cli.output import attempt_line, plain, print_document, print_objects, print_summary, print_table
from hybridjob.client.enter import entered
from hybridjob.client.errors import ClientError, PayloadError
from hybridjob.client.jobs import has_ended, status_of
from hybridjob.client.worlds import World
from hybridjob.contract.verdict import Payload
from hybridjob.engine.pricing import display


@click.command()
@click.argument("name", required=False)
@world_options
@output_option
def get(name: str | None, world: World, output: Output) -> None:
    """List the jobs, or show the one of a name (on this machine the newest)."""
    jobs = asyncio.run(_get(name, world))
    if output == "human":
        print_table(jobs, datetime.now(UTC))
    elif name is not None:
        print_objects(jobs, output)
    else:
        print_document({"apiVersion": "v1", "kind": "List", "items": [plain(job) for job in jobs]}, output)


async def _get(name: str | None, world: World) -> list[HybridJob]:
    async with entered(world) as jobs:
        return await jobs.all() if name is None else [await jobs.get(name)]


@click.command()
@click.argument("name")
@world_options
def describe(name: str, world: World) -> None:
    """Everything about a job: why this route, each attempt, each transition (on a cluster, its Events), the money."""
    asyncio.run(_describe(name, world))


async def _describe(name: str, world: World) -> None:
    async with entered(world) as jobs:
        job = await jobs.get(name)
        status = status_of(job)
        print_summary(job)
        click.echo(f"\nUID      {job.metadata.uid}\nPolicy   {status.policy or 'not chosen yet'}")
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
        click.echo(f"\n{jobs.history_title}")
        try:
            for moment in await jobs.history(job):
                click.echo(f"  {format_timestamp(moment.time)}  {moment.word:<12} {moment.message}")
        except ClientError as error:  # who may read jobs need not be allowed to read Events
            click.echo(f"  {error}")


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
@world_options
@output_option
def result(name: str, plot: Path | None, world: World, output: Output) -> None:
    """The answer of a job that succeeded."""
    asyncio.run(_result(name, plot, world, output))


async def _result(name: str, plot: Path | None, world: World, output: Output) -> None:
    async with entered(world) as jobs:
        job = await jobs.get(name)
        status = status_of(job)
        answer = status.result
        if answer is None:
            raise NotFoundError(f"job {name} has no result: it is {status.state}: {status.message}")
        if output == "human":
            print_summary(job)
            try:
                _print_answer(answer, await jobs.payload(job))
            except PayloadError as error:
                _print_answer(answer, None)
                click.echo(f"  {error}", err=True)
        else:
            print_document(plain(answer), output)
        if plot is not None:
            from hybridjob.cli.plot import PlotError, plot_result

            try:
                plot_result(job, await jobs.payload(job), plot)
            except PlotError as error:
                raise BadInputError(str(error)) from error
            click.echo(f"drew {plot}", err=True)


def _print_answer(answer: ResultStatus, payload: Payload | None) -> None:
    """What the summary has no room for: the names of what was chosen, and the ranking."""
    chosen = list(_chosen_variables(payload)) if payload else []
    if chosen:
        click.echo(f"  chosen     {', '.join(chosen)}")
    for sample in answer.top:
        mark = " " if sample.feasible else "!"
        click.echo(f"  {mark} {sample.objective:>14.6g}  × {sample.count:<7} {sample.solution}")
    if answer.reference:
        click.echo(f"  payload    {answer.reference}")


def _chosen_variables(payload: Payload) -> Iterator[str]:
    """The named variables that are not zero: `name`, or `name=value` where the value is not one."""
    for name, value in (payload.assignment or {}).items():
        if value == 1:
            yield name
        elif value != 0:
            yield f"{name}={value:g}"


@click.command()
@click.argument("name")
@world_options
def cancel(name: str, world: World) -> None:
    """Cancel a job: its solvers are ended, its money is settled, its state becomes Cancelled."""
    asyncio.run(_cancel(name, world))


async def _cancel(name: str, world: World) -> None:
    async with entered(world) as jobs:
        job = await jobs.get(name)
        await jobs.cancel(job)
        job = await jobs.refresh(job)
        said = status_of(job).state if has_ended(job) else "asked to end; `hybridjob get` says when it has"
        click.echo(f"{name}: {said}", err=True)
