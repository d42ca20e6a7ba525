"""Reads what a solver left behind, and trusts none of it: sizes are bounded, digests and names are checked."""

from pydantic import ValidationError

from hybridjob.api.status import MAX_SOLUTION_LENGTH, Sample
from hybridjob.contract.files import sha256_digest
from hybridjob.contract.verdict import MAX_VERDICT_BYTES, Payload, Verdict

_TOP = 16


class BadResultError(Exception):
    """What a solver left is not what it must be; the message says what is wrong."""


def read_verdict(content: bytes, job_uid: str, attempt: int) -> Verdict:
    """The verdict of this very attempt. Raises BadResultError."""
    if len(content) > MAX_VERDICT_BYTES:
        raise BadResultError(f"the verdict has more than {MAX_VERDICT_BYTES} bytes")
    try:
        verdict = Verdict.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadResultError(f"the verdict is malformed: {place}: {first['msg']}") from error
    if (verdict.job_uid, verdict.attempt) != (job_uid, attempt):
        raise BadResultError(f"the verdict is of job {verdict.job_uid}, attempt {verdict.attempt}")
    return verdict


def best_samples(payload: bytes, digest: str) -> tuple[Sample, ...]:
    """The best outcomes of the payload that the verdict names by its digest. Raises BadResultError."""
    if sha256_digest(payload) != digest:
        raise BadResultError("the payload does not match the digest in the verdict")
    try:
        samples = Payload.model_validate_json(payload).samples
    except ValidationError as error:
        raise BadResultError(f"the payload is malformed: {error.errors(include_url=False)[0]['msg']}") from error
    return tuple(
        Sample(solution=s.solution, objective=s.objective, feasible=s.feasible, count=s.count)
        for s in samples[:_TOP]
        if len(s.solution) <= MAX_SOLUTION_LENGTH
    )
