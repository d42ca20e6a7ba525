"""The native cluster: a control plane and one node, from our own builds, in a network namespace of their own.

Nothing can leak out, ports never clash, and cleaning up is one delete. Nothing is mocked: pods are pulled, run,
killed and billed for memory by a real kubelet and containerd.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster_harness import control_plane, images, node
from tests.cluster_harness.build import DEFAULT_KUBERNETES, ETCD, HELM, KUBERNETES, binaries, cache_directory
from tests.cluster_harness.cluster import Cluster
from tests.cluster_harness.commands import HarnessError, run
from tests.cluster_harness.host import Cgroup, install_packages, kill, processes_in
from tests.cluster_harness.processes import Processes

_RESTARTS = 3


@dataclass(frozen=True)
class NativeCluster(Cluster):
    """One cluster, by its name: that of its network namespace, its cgroup and its directory."""

    name: str
    version: str = DEFAULT_KUBERNETES

    @property
    def directory(self) -> Path:
        return cache_directory() / "clusters" / self.name

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "admin.kubeconfig"

    @property
    def processes(self) -> Processes:
        return Processes(self.directory / "processes", self.directory / "logs", self._network)

    @property
    def _network(self) -> Path:
        return Path("/run/netns") / self.name

    @property
    def _kubernetes(self) -> Path:
        return binaries(KUBERNETES[self.version])

    def up(self) -> None:
        if self.is_ready():
            return
        self.down()
        install_packages()
        home, processes, etcd, kubernetes = self.directory, self.processes, binaries(ETCD), self._kubernetes
        binaries(HELM)
        (home / "logs").mkdir(parents=True)
        self._make_network()
        Cgroup(self.name).make()
        control_plane.write_identities(home)
        control_plane.start_storage_and_api_server(processes, home, etcd, kubernetes)
        self._wait_for_api_server()
        control_plane.start_controllers(processes, home, kubernetes)
        socket = node.start_container_runtime(processes, home)
        self.wait("containerd", socket.exists)
        self.load_archive(node.build_pause_image(home))
        node.start_node(processes, home, kubernetes, self.name)
        self.wait("the node to be Ready", self.is_ready)

    def down(self) -> None:
        """Whatever still runs after a crash is found by its network, or, as pods have others, by its cgroup."""
        self.processes.stop()
        cgroup = Cgroup(self.name)
        kill(lambda: processes_in(self._network) | cgroup.processes())
        cgroup.remove()
        self._unmount()
        if self.directory.exists():
            shutil.rmtree(self.directory)
        if self._network.exists():
            run("ip", "netns", "delete", self.name)

    def is_ready(self) -> bool:
        if not self.kubeconfig.exists() or self.processes.dead() or not self.processes.records():
            return False
        return super().is_ready()

    def inside(self, *command: object) -> list[str]:
        # nsenter, not `ip netns exec`: that remounts /sys, hides the cgroups, and kubelet dies of it.
        return ["nsenter", f"--net={self._network}", "--", *map(str, command)]

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self._kubernetes), str(binaries(HELM)), os.environ["PATH"]])
        return {**super().environment(), "PATH": path}

    def load(self, image: str) -> str:
        archive = images.build(image)
        loaded = self.directory / "loaded" / archive.name
        if not loaded.exists():
            self.load_archive(archive)
            loaded.parent.mkdir(exist_ok=True)
            loaded.touch()
        return images.image_name(image)

    def restart_api_server(self) -> None:
        """Stop the API server, start it again and wait until it answers; etcd keeps running.

        On a machine under load it ends by itself when one of the hooks of its start takes too long: then once more.
        """
        for attempt in range(_RESTARTS):
            self.processes.restart("kube-apiserver")
            try:
                self._wait_for_api_server()
                return
            except HarnessError:
                if attempt == _RESTARTS - 1:
                    raise

    def wait(self, what: str, ready: Callable[[], bool], patience_seconds: float = 120) -> None:
        """Wait until `ready` says yes. Raises HarnessError if a process of the cluster ends, or patience does."""
        deadline = time.monotonic() + patience_seconds
        while not ready():
            dead = self.processes.dead()
            if dead or time.monotonic() > deadline:
                ended = f" ({', '.join(dead)} ended)" if dead else ""
                raise HarnessError(f"waited in vain for {what}{ended}: the logs are in {self.directory / 'logs'}")
            time.sleep(0.2)

    def load_archive(self, archive: Path) -> None:
        """Load an image from a docker-archive into the node."""
        run(
            "ctr", "--address", self.directory / "containerd.sock", "--namespace", "k8s.io", "images", "import", archive
        )

    def _make_network(self) -> None:
        run("ip", "netns", "add", self.name)
        for command in (
            "ip link set lo up",
            "ip link add node type bridge",  # the kernel may lack dummy devices; an empty bridge serves
            f"ip address add {control_plane.NODE_ADDRESS}/24 dev node",
            "ip link set node up",
            "ip route add default dev node",  # lets service addresses be routed, and so translated
            "sysctl -q -w net.ipv4.ip_forward=1",
        ):
            run(*self.inside(*command.split()))

    def _wait_for_api_server(self) -> None:
        self.wait("the API server", lambda: self.kubectl("get", "--raw", "/readyz").stdout == "ok")

    def _unmount(self) -> None:
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{self.directory}/")), reverse=True):
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
