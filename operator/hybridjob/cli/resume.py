"""`hybridjob resume`: on with what a killed or interrupted run left behind."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from hybridjob.api.hybridjob import HybridJob
from hybridjob.cli.follow import follow
from hybridjob.cli.options import BadInputError, Output, output_option, slots_option, state_option
from hybridjob.client.jobs import Jobs
from hybridjob.client.local import LocalJobs
from hybridjob.client.worlds import Laptop


@click.command()
@slots_option
@state_option
@output_option
@click.option("--cluster", is_flag=True, hidden=True)
@click.pass_context
def resume(ctx: click.Context, slots: int | None, state: Path, output: Output, cluster: bool) -> None:
    """Bring the jobs to their end that a killed or interrupted run left behind on this machine."""
    if cluster:
        raise BadInputError("resume is for this machine: on a cluster the operator goes on with the jobs by itself")
    ctx.exit(asyncio.run(follow(Laptop(state, slots=slots), _adopt, output)))


async def _adopt(jobs: Jobs) -> Sequence[HybridJob]:
    assert isinstance(jobs, LocalJobs)  # noqa: S101 — the world of a laptop
    adopted = await jobs.resume()
    if not adopted:
        click.echo("nothing to resume: every job has ended, or is being run", err=True)
    return adopted
