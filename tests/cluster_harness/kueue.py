"""Kueue on the native cluster: its own manifests, from its module, and its manager as a pod."""

from pathlib import Path

from tests.cluster_harness import images
from tests.cluster_harness.build import KUEUE, binaries
from tests.cluster_harness.commands import HarnessError, run
from tests.cluster_harness.native import NativeCluster

_PUBLISHED_IMAGE = "us-central1-docker.pkg.dev/k8s-staging-images/kueue/kueue:main"
_IMAGE = "localhost/kueue:test"
_FLAVOR = "{apiVersion: kueue.x-k8s.io/v1beta2, kind: ResourceFlavor, metadata: {name: dry-run}}"


def start(cluster: NativeCluster) -> None:
    """Start Kueue and wait until it admits."""
    program = binaries(KUEUE) / "kueue"
    cluster.load_archive(images.build_program(_IMAGE, program, cluster.directory / "kueue"))
    source = Path(run("go", "-C", KUEUE.folder, "list", "-m", "-f", "{{.Dir}}", KUEUE.module).strip())
    manifests = _kubectl(cluster, "kustomize", source / "config" / "default")
    for old, new in (
        (_PUBLISHED_IMAGE, _IMAGE),
        ("imagePullPolicy: Always", "imagePullPolicy: Never"),
        ("- /manager", f"- /{program.name}"),
    ):
        manifests = manifests.replace(old, new)
    _kubectl(cluster, "apply", "--server-side", "--force-conflicts", "-f", "-", text=manifests)
    _kubectl(cluster, "-n", "kueue-system", "rollout", "status", "deployment", "--timeout=120s")
    # The node's rules for the webhooks' service come a moment after their pod.
    dry_run = ("create", "--dry-run=server", "-f", "-")
    cluster.wait("Kueue's webhooks", lambda: cluster.kubectl(*dry_run, text=_FLAVOR).returncode == 0)


def _kubectl(cluster: NativeCluster, *arguments: object, text: str | None = None) -> str:
    done = cluster.kubectl(*arguments, text=text)
    if done.returncode:
        raise HarnessError(f"Kueue did not start: {done.stderr[-1500:]}")
    return done.stdout
