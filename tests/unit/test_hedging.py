"""Hedging: when the classical solver starts beside the quantum one, who wins, and what becomes of the other."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import HybridJobStatus
from hybridjob.contract.verdict import Usage
from hybridjob.engine.actions import CancelAttempt, Decision, KeepReserved, Note, Reserve, Settle, StartAttempt
from hybridjob.engine.decide import decide
from hybridjob.engine.facts import AttemptFacts, Facts, ReservationFacts
from hybridjob.engine.hedging import Hedge, HedgeRequest, grant, hedge_time
from hybridjob.engine.instants import millis
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_document import Written, dump, load
from hybridjob.engine.lifecycle import TERMINAL, is_legal
from support.build import START, UID, after, backend, job, policy, priced, verdict
from support.driver import Driver

EXPECTED = {"classical": {"expectedLatency": {"runSeconds": 20}}}
"""Nine of ten classical attempts take 20 s: of a deadline of 100 s, a hedge starts after 78."""
SECONDS = {"formula": "PerSecond", "currency": "USD", "perSecond": "0.01"}


def hedged(**spec: Any) -> HybridJob:
    return job(
        routing={"strategy": spec.pop("strategy", "Hedged")},
        limits={"completionDeadlineSeconds": 100} | spec.pop("limits", {}),
        **spec,
    )


class Drive(Driver):
    """Decides again and again; a book, and solvers that do as they are told."""

    def __init__(self, spec: HybridJob | None = None, rules: QuantumBackendPolicy | None = None) -> None:
        super().__init__(spec or hedged(), rules or policy(**EXPECTED))
        self.hedges: tuple[Hedge, ...] = ()

    def at(self, seconds: float, facts: dict[int, AttemptFacts] | None = None, **more: Any) -> Decision:
        decision = self.decide(seconds, Facts(attempts=facts or {}, hedges=self.hedges, **more))
        for action in decision.actions:
            if isinstance(action, Note) and isinstance(action.request, HedgeRequest):
                self.hedges = grant(self.hedges, action.request, millis(after(seconds)))
        return decision


RUNNING = AttemptFacts(after(1))
HEDGING = AttemptFacts(after(79))


class TestStart:
    def test_it_starts_at_the_last_moment_that_meets_the_deadline(self) -> None:
        drive = Drive()
        assert drive.at(0).actions == (StartAttempt(1, "Quantum", "aer"),)
        decision = drive.at(1, {1: RUNNING})
        assert (decision.actions, decision.wake_time) == ((), after(78))
        assert drive.at(78, {1: RUNNING}).actions == (StartAttempt(2, "Classical", "classical"),)
        assert (drive.status.state, drive.status.route, drive.status.backend) == ("Running", "Quantum", "aer")
        assert drive.at(80, {1: RUNNING, 2: HEDGING}).actions == ()  # once

    def test_where_nobody_knows_it_is_assumed_to_take_a_minute_and_at_most_half_of_the_time(self) -> None:
        assert hedge_time(hedged(), policy(), {}, START) == after(45)
        assert hedge_time(job(), policy(), {}, START) == after(3600 - 66)

    def test_other_strategies_do_not_hedge(self) -> None:
        drive = Drive(hedged(strategy="QuantumFirst"))
        drive.at(0)
        assert drive.at(99, {1: RUNNING}).actions == ()

    def test_a_job_that_waits_for_a_window_is_hedged_too(self) -> None:
        repair = {"startTime": "2026-01-31T11:00:00Z", "endTime": "2026-01-31T12:01:39Z", "reason": "repair"}
        drive = Drive(rules=policy(backend(maintenance=[repair]), **EXPECTED))
        drive.at(0)
        assert drive.at(78).actions == (StartAttempt(1, "Classical", "classical"),)
        ended = AttemptFacts(after(79), after(85), 0, verdict(1))
        drive.at(85, {1: ended})
        assert (drive.status.state, drive.status.route) == ("Succeeded", "Classical")

    def test_a_policy_bounds_how_many_begin_in_a_minute(self) -> None:
        rules = policy(**EXPECTED, latency={"hedgesPerMinute": 1})
        drive = Drive(rules=rules)
        drive.at(0)
        drive.hedges = (Hedge(("other", 2), millis(after(50))),)
        decision = drive.at(78, {1: RUNNING})
        assert (decision.actions, decision.wake_time) == ((), after(100))
        drive.hedges = ()
        (asked,) = drive.at(79, {1: RUNNING}).actions
        assert asked == Note(HedgeRequest((UID, 2), 1))
        assert drive.at(79, {1: RUNNING}).actions == (StartAttempt(2, "Classical", "classical"),)

    def test_the_book_grants_them(self) -> None:
        first, second = (HedgeRequest((uid, 2), 1) for uid in "ab")
        book, answers = Book("p").apply([first, first, second], START)
        assert [answer.done for answer in answers] == [True, False, False]
        assert load(dump(Written(book=book))).book.hedges == book.hedges
        book, (answer,) = book.apply([second], after(60))
        assert answer.done
        assert len(book.hedges) == 1

    def test_its_price_is_reserved_first_and_counts_with_what_runs(self) -> None:
        prices = {"classical": EXPECTED["classical"] | {"rateCard": SECONDS}}
        rules = policy(backend(rateCard=priced("0.001")), **prices)
        for most, starts in [("11", True), ("10", False)]:  # 1.024 and 9: 900 s of the classical solver
            drive = Drive(hedged(limits={"maxCost": most, "currency": "USD"}), rules)
            drive.at(0)
            granted = ReservationFacts(1, "aer", Decimal("1.024"), True)
            drive.at(0, reservation=granted)
            decision = drive.at(78, {1: RUNNING})
            assert any(isinstance(action, Reserve) for action in decision.actions) == starts
            if starts:
                asked = next(action for action in decision.actions if isinstance(action, Reserve))
                assert (asked.attempt, asked.backend, asked.amount) == (2, "classical", 9)
                granted = ReservationFacts(2, "classical", asked.amount, True)
                decision = drive.at(78, {1: RUNNING}, reservation=granted)
                assert decision.actions == (StartAttempt(2, "Classical", "classical"),)


class TestEnd:
    def hedge(self, spec: HybridJob | None = None) -> Drive:
        drive = Drive(spec)
        drive.at(0)
        drive.at(1, {1: RUNNING})
        drive.at(78, {1: RUNNING})
        drive.at(79, {1: RUNNING, 2: HEDGING})
        return drive

    def test_the_classical_answer_wins_and_the_quantum_attempt_is_cancelled(self) -> None:
        drive = self.hedge()
        answered = AttemptFacts(after(79), after(85), 0, verdict(2, objective=1.5))
        drive.at(85, {1: RUNNING, 2: answered})
        assert drive.status.state == "Running"
        assert drive.status.result is not None
        assert (drive.status.route, drive.status.attempts[0].state) == ("Classical", "Cancelling")
        assert drive.at(85, {1: RUNNING, 2: answered}).actions == (CancelAttempt(1),)
        late = AttemptFacts(after(1), after(86), 0, verdict(1, objective=2.0))
        drive.at(86, {1: late, 2: answered})
        assert (drive.status.state, drive.status.route, drive.status.fallback) == ("Succeeded", "Classical", None)
        assert drive.status.result is not None
        assert drive.status.result.objective == 1.5
        quantum = drive.status.attempts[0]
        assert (quantum.state, quantum.objective) == ("Cancelled", 2.0)  # kept as evidence

    def test_the_quantum_answer_wins_and_the_hedge_is_cancelled(self) -> None:
        drive = self.hedge()
        answered = AttemptFacts(after(1), after(80), 0, verdict(1))
        drive.at(80, {1: answered, 2: HEDGING})
        assert drive.at(80, {2: HEDGING}).actions == (CancelAttempt(2),)
        drive.at(81, {2: AttemptFacts(after(79), after(81), -9)})
        assert (drive.status.state, drive.status.route, drive.status.backend) == ("Succeeded", "Quantum", "aer")

    def test_when_both_answer_at_once_it_is_the_quantum_one(self) -> None:
        drive = self.hedge()
        both = {n: AttemptFacts(after(79), after(85), 0, verdict(n)) for n in (1, 2)}
        drive.at(85, both)
        assert (drive.status.state, drive.status.route) == ("Succeeded", "Quantum")

    def test_a_quantum_route_that_ends_badly_falls_back_to_the_hedge_that_runs(self) -> None:
        drive = self.hedge(hedged(fallback={"maxAttempts": 1}))
        crashed = AttemptFacts(after(1), after(80), 70)
        assert drive.at(80, {1: crashed, 2: HEDGING}).actions == ()
        assert drive.status.fallback is not None
        assert (drive.status.state, drive.status.route) == ("Running", "Classical")
        drive.at(85, {1: crashed, 2: AttemptFacts(after(79), after(85), 0, verdict(2))})
        assert drive.status.state == "Succeeded"
        assert len(drive.status.attempts) == 2

    def test_a_quantum_answer_that_is_not_good_enough_leaves_the_job_to_the_hedge(self) -> None:
        drive = self.hedge(hedged(acceptance={"minImprovementOverBaseline": "0"}))
        poor = AttemptFacts(after(1), after(80), 0, verdict(1, objective=1.0))
        drive.at(80, {1: poor, 2: HEDGING})
        assert drive.status.fallback is not None
        assert drive.status.fallback.reason == "QualityRegressed"
        assert drive.status.result is None

    def test_a_hedge_that_fails_leaves_the_quantum_route_alone_and_is_not_repeated(self) -> None:
        drive = self.hedge()
        failed = AttemptFacts(after(79), after(80), 70)
        assert drive.at(80, {1: RUNNING, 2: failed}).actions == ()
        assert drive.at(90, {1: RUNNING, 2: failed}).actions == ()
        drive.at(95, {1: AttemptFacts(after(1), after(95), 0, verdict(1)), 2: failed})
        assert (drive.status.state, drive.status.route) == ("Succeeded", "Quantum")

    def test_at_the_deadline_the_hedge_goes_on(self) -> None:
        drive = self.hedge()
        decision = drive.at(100, {1: RUNNING, 2: HEDGING})
        assert drive.status.fallback is not None
        assert drive.status.fallback.reason == "LatencyExceeded"
        assert not any(isinstance(action, StartAttempt) for action in decision.actions)

    @pytest.mark.parametrize("feasible", [True, False])
    def test_a_quantum_answer_after_the_deadline_is_kept_as_evidence_and_charged(self, feasible: bool) -> None:
        drive = Drive(hedged(strategy="QuantumFirst"), policy(backend(rateCard=priced("0.001"))))
        drive.at(0)
        drive.at(0, reservation=ReservationFacts(1, "aer", Decimal("1.024"), True))
        drive.at(1, {1: RUNNING})
        drive.at(100, {1: RUNNING})
        assert (drive.status.state, drive.status.attempts[0].state) == ("FallingBack", "Cancelling")
        usage = Usage(tasks=1, shots=1000, seconds=1.0)
        late = AttemptFacts(after(1), after(101), 0, verdict(1, objective=2.5, feasible=feasible, usage=usage))
        assert Settle(1, Decimal(1)) in drive.at(101, {1: late}).actions
        quantum = drive.status.attempts[0]
        assert (quantum.state, quantum.reason) == ("Cancelled", "LatencyExceeded")
        assert (quantum.objective, quantum.feasible) == (2.5, feasible)
        assert (drive.status.result, drive.status.route) == (None, "Classical")

        answered = AttemptFacts(after(101), after(103), 0, verdict(2, objective=2.0))
        drive.at(103, {1: late, 2: answered})
        ended = drive.status
        assert (ended.state, ended.result and ended.result.objective) == ("Succeeded", 2.0)
        assert drive.at(200, {1: late, 2: answered}).status == ended

    @pytest.mark.parametrize("edit", [{"cancel": True}, {"suspend": True}])
    def test_cancel_and_suspend_end_both(self, edit: dict[str, Any]) -> None:
        drive = self.hedge()
        drive.job = drive.job.model_copy(update={"spec": drive.job.spec.model_copy(update=edit)})
        drive.at(80, {1: RUNNING, 2: HEDGING})
        decision = drive.at(80, {1: RUNNING, 2: HEDGING})
        assert decision.actions == (CancelAttempt(1), CancelAttempt(2))
        drive.at(81)
        assert drive.status.state == ("Cancelled" if "cancel" in edit else "Held")

    def test_after_a_suspension_it_hedges_again(self) -> None:
        drive = self.hedge()
        spec = drive.job.spec
        drive.job = drive.job.model_copy(update={"spec": spec.model_copy(update={"suspend": True})})
        drive.at(80, {1: RUNNING, 2: HEDGING})
        drive.at(81)
        drive.job = drive.job.model_copy(update={"spec": spec})
        assert drive.at(1000).actions == (StartAttempt(3, "Quantum", "aer"),)
        assert drive.at(1078, {3: AttemptFacts(after(1001))}).actions == (StartAttempt(4, "Classical", "classical"),)

    def test_a_hedge_whose_start_was_not_written_down_is_taken_up_and_the_quantum_attempt_runs_on(self) -> None:
        drive = Drive()
        drive.at(0)
        drive.at(1, {1: RUNNING})
        found = AttemptFacts(after(79), route="Classical", backend="classical")
        assert drive.at(80, {1: RUNNING, 2: found}).actions == ()
        assert [attempt.state for attempt in drive.status.attempts] == ["Running", "Running"]
        assert drive.status.fallback is None


@dataclass
class Lab:
    """A world in which every attempt of a route takes the same time; returns when the job ends."""

    spec: HybridJob
    rules: QuantumBackendPolicy
    seconds: dict[str, int]
    codes: dict[str, int]
    now: datetime = START
    attempts: dict[int, tuple[str, datetime, datetime | None]] = field(default_factory=dict)
    held: dict[int, ReservationFacts] = field(default_factory=dict)
    settled: dict[int, Decimal] = field(default_factory=dict)
    unknown: set[int] = field(default_factory=set)
    """The attempts whose money stays reserved: nobody knows what they cost."""

    def facts(self) -> dict[int, AttemptFacts]:
        found = {}
        for number, (route, start, cancelled) in self.attempts.items():
            end = start + (after(self.seconds[route]) - START)
            if end <= self.now and (cancelled is None or end < cancelled):
                code = self.codes[route]
                usage = Usage(tasks=1, shots=10, seconds=1.0) if route == "Quantum" else Usage()
                found[number] = AttemptFacts(start, end, code, verdict(number, code, usage=usage))
            elif cancelled is not None:
                found[number] = AttemptFacts(start, cancelled, -9)
            else:
                found[number] = AttemptFacts(start)
        return found

    def run(self) -> HybridJobStatus:
        status: HybridJobStatus | None = None
        answer = None
        for _ in range(200):
            following = len(status.attempts) + 1 if status else 1
            reservation = self.held.get(following) if following not in self.settled else None
            decision = decide(self.spec, self.rules, Facts(self.facts(), reservation), self.now)
            for action in decision.actions:
                self.do(action)
            assert is_legal(status.state if status else "Pending", decision.status.state)
            status = decision.status
            assert answer is None or status.result == answer, "an answer was replaced"
            answer = status.result
            self.spec = self.spec.model_copy(update={"status": status})
            if status.state in TERMINAL:
                assert self.held.keys() == self.settled.keys() | self.unknown, "money is left reserved"
                assert all(a.state not in ("Pending", "Running", "Cancelling") for a in status.attempts)
                return status
            if any(isinstance(action, Reserve | StartAttempt | CancelAttempt) for action in decision.actions):
                continue  # what became of it is seen at once
            ends = [s + (after(self.seconds[r]) - START) for r, s, c in self.attempts.values() if c is None]
            later = [end for end in ends if end > self.now]
            self.now = max(self.now, min([*later, *([decision.wake_time] if decision.wake_time else [])]))
        raise AssertionError(f"still {status.state if status else None}")

    def do(self, action: Any) -> None:
        match action:
            case Reserve():
                self.held.setdefault(
                    action.attempt, ReservationFacts(action.attempt, action.backend, action.amount, True)
                )
            case StartAttempt(attempt=number, route=route):
                self.attempts.setdefault(number, (route, self.now, None))
            case CancelAttempt(attempt=number):
                route, start, cancelled = self.attempts[number]
                self.attempts[number] = (route, start, cancelled or self.now)
            case KeepReserved(attempt=number):
                self.unknown.add(number)
            case Settle(attempt=number, amount=amount):
                assert self.settled.setdefault(number, amount) == amount, "charged twice, differently"


@settings(max_examples=300, deadline=None)
@given(
    seconds=st.fixed_dictionaries({"Quantum": st.integers(1, 150), "Classical": st.integers(1, 60)}),
    code=st.sampled_from([0, 0, 0, 70, 69]),
    deadline=st.integers(5, 200),
    expected=st.integers(1, 60),
    prices=st.booleans(),
)
def test_it_is_never_later_than_without_and_leaves_one_answer_and_no_money(
    seconds: dict[str, int], code: int, deadline: int, expected: int, prices: bool
) -> None:
    classical: dict[str, Any] = {"expectedLatency": {"runSeconds": expected}}
    paid = {"rateCard": priced("0.001")} if prices else {}
    rules = policy(backend(**paid), classical=classical | ({"rateCard": SECONDS} if prices else {}))
    codes = {"Quantum": code, "Classical": 0}
    ends = {}
    for strategy in ("Hedged", "QuantumFirst"):
        spec = hedged(strategy=strategy, limits={"completionDeadlineSeconds": deadline})
        status = Lab(spec, rules, seconds, codes).run()
        assert status.state == "Succeeded"
        assert status.result is not None
        assert status.completion_time is not None
        ends[strategy] = status.completion_time
        if strategy == "Hedged" and seconds["Classical"] <= expected < deadline - 10 - expected / 10:
            assert status.completion_time <= after(deadline)
    assert ends["Hedged"] <= ends["QuantumFirst"]
