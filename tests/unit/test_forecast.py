"""What `explain` foretells is what becomes of the job, with every limit that it meets."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.engine import ledger
from hybridjob.engine.breaker import ReportRequest
from hybridjob.engine.breaker_gate import rules_of
from hybridjob.engine.facts import Facts
from hybridjob.engine.forecast import Forecast, foretell
from hybridjob.engine.instants import millis
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_requests import Request
from hybridjob.engine.loads import Loads
from hybridjob.engine.quotas import QuotaUse
from support.build import START, after, backend, job, policy, priced

PAID = backend("paid", rateCard=priced("0.001"))  # 1.024 USD for 1024 shots


def budget(limit: str, **fields: Any) -> dict[str, Any]:
    return {"name": "all", "limit": limit, "currency": "USD"} | fields


def named(made: HybridJob, name: str) -> HybridJob:
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"uid": f"uid-{name}", "name": name})})


@dataclass
class Bench:
    """Jobs that are foretold one after the other, as if all of them were run now."""

    policy: QuantumBackendPolicy
    book: Book = field(default_factory=lambda: Book("policy"))
    loads: Loads = field(default_factory=lambda: Loads(lambda _: None))

    def foretell(self, name: str = "job", made: HybridJob | None = None, now: datetime = START) -> Forecast:
        forecast = foretell(named(made or job(), name), self.policy, Facts(), self.book, self.loads, now)
        self.book = forecast.book
        return forecast

    def ask(self, *requests: Request) -> None:
        self.book, _ = self.book.apply(requests, START)

    def fault(self, name: str, number: int, seconds: float = 0) -> None:
        rules = rules_of(self.policy, name)
        assert rules is not None
        key = (f"faulty-{number}", 1)
        self.ask(ReportRequest(key, name, f"team-{number}", millis(after(seconds)), True, rules))


class TestMoney:
    def test_a_job_that_there_is_money_for_starts_and_has_it(self) -> None:
        forecast = Bench(policy(PAID, budgets=[budget("10")])).foretell()
        assert (forecast.action, forecast.message) == ("Start", "starts on paid")
        assert forecast.book.entries[("uid-job", 1)].amount == Decimal("1.024")
        assert forecast.status.attempts[0].reserved == Decimal("1.024")

    def test_the_budgets_are_shown_as_they_are_without_it(self) -> None:
        bench = Bench(policy(PAID, budgets=[budget("10"), budget("5", name="each", scope="Backend")]))
        bench.foretell("first")
        found = bench.foretell("second").budgets
        assert [(b.name, b.value, b.reserved, b.remaining) for b in found] == [
            ("all", "", Decimal("1.024"), Decimal("8.976")),
            ("each", "paid", Decimal("1.024"), Decimal("3.976")),
        ]

    def test_budgets_that_the_job_is_not_held_to_are_not_shown(self) -> None:
        cirq = backend("other", rateCard=priced("1", currency="EUR"))
        rules = policy(PAID, cirq, budgets=[budget("10"), budget("10", name="euros") | {"currency": "EUR"}])
        (shown,) = Bench(rules).foretell(made=job(quantum={"backends": ["paid"]})).budgets
        assert shown.name == "all"

    def test_a_hold_with_its_end_and_the_next_period(self) -> None:
        month = {"type": "Calendar", "unit": "Month"}
        bench = Bench(policy(PAID, budgets=[budget("2", onExceeded="Hold", holdSeconds=600, period=month)]))
        assert bench.foretell("first").action == "Start"
        second = bench.foretell("second")
        assert (second.action, second.until) == ("Hold", after(600))
        assert second.message.startswith("waits for money until 2026-01-31T12:10:00.000Z at the latest: paid: may cost")
        assert second.message.endswith("its next period begins at 2026-02-01T00:00:00.000Z")

    def test_a_fallback_at_once(self) -> None:
        forecast = Bench(policy(PAID, budgets=[budget("1")])).foretell()
        assert forecast.action == "FallBack"
        assert forecast.message.startswith(
            "goes the classical way at once, for BudgetExceeded: paid: may cost 1.024 USD"
        )

    def test_a_rejection(self) -> None:
        forecast = Bench(policy(PAID, budgets=[budget("1", onExceeded="Reject")])).foretell()
        assert forecast.action == "Fail"
        assert forecast.message.startswith("fails with BudgetExceeded: paid: may cost 1.024 USD")

    def test_a_ledger_that_is_full_is_full_for_every_backend_that_costs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each asked in its turn, the job went from one to the other for ever."""
        monkeypatch.setattr(ledger, "MAX_OPEN_ENTRIES", 1)
        bench = Bench(policy(PAID, PAID | {"name": "dear"}))
        assert bench.foretell("first").action == "Start"
        second = bench.foretell("second")
        assert second.action == "FallBack"
        assert "paid: the ledger of policy policy holds 1 attempts" in second.message
        assert "dear: the ledger of policy policy holds 1 attempts" in second.message


class TestQuotas:
    def test_those_after_the_last_slot_wait(self) -> None:
        bench = Bench(policy(backend(), quotas={"maxConcurrent": 1, "maxQueued": 1}))
        assert [bench.foretell(name).action for name in "abc"] == ["Start", "Wait", "FallBack"]

    def test_a_wait_names_the_slot(self) -> None:
        bench = Bench(policy(backend(maxConcurrent=1)))
        bench.foretell("a")
        second = bench.foretell("b")
        assert second.message == "waits to start: aer: no slot of backend aer: 1 of 1 in use"
        assert second.until is None

    def test_what_others_use_of_each(self) -> None:
        quotas = {
            "maxConcurrent": 5,
            "maxConcurrentPerNamespace": 4,
            "maxQueued": 3,
            "maxShotsPerJob": 2000,
            "jobsPerPeriod": {"count": 9, "seconds": 60},
        }
        bench = Bench(policy(backend(maxConcurrent=2), quotas=quotas))
        for name in "abc":
            forecast = bench.foretell(name)
        assert forecast.quotas == [
            QuotaUse("maxConcurrent", 2, 5),
            QuotaUse("maxConcurrentPerNamespace", 2, 4),
            QuotaUse("maxConcurrent of aer", 2, 2),
            QuotaUse("jobsPerPeriod", 2, 9),
            QuotaUse("maxQueued", 0, 3),
            QuotaUse("maxShotsPerJob", 1024, 2000),
        ]

    def test_a_period_that_moves_on_says_when(self) -> None:
        bench = Bench(policy(backend(), quotas={"jobsPerPeriod": {"count": 1, "seconds": 60}}))
        bench.foretell("a")
        second = bench.foretell("b")
        assert (second.action, second.until) == ("Wait", after(60))

    def test_a_classical_job_has_none(self) -> None:
        rules = policy(backend(), quotas={"maxConcurrent": 1})
        assert Bench(rules).foretell(made=job(quantum=None)).quotas == []


class TestTime:
    REPAIR: tuple[dict[str, str], ...] = (
        {"startTime": "2026-01-31T11:00:00Z", "endTime": "2026-01-31T12:05:00Z", "reason": "repair"},
    )

    def test_a_wait_for_a_backend_to_open_says_when_the_job_starts(self) -> None:
        forecast = Bench(policy(backend(maintenance=list(self.REPAIR)), spreadSeconds=0)).foretell()
        assert (forecast.action, forecast.until) == ("Wait", after(300))
        assert [(b.name, b.open, b.next_open) for b in forecast.backends] == [("aer", False, after(300))]

    def test_what_would_be_too_late_falls_back(self) -> None:
        forecast = Bench(policy(backend(expectedLatency={"runSeconds": 7200}))).foretell()
        assert forecast.action == "FallBack"
        assert "LatencyExceeded" in forecast.message

    def test_when_a_hedge_starts(self) -> None:
        made = job(routing={"strategy": "Hedged"}, limits={"completionDeadlineSeconds": 600})
        rules = policy(backend(), classical={"expectedLatency": {"runSeconds": 100}})
        assert Bench(rules).foretell(made=made).hedge == after(490)
        assert Bench(rules).foretell(made=made, now=after(500)).hedge == after(500)
        assert Bench(rules).foretell().hedge is None


class TestBreakers:
    RULES: tuple[tuple[str, int], ...] = (("consecutiveFailures", 2), ("openSeconds", 60))

    def test_an_open_breaker_sends_the_job_the_classical_way(self) -> None:
        bench = Bench(policy(backend(), circuitBreaker=dict(self.RULES)))
        bench.fault("aer", 1)
        bench.fault("aer", 2)
        forecast = bench.foretell()
        assert forecast.action == "FallBack"
        assert forecast.message.startswith("goes the classical way at once, for BackendUnavailable")
        (shown,) = forecast.backends
        assert shown.breaker is not None
        assert (shown.breaker.state, shown.breaker.failures) == ("Open", 2)

    def test_of_two_jobs_one_would_be_the_probe(self) -> None:
        bench = Bench(policy(backend(), circuitBreaker=dict(self.RULES)))
        bench.fault("aer", 1)
        bench.fault("aer", 2)
        first, second = (bench.foretell(name, now=after(100)) for name in "ab")
        assert (first.action, first.message) == ("Probe", "starts on aer, as the probe of its circuit breaker")
        assert second.action == "FallBack"


def test_a_classical_job_starts_on_the_classical_solver() -> None:
    forecast = Bench(policy()).foretell(made=job(quantum=None))
    assert (forecast.action, forecast.message) == ("Start", "starts on classical")
