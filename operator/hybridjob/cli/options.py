"""Options and errors that the commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click

Output = Literal["human", "json", "yaml"]


class BadInputError(click.ClickException):
    """Wrong input: nothing was started."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


class NotFoundError(click.ClickException):
    exit_code = 1


def _default_state() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "hybridjob"


def state_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="HYBRIDJOB_STATE",
        default=_default_state,
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


def namespace_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of the job.")(
        command
    )


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
