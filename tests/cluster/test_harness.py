"""The native cluster itself: what the other tests take for granted."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster_harness.native import NativeCluster

from support.cluster import selected

CONTAINER = {"name": "pause", "image": "localhost/pause:1", "imagePullPolicy": "Never"}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "asleep"},
    "spec": {"containers": [CONTAINER]},
}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[NativeCluster]:
    """A cluster of the test's own, beside the one of the other tests."""
    monkeypatch.setenv("HYBRIDJOB_CLUSTER_NAME", "hybridjob-crash")
    cluster = selected()
    if not isinstance(cluster, NativeCluster):
        pytest.skip("only the native cluster is ours to kill")
    cluster.up()
    yield cluster
    cluster.down()


def traces(cluster: NativeCluster) -> list[str]:
    """What is left of a cluster on its host."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    folders = [cluster.directory, Path("/run/netns") / cluster.name, *Path("/sys/fs/cgroup").glob(f"*/{cluster.name}")]
    return [str(folder) for folder in folders if folder.exists()] + [m for m in mounts if cluster.name in m]


def test_a_cluster_that_was_half_killed_starts_again_and_leaves_no_trace(own: NativeCluster) -> None:
    assert own.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s").returncode == 0
    applied = own.kubectl("apply", "-f", "-", text=json.dumps(POD))
    assert applied.returncode == 0, applied.stderr
    assert own.kubectl("wait", "pod/asleep", "--for=condition=Ready", "--timeout=60s").returncode == 0
    for record in own.processes.records()[::2]:
        os.kill(record.pid, signal.SIGKILL)
    (own.directory / "processes").unlink()  # as if the harness had died before it wrote it
    own.up()
    assert own.is_ready()
    assert own.kubectl("get", "pod", "asleep").returncode != 0
    own.down()
    assert traces(own) == []


def test_the_api_server_restarts_and_forgets_nothing(own: NativeCluster) -> None:
    own.kubectl("create", "configmap", "kept")
    (before,) = (record for record in own.processes.records() if record.name == "kube-apiserver")
    own.restart_api_server()
    assert not before.alive
    assert own.kubectl("get", "configmap", "kept").returncode == 0
    assert own.is_ready()
