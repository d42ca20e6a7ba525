"""Windows at work: what closes a backend now, when it opens, and what a policy's status says of it.

Windows hold for starts only: what runs when a window closes runs on. They never hold back the classical solver.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import BackendSpec, BackendStatus, QuantumBackendPolicy
from hybridjob.api.windows import HORIZON, Schedule


@dataclass(frozen=True)
class Closure:
    """Why nothing may start on a backend."""

    message: str
    next_open: datetime | None
    """None where it does not open within the horizon."""
    start_time: datetime | None = None
    """When the job that waits for it may start: then, or shortly after."""


def closure(policy: QuantumBackendPolicy, backend: BackendSpec, now: datetime) -> Closure | None:
    """What closes the backend at this instant; None where it is open."""
    schedule = policy.spec.schedule(backend)
    if schedule.is_open(now):
        return None
    next_open = schedule.next_open(now)
    causes = " and ".join(_causes(policy, schedule, now))
    if next_open is None:
        return Closure(f"{causes}; does not open within {HORIZON.days} days", None)
    return Closure(f"{causes}; opens at {_times(schedule, next_open)}", next_open)


def wait(
    job: HybridJob, policy: QuantumBackendPolicy, backend: BackendSpec, deadline: datetime | None, now: datetime
) -> Closure | None:
    """What keeps the job from starting on the backend: it is closed, or has just opened, and the job's own moment has
    not come. None where nothing does: a job that comes while it is open starts at once."""
    closed = closure(policy, backend, now)
    schedule, spread = policy.spec.schedule(backend), timedelta(seconds=policy.spec.spread_seconds)
    if closed is None:
        since = max(job.metadata.creation_timestamp or now, now - spread)
        if since >= now or schedule.is_open(since):
            return None
        opened = schedule.next_open(since, spread)
        closed = Closure(f"opened at {_times(schedule, opened)}", opened) if opened is not None else None
    if closed is None or closed.next_open is None:
        return closed
    later = _share(job, schedule, closed.next_open, spread, deadline)
    start = closed.next_open + later
    if start <= now:
        return None
    message = f"{closed.message}; this job starts {later.total_seconds():g} s later: those that waited are spread"
    return replace(closed, start_time=start, message=message if later else closed.message)


def _share(
    job: HybridJob, schedule: Schedule, opened: datetime, spread: timedelta, deadline: datetime | None
) -> timedelta:
    """The job's part of the spread, always the same one. Where the window or the time of the job ends before the spread
    does, the jobs are spread over what there is."""
    ends = [opened + spread, schedule.next_change(opened, spread), deadline]
    room = min(end for end in ends if end is not None) - opened
    millis = max(0, room // timedelta(milliseconds=1))
    return timedelta(milliseconds=millis * zlib.crc32((job.metadata.uid or "").encode()) >> 32)


def window_report(policy: QuantumBackendPolicy, now: datetime) -> list[BackendStatus]:
    """The state of every backend that is not always open, for the policy's status."""
    report = []
    for backend in policy.spec.backends:
        if policy.spec.windows or backend.windows or backend.maintenance:
            closed = closure(policy, backend, now)
            report.append(
                BackendStatus(
                    name=backend.name,
                    open=closed is None,
                    next_open=closed.next_open if closed else None,
                    next_close=None if closed else policy.spec.schedule(backend).next_change(now),
                    message=closed.message[:2048] if closed else "",
                )
            )
    return report


def _causes(policy: QuantumBackendPolicy, schedule: Schedule, now: datetime) -> Iterator[str]:
    whose = (f"policy {policy.metadata.name}", "the backend")
    for owner, hours in zip(whose, schedule.hours, strict=True):
        if hours.is_open(now):
            continue
        if hours.mode == "Deny":
            names = [window.name for window in hours.windows if window.covers(now)]
            yield f"inside {_listed(names)} of {owner}, in which nothing may start"
        else:
            yield f"outside {_listed([window.name for window in hours.windows])} of {owner}"
    for maintenance in schedule.maintenance:
        if maintenance.covers(now):
            yield f"in maintenance until {_utc(maintenance.end_time)} ({maintenance.reason})"


def _listed(names: list[str]) -> str:
    return f"window {names[0]}" if len(names) == 1 else f"windows {', '.join(names)}"


def _times(schedule: Schedule, instant: datetime) -> str:
    """The instant in UTC, and in each zone that the windows are in."""
    zones = dict.fromkeys(window.time_zone for hours in schedule.hours for window in hours.windows)
    local = [f"{instant.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} in {zone}" for zone in zones if zone != "UTC"]
    return _utc(instant) + (f" ({', '.join(local)})" if local else "")


def _utc(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
