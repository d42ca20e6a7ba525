"""How long attempts take: quantiles of what they have taken, kept in the policy's book. Pure.

An estimate is an order statistic of the attempts that ended: of n, the one of rank ⌈q (n + 1)⌉, or the longest. Where
attempts are alike in any order, the next one takes no longer with a probability of q at least, whatever the
distribution. Whether it was so is counted for each attempt, with the estimate that stood before it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.latency import MAX_SAMPLES, ExpectedLatency, LatencySpec, MeasuredLatency, Quantiles
from hybridjob.api.policy import BackendStatus, QuantumBackendPolicy
from hybridjob.api.status import CLASSICAL_BACKEND, AttemptStatus
from hybridjob.engine.deadlines import clock_start
from hybridjob.engine.instants import millis
from hybridjob.engine.policies import find_backend

CAUTION = 0.9
"""The quantile that decisions are taken by."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one attempt took, in milliseconds."""

    time: int
    """When it ended, since 1970. Two of the same time, queue and run are one attempt that was told twice."""
    queue: int
    run: int
    covered: bool | None = None
    """Whether it was within the estimate that stood; None where there was none."""

    @property
    def total(self) -> int:
        return self.queue + self.run


History = tuple[Sample, ...]
"""The latest attempts on one backend."""


@dataclass(frozen=True)
class DurationRequest:
    """Tell what an attempt took. Telling it again changes nothing."""

    backend: str
    sample: Sample
    rules: LatencySpec


@dataclass(frozen=True)
class Latency:
    """What nine of ten attempts take, in seconds."""

    queue: float
    run: float
    total: float
    source: str
    """For people: where that is from."""

    def __str__(self) -> str:
        return f"nine of ten attempts take up to {self.total:g} s ({self.source})"


def sample_of(attempt: AttemptStatus) -> Sample | None:
    """What an attempt that ended took, where it tells how long the next one takes: it answered; or a deadline ended it,
    and it would have taken longer still. Without these, backends that hang would look fast."""
    if attempt.end_time is None or not (attempt.state == "Succeeded" or attempt.reason == "LatencyExceeded"):
        return None
    created, end = millis(attempt.created_time), millis(attempt.end_time)
    start = millis(attempt.start_time) if attempt.start_time is not None else end
    return Sample(end, max(0, start - created), max(0, end - start))


def remember(history: History, request: DurationRequest) -> History:
    """The history with one attempt more. The same value comes back where it has been told before."""
    new = request.sample
    if any((old.time, old.queue, old.run) == (new.time, new.queue, new.run) for old in history):
        return history
    counted = _counted(history, request.rules, new.time)
    covered = None
    if len(counted) >= request.rules.minimum_samples:
        covered = new.total <= quantile([old.total for old in counted], CAUTION)
    return (*history, Sample(new.time, new.queue, new.run, covered))[-MAX_SAMPLES:]


def estimate(
    policy: QuantumBackendPolicy, backend: str, histories: Mapping[str, History], now: datetime
) -> Latency | None:
    """What nine of ten attempts take: as measured, where there are enough; else as the policy expects. None where
    nobody knows: that rules out nothing."""
    rules = policy.spec.latency
    if rules is not None:
        counted = _counted(histories.get(backend, ()), rules, millis(now))
        if len(counted) >= rules.minimum_samples:
            measured = _measured(counted)
            source = f"measured on {len(counted)} attempts"
            return Latency(measured.queue.p90, measured.run.p90, measured.total.p90, source)
    expected = _expected(policy, backend)
    if expected is None:
        return None
    queue, run = expected.queue_seconds, expected.run_seconds
    return Latency(queue, run, queue + run, "as the policy expects")


def mean_run(
    policy: QuantumBackendPolicy, backend: str, histories: Mapping[str, History], now: datetime
) -> float | None:
    """The seconds that solvers have run, on average; None where too few have been measured."""
    rules = policy.spec.latency
    if rules is None:
        return None
    ran = [sample.run for sample in _counted(histories.get(backend, ()), rules, millis(now)) if sample.run]
    return fmean(ran) / 1000 if len(ran) >= rules.minimum_samples else None


def too_slow(job: HybridJob, takes: Latency, is_first: bool, now: datetime) -> str | None:
    """Which deadline an attempt that starts now is likely to miss, with the numbers; None where there is none.
    `is_first`: whether no solver has started yet."""
    limits, since = job.spec.limits, clock_start(job, now)
    completion, queue = limits.completion_deadline_seconds, limits.queue_deadline_seconds
    passed = (now - since).total_seconds()
    checks: list[tuple[str, float, float, str]] = [
        ("end", takes.total, completion - passed, f"completionDeadlineSeconds ({completion})"),
        ("run", takes.run, limits.active_deadline_seconds, "activeDeadlineSeconds"),
    ]
    if is_first:
        checks.append(("start", takes.queue, queue - passed, f"queueDeadlineSeconds ({queue})"))
    for verb, seconds, left, limit in checks:
        if seconds > left:
            return (
                f"nine of ten attempts take up to {seconds:g} s to {verb} ({takes.source}), and {limit} leaves "
                f"{max(0.0, left):g} s"
            )
    return None


def quantile(values: Sequence[int], q: float) -> int:
    """The order statistic that the next value stays within with a probability of q."""
    rank = min(len(values), math.ceil(q * (len(values) + 1)))
    return sorted(values)[rank - 1]


def latency_report(
    policy: QuantumBackendPolicy, histories: Mapping[str, History], report: list[BackendStatus], now: datetime
) -> list[BackendStatus]:
    """The report on the policy's backends and its classical solver, with what their attempts have taken."""
    rules = policy.spec.latency
    if rules is None:
        return report
    known = {status.name: status for status in report}
    names = [*(backend.name for backend in policy.spec.backends), CLASSICAL_BACKEND]
    for name in names:
        counted = _counted(histories.get(name, ()), rules, millis(now))
        if counted:
            status = known.get(name) or BackendStatus(name=name, open=True)
            known[name] = status.model_copy(update={"latency": _measured(counted)})
    return [known[name] for name in names if name in known]


def _measured(samples: Sequence[Sample]) -> MeasuredLatency:
    return MeasuredLatency(
        samples=len(samples),
        queue=_quantiles([sample.queue for sample in samples]),
        run=_quantiles([sample.run for sample in samples if sample.run] or [0]),  # those that ran at all
        total=_quantiles([sample.total for sample in samples]),
        estimated=sum(sample.covered is not None for sample in samples),
        covered=sum(sample.covered is True for sample in samples),
    )


def _quantiles(values: Sequence[int]) -> Quantiles:
    p50, p90, p99 = (quantile(values, q) / 1000 for q in (0.5, CAUTION, 0.99))
    return Quantiles(p50=p50, p90=p90, p99=p99)


def _counted(history: History, rules: LatencySpec, now: int) -> list[Sample]:
    return [sample for sample in history if sample.time > now - rules.window_seconds * 1000]


def _expected(policy: QuantumBackendPolicy, backend: str) -> ExpectedLatency | None:
    if backend == CLASSICAL_BACKEND:
        return policy.spec.classical.expected_latency
    found = find_backend(policy, backend)
    return found.expected_latency if found is not None else None
