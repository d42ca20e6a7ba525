"""The decision: from the job, its policy and the facts to the new status, the actions and the next wake-up.

One pass looks at everything anew. Nothing is remembered but the status, so a crash between any two steps costs nothing:
the next pass sees the same facts and asks for the same actions.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import (
    AttemptStatus,
    CostStatus,
    FallbackReason,
    FallbackStatus,
    HybridJobStatus,
    LatencyStatus,
    Reason,
    ResultStatus,
    Route,
    State,
)
from hybridjob.engine.acceptance import why_unacceptable
from hybridjob.engine.actions import Action, CancelAttempt, Decision, Reserve, Settle, StartAttempt
from hybridjob.engine.conditions import conditions_of
from hybridjob.engine.deadlines import deadlines
from hybridjob.engine.facts import Facts
from hybridjob.engine.lifecycle import TERMINAL
from hybridjob.engine.outcomes import end_attempt, may_retry
from hybridjob.engine.policies import find_backend
from hybridjob.engine.pricing import ZERO, display
from hybridjob.engine.routing import CLASSICAL, Exclusion, Option, quantum_options, record, why_none

_OPEN = ("Pending", "Running", "Cancelling")
_RETRY_BASE_SECONDS = 1
_RETRY_CAP_SECONDS = 30


def decide(job: HybridJob, policy: QuantumBackendPolicy, facts: Facts, now: datetime) -> Decision:
    """Decide what holds and what shall be done, at the instant `now`.

    The job must have a uid and a creation time. Terminal is terminal: a job that ended is returned as it is.
    """
    status = job.status or HybridJobStatus()
    if status.state in TERMINAL:
        return Decision(status)
    return _Pass(job, status, policy, facts, now).run()


def retry_delay(failures: int) -> timedelta:
    """How long to wait after the n-th failure: doubling, capped."""
    return timedelta(seconds=min(_RETRY_CAP_SECONDS, _RETRY_BASE_SECONDS * 2 ** (failures - 1)))


class _Pass:
    """One pass over one job: a draft of the new status, and what to do."""

    def __init__(
        self, job: HybridJob, status: HybridJobStatus, policy: QuantumBackendPolicy, facts: Facts, now: datetime
    ) -> None:
        self.job, self.spec, self.policy, self.facts, self.now = job, job.spec, policy, facts, now
        self.created = job.metadata.creation_timestamp or now
        self.previous = status
        self.state, self.reason, self.message = status.state, status.reason, status.message
        self.attempts = list(status.attempts)
        self.fallback, self.decision, self.result = status.fallback, status.decision, status.result
        self.chosen: Option | None = None
        self.actions: list[Action] = []
        self.wakes: list[datetime] = []

    def run(self) -> Decision:
        self._observe()
        if self.spec.cancel:
            self._end_job("Cancelled", "Cancelled", "cancelled on request")
        else:
            self._steer()
        self._release_unused_reservation()
        return Decision(self._status(), tuple(self.actions), min(self.wakes, default=None))

    # What happened

    def _observe(self) -> None:
        """Bring the attempts up to the facts; settle those that ended."""
        for index, attempt in enumerate(self.attempts):
            if attempt.state not in _OPEN:
                continue
            facts = self.facts.attempts.get(attempt.number)
            if facts is None:
                if attempt.state == "Cancelling":
                    self._end(index, attempt.model_copy(update={"state": "Cancelled", "end_time": self.now}))
                else:
                    # It should exist and does not: the process that was to start it, or ran it, is gone.
                    self.actions.append(StartAttempt(attempt.number, attempt.route, attempt.backend))
                    self.attempts[index] = attempt.model_copy(update={"state": "Pending", "start_time": None})
            elif facts.end_time is not None:
                backend = find_backend(self.policy, attempt.backend)
                self._end(index, end_attempt(attempt, facts, backend.rate_card if backend else None))
            elif attempt.state == "Cancelling":
                self.actions.append(CancelAttempt(attempt.number))
            elif facts.start_time is not None and attempt.start_time is None:
                self.attempts[index] = attempt.model_copy(update={"state": "Running", "start_time": facts.start_time})

    def _end(self, index: int, ended: AttemptStatus) -> None:
        if ended.reserved is not None:
            if ended.cost is None:
                ended = ended.model_copy(update={"cost": ended.reserved if ended.start_time else ZERO})
            self.actions.append(Settle(ended.number, ended.cost or ZERO))
        self.attempts[index] = ended

    # What to do

    @property
    def _route(self) -> Route:
        return "Classical" if self.fallback or self.spec.strategy == "ClassicalOnly" else "Quantum"

    def _on_route(self) -> list[AttemptStatus]:
        return [attempt for attempt in self.attempts if attempt.route == self._route]

    def _steer(self) -> None:
        on_route = self._on_route()
        last = on_route[-1] if on_route else None
        current = last if last is not None and last.state in ("Pending", "Running") else None
        if last is not None and last.state == "Succeeded":
            self._judge(last)
        elif last is not None and last.state == "Cancelling":
            return  # its end is the next fact
        elif last is not None and last.state == "Cancelled":
            # Only a deadline cancels what is not followed by a fallback.
            self._give_up("LatencyExceeded", last.message)
        elif last is not None and last.reason == "InvalidProblem":
            self._fail("InvalidProblem", last.message)
        elif self._missed_deadline(current):
            return
        elif current is not None:
            self._follow(current)
        elif last is None:
            self._begin()
        else:
            self._after_failure(last, on_route)

    def _follow(self, current: AttemptStatus) -> None:
        if current.state == "Running":
            self.state = "Running"
            self.message = f"attempt {current.number} runs on {current.backend}"
        elif self.state != "FallingBack":
            self.message = f"attempt {current.number} waits for a place to run on {current.backend}"

    def _missed_deadline(self, current: AttemptStatus | None) -> bool:
        started = any(attempt.start_time for attempt in self._on_route())
        for deadline in deadlines(self.spec.limits, self.created, self.fallback, started, current):
            if self.now >= deadline.time:
                if current is not None:
                    self._cancel_attempt(current, "LatencyExceeded", deadline.message)
                if current is None or self._falls_back_on("LatencyExceeded"):
                    self._give_up("LatencyExceeded", deadline.message)
                return True
            self.wakes.append(deadline.time)
        return False

    def _after_failure(self, last: AttemptStatus, on_route: list[AttemptStatus]) -> None:
        if last.reason == "BackendUnavailable":
            self._begin()
            return
        failures = sum(attempt.reason == "SolverFailed" for attempt in on_route)
        if not may_retry(last) or failures >= self.spec.fallback.max_attempts:
            tries = f"after {failures} attempts: " if failures > 1 else ""
            self._give_up("SolverFailed", f"{tries}{last.message}")
            return
        retry_time = (last.end_time or self.now) + retry_delay(failures)
        if self.now < retry_time:
            self.wakes.append(retry_time)
            self.message = f"attempt {last.number} failed and is tried again: {last.message}"[:2048]
        else:
            self._begin()

    def _judge(self, attempt: AttemptStatus) -> None:
        """Accept the attempt's answer, or not. Its facts are there: an answer is judged in the pass that sees it."""
        facts = self.facts.attempts.get(attempt.number)
        verdict = facts.verdict if facts else None
        if facts is None or verdict is None or verdict.answer is None:
            self._give_up("SolverFailed", f"the answer of attempt {attempt.number} is lost")
            return
        lacking = why_unacceptable(verdict.answer, self.spec.acceptance, attempt.route)
        if lacking:
            self._give_up("QualityRegressed", lacking)
            return
        answer = verdict.answer
        self.result = ResultStatus(
            objective=answer.objective,
            sense=answer.sense,
            feasible=answer.feasible,
            baseline=answer.baseline,
            solution=answer.solution,
            algorithm=verdict.algorithm,
            digest=verdict.payload_digest,
            reference=facts.reference,
            top=list(facts.top[:16]),
        )
        if self._all_ended():
            self.state, self.reason, self.message = "Succeeded", None, verdict.message

    def _begin(self) -> None:
        """Start the next attempt on the current route, or find that none can be."""
        options = self._options()
        if self._route == "Classical":
            chosen: Option | None = CLASSICAL
        else:
            chosen = next((option for option in options if option.reason is None), None)
        self.decision = record(self.job, options, chosen)
        self.chosen = chosen
        if chosen is None:
            self._give_up(*why_none(options))
        elif chosen.estimate and chosen.currency and not self._is_granted(chosen):
            self._reserve(chosen, chosen.estimate, chosen.currency)
        else:
            self._start(chosen)

    def _options(self) -> list[Option]:
        excluded = {
            attempt.backend: Exclusion("BackendUnavailable", attempt.message)
            for attempt in self.attempts
            if attempt.reason == "BackendUnavailable"
        }
        reservation = self.facts.reservation
        if reservation is not None and not reservation.granted:
            excluded[reservation.backend] = Exclusion("BudgetExceeded", reservation.message)
        return quantum_options(self.spec, self.policy, self.facts, self.now, self._spent(), excluded)

    def _is_granted(self, option: Option) -> bool:
        reservation = self.facts.reservation
        return (
            reservation is not None
            and reservation.granted
            and (reservation.attempt, reservation.backend) == (len(self.attempts) + 1, option.backend)
        )

    def _reserve(self, option: Option, amount: Decimal, currency: str) -> None:
        limits = tuple((b.name, b.limit) for b in self.policy.spec.budgets if b.currency == currency)
        self.actions.append(Reserve(len(self.attempts) + 1, option.backend, amount, currency, limits))
        self.message = f"reserves {display(amount, currency)} for {option.backend}"

    def _start(self, option: Option) -> None:
        number = len(self.attempts) + 1
        reservation = self.facts.reservation
        reserved = reservation.amount if reservation and self._is_granted(option) else None
        attempt = AttemptStatus(
            number=number,
            route=option.route,
            backend=option.backend,
            state="Pending",
            created_time=self.now,
            reserved=reserved,
        )
        self.attempts.append(attempt)
        self.actions.append(StartAttempt(number, option.route, option.backend))
        self._follow(attempt)
        self._missed_deadline(attempt)

    # How it ends

    def _falls_back_on(self, reason: Reason) -> bool:
        return self._route == "Quantum" and reason in self.spec.fallback.on

    def _give_up(self, reason: FallbackReason, message: str) -> None:
        """Leave the current route: for the classical one where the job allows it, else for good."""
        message = message[:2048]
        if not self._falls_back_on(reason):
            self._fail(reason, message)
            return
        self.fallback = FallbackStatus(
            source="Quantum", target="Classical", reason=reason, message=message, time=self.now
        )
        self.state, self.reason, self.message = "FallingBack", reason, message
        self._begin()

    def _fail(self, reason: Reason, message: str) -> None:
        self._end_job("Failed", reason, message)

    def _end_job(self, state: State, reason: Reason, message: str) -> None:
        """End the job, once the attempts that are still open have ended: their money is settled first."""
        for attempt in self.attempts:
            if attempt.state in ("Pending", "Running"):
                self._cancel_attempt(attempt, reason, message)
        if self._all_ended():
            self.state, self.reason, self.message = state, reason, message

    def _cancel_attempt(self, attempt: AttemptStatus, reason: Reason, message: str) -> None:
        """Mark the attempt; the next pass, which follows at once, cancels it. Were it the other way round, a crash in
        between would leave a killed solver, and nothing to tell it from one that crashed by itself."""
        self.attempts[attempt.number - 1] = attempt.model_copy(
            update={"state": "Cancelling", "reason": reason, "message": message[:2048]}
        )
        self.wakes.append(self.now)

    def _all_ended(self) -> bool:
        return all(attempt.state not in _OPEN for attempt in self.attempts)

    def _release_unused_reservation(self) -> None:
        """Money that was granted for an attempt that will not be: another way was chosen, or the job ended."""
        reservation = self.facts.reservation
        if reservation is None or not reservation.granted:
            return
        if not any(a.number == reservation.attempt and a.reserved is not None for a in self.attempts):
            self.actions.append(Settle(reservation.attempt, ZERO))

    # What is written

    def _status(self) -> HybridJobStatus:
        current = self.attempts[-1] if self.attempts else None
        ended = self.state in TERMINAL
        return HybridJobStatus(
            conditions=conditions_of(
                self.previous.conditions,
                state=self.state,
                reason=self.reason,
                message=self.message,
                policy=self.policy.metadata.name,
                admitted=bool(self.attempts),
                fallback=self.fallback,
                generation=self.job.metadata.generation,
                now=self.now,
            ),
            observed_generation=self.job.metadata.generation,
            state=self.state,
            reason=self.reason,
            message=self.message[:2048],
            policy=self.policy.metadata.name,
            route=current.route if current else None,
            backend=current.backend if current else None,
            attempts=self.attempts,
            cost=self._cost(),
            latency=self._latency(ended),
            result=self.result if self.state == "Succeeded" else None,
            fallback=self.fallback,
            decision=self.decision,
        )

    def _cost(self) -> CostStatus:
        before = self.previous.cost
        estimated, currency = (before.estimated, before.currency) if before else (ZERO, None)
        if self.chosen is not None:
            estimated, currency = self.chosen.estimate or ZERO, self.chosen.currency or currency
        return CostStatus(
            currency=currency,
            estimated=estimated,
            reserved=sum((a.reserved for a in self.attempts if a.reserved and a.state in _OPEN), ZERO),
            actual=self._spent(),
        )

    def _spent(self) -> Decimal:
        return sum((attempt.cost for attempt in self.attempts if attempt.cost), ZERO)

    def _latency(self, ended: bool) -> LatencyStatus:
        starts = [attempt.start_time for attempt in self.attempts if attempt.start_time]
        return LatencyStatus(
            queue_seconds=_seconds(self.created, min(starts)) if starts else None,
            run_seconds=round(sum(a.run_seconds or 0.0 for a in self.attempts), 3) if starts else None,
            total_seconds=_seconds(self.created, self.now) if ended else None,
        )


def _seconds(start: datetime, end: datetime) -> float:
    return max(0.0, round((end - start).total_seconds(), 3))
