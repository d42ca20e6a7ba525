"""Where jobs run: on this machine, or on a cluster."""

import os
from dataclasses import dataclass
from pathlib import Path


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
