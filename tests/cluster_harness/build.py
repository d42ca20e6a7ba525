"""Builds the native cluster's programs from the pinned Go modules under `tools/`.

Binaries are kept outside the repository, in a folder named after a hash of all that goes into them, so that a build is
paid for once per machine and version, and never mistaken for another.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster_harness.commands import HarnessError

TOOLS = Path(__file__).with_name("tools")


@dataclass(frozen=True)
class Tool:
    """A folder of `tools/`: one module, because the dependency graphs of two do not fit together."""

    name: str
    module: str
    """The module whose version the binaries report."""

    @property
    def folder(self) -> Path:
        return TOOLS / self.name

    @property
    def packages(self) -> list[str]:
        """The packages that go.mod names as tools."""
        text = (self.folder / "go.mod").read_text()
        block = re.search(r"^tool \((.*?)^\)", text, re.MULTILINE | re.DOTALL)
        if block:
            return block[1].split()
        return re.findall(r"^tool (\S+)$", text, re.MULTILINE)

    @property
    def version(self) -> str:
        found = re.search(rf"{re.escape(self.module)} (v\S+)", (self.folder / "go.mod").read_text())
        if found is None:
            raise HarnessError(f"{self.folder / 'go.mod'} must require {self.module}")
        return found[1]

    @property
    def linker_flags(self) -> str:
        """Without a stamped version the API server says v0.0.0, and clients and charts that check it misbehave."""
        flags = ["-s", "-w"]
        if self.module == "k8s.io/kubernetes":
            major, minor, _ = self.version.removeprefix("v").split(".")
            stamp = "k8s.io/component-base/version"
            flags += [
                f"-X {stamp}.gitVersion={self.version}",
                f"-X {stamp}.gitMajor={major}",
                f"-X {stamp}.gitMinor={minor}",
            ]
        return " ".join(flags)


ETCD = Tool("etcd", "go.etcd.io/etcd/server/v3")
HELM = Tool("helm", "helm.sh/helm/v4")
KUEUE = Tool("kueue", "sigs.k8s.io/kueue")
KWOK = Tool("kwok", "sigs.k8s.io/kwok")
KUBERNETES = {"1.37": Tool("kubernetes", "k8s.io/kubernetes"), "1.35": Tool("kubernetes-1.35", "k8s.io/kubernetes")}
DEFAULT_KUBERNETES = "1.37"


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "hybridjob-cluster"


def binaries(tool: Tool) -> Path:
    """The folder with the tool's binaries, built now if this machine has not built them yet. Raises HarnessError."""
    go = shutil.which("go")
    if go is None:
        raise HarnessError("go is not on the path: install Go 1.26 or later")
    folder = cache_directory() / "bin" / f"{tool.name}-{_key(tool, go)}"
    if folder.is_dir():
        return folder
    print(f"building {tool.name} {tool.version} (once; minutes)", file=sys.stderr, flush=True)
    building = folder.with_name(f".{folder.name}.{os.getpid()}")
    building.mkdir(parents=True, exist_ok=True)
    try:
        for package in tool.packages:
            _build(go, tool, package, building)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _build(go: str, tool: Tool, package: str, folder: Path) -> None:
    name = "etcd" if tool is ETCD else package.rsplit("/", 1)[-1]
    command = [go, "build", "-trimpath", "-ldflags", tool.linker_flags, "-o", str(folder / name), package]
    done = subprocess.run(
        command, cwd=tool.folder, env={**os.environ, "CGO_ENABLED": "0"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise HarnessError(f"{package} could not be built:\n{done.stderr[-2000:]}")


def _key(tool: Tool, go: str) -> str:
    digest = hashlib.sha256()
    for part in _inputs(tool, go):
        digest.update(part)
    return digest.hexdigest()[:16]


def _inputs(tool: Tool, go: str) -> Iterator[bytes]:
    yield subprocess.run([go, "version"], capture_output=True, check=True).stdout
    yield tool.linker_flags.encode()
    for name in ("go.mod", "go.sum"):
        yield (tool.folder / name).read_bytes()


if __name__ == "__main__":
    for wanted in (ETCD, *KUBERNETES.values(), HELM, KUEUE, KWOK):
        print(binaries(wanted))
