"""Budgets by namespace, backend and period; what becomes of jobs that find them used up; alerts; reports."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.engine import budgets, reservations
from hybridjob.engine.actions import Decision, Reserve, StartAttempt
from hybridjob.engine.budgets import Claims, budget_report, due_alerts, least_left
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import Facts
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_requests import SettleRequest
from support.build import START, after, backend, job, job_of, policy, priced

DEVICE = backend("device", rateCard=priced("0.001"))  # 1.024 USD for 1024 shots
COST = Decimal("1.024")
MONTH = {"type": "Calendar", "unit": "Month", "timeZone": "Europe/Berlin"}
FEBRUARY = datetime.fromisoformat("2026-01-31T23:00:00Z")


def budget(limit: str = "2", name: str = "all", **fields: Any) -> dict[str, Any]:
    return {"name": name, "limit": limit, "currency": "USD"} | fields


def held_to(*rules: dict[str, Any], backends: tuple[dict[str, Any], ...] = (DEVICE,)) -> QuantumBackendPolicy:
    return policy(*backends, budgets=list(rules))


def in_namespace(spec: HybridJob, namespace: str) -> HybridJob:
    return spec.model_copy(update={"metadata": spec.metadata.model_copy(update={"namespace": namespace})})


def reserved(
    rules: QuantumBackendPolicy, book: Book, uid: str, now: datetime = START, namespace: str = "default"
) -> tuple[Book, bool]:
    """Reserve the cost of one job on the device."""
    claims = Claims(rules, namespace, now).of("device", "USD")
    wanted = Reserve(1, "device", COST, "USD", now, claims)
    book, (answer,) = book.apply([reservations.request(in_namespace(job_of(uid), namespace), wanted)], now)
    return book, answer.entry is not None


def settled(book: Book, uid: str, micros: int) -> Book:
    return book.apply([SettleRequest((uid, 1), micros)], START)[0]


def decided(
    spec: HybridJob, rules: QuantumBackendPolicy, book: Book, now: datetime = START
) -> tuple[HybridJob, Decision]:
    decision = decide(spec, rules, Facts(used=budgets.used(rules, spec, book, now)), now)
    return spec.model_copy(update={"status": decision.status}), decision


class TestScopes:
    def test_a_budget_by_namespace_gives_each_its_own(self) -> None:
        rules = held_to(budget("1.5", scope="Namespace"))
        book, first = reserved(rules, Book("p"), "a", namespace="one")
        book, second = reserved(rules, book, "b", namespace="one")
        book, third = reserved(rules, book, "c", namespace="two")
        assert (first, second, third) == (True, False, True)

    def test_a_budget_by_backend_gives_each_its_own(self) -> None:
        rules = held_to(budget("1.5", scope="Backend"), backends=(DEVICE, DEVICE | {"name": "other"}))
        book, _ = reserved(rules, Book("p"), "a")
        (action,) = decided(job(), rules, book)[1].actions
        assert isinstance(action, Reserve)
        assert action.backend == "other"

    def test_all_budgets_hold_together(self) -> None:
        rules = held_to(budget("9"), budget("1.5", "each", scope="Namespace"), budget("2.5", "month", period=MONTH))
        book, _ = reserved(rules, Book("p"), "a", namespace="one")
        book, _ = reserved(rules, book, "b", namespace="two")
        _, decision = decided(in_namespace(job(), "three"), rules, book)
        assert decision.status.fallback is not None
        assert "budget month of policy policy has 0.452 USD left of 2.5 USD" in decision.status.fallback.message


class TestPeriods:
    def test_a_new_month_begins_with_the_whole_limit(self) -> None:
        rules = held_to(budget("1.5", period=MONTH))
        book, _ = reserved(rules, Book("p"), "a", now=FEBRUARY - timedelta(seconds=1))
        _, too_early = reserved(rules, book, "b", now=FEBRUARY - timedelta(milliseconds=1))
        book, granted = reserved(rules, book, "b", now=FEBRUARY)
        assert (too_early, granted) == (False, True)

    def test_a_job_that_crosses_midnight_is_charged_to_the_month_of_its_reservation(self) -> None:
        rules = held_to(budget("1.5", period=MONTH))
        book, _ = reserved(rules, Book("p"), "a", now=FEBRUARY - timedelta(seconds=1))
        (status,) = budget_report(rules, settled(book, "a", 1_024_000), FEBRUARY)
        assert status.committed == 0

    def test_a_rolling_budget_has_room_again_when_the_charge_is_old(self) -> None:
        rules = held_to(budget("1.5", period={"type": "Rolling", "seconds": 3600}))
        book = settled(reserved(rules, Book("p"), "a")[0], "a", 1_024_000)
        assert not reserved(rules, book, "b", now=after(3600))[1]
        assert reserved(rules, book, "b", now=after(3600 + 60))[1]


class TestExceeded:
    def full(self, **fields: Any) -> tuple[QuantumBackendPolicy, Book]:
        rules = held_to(budget("1.5", **fields))
        return rules, reserved(rules, Book("p"), "other")[0]

    def test_a_held_job_says_what_it_waits_for_and_until_when(self) -> None:
        rules, book = self.full(onExceeded="Hold", holdSeconds=7200, period=MONTH)
        held, decision = decided(job(), rules, book)
        status = decision.status
        assert (status.state, decision.actions) == ("Held", ())
        assert status.hold is not None
        assert status.hold.budgets == ["all"]
        assert "budget all of policy policy has 0.476 USD left of 1.5 USD" in status.message
        assert "until 2026-01-31T14:00:00.000Z at the latest" in status.message
        assert "its next period begins at 2026-01-31T23:00:00.000Z" in status.message
        assert decision.wake_time == after(30)
        _, again = decided(held, rules, book, after(60))
        assert again.status.hold == status.hold, "the time counts from the first hold"

    def test_a_held_job_goes_on_when_money_is_released(self) -> None:
        rules, book = self.full(onExceeded="Hold", holdSeconds=7200)
        held, _ = decided(job(), rules, book)
        _, decision = decided(held, rules, settled(book, "other", 0), after(60))
        assert isinstance(decision.actions[0], Reserve)

    def test_a_held_job_goes_on_when_the_next_period_begins(self) -> None:
        rules, book = self.full(onExceeded="Hold", holdSeconds=86_400, period=MONTH)
        patient = job(limits={"queueDeadlineSeconds": 86_400, "completionDeadlineSeconds": 86_400})
        held, decision = decided(patient, rules, book, FEBRUARY - timedelta(seconds=10))
        assert decision.wake_time == FEBRUARY
        _, decision = decided(held, rules, book, FEBRUARY)
        assert isinstance(decision.actions[0], Reserve)

    def test_a_hold_ends_and_the_fallback_answers(self) -> None:
        rules, book = self.full(onExceeded="Hold", holdSeconds=60)
        held, _ = decided(job(), rules, book)
        _, decision = decided(held, rules, book, after(60))
        assert decision.status.fallback is not None
        assert decision.status.fallback.reason == "BudgetExceeded"
        assert decision.actions == (StartAttempt(1, "Classical", "classical"),)

    def test_the_jobs_own_deadline_ends_a_hold(self) -> None:
        rules, book = self.full(onExceeded="Hold", holdSeconds=7200)
        held, _ = decided(job(limits={"queueDeadlineSeconds": 10}), rules, book)
        _, decision = decided(held, rules, book, after(10))
        assert decision.status.reason == "LatencyExceeded"

    def test_what_can_never_fit_is_not_waited_for(self) -> None:
        rules = held_to(budget("1", onExceeded="Hold", holdSeconds=60))
        assert decided(job(), rules, Book("p"))[1].status.state == "FallingBack"

    def test_reject_fails_the_job_whatever_its_fallback(self) -> None:
        rules, book = self.full(onExceeded="Reject")
        status = decided(job(), rules, book)[1].status
        assert (status.state, status.reason) == ("Failed", "BudgetExceeded")

    def test_reject_also_holds_for_what_can_never_fit(self) -> None:
        rules = held_to(budget("1", onExceeded="Reject"))
        assert decided(job(), rules, Book("p"))[1].status.state == "Failed"

    def test_another_backend_is_taken_before_anything_is_held_or_rejected(self) -> None:
        rules = held_to(budget("1.5", onExceeded="Reject"), backends=(DEVICE, backend("free")))
        book, _ = reserved(rules, Book("p"), "other")
        assert decided(job(), rules, book)[1].actions == (StartAttempt(1, "Quantum", "free"),)


class TestGlance:
    def test_the_budget_that_has_the_least_left_of_its_limit(self) -> None:
        budgets = [budget("10", name="month"), budget("3", name="each", scope="Namespace")]
        rules = held_to(*budgets)
        book, _ = reserved(rules, Book("p"), "a")
        assert least_left(budget_report(rules, book, START)) == "each (default) 1.976/3 USD"

    def test_one_of_which_nothing_may_be_spent_has_the_least(self) -> None:
        rules = held_to(budget("10"), budget("0", name="none"))
        assert least_left(budget_report(rules, Book("p"), START)) == "none 0/0 USD"

    def test_without_budgets_there_is_none(self) -> None:
        assert least_left([]) == ""


class TestAlerts:
    RULES = held_to(budget("2", alerts=[50, 100]))

    def test_each_is_given_once(self) -> None:
        book, _ = reserved(self.RULES, Book("p"), "a")
        (alert,) = due_alerts(self.RULES, book, START)
        assert (alert.budget, alert.percent) == ("all", 50)
        assert "1.024 of 2 USD are charged or reserved, 50 % or more" in alert.message
        book, (answer,) = book.apply([alert.request], START)
        assert answer.done
        assert due_alerts(self.RULES, book, START) == []
        assert budget_report(self.RULES, book, START)[0].alerts == [50]

    def test_it_is_given_again_in_the_next_period_and_for_a_new_limit(self) -> None:
        monthly = held_to(budget("2", period=MONTH, alerts=[50]))
        book, _ = reserved(monthly, Book("p"), "a")
        book, _ = book.apply([alert.request for alert in due_alerts(monthly, book, START)], START)
        book, _ = reserved(monthly, book, "b", now=FEBRUARY)
        assert [alert.percent for alert in due_alerts(monthly, book, FEBRUARY)] == [50]
        raised = held_to(budget("2.04", period=MONTH, alerts=[50]))
        assert [alert.percent for alert in due_alerts(raised, book, START)] == [50]

    def test_by_namespace_each_has_its_own(self) -> None:
        rules = held_to(budget("2", scope="Namespace", alerts=[50]))
        book, _ = reserved(rules, Book("p"), "a", namespace="one")
        book, _ = reserved(rules, book, "b", namespace="two")
        assert [alert.value for alert in due_alerts(rules, book, START)] == ["one", "two"]


class TestReport:
    def test_used_reserved_left_and_the_next_period(self) -> None:
        rules = held_to(budget("5", period=MONTH))
        book, _ = reserved(rules, Book("p"), "a")
        book, _ = reserved(rules, book, "b")
        (status,) = budget_report(rules, settled(book, "a", 1_000_000), START)
        assert (status.committed, status.reserved, status.remaining) == (1, COST, Decimal("2.976"))
        assert status.next_period_time == FEBRUARY

    def test_a_limit_below_what_is_used_leaves_nothing(self) -> None:
        book, _ = reserved(held_to(budget("5")), Book("p"), "a")
        (status,) = budget_report(held_to(budget("1")), book, START)
        assert status.remaining == 0

    def test_of_a_budget_by_namespace_the_fullest_come_first(self) -> None:
        rules = held_to(budget("50", scope="Namespace"))
        book = Book("p")
        for number in range(10):
            book, _ = reserved(rules, book, f"a{number}", namespace=f"n{number}")
        book, _ = reserved(rules, book, "more", namespace="n7")
        report = budget_report(rules, book, START)
        assert (len(report), report[0].value) == (budgets.MAX_VALUES_REPORTED, "n7")

    def test_without_any_job_it_is_all_there(self) -> None:
        (status,) = budget_report(held_to(budget("5")), Book("p"), START)
        assert (status.committed, status.reserved, status.remaining) == (0, 0, 5)
