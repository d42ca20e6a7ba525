"""The native cluster's control plane: etcd, API server, controller manager, scheduler, and who may talk to them."""

import json
import secrets
from pathlib import Path

from tests.cluster_harness.commands import run
from tests.cluster_harness.processes import Processes

NODE_ADDRESS = "198.51.100.1"  # TEST-NET-2: documentation space, routed nowhere
NODE_NAME = "node"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVER = f"https://{NODE_ADDRESS}:6443"

_IDENTITIES = {
    # name: (user, groups)
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
    "proxy": ("system:kube-proxy", "system:node-proxier"),
}


def write_identities(home: Path) -> None:
    """Bearer tokens instead of client certificates: nothing but this cluster ever sees them."""
    tokens = {name: secrets.token_hex(16) for name in _IDENTITIES}
    lines = [f'{tokens[name]},{user},{user},"{groups}"' for name, (user, groups) in _IDENTITIES.items()]
    (home / "tokens.csv").write_text("\n".join(lines) + "\n")
    for name, token in tokens.items():
        _write_kubeconfig(home, name, token)
    run("openssl", "genrsa", "-out", home / "service-account.key", "2048")


def _write_kubeconfig(home: Path, name: str, token: str) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "native",
                "cluster": {
                    "server": API_SERVER,
                    "certificate-authority": str(home / "certificates" / "apiserver.crt"),
                },
            }
        ],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": "native", "context": {"cluster": "native", "user": name}}],
        "current-context": "native",
    }
    file = home / f"{name}.kubeconfig"
    file.write_text(json.dumps(config))
    file.chmod(0o600)


def start_storage_and_api_server(processes: Processes, home: Path, etcd: Path, kubernetes: Path) -> None:
    processes.start(
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
    processes.start(
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


def start_controllers(processes: Processes, home: Path, kubernetes: Path) -> None:
    processes.start(
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
    processes.start(
        "kube-scheduler",
        [
            kubernetes / "kube-scheduler",
            f"--kubeconfig={home / 'scheduler.kubeconfig'}",
            "--leader-elect=false",
            "--kube-api-qps=1000",
            "--kube-api-burst=1000",
        ],
    )
