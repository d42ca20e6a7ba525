"""The three deadlines of a job. Each is an instant computed from the status, so that a restart changes none of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from hybridjob.api.hybridjob import HybridJob, LimitsSpec
from hybridjob.api.status import AttemptStatus, FallbackStatus
from hybridjob.engine.conditions import resumed_time


@dataclass(frozen=True)
class Deadline:
    time: datetime
    message: str
    """What was missed, when it is."""
    of_run: bool = False
    """Whether it bounds how long an attempt runs."""


def clock_start(job: HybridJob, now: datetime) -> datetime:
    """When the job's own time began: while it is suspended, none passes."""
    created = job.metadata.creation_timestamp or now
    return max(created, resumed_time(job.status.conditions if job.status else [], now) or created)


def deadlines(
    limits: LimitsSpec, created: datetime, fallback: FallbackStatus | None, started: bool, current: AttemptStatus | None
) -> Iterator[Deadline]:
    """The deadlines that bind now.

    `started`: whether any attempt on the current route has begun to run. After a fallback the queue deadline counts
    from there, and the completion deadline binds no more: it is what the fallback is there to answer for.
    """
    if not started:
        waiting_since = max(fallback.time, created) if fallback else created
        seconds = limits.queue_deadline_seconds
        yield Deadline(
            waiting_since + timedelta(seconds=seconds), f"no solver started within queueDeadlineSeconds ({seconds})"
        )
    if current is not None and current.start_time is not None:
        seconds = limits.active_deadline_seconds
        yield Deadline(
            current.start_time + timedelta(seconds=seconds),
            f"attempt {current.number} ran longer than activeDeadlineSeconds ({seconds})",
            of_run=True,
        )
    if fallback is None:
        seconds = limits.completion_deadline_seconds
        yield Deadline(
            created + timedelta(seconds=seconds), f"not complete within completionDeadlineSeconds ({seconds})"
        )
