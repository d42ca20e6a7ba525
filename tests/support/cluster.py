"""kubectl on the test cluster, for the cluster tier."""

import json
import subprocess
from typing import Any

import yaml
from tests.cluster_harness import images
from tests.cluster_harness.native import NativeCluster


class Cluster:
    """kubectl on the test cluster."""

    def __init__(self, native: NativeCluster) -> None:
        self._native = native

    def kubectl(self, *arguments: object, manifest: object = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl; `manifest` (text, or an object) is its standard input."""
        text = manifest if isinstance(manifest, str) or manifest is None else yaml.safe_dump(manifest)
        return subprocess.run(
            self._native.inside("kubectl", *arguments),
            input=text,
            env=self._native.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def load(self, image: str) -> str:
        """Build an image if it is not built, put it on the node, and return its name."""
        self._native.load(images.build(image))
        return images.image_name(image)

    def get(self, *arguments: object) -> Any:
        done = self.kubectl("get", *arguments, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
