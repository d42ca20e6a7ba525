"""The command `hybridjob`. Each subcommand lives in a module of its own, imported when it is used: start-up is paid by
everyone, every time."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

from hybridjob.api.errors import ManifestError
from hybridjob.cli.options import BadInputError, NotFoundError
from hybridjob.client.errors import ClientError, JobEndedError, NoSuchJobError, PayloadError
from hybridjob.local.errors import StateError, UnknownJobError

_COMMANDS: Mapping[str, str] = {
    "run": "hybridjob.cli.run:run",
    "resume": "hybridjob.cli.resume:resume",
    "validate": "hybridjob.cli.validate:validate",
    "explain": "hybridjob.cli.explain:explain",
    "get": "hybridjob.cli.jobs:get",
    "describe": "hybridjob.cli.jobs:describe",
    "result": "hybridjob.cli.jobs:result",
    "cancel": "hybridjob.cli.jobs:cancel",
    "policy": "hybridjob.cli.policy:policy",
    "solve": "hybridjob.cli.solve:solve",
    "operator": "hybridjob.cli.operator:operator",
    "generate": "hybridjob.cli.generate:generate",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = _COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (UnknownJobError, NoSuchJobError, JobEndedError, PayloadError) as error:
            raise NotFoundError(str(error)) from error
        except (StateError, ClientError, ManifestError) as error:
            raise BadInputError(str(error)) from error


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="hybridjob")
def main() -> None:
    """Hybrid quantum-classical jobs, held to a policy, with rollback to a classical solver."""
