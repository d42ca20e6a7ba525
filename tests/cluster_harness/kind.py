"""A cluster of kind, in Docker."""

from dataclasses import dataclass
from pathlib import Path

from tests.cluster_harness import images
from tests.cluster_harness.build import cache_directory
from tests.cluster_harness.cluster import Cluster
from tests.cluster_harness.commands import run


@dataclass(frozen=True)
class KindCluster(Cluster):
    """kubectl comes from the path, the project's images from Docker, on their ordinary base."""

    name: str

    @property
    def kubeconfig(self) -> Path:
        return cache_directory() / "clusters" / f"{self.name}.kind.kubeconfig"

    def up(self) -> None:
        if self.name in run("kind", "get", "clusters").split():
            return
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        config = images.REPOSITORY / "kind-config.yaml"
        identity = ("--name", self.name, "--kubeconfig", self.kubeconfig)
        run("kind", "create", "cluster", "--config", config, *identity, "--wait", "180s")

    def down(self) -> None:
        run("kind", "delete", "cluster", "--name", self.name, "--kubeconfig", self.kubeconfig)
        self.kubeconfig.unlink(missing_ok=True)

    def load(self, image: str) -> str:
        name = images.image_name(image)
        containerfile = images.REPOSITORY / images.IMAGES[image].containerfile
        run("docker", "build", "--quiet", "--file", containerfile, "--tag", name, images.REPOSITORY)
        run("kind", "load", "docker-image", name, "--name", self.name)
        return name
