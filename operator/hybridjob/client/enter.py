"""Opens a world: imports what it needs, and nothing of the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hybridjob.client.errors import ClientError
from hybridjob.client.jobs import Jobs
from hybridjob.client.worlds import Laptop, World


async def enter(world: World) -> Jobs:
    """The jobs of the world, to be closed by the caller. Raises ClientError where it cannot be reached."""
    if isinstance(world, Laptop):
        from hybridjob.client.local import LocalJobs

        return LocalJobs(world)
    try:
        from hybridjob.client.cluster import ClusterJobs
    except ModuleNotFoundError as error:
        raise ClientError(
            f"{error.name} is not installed, and a cluster is reached by it: pip install 'hybridjob[operator]'"
        ) from error
    return await ClusterJobs.connect(world)


@asynccontextmanager
async def entered(world: World) -> AsyncIterator[Jobs]:
    """The jobs of the world, for as long as the context lasts."""
    jobs = await enter(world)
    try:
        yield jobs
    finally:
        await jobs.close()
