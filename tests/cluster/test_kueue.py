"""HybridJobs in a real Kueue. It takes some minutes to build, so who wants it asks for it: HYBRIDJOB_TEST_KUEUE=1."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.cluster_harness import kueue
from tests.cluster_harness.native import NativeCluster

from support.cluster import Cluster, selected
from support.command_line import REPOSITORY
from support.jobs import Recorder, hybrid_job, policy, wait_for_end
from support.operator import OPERATOR_NAMESPACE, OperatorProcess

pytestmark = pytest.mark.skipif("HYBRIDJOB_TEST_KUEUE" not in os.environ, reason="HYBRIDJOB_TEST_KUEUE is not set")

QUEUES = """
{apiVersion: kueue.x-k8s.io/v1beta2, kind: ResourceFlavor, metadata: {name: any}}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: all}
spec:
  namespaceSelector: {}
  resourceGroups:
  - coveredResources: [cpu, memory]
    flavors: [{name: any, resources: [{name: cpu, nominalQuota: 60m}, {name: memory, nominalQuota: 8Gi}]}]
---
{apiVersion: kueue.x-k8s.io/v1beta2, kind: LocalQueue, metadata: {name: one-at-a-time}, spec: {clusterQueue: all}}
"""


@pytest.fixture
def cluster_with_kueue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of the test's own: Kueue's webhooks look at every Job of a cluster."""
    monkeypatch.setenv("HYBRIDJOB_CLUSTER_NAME", "hybridjob-kueue")
    harness = selected()
    if not isinstance(harness, NativeCluster):
        pytest.skip("Kueue is started on the native cluster only")
    harness.up()
    try:
        kueue.start(harness)
        cluster = Cluster(harness)
        applied = cluster.kubectl("apply", "--server-side", "-f", REPOSITORY / "crds")
        assert applied.returncode == 0, applied.stderr
        cluster.kubectl("wait", "--for=condition=Established", "crd", "hybridjobs.hybridjob.dev", "--timeout=60s")
        cluster.kubectl("create", "namespace", OPERATOR_NAMESPACE)
        cluster.apply(*yaml.safe_load_all(QUEUES), policy("default", default=True))
        image = cluster.load("classical")
        operator = OperatorProcess(cluster, tmp_path / "log", dict.fromkeys(("classical", "qiskit", "cirq"), image))
        operator.start()
        yield cluster
        operator.stop()
    finally:
        harness.down()


def test_a_full_queue_holds_a_job_until_there_is_room(cluster_with_kueue: Cluster, tmp_path: Path) -> None:
    cluster = cluster_with_kueue
    recorder = Recorder(cluster, "default", tmp_path / "watch.json")
    names = ["first", "second", "third"]
    cluster.apply(*(hybrid_job(name, queueName="one-at-a-time") for name in names))
    for name in names:
        job = wait_for_end(cluster, "default", name)
        assert job.status is not None
        assert job.status.state == "Succeeded", job.status.message
        assert len(job.status.attempts) == 1
    held = {
        name
        for name, versions in recorder.stop().items()
        for version in versions
        if version.status is not None and version.status.state == "Held"
    }
    assert held, "three jobs of 50m found room for 60m at once"
