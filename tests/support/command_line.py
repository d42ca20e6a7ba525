"""Runs `hybridjob` as a user would: a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
COMMAND = [sys.executable, "-P", "-c", "from hybridjob.cli.main import main; main(prog_name='hybridjob')"]


@dataclass(frozen=True)
class Outcome:
    status: int
    stdout: str
    stderr: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The objects that were printed as JSON."""
        document = json.loads(self.stdout)
        return document["items"] if document["kind"] == "List" else [document]

    @property
    def object(self) -> dict[str, Any]:
        (only,) = self.objects
        return only


class CommandLine:
    """The command line with a state directory of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def __call__(self, *arguments: object, stdin: str | None = None, timeout: float = 300) -> Outcome:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "HYBRIDJOB_STATE": str(self.state)}


def write_manifests(path: Path, *objects: dict[str, Any]) -> Path:
    """A multi-document file of these objects."""
    path.write_text(yaml.safe_dump_all(objects, sort_keys=False))
    return path


def hybridjob(name: str = "job", **spec: Any) -> dict[str, Any]:
    """A HybridJob manifest."""
    return {
        "apiVersion": "hybridjob.dev/v1alpha1",
        "kind": "HybridJob",
        "metadata": {"name": name},
        "spec": spec,
    }


def policy(*backends: dict[str, Any], name: str = "policy", **spec: Any) -> dict[str, Any]:
    """A QuantumBackendPolicy manifest."""
    return {
        "apiVersion": "hybridjob.dev/v1alpha1",
        "kind": "QuantumBackendPolicy",
        "metadata": {"name": name},
        "spec": {"backends": list(backends), **spec},
    }


def ring(nodes: int) -> dict[str, Any]:
    """A MaxCut problem on a ring: the largest cut is known."""
    edges = [[i, (i + 1) % nodes, 1.0] for i in range(nodes)]
    return {"type": "MaxCut", "inline": {"nodes": nodes, "edges": edges}}
