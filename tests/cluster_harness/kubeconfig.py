"""A cluster that someone else runs, named by a kubeconfig."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.cluster_harness.cluster import Cluster
from tests.cluster_harness.commands import HarnessError

VARIABLE = "HYBRIDJOB_TEST_KUBECONFIG"
IMAGES_VARIABLE = "HYBRIDJOB_TEST_IMAGES"


@dataclass(frozen=True)
class KubeconfigCluster(Cluster):
    """The current context of the file that HYBRIDJOB_TEST_KUBECONFIG names, and never another."""

    file: Path

    @property
    def kubeconfig(self) -> Path:
        return self.file

    def up(self) -> None:
        if not self.file.is_file():
            raise HarnessError(f"{VARIABLE} names {self.file}, which is not a file")
        if shutil.which("kubectl") is None:
            raise HarnessError("kubectl is not on the path")
        if not self.is_ready():
            raise HarnessError(f"the cluster of {VARIABLE} does not answer, or has nodes that are not Ready")

    def down(self) -> None:
        """It is not ours to stop."""

    def load(self, image: str) -> str:
        template = os.environ.get(IMAGES_VARIABLE, "")
        if "{name}" not in template:
            raise HarnessError(
                f"images cannot be loaded into the cluster of {VARIABLE}: push them to a registry that it reaches, and "
                f"say how they are named there, such as {IMAGES_VARIABLE}=registry.example.com/hybridjob-{{name}}:test"
            )
        return template.replace("{name}", image)
