"""Hedging: the classical solver starts beside the quantum one, at the last moment that still meets the deadline. Pure.

Whichever answers first, acceptably, answers the job. A policy may bound how many hedges begin in a minute, lest a
backend that has become slow floods the cluster with classical work: that is what its circuit breaker is for. The book
counts them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import CLASSICAL_BACKEND
from hybridjob.engine.accounts import Key
from hybridjob.engine.deadlines import clock_start
from hybridjob.engine.instants import instant, millis
from hybridjob.engine.latency import History, estimate

UNKNOWN_SECONDS = 60.0
"""What the classical solver is assumed to take where nobody knows; at most half of the time that the job has."""
_MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class Hedge:
    """One hedge that was granted."""

    key: Key
    time: int
    """When, in milliseconds since 1970."""


@dataclass(frozen=True)
class HedgeRequest:
    """Ask to begin a hedge. Asking again within the minute is asking once."""

    key: Key
    per_minute: int


def grant(hedges: tuple[Hedge, ...], request: HedgeRequest, now: int) -> tuple[Hedge, ...]:
    """The hedges of the last minute, with this one if there is room. The same value comes back where there is none."""
    recent = _recent(hedges, now)
    if any(hedge.key == request.key for hedge in recent) or len(recent) >= request.per_minute:
        return hedges
    return (*recent, Hedge(request.key, now))


def hedge_time(
    job: HybridJob, policy: QuantumBackendPolicy, latencies: Mapping[str, History], now: datetime
) -> datetime:
    """The last moment for the classical solver to start: what nine of ten of its attempts take before the completion
    deadline, and a tenth of that, or a second, for good measure."""
    limit = job.spec.limits.completion_deadline_seconds
    takes = estimate(policy, CLASSICAL_BACKEND, latencies, now)
    seconds = takes.total if takes is not None else min(UNKNOWN_SECONDS, limit / 2)
    return clock_start(job, now) + timedelta(seconds=limit - seconds - max(1.0, seconds / 10))


def hedge_slot(
    policy: QuantumBackendPolicy, hedges: tuple[Hedge, ...], key: Key, now: datetime
) -> HedgeRequest | datetime | None:
    """None where a hedge may begin now; else what has to be asked first, or when to look again."""
    limit = policy.spec.latency.hedges_per_minute if policy.spec.latency is not None else None
    recent = _recent(hedges, millis(now))
    if limit is None or any(hedge.key == key for hedge in recent):
        return None
    if len(recent) < limit:
        return HedgeRequest(key, limit)
    return instant(min(hedge.time for hedge in recent) + _MINUTE)


def _recent(hedges: tuple[Hedge, ...], now: int) -> tuple[Hedge, ...]:
    return tuple(hedge for hedge in hedges if hedge.time > now - _MINUTE)
