"""What Prometheus scrapes: the state of policies, and what happens to jobs, with labels that no number of jobs makes
more of."""

from itertools import pairwise
from typing import Any

import pytest

from hybridjob.api.policy import PolicyStatus, QuantumBackendPolicy
from hybridjob.api.status import AttemptStatus, FallbackStatus, HoldStatus, HybridJobStatus, WaitingStatus
from hybridjob.cluster.cache import Cache
from hybridjob.cluster.metrics import Metrics
from hybridjob.engine import reservations
from hybridjob.engine.backend_report import backend_report
from hybridjob.engine.breaker import ReportRequest
from hybridjob.engine.breaker_gate import rules_of
from hybridjob.engine.budgets import budget_report
from hybridjob.engine.instants import millis
from hybridjob.engine.latency import DurationRequest, Sample
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_requests import Request, SettleRequest, UnknownRequest
from support.build import START, after, backend, job, job_of, policy, reserve

CLOSED = {"name": "w", "timeZone": "UTC", "from": "01:00", "until": "02:00"}
POLICY = policy(
    backend("device"),
    backend("night", windows=[CLOSED]),
    budgets=[{"name": "all", "limit": "10", "currency": "USD"}],
    circuitBreaker={"consecutiveFailures": 1},
    latency={"minimumSamples": 5},
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(Cache(lambda _: None), depth=lambda: 0)


def report(metrics: Metrics, rules: QuantumBackendPolicy, *requests: Request) -> None:
    book, _ = Book("policy").apply(requests, START)
    status = PolicyStatus(budgets=budget_report(rules, book, START), backends=backend_report(rules, book, START))
    metrics.policies.reports["policy"] = status, book


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"hybridjob_{name}", {"policy": "policy"} | labels)


class TestPolicies:
    def test_money_and_the_ledger(self, metrics: Metrics) -> None:
        report(metrics, POLICY, *(reservations.request(job_of(uid), reserve("1.5")) for uid in "ab"))
        budget = {"budget": "all", "value": "", "currency": "USD"}
        assert value(metrics, "budget_limit", **budget) == 10
        assert value(metrics, "budget_committed", **budget) == 0
        assert value(metrics, "budget_reserved", **budget) == 3
        assert value(metrics, "money_reserved", currency="USD") == 3
        assert (value(metrics, "ledger_open_entries"), value(metrics, "ledger_max_entries")) == (2, 1000)

    def test_money_of_unknown_cost_is_shown_and_counted_once_it_is_charged(self, metrics: Metrics) -> None:
        """It was charged long after its attempt's status was written, which is what had been counted."""
        asked = [reservations.request(job_of(uid), reserve("1.5")) for uid in "ab"]
        report(metrics, POLICY, *asked, UnknownRequest(("a", 1), 0), SettleRequest(("b", 1), 1_000_000))
        names = ("money_reserved", "money_unknown", "money_charged_total")
        assert [value(metrics, name, currency="USD") for name in names] == [1.5, 1.5, 1]
        report(metrics, POLICY, *asked, SettleRequest(("b", 1), 1_000_000), SettleRequest(("a", 1), 1_500_000))
        assert [value(metrics, name, currency="USD") for name in names] == [0, 0, 2.5]

    def test_windows_and_breakers(self, metrics: Metrics) -> None:
        rules = rules_of(POLICY, "device")
        assert rules is not None
        faults = [ReportRequest((team, 1), "device", team, millis(START), True, rules) for team in "ab"]
        report(metrics, POLICY, *faults)
        states = {s: value(metrics, "breaker_state", backend="device", state=s) for s in ("Closed", "Open", "HalfOpen")}
        assert states == {"Closed": 0, "Open": 1, "HalfOpen": 0}
        assert value(metrics, "breaker_state", backend="night", state="Closed") == 1
        assert [value(metrics, "backend_open", backend=name) for name in ("device", "night")] == [1, 0]

    def test_how_good_the_estimates_of_latency_are(self, metrics: Metrics) -> None:
        rules = POLICY.spec.latency
        assert rules is not None
        took = [1000] * 7 + [9000]
        told = [DurationRequest("device", Sample(millis(START) - 9 + n, 0, run), rules) for n, run in enumerate(took)]
        report(metrics, POLICY, *told)
        found = [value(metrics, f"latency_{name}", backend="device") for name in ("samples", "estimated", "covered")]
        assert found == [8, 3, 2]

    def test_a_policy_that_is_gone_is_not_told_of(self, metrics: Metrics) -> None:
        report(metrics, POLICY)
        del metrics.policies.reports["policy"]
        assert value(metrics, "ledger_open_entries") is None

    def test_a_thousand_jobs_make_no_more_series_than_one(self, metrics: Metrics) -> None:
        counts = []
        for number in (1, 900):
            report(metrics, POLICY, *(reservations.request(job_of(str(n)), reserve("0.001")) for n in range(number)))
            counts.append(sum(len(family.samples) for family in metrics.registry.collect()))
        assert counts[0] == counts[1]


class TestJobs:
    HELD = HybridJobStatus(
        state="Held",
        policy="policy",
        hold=HoldStatus(budgets=["all"], since_time=START, until_time=after(60)),
    )

    def attempt(self, number: int, route: Any) -> AttemptStatus:
        return AttemptStatus(number=number, route=route, backend="x", state="Running", created_time=START)

    def test_each_wait_is_counted_once(self, metrics: Metrics) -> None:
        window = self.HELD.model_copy(update={"hold": None, "waiting": WaitingStatus(reason="WindowClosed")})
        statuses = [None, self.HELD, self.HELD.model_copy(update={"message": "still"}), window, HybridJobStatus()]
        for before, now in pairwise(statuses):
            assert now is not None
            metrics.status_written(job(), before, now)
        assert value(metrics, "holds_total", reason="BudgetExceeded") == 1
        assert value(metrics, "holds_total", reason="WindowClosed") == 1

    def test_hedges_that_start_and_those_that_win(self, metrics: Metrics) -> None:
        hedged = job(routing={"strategy": "Hedged"})
        quantum = HybridJobStatus(state="Running", policy="policy", attempts=[self.attempt(1, "Quantum")])
        both = quantum.model_copy(update={"attempts": [*quantum.attempts, self.attempt(2, "Classical")]})
        won = both.model_copy(update={"state": "Succeeded", "route": "Classical"})
        for before, now in ((None, quantum), (quantum, both), (both, won), (won, won)):
            metrics.status_written(hedged, before, now)
        lost = both.model_copy(update={"state": "Succeeded", "route": "Quantum"})
        for before, now in ((None, both), (both, lost)):
            metrics.status_written(hedged, before, now)
        assert value(metrics, "hedges_started_total") == 2
        assert value(metrics, "hedges_won_total") == 1

    def test_a_fallback_is_no_hedge(self, metrics: Metrics) -> None:
        fallback = FallbackStatus(source="Quantum", target="Classical", reason="SolverFailed", message="", time=START)
        fell_back = HybridJobStatus(
            state="Succeeded", route="Classical", fallback=fallback, attempts=[self.attempt(1, "Classical")]
        )
        metrics.status_written(job(routing={"strategy": "Hedged"}), None, fell_back)
        assert value(metrics, "hedges_started_total") is None
