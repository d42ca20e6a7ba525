"""The verdict and the payload beside it, as files."""

import sys
from pathlib import Path

from hybridjob.contract.files import sha256_digest, write_atomically
from hybridjob.contract.verdict import (
    MAX_PRINTED_PAYLOAD_BYTES,
    MAX_VERDICT_BYTES,
    PAYLOAD_PREFIX,
    Payload,
    Verdict,
)

_ELLIPSIS = "…"


def write_result(path: Path, verdict: Verdict, payload: Payload | None, in_container: Path | None = None) -> None:
    """Write the payload, then the verdict: a verdict that exists is whole, and so is the payload that it names.

    `in_container` is the termination log of a container, whose files end with it: the verdict goes there, too, and the
    payload to standard output, shortened where it must be.
    """
    if payload is not None:
        content = _fit_payload(payload) if in_container else _dump(payload)
        write_atomically(path.with_name(f"{path.stem}.payload.json"), content)
        verdict = verdict.model_copy(update={"payload_digest": sha256_digest(content)})
        if in_container:
            sys.stdout.buffer.write(b"\n" + PAYLOAD_PREFIX + content + b"\n")
            sys.stdout.buffer.flush()
    write_atomically(path, fit(verdict))
    if in_container:
        in_container.write_bytes(fit(verdict))  # a mounted file, which cannot be renamed over


def _dump(payload: Payload) -> bytes:
    return payload.model_dump_json(by_alias=True, exclude_none=True).encode()


def _fit_payload(payload: Payload) -> bytes:
    """The payload without as many of its samples, the worst first, and then of its details, as make it too long."""
    while len(content := _dump(payload)) > MAX_PRINTED_PAYLOAD_BYTES:
        if payload.samples:
            payload = payload.model_copy(update={"samples": payload.samples[: len(payload.samples) // 2]})
        else:
            bare = Payload(job_uid=payload.job_uid, attempt=payload.attempt, versions=payload.versions)
            return _dump(bare)
    return content


def clip(text: str, length: int) -> str:
    """The text without control characters, which JSON writes as six bytes each, and at most so long."""
    printable = "".join(char if char.isprintable() else " " for char in text[: length + 1])
    return printable if len(printable) <= length else printable[: length - 1] + _ELLIPSIS


def fit(verdict: Verdict) -> bytes:
    """The verdict in at most 4,096 bytes, its message shortened where it must be.

    That suffices: all else has bounds (`job_uid` 253 characters of at most four bytes, the solution 1,024 bytes).
    """
    while len(content := verdict.model_dump_json(by_alias=True, exclude_none=True).encode()) > MAX_VERDICT_BYTES:
        verdict = verdict.model_copy(update={"message": clip(verdict.message, len(verdict.message) * 3 // 4)})
    return content
