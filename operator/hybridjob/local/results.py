"""The files that a solver process left behind."""

from dataclasses import dataclass
from pathlib import Path

from hybridjob.api.status import Sample
from hybridjob.contract.verdict import MAX_VERDICT_BYTES, Verdict
from hybridjob.engine.results import BadResultError, best_samples, read_verdict

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
    try:
        verdict = read_verdict(_read_bounded(directory / VERDICT_NAME, MAX_VERDICT_BYTES), job_uid, attempt)
        if verdict.payload_digest is None:
            return AttemptResult(verdict)
        payload_path = directory / PAYLOAD_NAME
        top = best_samples(_read_bounded(payload_path, MAX_PAYLOAD_BYTES), verdict.payload_digest)
    except BadResultError as error:
        return AttemptResult(error=str(error))
    return AttemptResult(verdict, reference=str(payload_path), top=top)


def _read_bounded(path: Path, limit: int) -> bytes:
    """The file's content. Raises BadResultError."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise BadResultError(f"{path.name} cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise BadResultError(f"{path.name} has more than {limit} bytes")
    return content
