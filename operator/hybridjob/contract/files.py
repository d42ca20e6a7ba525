"""Reading and writing the contract's files so that a reader never sees half of one."""

import hashlib
import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` so that `path` either does not change or holds all of it, whatever kills the process.

    The bytes go to a temporary name in the same directory, reach the disk, and are renamed over `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sha256_digest(content: bytes) -> str:
    """The digest of `content` in the form that container images use: `sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
