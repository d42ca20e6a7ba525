"""The native cluster's node: containerd, kubelet, kube-proxy, and the pods' network."""

import json
from pathlib import Path

from tests.cluster_harness import images
from tests.cluster_harness.control_plane import NODE_ADDRESS, NODE_NAME
from tests.cluster_harness.processes import Processes

POD_RANGE = "10.244.0.0/24"
_PAUSE_IMAGE = "localhost/pause:1"


def start_container_runtime(processes: Processes, home: Path) -> Path:
    """Start containerd, and return its socket, which appears when it is ready."""
    (home / "containerd.toml").write_text(_CONTAINERD.format(home=home, pause=_PAUSE_IMAGE))
    _write_pod_network(home)
    processes.start("containerd", ["containerd", "--config", home / "containerd.toml"])
    return home / "containerd.sock"


def start_node(processes: Processes, home: Path, kubernetes: Path, cgroup: str) -> None:
    """Start kubelet and kube-proxy."""
    configuration = {**_KUBELET, "containerRuntimeEndpoint": f"unix://{home / 'containerd.sock'}"}
    # Kubelets that share these two remove each other's pods and logs.
    configuration |= {"cgroupRoot": f"/{cgroup}", "podLogsDir": str(home / "pod-logs")}
    (home / "kubelet.json").write_text(json.dumps(configuration))
    processes.start(
        "kubelet",
        [
            kubernetes / "kubelet",
            f"--config={home / 'kubelet.json'}",
            f"--kubeconfig={home / 'kubelet.kubeconfig'}",
            f"--root-dir={home / 'kubelet'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={NODE_ADDRESS}",
        ],
    )
    processes.start(
        "kube-proxy",
        [
            kubernetes / "kube-proxy",
            f"--kubeconfig={home / 'proxy.kubeconfig'}",
            "--proxy-mode=iptables",
            f"--cluster-cidr={POD_RANGE}",
            f"--hostname-override={NODE_NAME}",
            "--conntrack-max-per-core=0",
        ],
    )


def _write_pod_network(home: Path) -> None:
    (home / "cni").mkdir()
    network = {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": True,
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": str(home / "ipam"),
                },
            }
        ],
    }
    (home / "cni" / "pods.conflist").write_text(json.dumps(network))


def build_pause_image(home: Path) -> Path:
    """The container that holds a pod's network, as an archive: busybox, asleep."""
    return images.build_program(_PAUSE_IMAGE, Path("/bin/busybox"), home / "pause", "sleep", "2147483647")


_CONTAINERD = """
version = 2
root = "{home}/containerd"
state = "{home}/containerd-state"
[grpc]
  address = "{home}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_apparmor = true
  # Not in /run/netns, where they would outlive a cluster that was killed.
  netns_mounts_under_state_dir = true
  # The machine may lack CAP_SYS_RESOURCE: without this every sandbox fails with "can't get final child's PID".
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{home}/cni"
"""

_KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "address": NODE_ADDRESS,
    "cgroupDriver": "cgroupfs",
    "failCgroupV1": False,
    "failSwapOn": False,
    "resolvConf": "",
    "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    "imageGCHighThresholdPercent": 100,
    "imageGCLowThresholdPercent": 99,
    "maxPods": 200,
}
