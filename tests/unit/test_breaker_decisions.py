"""What jobs make of circuit breakers: what is told of attempts, what an open one rules out, and who is the probe."""

from datetime import timedelta
from typing import Any

import pytest

from hybridjob.api.breaker import BreakerStatus
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.contract.exit_codes import ExitCode
from hybridjob.engine.actions import Decision, Note, Reserve, StartAttempt
from hybridjob.engine.backend_report import backend_report, open_backends
from hybridjob.engine.breaker import ALL, Breaker, ReportRequest, apply
from hybridjob.engine.breaker_gate import breaker_report
from hybridjob.engine.facts import AttemptFacts, Facts, Fault, ReservationFacts
from hybridjob.engine.instants import millis
from hybridjob.engine.ledger import Book
from hybridjob.engine.windows import window_report
from support.build import START, UID, after, backend, job, policy, priced, verdict
from support.driver import Driver

BREAKER = {"consecutiveFailures": 2, "openSeconds": 60, "probeDeadlineSeconds": 300}


class Drive(Driver):
    """Decides again and again, and notes what is to be noted."""

    def __init__(self, spec: HybridJob, rules: QuantumBackendPolicy) -> None:
        super().__init__(spec, rules)
        self.breakers: dict[str, Breaker] = {}

    def at(self, seconds: float, **facts: Any) -> Decision:
        attempts = {int(key[1:]): facts.pop(key) for key in list(facts) if key[0] == "n" and key[1:].isdigit()}
        decision = self.decide(seconds, Facts(attempts=attempts, breakers=dict(self.breakers), **facts))
        for action in decision.actions:
            if isinstance(action, Note):
                self.note(action, seconds)
        return decision

    def note(self, action: Note, seconds: float) -> None:
        known = self.breakers.get(action.request.backend, Breaker())
        self.breakers[action.request.backend] = apply(known, action.request, millis(after(seconds)))

    def faults(self, *namespaces: str, seconds: float = -1, backend: str = "aer") -> None:
        """Attempts of other jobs have failed."""
        rules = self.policy.spec.circuit_breaker
        assert rules is not None
        for number, namespace in enumerate(namespaces):
            time = millis(after(seconds))
            self.note(Note(ReportRequest((f"{namespace}{number}", 1), backend, namespace, time, True, rules)), seconds)


def guarded(*backends: dict[str, Any], **breaker: Any) -> QuantumBackendPolicy:
    return policy(*backends, circuitBreaker=BREAKER | breaker)


def reports(decision: Decision) -> list[bool]:
    """Of each report, whether it is of a fault."""
    found = (a.request for a in decision.actions if isinstance(a, Note) and isinstance(a.request, ReportRequest))
    return [request.fault for request in found]


FAILED = verdict(exit_code=69).model_copy(update={"backend_failed": True})


@pytest.mark.parametrize(
    ("exit_code", "answer", "told"),
    [
        (0, verdict(), [False]),
        (0, verdict(objective=1.0), [False]),  # not good enough: it answered
        (0, None, [True]),  # done, and no answer
        (ExitCode.USAGE, verdict(exit_code=64), [True]),
        (ExitCode.INVALID_TASK, verdict(exit_code=65), []),
        (ExitCode.INPUT_UNREADABLE, verdict(exit_code=66), []),
        (ExitCode.BACKEND_UNAVAILABLE, verdict(exit_code=69), []),  # too many qubits
        (ExitCode.BACKEND_UNAVAILABLE, FAILED, [True]),
        (ExitCode.INTERNAL_ERROR, verdict(exit_code=70), [True]),
        (ExitCode.OUT_OF_MEMORY, None, []),
        (ExitCode.RESULT_UNWRITABLE, None, []),
        (-11, None, [True]),  # SIGSEGV
        (-9, None, []),  # SIGKILL: somebody ended it
        (1, None, [True]),
        (None, None, []),  # nobody knows
    ],
)
def test_what_counts_as_a_fault(exit_code: int | None, answer: Any, told: list[bool]) -> None:
    drive = Drive(job(acceptance={"minImprovementOverBaseline": "0"}), guarded())
    drive.at(0)
    decision = drive.at(5, n1=AttemptFacts(after(1), after(5), exit_code, answer))
    assert reports(decision) == told


def test_every_exit_code_is_classified() -> None:
    for code in ExitCode:
        drive = Drive(job(), guarded())
        drive.at(0)
        decision = drive.at(5, n1=AttemptFacts(after(1), after(5), int(code)))
        assert len(reports(decision)) <= 1


class TestWhatIsTold:
    def test_an_image_that_cannot_be_pulled_is_a_fault_once_it_is_given_up(self) -> None:
        drive = Drive(job(), guarded(backend("aer"), backend("second")))
        drive.at(0)
        pull = Fault(after(1), "ErrImagePull", timedelta(seconds=60))
        assert reports(drive.at(2, n1=AttemptFacts(fault=pull))) == []
        assert reports(drive.at(61, n1=AttemptFacts(fault=pull))) == [True]

    def test_a_quota_of_the_cluster_is_none(self) -> None:
        drive = Drive(job(), guarded(backend("aer"), backend("second")))
        drive.at(0)
        assert reports(drive.at(2, n1=AttemptFacts(fault=Fault(after(1), "quota", of_backend=False)))) == []

    def test_an_attempt_that_runs_too_long_is_a_fault_and_waiting_too_long_is_none(self) -> None:
        for facts, told in [(AttemptFacts(after(1)), [True]), (AttemptFacts(), [])]:
            drive = Drive(job(limits={"activeDeadlineSeconds": 20, "queueDeadlineSeconds": 30}), guarded())
            drive.at(0, n1=facts)
            drive.at(1, n1=facts)
            assert reports(drive.at(40, n1=facts)) == told

    def test_a_cancelled_attempt_is_none(self) -> None:
        drive = Drive(job(), guarded())
        drive.at(0)
        drive.at(1, n1=AttemptFacts(after(1)))
        drive.job = drive.job.model_copy(update={"spec": drive.job.spec.model_copy(update={"cancel": True})})
        drive.at(2, n1=AttemptFacts(after(1)))
        assert drive.at(3, n1=AttemptFacts(after(1), after(3), -9)).actions == ()
        assert drive.status.state == "Cancelled"

    def test_nothing_is_told_where_there_is_no_breaker(self) -> None:
        drive = Drive(job(), policy())
        drive.at(0)
        assert reports(drive.at(5, n1=AttemptFacts(after(1), after(5), 70))) == []

    def test_a_backends_own_rules_stand_in_place_of_the_policys(self) -> None:
        drive = Drive(job(), guarded(backend(circuitBreaker={"consecutiveFailures": 1})))
        drive.at(0)
        drive.at(5, n1=AttemptFacts(after(1), after(5), 70))
        assert drive.breakers["aer"].circuits["default"].opened == millis(after(5))


class TestOpen:
    def test_when_all_are_open_the_job_falls_back_at_once(self) -> None:
        drive = Drive(job(), guarded())
        drive.faults("a", "b")
        assert drive.at(0).actions == (StartAttempt(1, "Classical", "classical"),)
        assert drive.status.fallback is not None
        assert drive.status.fallback.reason == "BackendUnavailable"
        assert "its circuit breaker is Open since 2026-01-31T11:59:59.000Z, next probe at" in drive.status.message

    def test_the_next_backend_is_taken(self) -> None:
        drive = Drive(job(), guarded(backend("aer"), backend("second")))
        drive.faults("a", "b")
        assert drive.at(0).actions == (StartAttempt(1, "Quantum", "second"),)
        assert drive.status.decision is not None
        assert drive.status.decision.rejected[0].reason == "BackendUnavailable"

    def test_another_namespaces_circuit_is_none_of_this_jobs(self) -> None:
        drive = Drive(job(), guarded())
        drive.faults("a", "a", "a")
        assert drive.at(0).actions == (StartAttempt(1, "Quantum", "aer"),)

    def test_a_jobs_own_faults_open_its_namespaces_circuit(self) -> None:
        drive = Drive(job(fallback={"maxAttempts": 5}), guarded())
        drive.at(0)
        crashed = {"n1": AttemptFacts(after(1), after(2), 70)}
        drive.at(2, **crashed)
        drive.at(3, **crashed)
        crashed["n2"] = AttemptFacts(after(4), after(5), 70)
        drive.at(5, **crashed)
        assert drive.at(8, **crashed).actions == (StartAttempt(3, "Classical", "classical"),)
        assert drive.status.fallback is not None
        assert "its circuit breaker for namespace default is Open" in drive.status.fallback.message

    def test_a_window_is_waited_for_before_the_breaker_is_asked(self) -> None:
        repair = {"startTime": "2026-01-31T11:00:00Z", "endTime": "2026-01-31T12:05:00Z", "reason": "repair"}
        drive = Drive(job(), guarded(backend(maintenance=[repair])))
        drive.faults("a", "b")
        opening = drive.at(0).wake_time
        assert drive.status.state == "Held"
        assert opening is not None
        passed = (opening - START).total_seconds()
        assert any(isinstance(action, Note) for action in drive.at(passed).actions)  # open, and half-open


class TestProbe:
    def half_open(self, *backends: dict[str, Any], spec: HybridJob | None = None, **breaker: Any) -> Drive:
        drive = Drive(spec or job(), guarded(*backends, **breaker))
        drive.faults("a", "b", seconds=-100)
        return drive

    def test_a_job_asks_first_and_starts_as_the_probe(self) -> None:
        drive = self.half_open()
        decision = drive.at(0)
        assert [type(action) for action in decision.actions] == [Note]
        assert decision.wake_time == START
        assert drive.at(0).actions == (StartAttempt(1, "Quantum", "aer"),)
        assert drive.status.decision is not None
        assert drive.status.decision.chosen is not None
        assert "as the probe of its circuit breaker" in drive.status.decision.chosen.message
        drive.at(5, n1=AttemptFacts(after(1), after(5), 0, verdict()))
        assert drive.status.state == "Succeeded"
        assert drive.breakers["aer"].circuits[ALL].opened is None

    def test_a_job_that_loses_the_race_goes_another_way(self) -> None:
        drive, rival = self.half_open(), self.half_open()
        rival.job = rival.job.model_copy(
            update={"metadata": rival.job.metadata.model_copy(update={"uid": "rival", "namespace": "other"})}
        )
        rival.at(0)
        drive.breakers = rival.breakers
        assert drive.at(0).actions == (StartAttempt(1, "Classical", "classical"),)
        assert drive.status.fallback is not None
        assert "HalfOpen" in drive.status.fallback.message
        assert "probed by job rival" in drive.status.fallback.message

    def test_a_job_that_may_cost_more_than_a_probe_may_is_none(self) -> None:
        drive = self.half_open(backend(rateCard=priced("0.001")), maxProbeCost="0.5")
        assert drive.at(0).actions == (StartAttempt(1, "Classical", "classical"),)
        assert drive.status.fallback is not None
        assert "waits for a probe of at most 0.5 USD: this job may cost 1.024 USD" in drive.status.fallback.message

    def test_the_probe_is_taken_before_the_money(self) -> None:
        drive = self.half_open(backend(rateCard=priced("0.001")))
        assert [type(action) for action in drive.at(0).actions] == [Note]
        (asked,) = drive.at(0).actions
        assert isinstance(asked, Reserve)
        granted = ReservationFacts(1, "aer", asked.amount, True)
        assert drive.at(0, reservation=granted).actions == (StartAttempt(1, "Quantum", "aer"),)

    def test_without_money_it_is_given_back(self) -> None:
        drive = self.half_open(backend(rateCard=priced("0.001")))
        drive.at(0)
        drive.at(0)
        refused = ReservationFacts(1, "aer", 1, False, "no money left")
        drive.at(0, reservation=refused)
        assert drive.status.route == "Classical"
        assert drive.breakers["aer"].circuits[ALL].probe is None

    @pytest.mark.parametrize("edit", [{"cancel": True}, {"suspend": True}])
    def test_a_job_that_ends_or_is_suspended_gives_it_back(self, edit: dict[str, Any]) -> None:
        drive = self.half_open()
        drive.at(0)
        drive.job = drive.job.model_copy(update={"spec": drive.job.spec.model_copy(update=edit)})
        drive.at(1)
        assert drive.breakers["aer"].circuits[ALL].probe is None

    def test_a_probe_that_says_nothing_of_its_backend_is_given_back(self) -> None:
        drive = self.half_open()
        drive.at(0)
        drive.at(0)
        drive.at(5, n1=AttemptFacts(after(1), after(5), int(ExitCode.OUT_OF_MEMORY)))
        circuit = drive.breakers["aer"].circuits[ALL]
        assert (circuit.opened is not None, circuit.probe) == (True, None)

    def test_an_expired_lease_leaves_the_attempt_alone(self) -> None:
        drive = self.half_open(probeDeadlineSeconds=10)
        drive.at(0)
        drive.at(0)
        drive.at(50, n1=AttemptFacts(after(1)))
        assert drive.at(60, n1=AttemptFacts(after(1), after(55), 0, verdict())).actions
        assert drive.status.route == "Quantum"


class TestGlance:
    def test_how_many_backends_let_jobs_start(self) -> None:
        night = {"name": "night", "timeZone": "UTC", "from": "22:00", "until": "06:00"}
        rules = guarded(backend("closed", windows=[night]), backend("broken"), backend("shaky"), backend("fine"))
        drive = Drive(job(), rules)
        drive.faults("a", "b", backend="broken")
        drive.faults("a", "a", backend="shaky")  # of one namespace: open for that one only
        report = backend_report(rules, Book("policy", breakers=drive.breakers), START)
        assert [(b.name, b.breaker.state) for b in report if b.breaker] == [
            ("closed", "Closed"),
            ("broken", "Open"),
            ("shaky", "Open"),
            ("fine", "Closed"),
        ]
        assert open_backends(rules, report) == "2/4"


class TestForce:
    def test_open_lets_nothing_start_until_it_ends(self) -> None:
        force = {"state": "Open", "untilTime": "2026-01-31T12:05:00Z", "reason": "moved to another room"}
        drive = Drive(job(), guarded(force=force))
        drive.at(299)
        assert drive.status.fallback is not None
        assert "is forced Open until 2026-01-31T12:05:00.000Z: moved to another room" in drive.status.fallback.message
        assert Drive(job(), guarded(force=force)).at(300).actions == (StartAttempt(1, "Quantum", "aer"),)

    def test_closed_lets_jobs_start_until_it_ends_and_then_what_was_seen_holds(self) -> None:
        force = {"state": "Closed", "untilTime": "2026-01-31T12:00:10Z", "reason": "false alarm"}
        drive = Drive(job(), guarded(force=force))
        drive.faults("a", "b")
        assert drive.at(9).actions == (StartAttempt(1, "Quantum", "aer"),)
        late = Drive(job(), guarded(force=force))
        late.breakers = drive.breakers
        assert late.at(10).actions == (StartAttempt(1, "Classical", "classical"),)


class TestReport:
    def report(self, drive: Drive, seconds: float) -> BreakerStatus:
        now = after(seconds)
        (status,) = breaker_report(drive.policy, drive.breakers, window_report(drive.policy, now), now)
        assert status.breaker is not None
        return status.breaker

    def test_it_says_state_scope_time_and_faults(self) -> None:
        drive = Drive(job(), guarded())
        assert self.report(drive, 0) == BreakerStatus(state="Closed")
        drive.faults("a", "a", "a")
        own = self.report(drive, 0)
        assert (own.state, own.scope, own.namespaces, own.failures) == ("Open", "Namespaces", ["a"], 3)
        assert own.since_time == after(-1)
        drive.faults("b", seconds=0)
        shared = self.report(drive, 1)
        assert (shared.state, shared.scope, shared.failures) == ("Open", "All", 4)
        assert shared.next_probe_time is not None
        assert after(48) <= shared.next_probe_time <= after(72)
        assert self.report(drive, 72).state == "HalfOpen"

    def test_it_says_who_probes_and_who_forces_it(self) -> None:
        drive = Drive(job(), guarded())
        drive.faults("a", "b", seconds=-100)
        drive.at(0)
        assert UID in self.report(drive, 1).message
        force = {"state": "Open", "untilTime": "2026-02-01T00:00:00Z", "reason": "repair"}
        assert self.report(Drive(job(), guarded(force=force)), 0).message.endswith("repair")

    def test_backends_without_breaker_and_hours_are_left_out(self) -> None:
        assert breaker_report(policy(), {}, [], START) == []
