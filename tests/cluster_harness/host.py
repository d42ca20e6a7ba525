"""What the native cluster needs of its host."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.cluster_harness.commands import HarnessError

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


def why_impossible() -> str | None:
    """What is missing on this machine, or None."""
    if os.geteuid() != 0:
        return "The native cluster needs root"
    if not Path("/etc/debian_version").exists():
        return "The native cluster needs Debian (its packages are installed by apt-get)"
    if shutil.which("go") is None:
        return "The native cluster needs Go 1.26 or later on the path"
    return None


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
            raise HarnessError(f"{' '.join(command)} failed: {done.stderr[-1000:]}")


def processes_in(namespace: Path) -> set[int]:
    """The processes whose network this namespace is."""
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return {number for number in numbers if _has_network(number, namespace)}


def _has_network(process: int, namespace: Path) -> bool:
    try:
        return Path(f"/proc/{process}/ns/net").samefile(namespace)
    except OSError:
        return False


def kill(find: Callable[[], set[int]], patience_seconds: float = 20) -> None:
    """Kill what `find` finds until it finds nothing: processes take a while to end, and start others meanwhile."""
    deadline = time.monotonic() + patience_seconds
    while found := find() - {os.getpid()}:
        if time.monotonic() > deadline:
            raise HarnessError(f"processes that cannot be killed: {sorted(found)}")
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.1)


class Cgroup:
    """A cgroup of one cluster's own, in every hierarchy: two kubelets that share one kill each other's pods."""

    def __init__(self, name: str) -> None:
        self._name = name

    def make(self) -> None:
        for root in _cgroup_roots():
            (root / self._name).mkdir(exist_ok=True)

    def processes(self) -> set[int]:
        lists = [file for folder in self._folders() for file in folder.rglob("cgroup.procs")]
        return {int(line) for file in lists for line in file.read_text().split()}

    def remove(self) -> None:
        """Remove it and all below; its processes must be gone."""
        for top in self._folders():
            for folder in sorted([top, *(path for path in top.rglob("*") if path.is_dir())], reverse=True):
                folder.rmdir()

    def _folders(self) -> list[Path]:
        return [folder for root in _cgroup_roots() if (folder := root / self._name).is_dir()]


def _cgroup_roots() -> list[Path]:
    """Version 2 has one hierarchy, version 1 one for each controller."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(fields[1]) for fields in mounts if fields[2] in ("cgroup", "cgroup2")]
