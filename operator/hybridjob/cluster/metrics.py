"""What Prometheus scrapes. No label grows with the number of jobs."""

from collections import Counter as Tally
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.status import HybridJobStatus
from hybridjob.cluster.cache import Cache
from hybridjob.cluster.policy_metrics import PolicyMetrics
from hybridjob.engine.budgets import Alert
from hybridjob.engine.lifecycle import OPEN


class Metrics:
    """One registry per operator process."""

    def __init__(self, cache: Cache, depth: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Jobs(cache))
        self.policies = PolicyMetrics()
        self.registry.register(self.policies)
        registry = self.registry
        self.reconcile_seconds = Histogram(
            "hybridjob_reconcile_seconds", "Time of one pass over one job", registry=registry
        )
        self.reconcile_errors = Counter(
            "hybridjob_reconcile_errors", "Passes that failed and are tried again", registry=registry
        )
        self._writes = Counter(
            "hybridjob_api_writes", "Writes to the API server", ["verb", "resource", "code"], registry=registry
        )
        self._attempts = Counter(
            "hybridjob_attempts", "Attempts that ended", ["route", "backend", "outcome", "reason"], registry=registry
        )
        self._alerts = Counter(
            "hybridjob_budget_alerts",
            "Thresholds of budgets that were reached",
            ["policy", "budget", "percent"],
            registry=registry,
        )
        self._holds = Counter("hybridjob_holds", "Jobs that began to wait", ["policy", "reason"], registry=registry)
        self._hedges_started = Counter(
            "hybridjob_hedges_started", "Classical solvers started beside quantum ones", ["policy"], registry=registry
        )
        self._hedges_won = Counter(
            "hybridjob_hedges_won", "Of these, those that answered first", ["policy"], registry=registry
        )
        self.leader = Gauge("hybridjob_leader", "Whether this process leads", registry=registry)
        Gauge("hybridjob_work_queue_depth", "Jobs that wait to be looked at", registry=registry).set_function(depth)

    def wrote(self, verb: str, resource: str, code: int) -> None:
        self._writes.labels(verb, resource, str(code)).inc()

    def status_written(self, job: HybridJob, before: HybridJobStatus | None, after: HybridJobStatus) -> None:
        """Count what happened with this status: attempts that ended, waits, hedges."""
        ended = {attempt.number for attempt in before.attempts if attempt.state not in OPEN} if before else set()
        for attempt in after.attempts:
            if attempt.state not in OPEN and attempt.number not in ended:
                self._attempts.labels(attempt.route, attempt.backend, attempt.state, attempt.reason or "").inc()
        reason = _waits_for(after)
        if reason is not None and reason != _waits_for(before):
            self._holds.labels(after.policy or "", reason).inc()
        if job.spec.strategy == "Hedged" and after.fallback is None:
            self._hedges_written(before, after)

    def _hedges_written(self, before: HybridJobStatus | None, after: HybridJobStatus) -> None:
        known = {attempt.number for attempt in before.attempts} if before else set()
        policy = after.policy or ""
        started = [a for a in after.attempts if a.route == "Classical" and a.number not in known]
        self._hedges_started.labels(policy).inc(len(started))
        has_ended = before is not None and before.state == "Succeeded"
        if after.state == "Succeeded" and after.route == "Classical" and not has_ended:
            self._hedges_won.labels(policy).inc()

    def alerted(self, policy: str, alert: Alert) -> None:
        self._alerts.labels(policy, alert.budget, str(alert.percent)).inc()


def _waits_for(status: HybridJobStatus | None) -> str | None:
    if status is None or status.state != "Held":
        return None
    if status.waiting is not None:
        return status.waiting.reason
    return "BudgetExceeded" if status.hold is not None else None


class _Jobs(Collector):
    """Counts the jobs when it is asked, so that no job is ever counted twice or left behind."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("hybridjob_jobs", "HybridJobs that exist", labels=["namespace", "state", "reason"])
        tally = Tally(
            (record.namespace, record.state or "Pending", record.reason or "") for record in self._cache.jobs.values()
        )
        for labels, number in tally.items():
            family.add_metric(labels, number)
        yield family
