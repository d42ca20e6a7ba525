"""Where jobs run: on this machine, or on a cluster. Opening a world imports what it needs, and nothing of the other."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hybridjob.client.errors import ClientError
from hybridjob.client.jobs import Jobs


def default_state() -> Path:
    """`$HYBRIDJOB_STATE`, or the user's own."""
    named = os.environ.get("HYBRIDJOB_STATE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "hybridjob"


@dataclass(frozen=True)
class Laptop:
    """This machine, with a state directory."""

    state: Path
    namespace: str | None = None
    """Of jobs whose manifest names none; None for `default`, and for all of them in a list."""
    policy_file: Path | None = None
    """Holds whatever the jobs name."""
    slots: int | None = None
    """Solvers at once; None for as many as there are cores."""


@dataclass(frozen=True)
class Cluster:
    """A cluster: that of the pod's service account, or of a kubeconfig's context."""

    context: str | None = None
    """None for the current one."""
    namespace: str | None = None
    """None for that of the context, or of the pod."""
    replace: bool = False
    """Delete what has the name of a job that is submitted."""


World = Laptop | Cluster


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
