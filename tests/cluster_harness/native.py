"""The native cluster: a control plane and one node, from our own builds, in a network namespace of their own.

Nothing can leak out, ports never clash, and cleaning up is one delete. Nothing is mocked: pods are pulled, run,
killed and billed for memory by a real kubelet and containerd.
"""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster_harness.build import ETCD, HELM, KUBERNETES, BuildError, binaries, cache_directory
from tests.cluster_harness.processes import Processes

NODE_ADDRESS = "198.51.100.1"  # TEST-NET-2: documentation space, routed nowhere
SERVICE_RANGE = "10.96.0.0/16"
POD_RANGE = "10.244.0.0/24"
API_SERVER = f"https://{NODE_ADDRESS}:6443"
NODE_NAME = "node"

DEBIAN_PACKAGES = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "buildah",
    "debootstrap",
    "busybox-static",
    "iptables",
    "conntrack",
    "socat",
    "iproute2",
    "openssl",
)
_PROGRAMS = ("containerd", "runc", "buildah", "debootstrap", "iptables", "conntrack", "socat", "ip", "openssl")
_PAUSE_IMAGE = "localhost/pause:1"

_IDENTITIES = {
    # name: (user, groups)
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
    "proxy": ("system:kube-proxy", "system:node-proxier"),
}


def why_impossible() -> str | None:
    """What is missing on this machine, or None."""
    if os.geteuid() != 0:
        return "the native cluster needs root"
    if not Path("/etc/debian_version").exists():
        return "the native cluster needs Debian (its packages are installed by apt-get)"
    if shutil.which("go") is None:
        return "the native cluster needs Go 1.26 or later on the path"
    return None


@dataclass(frozen=True)
class NativeCluster:
    """One cluster, by the name of its network namespace."""

    name: str = "hybridjob-test"

    @property
    def directory(self) -> Path:
        return cache_directory() / "clusters" / self.name

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "admin.kubeconfig"

    @property
    def socket(self) -> Path:
        return self.directory / "containerd.sock"

    @property
    def path(self) -> str:
        """The search path with kubectl and helm."""
        return os.pathsep.join([str(binaries(KUBERNETES)), str(binaries(HELM)), os.environ["PATH"]])

    @property
    def processes(self) -> Processes:
        return Processes(self.directory / "processes", self.directory / "logs", self.name)

    def up(self) -> None:
        """Start the cluster and wait until its node is Ready. Does nothing where it runs already."""
        if self.is_ready():
            return
        self.down()
        install_packages()
        programs = {tool.name: binaries(tool) for tool in (ETCD, KUBERNETES, HELM)}
        (self.directory / "logs").mkdir(parents=True)
        self._make_network()
        self._write_identities()
        self._start_control_plane(programs["etcd"], programs["kubernetes"])
        self._start_node(programs["kubernetes"])
        _wait("the node to be Ready", self.is_ready, self)

    def down(self) -> None:
        """Stop everything and leave no trace but the caches. Works after any crash."""
        if self.directory.exists():
            self.processes.stop()
            self._kill_shims()
            self._unmount()
            shutil.rmtree(self.directory)
        if Path(f"/run/netns/{self.name}").exists():
            _run("ip", "netns", "delete", self.name)

    def is_ready(self) -> bool:
        if not self.kubeconfig.exists() or self.processes.dead() or not self.processes.records():
            return False
        condition = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
        return self.kubectl("get", "nodes", "-o", condition).stdout == "True"

    def inside(self, *command: object) -> list[str]:
        """The command as it runs inside the cluster's network."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *map(str, command)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": self.path}

    def kubectl(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = self.inside(binaries(KUBERNETES) / "kubectl", *arguments)
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)

    def load(self, archive: Path) -> None:
        """Load an image from a docker-archive into the node."""
        _run("ctr", "--address", self.socket, "--namespace", "k8s.io", "images", "import", archive)

    # The parts

    def _make_network(self) -> None:
        _run("ip", "netns", "add", self.name)
        for command in (
            "ip link set lo up",
            "ip link add node type bridge",  # the kernel may lack dummy devices; an empty bridge serves
            f"ip address add {NODE_ADDRESS}/24 dev node",
            "ip link set node up",
            "ip route add default dev node",  # lets service addresses be routed, and so translated
            "sysctl -q -w net.ipv4.ip_forward=1",
        ):
            _run(*self.inside(*command.split()))

    def _write_identities(self) -> None:
        """Bearer tokens instead of client certificates: nothing but this cluster ever sees them."""
        tokens = {name: secrets.token_hex(16) for name in _IDENTITIES}
        lines = [f'{tokens[name]},{user},{user},"{groups}"' for name, (user, groups) in _IDENTITIES.items()]
        (self.directory / "tokens.csv").write_text("\n".join(lines) + "\n")
        for name, token in tokens.items():
            self._write_kubeconfig(name, token)
        _run("openssl", "genrsa", "-out", self.directory / "service-account.key", "2048")

    def _write_kubeconfig(self, name: str, token: str) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "native",
                    "cluster": {
                        "server": API_SERVER,
                        "certificate-authority": str(self.directory / "certificates" / "apiserver.crt"),
                    },
                }
            ],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "native", "context": {"cluster": "native", "user": name}}],
            "current-context": "native",
        }
        file = self.directory / f"{name}.kubeconfig"
        file.write_text(json.dumps(config))
        file.chmod(0o600)

    def _start_control_plane(self, etcd: Path, kubernetes: Path) -> None:
        start, home = self.processes.start, self.directory
        start(
            "etcd",
            [
                etcd / "etcd",
                f"--data-dir={home / 'etcd'}",
                "--listen-client-urls=http://127.0.0.1:2379",
                "--advertise-client-urls=http://127.0.0.1:2379",
                "--listen-peer-urls=http://127.0.0.1:2380",
                "--unsafe-no-fsync",
            ],
        )
        start(
            "kube-apiserver",
            [
                kubernetes / "kube-apiserver",
                "--etcd-servers=http://127.0.0.1:2379",
                f"--cert-dir={home / 'certificates'}",
                f"--advertise-address={NODE_ADDRESS}",
                f"--bind-address={NODE_ADDRESS}",
                f"--service-cluster-ip-range={SERVICE_RANGE}",
                f"--token-auth-file={home / 'tokens.csv'}",
                "--authorization-mode=Node,RBAC",
                f"--service-account-key-file={home / 'service-account.key'}",
                f"--service-account-signing-key-file={home / 'service-account.key'}",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--kubelet-preferred-address-types=InternalIP",
                "--allow-privileged=true",
                "--v=1",
            ],
        )
        _wait("the API server", lambda: self.kubectl("get", "--raw", "/readyz").stdout == "ok", self)
        start(
            "kube-controller-manager",
            [
                kubernetes / "kube-controller-manager",
                f"--kubeconfig={home / 'controller-manager.kubeconfig'}",
                f"--service-account-private-key-file={home / 'service-account.key'}",
                f"--root-ca-file={home / 'certificates' / 'apiserver.crt'}",
                "--use-service-account-credentials=true",
                "--leader-elect=false",
                # The default of 20 requests a second is the bottleneck of every load test.
                "--kube-api-qps=1000",
                "--kube-api-burst=1000",
            ],
        )
        start(
            "kube-scheduler",
            [
                kubernetes / "kube-scheduler",
                f"--kubeconfig={home / 'scheduler.kubeconfig'}",
                "--leader-elect=false",
                "--kube-api-qps=1000",
                "--kube-api-burst=1000",
            ],
        )

    def _start_node(self, kubernetes: Path) -> None:
        home = self.directory
        self._write_node_files()
        self.processes.start("containerd", ["containerd", "--config", home / "containerd.toml"])
        _wait("containerd", self.socket.exists, self)
        self._import_pause_image()
        self.processes.start(
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
        self.processes.start(
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

    def _write_node_files(self) -> None:
        home = self.directory
        (home / "cni").mkdir(exist_ok=True)
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
        (home / "containerd.toml").write_text(_CONTAINERD.format(home=home, pause=_PAUSE_IMAGE))
        kubelet = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "address": NODE_ADDRESS,
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": False,
            "failSwapOn": False,
            "resolvConf": "",
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "maxPods": 200,
        }
        (home / "kubelet.json").write_text(json.dumps(kubelet))

    def _import_pause_image(self) -> None:
        """The container that holds a pod's network: busybox, asleep."""
        root = self.directory / "pause"
        root.mkdir()
        shutil.copy("/bin/busybox", root / "busybox")
        (root / "Containerfile").write_text(
            'FROM scratch\nCOPY busybox /busybox\nUSER 65535\nENTRYPOINT ["/busybox", "sleep", "2147483647"]\n'
        )
        archive = root / "pause.tar"
        _run("buildah", "bud", "--quiet", "--isolation", "chroot", "--tag", _PAUSE_IMAGE, root)
        _run("buildah", "push", "--quiet", _PAUSE_IMAGE, f"docker-archive:{archive}:{_PAUSE_IMAGE}")
        self.load(archive)

    def _kill_shims(self) -> None:
        """containerd's shims outlive it by design; those of this cluster name its socket."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "containerd-shim" in command and str(self.socket) in command:
                _kill_tree(int(entry.name))

    def _unmount(self) -> None:
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(str(self.directory))), reverse=True):
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)


_CONTAINERD = """
version = 2
root = "{home}/containerd"
state = "{home}/containerd-state"
[grpc]
  address = "{home}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_apparmor = true
  # The machine may lack CAP_SYS_RESOURCE: without this every sandbox fails with "can't get final child's PID".
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{home}/cni"
"""


def install_packages() -> None:
    """Install the Debian packages that are missing, and say so."""
    if all(shutil.which(program) for program in _PROGRAMS) and Path("/bin/busybox").exists():
        return
    print(f"installing Debian packages: {' '.join(DEBIAN_PACKAGES)}", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *DEBIAN_PACKAGES],
    ):
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"{' '.join(command)} failed: {done.stderr[-1000:]}")


def _wait(what: str, ready: Callable[[], bool], cluster: NativeCluster, patience_seconds: float = 120) -> None:
    deadline = time.monotonic() + patience_seconds
    while not ready():
        dead = cluster.processes.dead()
        if dead or time.monotonic() > deadline:
            ended = f" ({', '.join(dead)} ended)" if dead else ""
            raise BuildError(f"waited in vain for {what}{ended}: the logs are in {cluster.directory / 'logs'}")
        time.sleep(0.2)


def _kill_tree(pid: int) -> None:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        for child in children.read_text().split():
            _kill_tree(int(child))
        os.kill(pid, 9)
    except OSError:
        return


def _run(*command: object) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(map(str, command))} failed: {done.stderr.strip()[-1000:]}")
