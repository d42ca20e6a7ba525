"""The cluster tier runs against a real Kubernetes, which it starts itself (`make cluster-test`)."""

from collections.abc import Iterator

import pytest

from support.cluster import Cluster, selected
from support.command_line import REPOSITORY


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster with the CRDs; stopped afterwards, unless it ran before."""
    harness = selected()
    ran_before = harness.is_ready()
    harness.up()
    try:
        ready = Cluster(harness)
        applied = ready.kubectl("apply", "--server-side", "--force-conflicts", "-f", REPOSITORY / "crds")
        assert applied.returncode == 0, applied.stderr
        established = ready.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        assert established.returncode == 0, established.stderr
        yield ready
    finally:
        if not ran_before:
            harness.down()


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{abs(hash(request.node.nodeid)) % 10**10}"
    assert cluster.kubectl("create", "namespace", name).returncode == 0
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
