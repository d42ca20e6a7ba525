"""Options and errors that the commands share."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Literal

import click
from click.core import ParameterSource

from hybridjob.client.worlds import Cluster, Laptop, default_state

Output = Literal["human", "json", "yaml"]


class BadInputError(click.ClickException):
    """Wrong input: nothing was started."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


class NotFoundError(click.ClickException):
    exit_code = 1


def state_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="HYBRIDJOB_STATE",
        default=default_state,
        show_default="$HYBRIDJOB_STATE, or ~/.local/state/hybridjob",
        help="Directory of the jobs and the ledger.",
    )(command)


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["human", "json", "yaml"]),
        default="human",
        show_default=True,
        help="How objects are printed on standard output.",
    )(command)


def slots_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--jobs", "slots", type=click.IntRange(1, 256), help="Solvers at once on this machine.  [default: the cores]"
    )(command)


def files_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument(
        "files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True), metavar="FILE…"
    )(command)


def policy_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--policy",
        "policy_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A file with the policy to hold the jobs to.",
    )(command)


_OF_A_LAPTOP = {"state": "--state", "slots": "--jobs", "policy_file": "--policy"}
_OF_A_CLUSTER = {"context": "--context", "replace": "--replace"}


def world_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--cluster`, and what either world needs; the command gets a `world`. It takes the options of `Laptop` and
    `Cluster` that the command adds, too."""

    @wraps(command)
    @click.pass_context
    def with_world(ctx: click.Context, /, *, cluster: bool, namespace: str | None, **values: Any) -> Any:
        foreign = _OF_A_LAPTOP if cluster else _OF_A_CLUSTER
        for name, option in foreign.items():
            if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise BadInputError(f"{option} must be left out {'with' if cluster else 'without'} --cluster")
        laptop = {name: values.pop(name) for name in _OF_A_LAPTOP if name in values}
        remote = {name: values.pop(name) for name in _OF_A_CLUSTER if name in values}
        world = Cluster(namespace=namespace, **remote) if cluster else Laptop(namespace=namespace, **laptop)
        return command(world=world, **values)

    decorated: Callable[..., Any] = with_world
    for option in (
        click.option("-n", "--namespace", help="Namespace of the jobs.  [default: default; that of the context]"),
        state_option,
        click.option("--context", metavar="NAME", help="With --cluster: a context of the kubeconfig."),
        click.option("--cluster", is_flag=True, help="On the cluster of the current kube context."),
    ):
        decorated = option(decorated)
    return decorated
