"""The test cluster, as the cluster tier uses it."""

import json
import os
import subprocess
from typing import Any

import pytest
import yaml
from tests.cluster_harness import cluster
from tests.cluster_harness.commands import HarnessError
from tests.cluster_harness.native import NativeCluster
from tests.cluster_harness.selection import select


def selected() -> cluster.Cluster:
    """The cluster to test on. Where none can run the test is skipped, but fails in CI, which must not pass for that."""
    try:
        return select()
    except HarnessError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the cluster tier does not run: {error}")


class Cluster:
    """kubectl on the test cluster, and the project's images."""

    def __init__(self, harness: cluster.Cluster) -> None:
        self._harness = harness

    def kubectl(self, *arguments: object, manifest: object = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl; `manifest` (text, or an object) is its standard input."""
        text = manifest if isinstance(manifest, str) or manifest is None else yaml.safe_dump(manifest)
        return self._harness.kubectl(*arguments, text=text)

    def apply(self, *manifests: object, namespace: str = "default") -> None:
        """Apply objects; the API server must take them."""
        for manifest in manifests:
            done = self.kubectl("apply", "-n", namespace, "-f", "-", manifest=manifest)
            assert done.returncode == 0, done.stderr

    def run(self, *command: object) -> subprocess.CompletedProcess[str]:
        """Run a command in the cluster's network, with kubectl, helm and KUBECONFIG set."""
        return subprocess.run(
            self._harness.inside(*command),
            env=self._harness.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def inside(self, *command: object) -> list[str]:
        """The command as it runs in the cluster's network."""
        return self._harness.inside(*command)

    def environment(self) -> dict[str, str]:
        return self._harness.environment()

    def load(self, image: str) -> str:
        """Build an image if it is not built, put it on the node, and return its name."""
        return self._harness.load(image)

    def get(self, *arguments: object) -> Any:
        done = self.kubectl("get", *arguments, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def restart_api_server(self) -> None:
        """Stop the API server, start it again and wait until it answers. Skips where it is not ours to stop."""
        if not isinstance(self._harness, NativeCluster):
            pytest.skip("only the native cluster's API server can be restarted")
        self._harness.restart_api_server()
