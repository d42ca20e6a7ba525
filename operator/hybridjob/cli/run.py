"""`hybridjob run`, `resume` and `cancel`: the commands that drive jobs."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

import click

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.manifests import ManifestError
from hybridjob.cli.observers import observer_for
from hybridjob.cli.options import (
    BadInputError,
    NotFoundError,
    Output,
    files_argument,
    namespace_option,
    output_option,
    policy_option,
    state_option,
)
from hybridjob.cli.output import print_objects, print_summary
from hybridjob.local.database import StateError
from hybridjob.local.runner import Runner, utc_now
from hybridjob.local.store import Store
from hybridjob.local.submission import read_jobs

INTERRUPTED = 130


@click.command()
@files_argument
@policy_option
@click.option("--wait", is_flag=True, expose_value=False, help="Wait until every job has ended: run always does.")
@click.option("--jobs", "slots", type=click.IntRange(1, 256), help="Solvers at once.  [default: the cores]")
@state_option
@output_option
@click.pass_context
def run(
    ctx: click.Context,
    files: tuple[Path, ...],
    policy_file: Path | None,
    slots: int | None,
    state: Path,
    output: Output,
) -> None:
    """Run every HybridJob in the files to its end on this machine.

    Exit status: 0 all succeeded, 1 some failed, 2 bad input (nothing was started), 130 interrupted (resumable).
    """
    try:
        jobs = read_jobs(files, policy_file, utc_now())
    except ManifestError as error:
        raise BadInputError(str(error)) from error
    if not jobs:
        raise BadInputError("the files hold no HybridJob: there must be at least one")
    store = Store(state)
    runner = store.register_runner()
    store.submit(jobs, runner)
    ctx.exit(_drive(store, runner, [job.uid for job in jobs], slots, output))


@click.command()
@click.option("--jobs", "slots", type=click.IntRange(1, 256), help="Solvers at once.  [default: the cores]")
@state_option
@output_option
@click.pass_context
def resume(ctx: click.Context, slots: int | None, state: Path, output: Output) -> None:
    """Bring the jobs to their end that a killed or interrupted run left behind."""
    store = Store(state)
    runner = store.register_runner()
    uids = store.adopt(runner)
    if not uids:
        click.echo("nothing to resume: every job has ended, or is being run", err=True)
        return
    ctx.exit(_drive(store, runner, uids, slots, output))


@click.command()
@click.argument("name")
@namespace_option
@state_option
def cancel(name: str, namespace: str, state: Path) -> None:
    """Cancel a job: its solvers are ended, its money is settled, its state becomes Cancelled."""
    store = Store(state)
    stored = store.find(name, namespace)
    if stored.ended:
        raise NotFoundError(f"job {name} has already ended")
    store.request_cancel(stored.uid)
    runner = store.register_runner()
    if store.adopt(runner, [stored.uid]):
        _drive(store, runner, [stored.uid], None, None)
    else:
        click.echo(f"{name}: its runner was asked to cancel it", err=True)


def _drive(store: Store, runner: str, uids: Sequence[str], slots: int | None, output: Output | None) -> int:
    """Drive jobs to their end, print them, and return the exit status."""
    observer, display = observer_for([store.get(uid).job for uid in uids])
    try:
        with display:
            asyncio.run(_run_until_signalled(Runner(store, runner, observer, slots), uids))
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("interrupted: `hybridjob resume` goes on from here", err=True)
        return INTERRUPTED
    except ExceptionGroup as errors:
        left_behind, unforeseen = errors.split(StateError)
        if unforeseen is not None:
            raise unforeseen from None
        for error in left_behind.exceptions if left_behind else ():
            click.echo(f"a job was left behind: {error}; `hybridjob resume` goes on with it", err=True)
    jobs = [store.get(uid).job for uid in uids]
    if output == "human":
        for job in jobs:
            print_summary(job)
    elif output is not None:
        print_objects(jobs, output)
    return 0 if all(_succeeded(job) for job in jobs) else 1


async def _run_until_signalled(runner: Runner, uids: Sequence[str]) -> None:
    task = asyncio.ensure_future(runner.run(uids))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await task


def _succeeded(job: HybridJob) -> bool:
    return job.status is not None and job.status.state == "Succeeded"
