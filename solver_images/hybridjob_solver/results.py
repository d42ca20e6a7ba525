"""The verdict and the payload beside it, as files."""

from pathlib import Path

from hybridjob.contract.files import sha256_digest, write_atomically
from hybridjob.contract.verdict import MAX_VERDICT_BYTES, Payload, Verdict

_ELLIPSIS = "…"


def write_result(path: Path, verdict: Verdict, payload: Payload | None) -> None:
    """Write the payload, then the verdict: a verdict that exists is whole, and so is the payload that it names."""
    if payload is not None:
        content = payload.model_dump_json(by_alias=True, exclude_none=True).encode()
        write_atomically(path.with_name(f"{path.stem}.payload.json"), content)
        verdict = verdict.model_copy(update={"payload_digest": sha256_digest(content)})
    write_atomically(path, fit(verdict))


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
