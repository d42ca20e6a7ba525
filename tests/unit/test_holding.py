"""Jobs that wait, are held, or meet a world that will never answer."""

from datetime import timedelta
from decimal import Decimal

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import HybridJobStatus
from hybridjob.contract.verdict import Usage
from hybridjob.engine.actions import CancelAttempt, Decision, Settle, StartAttempt
from hybridjob.engine.facts import AttemptFacts, Facts, Fault, PolicyLoad, ReservationFacts
from support.build import START, after, backend, job, policy, priced, verdict
from support.driver import Driver

EMPTY = policy().model_copy(update={"spec": policy().spec.model_copy(update={"backends": []})})


class Drive(Driver):
    """Decides again and again, keeping the status."""

    def __init__(self, spec: HybridJob, rules: QuantumBackendPolicy | None = None) -> None:
        super().__init__(spec, rules or policy())

    def at(self, seconds: float, facts: Facts | None = None) -> Decision:
        return self.decide(seconds, facts or Facts())

    def edit(self, **spec: object) -> None:
        changed = self.job.spec.model_copy(update=spec)
        metadata = self.job.metadata.model_copy(update={"generation": self.job.metadata.generation + 1})
        self.job = self.job.model_copy(update={"spec": changed, "metadata": metadata})


def attempts(**facts: AttemptFacts) -> Facts:
    return Facts(attempts={int(number.removeprefix("n")): fact for number, fact in facts.items()})


def condition(status: HybridJobStatus, name: str) -> tuple[str, str]:
    found = next(c for c in status.conditions if c.type == name)
    return found.status, found.reason


class TestSuspension:
    def test_nothing_starts_while_the_job_is_suspended_and_no_deadline_runs(self) -> None:
        drive = Drive(job(suspend=True, limits={"queueDeadlineSeconds": 10, "completionDeadlineSeconds": 20}))
        decision = drive.at(1000)
        assert decision.actions == ()
        assert decision.wake_time is None
        assert drive.status.state == "Held"
        assert condition(drive.status, "Suspended") == ("True", "Suspended")

    def test_the_clock_starts_when_it_is_resumed(self) -> None:
        drive = Drive(job(suspend=True, limits={"queueDeadlineSeconds": 10}))
        drive.at(0)
        drive.edit(suspend=False)
        decision = drive.at(1000)
        assert decision.actions == (StartAttempt(1, "Quantum", "aer"),)
        assert drive.status.state == "Pending"
        assert decision.wake_time == after(1010)
        assert condition(drive.status, "Suspended") == ("False", "Resumed")

    def test_deadlines_bind_again_where_the_next_attempt_has_to_wait(self) -> None:
        drive = Drive(job(limits={"queueDeadlineSeconds": 60}), policy(backend(maxConcurrent=1)))
        drive.at(0)
        drive.edit(suspend=True)
        drive.at(1, attempts(n1=AttemptFacts()))
        drive.at(2)
        drive.edit(suspend=False)
        taken = Facts(load=PolicyLoad(running={("other", "aer"): 1}))
        assert drive.at(1000, taken).wake_time == after(1060)
        assert drive.status.state == "Held"
        drive.at(1060, taken)
        assert drive.status.fallback is not None
        assert drive.status.fallback.reason == "LatencyExceeded"

    def test_a_fallback_that_was_suspended_has_its_time_again(self) -> None:
        drive = Drive(job(limits={"queueDeadlineSeconds": 60}))
        drive.at(0)
        drive.at(2, attempts(n1=AttemptFacts(start_time=after(1), end_time=after(2), exit_code=69)))
        assert drive.status.state == "FallingBack"
        drive.edit(suspend=True)
        drive.at(3, attempts(n2=AttemptFacts()))
        drive.at(4)
        drive.edit(suspend=False)
        assert drive.at(1000).actions == (StartAttempt(3, "Classical", "classical"),)
        assert drive.at(1001, attempts(n3=AttemptFacts())).wake_time == after(1060)

    def test_a_running_attempt_is_ended_is_no_failure_and_is_followed_by_another(self) -> None:
        drive = Drive(job(fallback={"maxAttempts": 1}))
        drive.at(0)
        running = AttemptFacts(start_time=after(1))
        drive.at(1, attempts(n1=running))
        drive.edit(suspend=True)
        drive.at(2, attempts(n1=running))
        assert drive.at(2, attempts(n1=running)).actions == (CancelAttempt(1),)
        drive.at(3)
        assert (drive.status.state, drive.status.attempts[0].state) == ("Held", "Cancelled")
        drive.edit(suspend=False)
        assert drive.at(4).actions == (StartAttempt(2, "Quantum", "aer"),)
        assert drive.status.fallback is None

    def test_a_suspended_job_can_be_cancelled(self) -> None:
        drive = Drive(job(suspend=True))
        drive.at(0)
        drive.edit(cancel=True)
        drive.at(1)
        assert drive.status.state == "Cancelled"


class TestQueues:
    def test_an_attempt_in_a_queue_is_held_and_says_for_what(self) -> None:
        drive = Drive(job())
        drive.at(0)
        drive.at(1, attempts(n1=AttemptFacts(held="waits in queue gpu")))
        assert drive.status.state == "Held"
        assert "queue gpu" in drive.status.message
        drive.at(2, attempts(n1=AttemptFacts()))
        assert drive.status.state == "Pending"

    def test_a_place_that_is_taken_away_is_no_failure(self) -> None:
        drive = Drive(job(fallback={"maxAttempts": 1}))
        drive.at(0)
        drive.at(1, attempts(n1=AttemptFacts(start_time=after(1))))
        decision = drive.at(2, attempts(n1=AttemptFacts(held="waits in queue gpu")))
        assert decision.actions == ()
        assert drive.status.state == "Held"
        assert drive.status.attempts[0].state == "Pending"

    def test_a_queue_that_never_admits_rolls_back_at_the_queue_deadline(self) -> None:
        drive = Drive(job(limits={"queueDeadlineSeconds": 10}))
        drive.at(0)
        decision = drive.at(10, attempts(n1=AttemptFacts(held="waits in queue gpu")))
        assert decision.actions == (StartAttempt(2, "Classical", "classical"),)
        assert drive.status.fallback is not None
        assert drive.status.fallback.reason == "LatencyExceeded"
        assert "queue gpu" in drive.status.fallback.message


class TestFaults:
    def test_a_fault_without_patience_goes_to_the_next_backend_at_once(self) -> None:
        drive = Drive(job(), policy(backend("first"), backend("second")))
        drive.at(0)
        fault = AttemptFacts(fault=Fault(after(1), "InvalidImageName"))
        decision = drive.at(1, attempts(n1=fault))
        assert decision.actions == (StartAttempt(2, "Quantum", "second"),)
        assert [a.state for a in drive.status.attempts] == ["Cancelling", "Pending"]
        assert drive.at(1, attempts(n1=fault, n2=AttemptFacts())).actions == (CancelAttempt(1),)

    def test_a_fault_may_pass_while_there_is_patience(self) -> None:
        drive = Drive(job())
        drive.at(0)
        fault = AttemptFacts(fault=Fault(after(1), "ErrImagePull", timedelta(seconds=60)))
        decision = drive.at(2, attempts(n1=fault))
        assert decision.actions == ()
        assert decision.wake_time == after(61)
        assert "ErrImagePull" in drive.status.message
        drive.at(61, attempts(n1=fault))
        assert drive.status.fallback is not None
        assert drive.status.fallback.reason == "BackendUnavailable"

    def test_a_fault_on_the_classical_route_fails_the_job(self) -> None:
        drive = Drive(job(quantum=None))
        drive.at(0)
        fault = AttemptFacts(fault=Fault(after(1), "InvalidImageName"))
        drive.at(1, attempts(n1=fault))
        assert drive.at(1, attempts(n1=fault)).actions == (CancelAttempt(1),)
        drive.at(2)
        assert (drive.status.state, drive.status.reason) == ("Failed", "BackendUnavailable")

    def test_money_of_an_attempt_that_never_ran_is_released_when_it_is_gone(self) -> None:
        drive = Drive(job(), policy(backend("paid", rateCard=priced("0.001"))))
        drive.at(0)
        drive.at(0, Facts(reservation=ReservationFacts(1, "paid", Decimal(2), True)))
        assert drive.status.attempts[0].reserved == 2
        drive.at(1, attempts(n1=AttemptFacts(fault=Fault(after(1), "InvalidImageName"))))
        decision = drive.at(2, attempts(n2=AttemptFacts()))
        assert decision.actions == (Settle(1, Decimal(0)),)
        assert drive.status.attempts[0].cost == 0


class TestAdoption:
    def test_an_attempt_that_exists_is_never_started_again(self) -> None:
        drive = Drive(job())
        decision = drive.at(5, attempts(n1=AttemptFacts(start_time=after(3), route="Quantum", backend="aer")))
        assert decision.actions == ()
        assert drive.status.state == "Running"
        assert [(a.number, a.backend, a.start_time) for a in drive.status.attempts] == [(1, "aer", after(3))]

    def test_it_stays_what_it_was_started_as_whatever_the_policy_prefers_now(self) -> None:
        drive = Drive(job(), policy(backend("new"), backend("old")))
        drive.at(5, attempts(n1=AttemptFacts(route="Quantum", backend="old")))
        assert [a.backend for a in drive.status.attempts] == ["old"]

    def test_an_adopted_fallback_is_followed(self) -> None:
        drive = Drive(job(), policy(backend("small", qubits=1)))
        running = AttemptFacts(start_time=after(3), route="Classical", backend="classical")
        decision = drive.at(5, Facts(attempts={1: running}, problem_size=3))
        assert decision.actions == ()
        assert drive.status.fallback is not None
        assert [a.route for a in drive.status.attempts] == ["Classical"]

    def test_a_cancelled_job_ends_an_attempt_that_only_the_world_knew_of(self) -> None:
        drive = Drive(job(cancel=True))
        running = attempts(n1=AttemptFacts(start_time=after(3), route="Quantum", backend="aer"))
        drive.at(5, running)
        assert drive.status.state != "Cancelled"
        assert drive.at(5, running).actions == (CancelAttempt(1),)
        drive.at(6)
        assert drive.status.state == "Cancelled"


class TestWhatIsMissing:
    def test_a_policy_is_waited_for_and_its_absence_ends_the_job_at_the_queue_deadline(self) -> None:
        drive = Drive(job(limits={"queueDeadlineSeconds": 60}), EMPTY)
        missing = Facts(policy_missing="no policy selects this namespace")
        decision = drive.at(0, missing)
        assert decision.wake_time == after(60)
        assert drive.status.state == "Pending"
        assert condition(drive.status, "PolicyAccepted") == ("False", "PolicyNotFound")
        drive.at(60, missing)
        assert (drive.status.state, drive.status.reason) == ("Failed", "PolicyNotFound")

    def test_a_job_goes_on_when_its_policy_appears(self) -> None:
        drive = Drive(job(), EMPTY)
        drive.at(0, Facts(policy_missing="none"))
        drive.policy = policy()
        assert drive.at(1).actions == (StartAttempt(1, "Quantum", "aer"),)
        assert condition(drive.status, "PolicyAccepted") == ("True", "Accepted")

    def test_a_running_job_whose_policy_vanishes_still_ends_with_an_answer_or_a_fallback(self) -> None:
        drive = Drive(job())
        drive.at(0)
        drive.policy = EMPTY
        gone = Facts(
            attempts={1: AttemptFacts(start_time=after(1), end_time=after(2), exit_code=69)}, policy_missing="gone"
        )
        decision = drive.at(2, gone)
        assert decision.actions == (StartAttempt(2, "Classical", "classical"),)

    def test_a_job_that_fell_back_waits_for_its_policy_where_it_is(self) -> None:
        timed = {"formula": "PerSecond", "currency": "USD", "perSecond": "1"}
        drive = Drive(job(), policy(backends=[], classical={"rateCard": timed}))
        drive.at(0)
        assert (drive.status.state, drive.status.attempts) == ("FallingBack", [])
        drive.policy = EMPTY
        drive.at(1, Facts(policy_missing="gone"))
        assert drive.status.state == "FallingBack"

    def test_data_that_is_missing_is_waited_for(self) -> None:
        drive = Drive(job(limits={"queueDeadlineSeconds": 60}))
        drive.at(0, Facts(problem_missing="waits for ConfigMap data"))
        assert (drive.status.state, drive.status.message) == ("Pending", "waits for ConfigMap data")
        drive.at(60, Facts(problem_missing="waits for ConfigMap data"))
        assert (drive.status.state, drive.status.reason) == ("Failed", "InvalidProblem")

    def test_wrong_data_fails_at_once(self) -> None:
        drive = Drive(job())
        assert drive.at(0, Facts(problem_error="spec.problem.inline: must be a graph")).actions == ()
        assert (drive.status.state, drive.status.reason) == ("Failed", "InvalidProblem")


def test_a_running_attempt_keeps_the_price_that_it_started_under() -> None:
    cheap, dear = policy(backend("paid", rateCard=priced("0.001"))), policy(backend("paid", rateCard=priced("9")))
    drive = Drive(job(quantum={"shots": 1000}), cheap)
    drive.at(0)
    amount = cheap.spec.backends[0].rate_card.per_shot
    assert amount is not None
    drive.at(0, Facts(reservation=ReservationFacts(1, "paid", amount * 1000, True)))
    assert drive.status.attempts[0].rate_card == cheap.spec.backends[0].rate_card
    drive.policy = dear
    used = verdict(usage=Usage(tasks=1, shots=1000, seconds=1.0))
    drive.at(2, attempts(n1=AttemptFacts(start_time=after(1), end_time=after(2), exit_code=0, verdict=used)))
    assert drive.status.attempts[0].cost == amount * 1000


def test_of_a_job_that_ended_only_the_observed_generation_moves() -> None:
    drive = Drive(job(cancel=True))
    drive.at(0)
    ended = drive.status
    drive.edit(ttl_seconds_after_finished=60)
    drive.at(100)
    assert drive.status.observed_generation == ended.observed_generation + 1
    assert drive.status.state == ended.state
    assert [c.last_transition_time for c in drive.status.conditions] == [START] * len(ended.conditions)


def test_more_attempts_than_a_status_can_hold_end_the_job() -> None:
    """A user who suspends and resumes for ever must not make the status invalid."""
    drive = Drive(job(fallback={"on": []}))
    for round_ in range(64):
        drive.edit(suspend=False)
        drive.at(round_)
        drive.edit(suspend=True)
        drive.at(round_, Facts(attempts={round_ + 1: AttemptFacts(start_time=after(round_))}))
        drive.at(round_)
    drive.edit(suspend=False)
    drive.at(100)
    assert (drive.status.state, drive.status.reason) == ("Failed", "SolverFailed")
