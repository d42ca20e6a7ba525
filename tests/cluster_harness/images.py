"""Builds the project's images from their Containerfiles, as users build them, and puts them on the node.

The native cluster has no registry to pull a base from: there the base is made by debootstrap, and passed as the build
argument that every Containerfile has.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster_harness.build import cache_directory
from tests.cluster_harness.commands import HarnessError, run

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Image:
    """Paths from the root of the repository."""

    containerfile: str
    contents: tuple[str, ...]
    """The files and folders that the Containerfile copies."""


def _solver(name: str) -> Image:
    folder = f"solver_images/{name}"
    contract = ("operator/hybridjob/__init__.py", "operator/hybridjob/contract")
    own = (f"{folder}/requirements.lock", "solver_images/trim.sh", "solver_images/hybridjob_solver")
    return Image(f"{folder}/Containerfile", (*contract, *own))


IMAGES: Mapping[str, Image] = {
    "operator": Image("operator/Containerfile", ("operator/requirements.lock", "pyproject.toml", "operator/hybridjob")),
    "classical": _solver("classical"),
    "qiskit": _solver("qiskit"),
    "cirq": _solver("cirq"),
}
BASE_IMAGE = "localhost/hybridjob-base:bookworm"
_BASE_PACKAGES = "python3,python3-venv,ca-certificates"


def image_name(name: str) -> str:
    """The name under which an image is built for tests."""
    return f"localhost/hybridjob-{name}:test"


def build(name: str) -> Path:
    """Build one image and return it as a docker-archive; from the cache where nothing that goes into it has changed."""
    archive = cache_directory() / "images" / f"{name}-{_key(name)}.tar"
    if archive.exists():
        return archive
    _ensure_base()
    archive.parent.mkdir(parents=True, exist_ok=True)
    print(f"building the {name} image", file=sys.stderr, flush=True)
    # chroot isolation and the host's network: nested containers are not to be had everywhere.
    run(
        "buildah",
        "bud",
        "--isolation=chroot",
        "--network=host",
        "--layers",
        f"--build-arg=BASE={BASE_IMAGE}",
        f"--file={REPOSITORY / IMAGES[name].containerfile}",
        f"--tag={image_name(name)}",
        *_pip_settings(),
        REPOSITORY,
    )
    partial = archive.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    run("buildah", "push", "--quiet", image_name(name), f"docker-archive:{partial}:{image_name(name)}")
    for old in archive.parent.glob(f"{name}-*.tar"):
        old.unlink()
    partial.rename(archive)
    return archive


def build_program(name: str, program: Path, folder: Path, *arguments: str) -> Path:
    """An image of one static program, which runs with the arguments, as a docker-archive in the folder."""
    folder.mkdir(exist_ok=True)
    shutil.copy(program, folder / program.name)
    entrypoint = json.dumps([f"/{program.name}", *arguments])
    lines = ("FROM scratch", f"COPY {program.name} /{program.name}", "USER 65535", f"ENTRYPOINT {entrypoint}")
    (folder / "Containerfile").write_text("\n".join(lines) + "\n")
    archive = folder / "image.tar"
    archive.unlink(missing_ok=True)
    run("buildah", "bud", "--quiet", "--isolation=chroot", f"--tag={name}", folder)
    run("buildah", "push", "--quiet", name, f"docker-archive:{archive}:{name}")
    return archive


def _pip_settings() -> list[str]:
    """The host's own way to the package index: certificates, resolver and pip's configuration, for the build alone."""
    mounts = ["/etc/ssl/certs/ca-certificates.crt", "/etc/resolv.conf", "/etc/pip.conf"]
    volumes = [f"--volume={path}:{path}:ro" for path in mounts if Path(path).exists()]
    variables = [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]
    return volumes + [f"--env={name}={os.environ[name]}" for name in variables]


def _ensure_base() -> None:
    """A minimal Debian with Python, from the machine's own package sources."""
    if subprocess.run(["buildah", "inspect", BASE_IMAGE], capture_output=True, check=False).returncode == 0:
        return
    root = cache_directory() / "base"
    shutil.rmtree(root, ignore_errors=True)
    print("making the base image with debootstrap (once; minutes)", file=sys.stderr, flush=True)
    run("debootstrap", "--variant=minbase", f"--include={_BASE_PACKAGES}", "bookworm", root, _debian_mirror())
    for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / waste, ignore_errors=True)
    container = run("buildah", "from", "scratch").strip()
    try:
        run("buildah", "copy", "--quiet", container, root, "/")
        run("buildah", "commit", "--quiet", container, BASE_IMAGE)
    finally:
        run("buildah", "rm", container)
        shutil.rmtree(root, ignore_errors=True)


def _debian_mirror() -> str:
    """The archive that this machine's apt uses for bookworm."""
    done = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)")
    for line in done.splitlines():
        uri, _, release = line.partition(" ")
        if release == "bookworm":
            return uri
    raise HarnessError("apt's sources name no archive of Debian bookworm: the base image is made from one")


def _key(name: str) -> str:
    """A hash of all that an image is made of."""
    digest = hashlib.sha256()
    image = IMAGES[name]
    for part in (".dockerignore", image.containerfile, *image.contents):
        path = REPOSITORY / part
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(REPOSITORY)).encode() + file.read_bytes())
    return digest.hexdigest()[:16]
