"""Reads what a solver left behind, and trusts none of it: sizes are bounded, digests and names are checked."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from hybridjob.api.status import MAX_SOLUTION_LENGTH, Sample
from hybridjob.contract.files import sha256_digest
from hybridjob.contract.verdict import MAX_VERDICT_BYTES, Payload, Verdict

VERDICT_NAME = "verdict.json"
PAYLOAD_NAME = "verdict.payload.json"
MAX_PAYLOAD_BYTES = 64 * 2**20


@dataclass(frozen=True)
class AttemptResult:
    """A verdict, or why there is none."""

    verdict: Verdict | None = None
    error: str | None = None
    reference: str | None = None
    top: tuple[Sample, ...] = ()


def read_result(directory: Path, job_uid: str, attempt: int) -> AttemptResult:
    """The result of one attempt from its directory."""
    content = _read_bounded(directory / VERDICT_NAME, MAX_VERDICT_BYTES)
    if isinstance(content, str):
        return AttemptResult(error=content)
    try:
        verdict = Verdict.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        return AttemptResult(error=f"the verdict is malformed: {place}: {first['msg']}")
    if (verdict.job_uid, verdict.attempt) != (job_uid, attempt):
        return AttemptResult(error=f"the verdict is of job {verdict.job_uid}, attempt {verdict.attempt}")
    if verdict.payload_digest is None:
        return AttemptResult(verdict)
    payload_path = directory / PAYLOAD_NAME
    payload = _read_bounded(payload_path, MAX_PAYLOAD_BYTES)
    if isinstance(payload, str):
        return AttemptResult(error=payload)
    if sha256_digest(payload) != verdict.payload_digest:
        return AttemptResult(error="the payload does not match the digest in the verdict")
    try:
        samples = Payload.model_validate_json(payload).samples
    except ValidationError as error:
        return AttemptResult(error=f"the payload is malformed: {error.errors(include_url=False)[0]['msg']}")
    top = tuple(
        Sample(solution=s.solution, objective=s.objective, feasible=s.feasible, count=s.count)
        for s in samples[:16]
        if len(s.solution) <= MAX_SOLUTION_LENGTH
    )
    return AttemptResult(verdict, reference=str(payload_path), top=top)


def _read_bounded(path: Path, limit: int) -> bytes | str:
    """The file's content, or what is wrong with it."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"
    if len(content) > limit:
        return f"{path.name} has more than {limit} bytes"
    return content
