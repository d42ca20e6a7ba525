"""What objects can be loaded from: files, text, and objects that are in memory already."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridjob.api.yaml_source import MAX_BYTES


@dataclass(frozen=True)
class Text:
    """Objects in memory, under the name that errors call them by."""

    name: str
    content: str


Given = Path | Text | Mapping[str, Any]
"""A file (`-` is standard input), a text, or one object."""


def name_of(given: Given) -> str:
    """What errors call it."""
    match given:
        case Path():
            return str(given)
        case Text():
            return given.name
    metadata = given.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return " ".join(word for word in (given.get("kind"), name) if isinstance(word, str)) or "the object"


def read_bytes(path: Path) -> bytes:
    """The file's content, at most one byte more than may be read."""
    if str(path) == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
