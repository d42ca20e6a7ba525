"""The cluster tier runs against a real Kubernetes, which it starts itself (`make cluster-test`)."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import Cluster, selected
from support.command_line import REPOSITORY
from support.jobs import DEFAULT_POLICY
from support.operator import IMAGES, OPERATOR_NAMESPACE, OperatorProcess


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


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> dict[str, str]:
    """The solver images, on the node."""
    return {name: cluster.load(name) for name in IMAGES}


@pytest.fixture(scope="session")
def operator(
    cluster: Cluster, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator that runs, and the default policy of the tests. Who stops it starts it again."""
    cluster.kubectl("create", "namespace", OPERATOR_NAMESPACE)
    cluster.kubectl("delete", "qbp", "--all")
    cluster.apply(DEFAULT_POLICY)
    process = OperatorProcess(cluster, tmp_path_factory.mktemp("operator") / "operator.log", images)
    process.start()
    yield process
    assert process.stop() == 0, process.log.read_text()[-2000:]


@pytest.fixture
def lone_operator(
    operator: OperatorProcess, cluster: Cluster, images: dict[str, str], tmp_path: Path
) -> Iterator[OperatorProcess]:
    """An operator that asks for no Lease, in the other one's place: killed and started again, it acts at once. With a
    Lease, the next kill would mostly meet an operator that still waits for the dead one's to run out."""
    operator.stop()
    lone = OperatorProcess(cluster, tmp_path / "lone.log", images, "--no-leader-election")
    lone.start()
    yield lone
    lone.stop()
    operator.start()
    operator.wait_until_it_leads()


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{hashlib.sha256(f'{request.node.nodeid}{time.time()}'.encode()).hexdigest()[:12]}"
    assert cluster.kubectl("create", "namespace", name).returncode == 0
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
