"""Which cluster the tests run against."""

import os
import shutil
from pathlib import Path

from tests.cluster_harness import kubeconfig
from tests.cluster_harness.build import DEFAULT_KUBERNETES, KUBERNETES
from tests.cluster_harness.cluster import Cluster
from tests.cluster_harness.commands import HarnessError
from tests.cluster_harness.host import why_impossible
from tests.cluster_harness.kind import KindCluster
from tests.cluster_harness.native import NativeCluster


def select(kubernetes: str | None = None) -> Cluster:
    """The cluster that HYBRIDJOB_TEST_KUBECONFIG names; else kind, where it can run; else the native one.

    HYBRIDJOB_CLUSTER_NAME tells clusters of one machine apart, HYBRIDJOB_KUBERNETES says the native one's version.
    Raises HarnessError where none can run, and says what is missing.
    """
    named = os.environ.get(kubeconfig.VARIABLE)
    if named:
        return kubeconfig.KubeconfigCluster(Path(named))
    name = os.environ.get("HYBRIDJOB_CLUSTER_NAME") or "hybridjob-test"
    if shutil.which("docker") and shutil.which("kind"):
        return KindCluster(name)
    impossible = why_impossible()
    if impossible is not None:
        raise HarnessError(
            f"no cluster can run here. {impossible}. "
            f"Or install docker and kind, or name a kubeconfig in {kubeconfig.VARIABLE}."
        )
    version = kubernetes or os.environ.get("HYBRIDJOB_KUBERNETES") or DEFAULT_KUBERNETES
    if version not in KUBERNETES:
        raise HarnessError(f"Kubernetes {version} is not one of {', '.join(KUBERNETES)}")
    return NativeCluster(name if version == DEFAULT_KUBERNETES else f"{name}-{version}", version)
