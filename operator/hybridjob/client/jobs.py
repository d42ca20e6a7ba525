"""The jobs of a world, whichever it is. What the client and the command line do, they do through this protocol."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import ValidationError

from hybridjob.api.given import Given
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.manifests import FieldError, ManifestError
from hybridjob.api.status import HybridJobStatus, ResultStatus
from hybridjob.client.errors import PayloadError
from hybridjob.contract.files import sha256_digest
from hybridjob.contract.progress import Progress
from hybridjob.contract.verdict import Payload
from hybridjob.engine.lifecycle import TERMINAL

News = HybridJob | Progress
"""What a watch brings: a version of the job, or how far its solver is, where the world hears of that."""


@dataclass(frozen=True)
class Moment:
    """One line of a job's history."""

    time: datetime
    word: str
    message: str


class Jobs(Protocol):
    """The jobs of one world. Every method may raise ClientError. For one event loop."""

    history_title: str
    """What the world calls a job's history."""
    left_alone: str
    """What becomes of jobs that nobody waits for any more, and what to do then."""

    async def submit(self, given: Sequence[Given], only_one: bool = False) -> list[HybridJob]:
        """Make the jobs of what was given, at least one, after all of it was checked. Raises ManifestError and
        JobExistsError; then nothing was started."""
        ...

    async def get(self, name: str) -> HybridJob:
        """The job of that name. Raises NoSuchJobError."""
        ...

    async def all(self) -> list[HybridJob]:
        """All jobs in sight, oldest first."""
        ...

    async def refresh(self, job: HybridJob) -> HybridJob:
        """This very job as it is now. Raises JobDeletedError where it is gone."""
        ...

    def watch(self, job: HybridJob) -> AsyncIterator[News]:
        """This very job as it is now, then every change of it, up to its end. Raises JobDeletedError."""
        ...

    async def cancel(self, job: HybridJob) -> None:
        """Ask for the job's end: its solvers are ended, its money is settled. Raises JobEndedError."""
        ...

    async def payload(self, job: HybridJob) -> Payload:
        """The full result of the job's answer. Raises PayloadError."""
        ...

    async def history(self, job: HybridJob) -> list[Moment]:
        """What happened to the job, oldest first."""
        ...

    async def close(self) -> None:
        """Let go of everything, and leave the jobs alone."""
        ...


def require_jobs(count: int, only_one: bool) -> None:
    """Raise ManifestError where there are too few jobs, or too many."""
    if count == 0 or (only_one and count > 1):
        must = "must hold exactly one: several are run by `hybridjob run`" if only_one else "must hold at least one"
        raise ManifestError([FieldError("what was given", 0, "", f"{count or 'no'} HybridJobs", must)])


def status_of(job: HybridJob) -> HybridJobStatus:
    """The status; that of a job which nobody has looked at yet is Pending."""
    return job.status or HybridJobStatus()


def has_ended(job: HybridJob) -> bool:
    return status_of(job).state in TERMINAL


def result_of(job: HybridJob) -> ResultStatus:
    """The answer, with its payload's whereabouts. Raises PayloadError where there is none."""
    result = status_of(job).result
    if result is None or result.reference is None:
        missing = "answer" if result is None else "payload"
        raise PayloadError(f"job {job.metadata.name} has no {missing}: it is {status_of(job).state}")
    return result


def parse_payload(content: bytes, result: ResultStatus) -> Payload:
    """The payload, which must be the one that the solver wrote. Raises PayloadError."""
    if result.digest is not None and sha256_digest(content) != result.digest:
        raise PayloadError(f"the payload {result.reference} has been changed: its digest must be {result.digest}")
    try:
        return Payload.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise PayloadError(f"the payload {result.reference} cannot be read: {first['msg']}") from error
