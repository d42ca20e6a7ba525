"""`hybridjob solve`: what a solver container runs."""

import os
import sys
from pathlib import Path

import click


@click.command()
@click.option("--task", required=True, type=click.Path(path_type=Path), help="The task, a JSON file.")
@click.option("--result", required=True, type=click.Path(path_type=Path), help="Where the verdict goes.")
@click.option("--check", is_flag=True, help="Only say whether the task can be read.")
def solve(task: Path, result: Path, check: bool) -> None:
    """Solve one task. The exit status is one of the contract's codes (docs/operations.md)."""
    # Becomes the solver instead of importing it: the command line does not depend on solver code.
    arguments = ["--task", str(task), "--result", str(result), *(["--check"] if check else [])]
    os.execv(sys.executable, [sys.executable, "-P", "-m", "hybridjob_solver", *arguments])  # noqa: S606
