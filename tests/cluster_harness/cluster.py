"""What the tests need of a cluster, whoever runs it."""

import os
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path


class Cluster(ABC):
    """A Kubernetes cluster for tests. Every method may raise HarnessError."""

    @property
    @abstractmethod
    def kubeconfig(self) -> Path:
        """A file whose current context is this cluster."""

    @abstractmethod
    def up(self) -> None:
        """Start the cluster and wait until its nodes are Ready. Does nothing where it runs already."""

    @abstractmethod
    def down(self) -> None:
        """Stop it and leave no trace but the caches. Works after any crash."""

    @abstractmethod
    def load(self, image: str) -> str:
        """Make one of the project's images available on the nodes, and return its name there."""

    def is_ready(self) -> bool:
        """Whether it answers and all of its nodes are Ready."""
        condition = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
        return set(self.kubectl("get", "nodes", "-o", condition).stdout.split()) == {"True"}

    def inside(self, *command: object) -> list[str]:
        """The command as it must be run to reach the cluster's network."""
        return [*map(str, command)]

    def environment(self) -> dict[str, str]:
        """The environment of such a command: KUBECONFIG, and a path with kubectl and helm."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def kubectl(self, *arguments: object, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl, with `text` as its standard input."""
        command = self.inside("kubectl", *arguments)
        return subprocess.run(command, input=text, env=self.environment(), capture_output=True, text=True, check=False)
