"""`hybridjob validate`: what must hold of files, before anything is started."""

from pathlib import Path

import click

from hybridjob.api.manifests import ManifestError, load_files
from hybridjob.cli.options import BadInputError, files_argument
from hybridjob.local.problems import check_by_solver


@click.command()
@files_argument
def validate(files: tuple[Path, ...]) -> None:
    """Check every object in the files, and say what must hold: with file, line and path.

    Exit status: 0, or 2 for bad input.
    """
    try:
        manifests = load_files(files, check_by_solver)
    except ManifestError as error:
        raise BadInputError(str(error)) from error
    jobs, policies = len(manifests.jobs), len(manifests.policies)
    click.echo(
        f"valid: {jobs} HybridJob{'' if jobs == 1 else 's'}, {policies} {'policy' if policies == 1 else 'policies'}"
    )
