"""The attempts of a hedged job: which of them are hedges, whether one has answered, when one may begin. Pure."""

from collections.abc import Sequence
from datetime import datetime

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import AttemptStatus
from hybridjob.engine.acceptance import why_unacceptable
from hybridjob.engine.facts import Facts
from hybridjob.engine.hedging import HedgeRequest, hedge_slot, hedge_time


def hedges(attempts: Sequence[AttemptStatus]) -> list[AttemptStatus]:
    """Of a hedged job's attempts, the classical ones beside the quantum ones. What a suspension ended is begun anew."""
    classical = (attempt for attempt in attempts if attempt.route == "Classical")
    return [attempt for attempt in classical if attempt.state != "Cancelled" or attempt.reason is not None]


def acceptable_hedge(job: HybridJob, attempts: Sequence[AttemptStatus], facts: Facts) -> AttemptStatus | None:
    """A hedge that has answered, where its answer is good enough; otherwise the quantum route goes on."""
    if any(attempt.route == "Quantum" and attempt.state == "Succeeded" for attempt in attempts):
        return None
    for hedge in hedges(attempts):
        found = facts.attempts.get(hedge.number)
        answer = found.verdict.answer if found is not None and found.verdict is not None else None
        if hedge.state == "Succeeded" and answer is not None:
            return None if why_unacceptable(answer, job.spec.acceptance, "Classical") else hedge
    return None


def next_step(
    job: HybridJob, policy: QuantumBackendPolicy, facts: Facts, attempt: int, now: datetime
) -> HedgeRequest | datetime | None:
    """None where the attempt of that number may begin as a hedge; else what to ask of the book first, or when to look
    again."""
    starts = hedge_time(job, policy, facts.latencies, now)
    if now < starts:
        return starts
    return hedge_slot(policy, facts.hedges, (job.metadata.uid or "", attempt), now)
