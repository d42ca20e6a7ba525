"""Waits for jobs on behalf of a command: shows how they are doing, prints what became of them."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import click

from hybridjob.api.hybridjob import HybridJob
from hybridjob.cli.observers import Observer, observer_for
from hybridjob.cli.options import Output
from hybridjob.cli.output import print_objects, print_summary
from hybridjob.client.enter import entered
from hybridjob.client.errors import ClientError
from hybridjob.client.jobs import Jobs, status_of
from hybridjob.client.worlds import World

INTERRUPTED = 130


async def follow(world: World, begin: Callable[[Jobs], Awaitable[Sequence[HybridJob]]], output: Output) -> int:
    """Follow the jobs that `begin` names to their end, print them, and return the exit status."""
    async with entered(world) as jobs:
        with suppress(asyncio.CancelledError):
            _cancel_when_signalled()
            ended = await _follow_all(jobs, await begin(jobs))
            if output != "human" and ended:
                print_objects(ended, output)
            elif ended:
                for job in ended:
                    print_summary(job)
            return 0 if all(status_of(job).state == "Succeeded" for job in ended) else 1
        click.echo(f"interrupted: {jobs.left_alone}", err=True)
        return INTERRUPTED


def _cancel_when_signalled() -> None:
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel if task else lambda: None)


async def _follow_all(jobs: Jobs, begun: Sequence[HybridJob]) -> list[HybridJob]:
    observer, display = observer_for(begun)
    with display:
        return list(await asyncio.gather(*(_follow(jobs, job, observer) for job in begun)))


async def _follow(jobs: Jobs, job: HybridJob, observer: Observer) -> HybridJob:
    """The job as it ended; as it was last seen where it was lost, which is said."""
    try:
        async for news in jobs.watch(job):
            if isinstance(news, HybridJob):
                job = news
                observer.status_changed(job)
            else:
                observer.progressed(job.metadata.uid or "", news)
    except ClientError as error:
        click.echo(str(error), err=True)
    return job
