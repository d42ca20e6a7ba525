"""The decision, case by case: what starts, what rolls back, what ends, and why."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import HybridJobStatus
from hybridjob.contract.exit_codes import ExitCode
from hybridjob.contract.verdict import Verdict
from hybridjob.engine.accounts import LIFETIME, Claim, Series
from hybridjob.engine.actions import CancelAttempt, Decision, KeepReserved, Note, Reserve, Settle, StartAttempt
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import AttemptFacts, Facts, ReservationFacts
from hybridjob.engine.ledger_requests import SubmitRequest
from support.build import START, UID, after, backend, job, policy, priced, verdict


def with_status(before: HybridJob, decision: Decision) -> HybridJob:
    return before.model_copy(update={"status": decision.status})


SOON, LATER = after(1), after(5)


def ended(
    result: Verdict | None, exit_code: int | None = None, start: datetime | None = SOON, end: datetime = LATER
) -> AttemptFacts:
    code = exit_code if exit_code is not None else (result.exit_code if result else 1)
    return AttemptFacts(start_time=start, end_time=end, exit_code=code, verdict=result, verdict_error="there is none")


def first_attempt(before: HybridJob, rules: QuantumBackendPolicy) -> HybridJob:
    """The job after its first, free attempt was started."""
    return with_status(before, decide(before, rules, Facts(), START))


def status_after(before: HybridJob, rules: QuantumBackendPolicy, *attempts: AttemptFacts, at: datetime) -> Decision:
    return decide(before, rules, Facts(attempts=dict(enumerate(attempts, start=1))), at)


def condition(status: HybridJobStatus, kind: str) -> tuple[str, str]:
    return next((c.status, c.reason) for c in status.conditions if c.type == kind)


class TestStart:
    def test_a_quantum_job_starts_on_the_first_backend_of_the_policy(self) -> None:
        decision = decide(job(), policy(backend("aer"), backend("other")), Facts(), START)
        assert decision.actions == (StartAttempt(1, "Quantum", "aer"),)
        assert decision.status.state == "Pending"
        assert condition(decision.status, "Succeeded") == ("Unknown", "Pending")

    def test_the_jobs_own_order_of_backends_wins(self) -> None:
        decision = decide(job(quantum={"backends": ["b", "a"]}), policy(backend("a"), backend("b")), Facts(), START)
        assert decision.actions == (StartAttempt(1, "Quantum", "b"),)

    def test_a_job_without_a_quantum_route_starts_classical(self) -> None:
        decision = decide(job(quantum=None), policy(), Facts(), START)
        assert decision.actions == (StartAttempt(1, "Classical", "classical"),)
        assert decision.status.fallback is None

    def test_an_attempt_that_should_exist_and_does_not_is_started_again(self) -> None:
        started = first_attempt(job(), policy())
        again = decide(started, policy(), Facts(), after(3))
        assert again.actions == (StartAttempt(1, "Quantum", "aer"),)
        assert len(again.status.attempts) == 1

    def test_the_decision_names_every_option_with_its_reason(self) -> None:
        rules = policy(backend("small", qubits=2), backend("aer"), backend("spare"))
        decision = decide(job(), rules, Facts(problem_size=3), START).status.decision
        assert decision is not None
        assert decision.chosen is not None
        assert decision.chosen.backend == "aer"
        assert [(o.backend, o.reason) for o in decision.rejected] == [
            ("small", "BackendUnavailable"),
            ("spare", "LowerPreference"),
            ("classical", "KeptForFallback"),
        ]


class TestSuccess:
    def test_an_accepted_answer_ends_the_job(self) -> None:
        done = status_after(first_attempt(job(), policy()), policy(), ended(verdict()), at=after(6))
        assert done.status.state == "Succeeded"
        assert done.status.result is not None
        assert done.status.result.objective == 2.0
        assert condition(done.status, "Succeeded") == ("True", "Succeeded")
        assert done.wake_time is None

    def test_a_terminal_job_never_runs_again(self) -> None:
        started = first_attempt(job(), policy())
        done = with_status(started, status_after(started, policy(), ended(verdict()), at=after(6)))
        again = decide(done, policy(), Facts(), after(1e6))
        assert again == Decision(done.status)


class TestRollback:
    """Each cause leads to the classical route, or, where the job does not allow it, to a failure of the same reason."""

    def causes(self, spec: dict[str, object]) -> dict[str, Decision]:
        """A decision for each cause, for jobs with this spec."""
        free = policy()
        dear = policy(backend(rateCard=priced("0.01")))
        limits = {"maxCost": "1.00", "currency": "USD", "activeDeadlineSeconds": 30}
        running = first_attempt(job(**spec, limits=limits), free)
        oom = ended(None, exit_code=ExitCode.OUT_OF_MEMORY)
        poor = ended(verdict(objective=1.0, baseline=2.0))
        strict = job(**spec, acceptance={"minImprovementOverBaseline": "0"})
        return {
            "SolverFailed": status_after(running, free, oom, at=after(6)),
            "BackendUnavailable": decide(job(**spec), free, Facts(problem_size=21), START),
            "BudgetExceeded": decide(job(**spec, limits=limits), dear, Facts(), START),
            "LatencyExceeded": status_after(running, free, AttemptFacts(start_time=after(1)), at=after(31)),
            "QualityRegressed": status_after(first_attempt(strict, free), free, poor, at=after(6)),
        }

    def test_every_cause_falls_back_to_classical_and_says_why(self) -> None:
        for reason, decision in self.causes({}).items():
            assert decision.status.fallback is not None, reason
            assert decision.status.fallback.reason == reason
            assert decision.status.fallback.message
            assert decision.status.state == "FallingBack"
            assert StartAttempt(len(decision.status.attempts), "Classical", "classical") in decision.actions
            assert condition(decision.status, "FellBack") == ("True", reason)

    def test_without_fallback_every_cause_fails_with_the_same_reason(self) -> None:
        for reason, decision in self.causes({"fallback": {"on": []}}).items():
            if reason == "LatencyExceeded":
                # The running attempt is cancelled first; the job ends when it is gone.
                assert decision.status.attempts[0].state == "Cancelling"
                continue
            assert (decision.status.state, decision.status.reason) == ("Failed", reason)
            assert decision.status.fallback is None

    def test_a_missed_deadline_without_fallback_fails_when_the_attempt_is_gone(self) -> None:
        spec = job(fallback={"on": []}, limits={"activeDeadlineSeconds": 30})
        running = first_attempt(spec, policy())
        late = status_after(running, policy(), AttemptFacts(start_time=after(1)), at=after(31))
        gone = status_after(
            with_status(running, late), policy(), ended(None, exit_code=-9, end=after(32)), at=after(32)
        )
        assert (gone.status.state, gone.status.reason) == ("Failed", "LatencyExceeded")
        assert gone.status.attempts[0].state == "Cancelled"

    def test_the_fallback_waits_for_nothing_but_ends_only_when_the_cancelled_attempt_is_gone(self) -> None:
        running = first_attempt(job(limits={"activeDeadlineSeconds": 30}), policy())
        late = with_status(running, status_after(running, policy(), AttemptFacts(start_time=after(1)), at=after(31)))
        classical = ended(verdict(attempt=2), start=after(32), end=after(33))
        still_there = status_after(late, policy(), AttemptFacts(start_time=after(1)), classical, at=after(34))
        assert still_there.status.state not in ("Succeeded", "Failed")
        assert CancelAttempt(1) in still_there.actions
        gone = status_after(
            with_status(late, still_there), policy(), ended(None, exit_code=-9), classical, at=after(35)
        )
        assert gone.status.state == "Succeeded"
        assert gone.status.route == "Classical"

    def test_only_the_named_causes_fall_back(self) -> None:
        spec = job(fallback={"on": ["QualityRegressed"]})
        decision = decide(spec, policy(), Facts(problem_size=21), START)
        assert (decision.status.state, decision.status.reason) == ("Failed", "BackendUnavailable")

    def test_an_infeasible_classical_answer_fails_the_job(self) -> None:
        classical = first_attempt(job(quantum=None), policy())
        decision = status_after(classical, policy(), ended(verdict(feasible=False)), at=after(6))
        assert (decision.status.state, decision.status.reason) == ("Failed", "QualityRegressed")

    def test_an_invalid_problem_is_not_sent_to_the_classical_solver(self) -> None:
        running = first_attempt(job(), policy())
        bad = ended(verdict(exit_code=ExitCode.INVALID_TASK, message="no qubits"))
        decision = status_after(running, policy(), bad, at=after(6))
        assert (decision.status.state, decision.status.reason) == ("Failed", "InvalidProblem")
        assert "no qubits" in decision.status.message


class TestRetry:
    def test_a_crash_is_tried_again_after_a_pause_and_then_rolled_back(self) -> None:
        running = first_attempt(job(), policy())
        crashed = ended(None, exit_code=-11, end=after(5))
        pause = status_after(running, policy(), crashed, at=after(5))
        assert pause.actions == ()
        assert pause.wake_time == after(6)
        retry = status_after(with_status(running, pause), policy(), crashed, at=after(6))
        assert retry.actions == (StartAttempt(2, "Quantum", "aer"),)
        second = ended(None, exit_code=-11, start=after(7), end=after(9))
        rollback = status_after(with_status(running, retry), policy(), crashed, second, at=after(9))
        assert rollback.status.fallback is not None
        assert rollback.status.fallback.reason == "SolverFailed"
        assert "SIGSEGV" in rollback.status.fallback.message

    def test_running_out_of_memory_is_not_tried_again(self) -> None:
        running = first_attempt(job(), policy())
        decision = status_after(running, policy(), ended(None, exit_code=ExitCode.OUT_OF_MEMORY), at=after(6))
        assert decision.status.state == "FallingBack"

    def test_success_without_a_usable_verdict_counts_as_a_crash(self) -> None:
        running = first_attempt(job(fallback={"maxAttempts": 1}), policy())
        decision = status_after(running, policy(), ended(None, exit_code=0), at=after(6))
        assert decision.status.fallback is not None
        assert decision.status.fallback.reason == "SolverFailed"
        assert "verdict" in decision.status.fallback.message

    def test_an_unavailable_backend_is_followed_by_the_next_one(self) -> None:
        rules = policy(backend("first"), backend("second"))
        running = first_attempt(job(), rules)
        gone = ended(verdict(exit_code=ExitCode.BACKEND_UNAVAILABLE, message="needs 30 qubits"))
        decision = status_after(running, rules, gone, at=after(6))
        assert decision.actions == (StartAttempt(2, "Quantum", "second"),)
        assert decision.status.fallback is None


TOTAL = Series("USD", "Policy", "", LIFETIME)


class TestMoney:
    RULES = policy(
        backend(rateCard=priced("0.001", per_task="0.3")),
        budgets=[{"name": "all", "limit": "10", "currency": "USD"}],
    )
    COST = Decimal("1.324")

    def reserved(self, **spec: Any) -> HybridJob:
        asked = decide(job(**spec), self.RULES, Facts(), START)
        granted = ReservationFacts(1, "aer", self.COST, granted=True)
        started = decide(with_status(job(**spec), asked), self.RULES, Facts(reservation=granted), after(0.1))
        return with_status(job(**spec), started)

    def test_nothing_starts_before_the_money_is_reserved(self) -> None:
        decision = decide(job(), self.RULES, Facts(), START)
        assert decision.actions == (Reserve(1, "aer", self.COST, "USD", START, (Claim("all", Decimal(10), TOTAL),)),)
        assert decision.status.attempts == []

    def test_a_reservation_is_not_counted_against_itself(self) -> None:
        """The second of two jobs was refused although the budget had room for both: what it had just reserved was
        counted as used by others."""
        granted = ReservationFacts(1, "aer", self.COST, granted=True)
        facts = Facts(reservation=granted, used={TOTAL: Decimal(10)})
        assert decide(job(), self.RULES, facts, START).actions == (StartAttempt(1, "Quantum", "aer"),)

    def test_money_for_a_way_that_is_not_taken_is_released_before_other_money_is_reserved(self) -> None:
        """The key is the attempt: the release of the first sum would have been the release of the second."""
        rules = policy(backend("gone"), backend("paid", rateCard=priced("0.001")))
        elsewhere = ReservationFacts(1, "gone", self.COST, granted=True)
        facts = Facts(reservation=elsewhere, unavailable={"gone": "its SDK is not installed"})
        decision = decide(job(), rules, facts, START)
        assert decision.actions == (Settle(1, Decimal(0)),)
        assert decision.wake_time == START
        assert isinstance(
            decide(with_status(job(), decision), rules, Facts(unavailable={"gone": "-"}), START).actions[0], Reserve
        )

    def test_a_way_that_money_is_set_aside_for_is_taken(self) -> None:
        rules = policy(backend("first", rateCard=priced("0.001")), backend("second", rateCard=priced("0.001")))
        granted = ReservationFacts(1, "second", Decimal("1.024"), granted=True)
        decision = decide(job(), rules, Facts(reservation=granted), START)
        assert decision.actions == (StartAttempt(1, "Quantum", "second"),)

    def test_a_refused_reservation_rolls_back(self) -> None:
        refused = ReservationFacts(1, "aer", self.COST, granted=False, message="0.5 USD left")
        decision = decide(job(), self.RULES, Facts(reservation=refused), START)
        assert decision.status.fallback is not None
        assert decision.status.fallback.reason == "BudgetExceeded"
        assert "0.5 USD left" in decision.status.fallback.message

    def test_the_actual_usage_is_charged_and_the_rest_released(self) -> None:
        decision = status_after(self.reserved(), self.RULES, ended(verdict()), at=after(6))
        assert decision.actions == (Settle(1, self.COST),)
        assert decision.status.cost is not None
        assert (decision.status.cost.actual, decision.status.cost.reserved) == (self.COST, Decimal(0))

    def test_what_a_crash_without_a_verdict_cost_is_unknown_and_stays_reserved(self) -> None:
        decision = status_after(self.reserved(), self.RULES, ended(None, exit_code=-9), at=after(6))
        assert KeepReserved(1, after(6 + 3600)) in decision.actions
        assert not any(isinstance(action, Settle) for action in decision.actions)
        assert decision.status.attempts[0].cost is None
        assert decision.status.cost is not None
        assert (decision.status.cost.actual, decision.status.cost.reserved) == (Decimal(0), self.COST)

    def test_the_policy_says_how_long_it_stays_reserved(self) -> None:
        rules = self.RULES.model_copy(update={"spec": self.RULES.spec.model_copy(update={"reconcile_seconds": 5})})
        decision = status_after(self.reserved(), rules, ended(None, exit_code=-9), at=after(6))
        assert KeepReserved(1, after(11)) in decision.actions

    def test_what_is_unknown_counts_against_the_jobs_own_limit(self) -> None:
        """A second attempt would have made the job cost more than its user allowed, if the provider charged both."""
        limited = self.reserved(limits={"maxCost": "1.5", "currency": "USD"})
        crash = ended(None, exit_code=-9)
        crashed = status_after(limited, self.RULES, crash, at=after(6))
        later = decide(with_status(limited, crashed), self.RULES, Facts(attempts={1: crash}), after(9))
        assert later.status.fallback is not None
        assert later.status.fallback.reason == "BudgetExceeded"
        assert "after 1.324 USD spent" in later.status.fallback.message

    def test_the_start_of_a_paid_solver_is_noted_in_the_ledger(self) -> None:
        decision = status_after(self.reserved(), self.RULES, AttemptFacts(start_time=after(1)), at=after(1))
        assert decision.actions == (Note(SubmitRequest((UID, 1))),)

    def test_a_paid_solver_that_began_and_is_gone_is_not_started_again_under_its_number(self) -> None:
        """Both runs may be charged by the provider, and only one was reserved."""
        running = status_after(self.reserved(), self.RULES, AttemptFacts(start_time=after(1)), at=after(1))
        gone = decide(with_status(self.reserved(), running), self.RULES, Facts(), after(2))
        assert gone.status.attempts[0].state == "Failed"
        assert gone.actions == (KeepReserved(1, after(2 + 3600)),)

    def test_that_it_began_the_ledger_knows_where_the_status_does_not(self) -> None:
        gone = decide(self.reserved(), self.RULES, Facts(begun=frozenset({1})), after(2))
        assert gone.status.attempts[0].state == "Failed"
        assert gone.actions == (KeepReserved(1, after(2 + 3600)),)

    def test_an_attempt_that_only_the_ledger_knows_to_have_begun_is_taken_up(self) -> None:
        """Its money was released, and it was started again, when a crash had lost the status and a person its Job."""
        granted = ReservationFacts(1, "aer", self.COST, granted=True)
        decision = decide(job(), self.RULES, Facts(reservation=granted, begun=frozenset({1})), after(2))
        (attempt,) = decision.status.attempts
        assert (attempt.number, attempt.backend, attempt.state, attempt.cost) == (1, "aer", "Failed", None)
        assert decision.actions == (KeepReserved(1, after(2 + 3600)),)

    def test_an_attempt_that_was_settled_before_any_status_told_of_it_still_shows_its_cost(self) -> None:
        """An operator was killed after the settlement: the next one found the Job, and no money, and said that it had
        been free."""
        found = replace(ended(verdict()), route="Quantum", backend="aer")
        decision = decide(job(), self.RULES, Facts(attempts={1: found}), after(9))
        assert decision.status.cost is not None
        assert decision.status.cost.actual == self.COST
        assert decision.actions == (Settle(1, self.COST),)

    def test_one_that_had_not_begun_is_started_again(self) -> None:
        again = decide(self.reserved(), self.RULES, Facts(), after(2))
        assert again.actions == (StartAttempt(1, "Quantum", "aer"),)

    def test_an_attempt_that_never_ran_is_not_charged(self) -> None:
        cancelled = self.reserved()
        cancelled = cancelled.model_copy(update={"spec": cancelled.spec.model_copy(update={"cancel": True})})
        waiting = decide(cancelled, self.RULES, Facts(attempts={1: AttemptFacts()}), after(1))
        assert waiting.status.attempts[0].state == "Cancelling"
        gone = status_after(with_status(cancelled, waiting), self.RULES, ended(None, start=None), at=after(2))
        assert gone.actions == (Settle(1, Decimal(0)),)
        assert gone.status.state == "Cancelled"

    def test_money_granted_to_a_job_that_is_cancelled_at_once_is_released(self) -> None:
        cancelled = job(cancel=True)
        granted = ReservationFacts(1, "aer", self.COST, granted=True)
        decision = decide(cancelled, self.RULES, Facts(reservation=granted), after(1))
        assert decision.actions == (Settle(1, Decimal(0)),)
        assert decision.status.state == "Cancelled"

    def test_an_expired_rate_card_means_no_paid_submission(self) -> None:
        rules = policy(backend(rateCard=priced("0.001", validUntil="2026-01-01T00:00:00Z")))
        decision = decide(job(), rules, Facts(), START)
        assert decision.status.fallback is not None
        assert decision.status.fallback.reason == "BudgetExceeded"
        assert "expired" in decision.status.fallback.message

    def test_currencies_are_never_converted(self) -> None:
        rules = policy(backend(rateCard=priced("0.000001", currency="EUR")))
        decision = decide(job(limits={"maxCost": "99", "currency": "USD"}), rules, Facts(), START)
        assert decision.status.fallback is not None
        assert decision.status.fallback.reason == "BudgetExceeded"

    def test_max_cost_holds_over_all_attempts(self) -> None:
        spec = job(limits={"maxCost": "2.00", "currency": "USD"})
        granted = Facts(reservation=ReservationFacts(1, "aer", self.COST, granted=True))
        running = with_status(spec, decide(spec, self.RULES, granted, START))
        crashed = ended(None, exit_code=-11, end=after(2))
        decision = status_after(running, self.RULES, crashed, at=after(10))
        assert decision.status.fallback is not None
        assert decision.status.fallback.reason == "BudgetExceeded"


class TestDeadlines:
    @pytest.mark.parametrize(
        ("limits", "facts", "at"),
        [
            ({"queueDeadlineSeconds": 10}, AttemptFacts(), 10),
            ({"activeDeadlineSeconds": 10}, AttemptFacts(start_time=after(5)), 15),
            ({"completionDeadlineSeconds": 10}, AttemptFacts(start_time=after(5)), 10),
        ],
    )
    def test_each_deadline_rolls_back_at_its_instant_and_not_before(
        self, limits: dict[str, int], facts: AttemptFacts, at: float
    ) -> None:
        running = first_attempt(job(limits=limits), policy())
        before = status_after(running, policy(), facts, at=after(at - 0.001))
        assert before.status.fallback is None
        assert before.wake_time == after(at)
        missed = status_after(running, policy(), facts, at=after(at))
        assert missed.status.fallback is not None
        assert missed.status.fallback.reason == "LatencyExceeded"
        assert missed.status.attempts[0].state == "Cancelling"
        assert missed.wake_time == after(at)
        cancel = status_after(with_status(running, missed), policy(), facts, at=after(at))
        assert CancelAttempt(1) in cancel.actions

    def test_a_fallback_after_the_completion_deadline_still_has_its_time(self) -> None:
        running = first_attempt(job(limits={"completionDeadlineSeconds": 10}), policy())
        late = status_after(running, policy(), AttemptFacts(start_time=after(1)), at=after(11))
        going = status_after(
            with_status(running, late),
            policy(),
            ended(None, exit_code=-9, end=after(11)),
            AttemptFacts(start_time=after(12)),
            at=after(100),
        )
        assert going.status.state == "Running"
        assert going.wake_time == after(12 + 900)

    def test_a_classical_solver_that_hangs_fails_the_job(self) -> None:
        running = first_attempt(job(quantum=None, limits={"activeDeadlineSeconds": 10}), policy())
        late = status_after(running, policy(), AttemptFacts(start_time=after(1)), at=after(11))
        assert late.status.attempts[0].state == "Cancelling"
        gone = status_after(with_status(running, late), policy(), ended(None, exit_code=-9), at=after(12))
        assert (gone.status.state, gone.status.reason) == ("Failed", "LatencyExceeded")
