"""`hybridjob generate`: writes the files that are made from the typed models."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click


@click.group()
def generate() -> None:
    """Write the CRDs, the JSON schemas for editors, and the reference pages."""


def _file_options(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    output = click.option(
        "--output",
        type=click.Path(file_okay=False, path_type=Path),
        default=default,
        show_default=True,
        help="Directory of the files.",
    )
    check = click.option("--check", is_flag=True, help="Write nothing: exit with 1 and name the files that differ.")
    return lambda command: output(check(command))


@generate.command()
@_file_options("crds")
def crds(output: Path, check: bool) -> None:
    """The CustomResourceDefinitions, as YAML."""
    from hybridjob.api.crds import crd_files

    _write(crd_files(), output, check)


@generate.command()
@_file_options("docs/schemas")
def schemas(output: Path, check: bool) -> None:
    """The JSON schemas, for editors."""
    from hybridjob.api.schemas import schema_files

    _write(schema_files(), output, check)


@generate.command()
@_file_options("docs/reference")
def docs(output: Path, check: bool) -> None:
    """The reference pages, as Markdown."""
    from hybridjob.api.reference import reference_files
    from hybridjob.cli.states_page import states_page

    _write([*reference_files(), states_page()], output, check)


def _write(files: Iterable[tuple[str, str]], directory: Path, check: bool) -> None:
    differing = []
    for name, content in files:
        path = directory / name
        if path.is_file() and path.read_text(encoding="utf-8") == content:
            continue
        if check:
            differing.append(str(path))
        else:
            directory.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            click.echo(f"wrote {path}", err=True)
    if differing:
        command = click.get_current_context().command_path
        raise click.ClickException(f"must be generated anew by `{command}`: {', '.join(differing)}")
