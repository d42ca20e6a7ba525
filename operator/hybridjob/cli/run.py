"""`hybridjob run`: from files to answers."""

import asyncio
from pathlib import Path

import click

from hybridjob.cli.follow import follow
from hybridjob.cli.options import Output, files_argument, output_option, policy_option, slots_option, world_options
from hybridjob.client.worlds import World


@click.command()
@files_argument
@policy_option
@click.option("--wait", is_flag=True, expose_value=False, help="Wait until every job has ended: run always does.")
@slots_option
@click.option("--replace", is_flag=True, help="With --cluster: delete what has the name of a job, whatever its state.")
@world_options
@output_option
@click.pass_context
def run(ctx: click.Context, files: tuple[Path, ...], world: World, output: Output) -> None:
    """Run every HybridJob in the files to its end: on this machine, or on a cluster.

    On a cluster, the ConfigMaps, Secrets and policies in the files are applied first, server-side. Jobs may also
    refer to what is there already.

    Exit status: 0 all succeeded, 1 some failed, 2 bad input (nothing was started), 130 interrupted: on this machine the
    jobs can be resumed, on a cluster they go on.
    """
    ctx.exit(asyncio.run(follow(world, lambda jobs: jobs.submit(files), output)))
