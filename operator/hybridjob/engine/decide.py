"""The decision: from the job, its policy and the facts to the new status, the actions and the next wake-up.

One pass looks at everything anew. Nothing is remembered but the status, so a crash between any two steps costs nothing:
the next pass sees the same facts and asks for the same actions.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import (
    CLASSICAL_BACKEND,
    MAX_ATTEMPTS_KEPT,
    AttemptStatus,
    FallbackReason,
    FallbackStatus,
    HybridJobStatus,
    Reason,
    ResultStatus,
    Route,
    State,
    WaitingStatus,
)
from hybridjob.engine.acceptance import why_unacceptable
from hybridjob.engine.actions import Decision, Note, Reserve, StartAttempt
from hybridjob.engine.budgets import Claims
from hybridjob.engine.conditions import acknowledged
from hybridjob.engine.deadlines import clock_start, deadlines
from hybridjob.engine.draft import Draft
from hybridjob.engine.facts import Facts
from hybridjob.engine.hedge_attempts import acceptable_hedge, hedges, next_step
from hybridjob.engine.holds import hold
from hybridjob.engine.lifecycle import TERMINAL
from hybridjob.engine.outcomes import may_retry
from hybridjob.engine.policies import rate_card_of
from hybridjob.engine.pricing import display
from hybridjob.engine.routing import Choice, Exclusion, Option, is_rejected, record, why_none

_RETRY_BASE_SECONDS = 1
_RETRY_CAP_SECONDS = 30


def decide(job: HybridJob, policy: QuantumBackendPolicy, facts: Facts, now: datetime) -> Decision:
    """Decide what holds and what shall be done, at the instant `now`.

    The job must have a uid and a creation time. Terminal is terminal: of a job that ended only observedGeneration
    moves. Where no policy holds, `facts.policy_missing` says why, and `policy` is one that allows nothing quantum.
    """
    status = job.status or HybridJobStatus()
    if status.state in TERMINAL:
        return Decision(acknowledged(status, job.metadata.generation))
    return _Pass(job, status, policy, facts, now).run()


def retry_delay(failures: int) -> timedelta:
    """How long to wait after the n-th failure: doubling, capped."""
    return timedelta(seconds=min(_RETRY_CAP_SECONDS, _RETRY_BASE_SECONDS * 2 ** (failures - 1)))


class _Pass(Draft):
    """One pass over one job."""

    def run(self) -> Decision:
        self.observe()
        if self.result is not None:
            self._conclude()
        elif self.spec.cancel:
            self._end_job("Cancelled", "Cancelled", "cancelled on request")
        elif self.spec.suspend:
            self.cancel_attempts(None, "the job was suspended")
            self.state, self.message = "Held", "suspended: set spec.suspend to false to go on"
        elif not self.attempts and (missing := self.facts.policy_missing):
            self._wait_for(missing, "PolicyNotFound")
        elif not self.attempts and self.facts.problem_error:
            self._fail("InvalidProblem", self.facts.problem_error)
        elif not self.attempts and (missing := self.facts.problem_missing):
            self._wait_for(missing, "InvalidProblem")
        elif self.hedged and (hedge := acceptable_hedge(self.job, self.attempts, self.facts)) is not None:
            self._judge(hedge)
        else:
            self._steer()
            self._hedge()
        self.release_unused_reservation()
        self.release_unused_probes()
        return Decision(self.status(), tuple(self.actions), min(self.wakes, default=None))

    @property
    def _route(self) -> Route:
        return "Classical" if self.fallback or self.spec.strategy == "ClassicalOnly" else "Quantum"

    def _on_route(self) -> list[AttemptStatus]:
        return [attempt for attempt in self.attempts if attempt.route == self._route]

    def _wait_for(self, missing: str, reason: Reason) -> None:
        """Wait for what the job refers to: tools that apply many files apply them in any order."""
        self.state, self.message = self.state if self.fallback else "Pending", missing
        if not self._missed_deadline(None, reason):
            return
        self._fail(reason, missing)

    def _steer(self) -> None:
        on_route = self._on_route()
        last = on_route[-1] if on_route else None
        current = last if last is not None and last.state in ("Pending", "Running") else None
        if last is not None and last.state == "Succeeded":
            self._judge(last)
        elif last is not None and last.state == "Cancelling":
            return  # its end is the next fact
        elif last is not None and last.state == "Cancelled" and last.reason is not None:
            # What was cancelled for another reason, and is not followed by a fallback, ends the route.
            self._give_up("LatencyExceeded" if last.reason == "LatencyExceeded" else "BackendUnavailable", last.message)
        elif last is not None and last.reason == "InvalidProblem":
            self._fail("InvalidProblem", last.message)
        elif self._missed_deadline(current) or (current is not None and self._faulted(current)):
            return
        elif current is not None:
            self._follow(current)
        elif last is None or last.state == "Cancelled":  # it was suspended, and goes on
            self._begin()
        else:
            self._after_failure(last, on_route)

    def _follow(self, current: AttemptStatus) -> None:
        facts = self.facts.attempts.get(current.number)
        if current.state == "Running":
            self.state = "Running"
            self.message = f"attempt {current.number} runs on {current.backend}"
        elif facts is not None and facts.held is not None:
            self.state, self.message = "Held", f"attempt {current.number} {facts.held}"
        else:
            if self.state == "Held":
                self.state = "FallingBack" if self.fallback else "Pending"
            if self.state != "FallingBack":
                self.message = f"attempt {current.number} waits for a place to run on {current.backend}"
            if facts is not None and (why := facts.fault.message if facts.fault else facts.waiting):
                self.message = f"attempt {current.number} waits to run on {current.backend}: {why}"[:2048]

    def _faulted(self, current: AttemptStatus) -> bool:
        """End an attempt that would hang for ever, and go on with the next way at once."""
        facts = self.facts.attempts.get(current.number)
        if facts is None or facts.fault is None:
            return False
        ends = facts.fault.time + facts.fault.patience
        if self.now < ends:
            self.wakes.append(ends)
            return False
        self.cancel_attempt(current, "BackendUnavailable", facts.fault.message)
        if facts.fault.of_backend:
            self.tell_breaker(current, "Fault", ends)
        if self._route == "Quantum":
            self._begin()
        return True

    def _missed_deadline(self, current: AttemptStatus | None, reason: Reason = "LatencyExceeded") -> bool:
        """Whether a deadline has passed; then the attempt is cancelled and, where nothing has to end first, the route
        is left. `reason` other than LatencyExceeded: the caller says what follows."""
        started = any(attempt.start_time for attempt in self._on_route())
        for deadline in deadlines(self.spec.limits, clock_start(self.job, self.now), self.fallback, started, current):
            if self.now >= deadline.time:
                message = deadline.message
                if current is None and self.previous.waiting is not None:
                    message = f"{message}: {self.previous.message}"
                if current is not None:
                    facts = self.facts.attempts.get(current.number)
                    if facts is not None and (why := facts.waiting or facts.held):
                        message = f"{message}: {why}"
                    self.cancel_attempt(current, "LatencyExceeded", message)
                    if deadline.of_run:
                        self.tell_breaker(current, "Fault", deadline.time)
                if reason == "LatencyExceeded" and (current is None or self._falls_back_on(reason)):
                    self._give_up("LatencyExceeded", message)
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
        self.winner, self.state, self.message = attempt, "Running", verdict.message
        self._conclude()

    def _conclude(self) -> None:
        """End the job with its answer, once nothing of it runs any more: all money is settled first."""
        self.cancel_attempts(None, "another attempt has answered")
        if self.all_ended():
            self.state, self.reason = "Succeeded", None

    def _hedge(self) -> None:
        """Start the classical solver beside the quantum one, when it is time."""
        if self.state in TERMINAL or self.result is not None or len(self.attempts) >= MAX_ATTEMPTS_KEPT:
            return
        if not self.hedged or hedges(self.attempts):
            return
        number = len(self.attempts) + 1
        following = next_step(self.job, self.policy, self.facts, number, self.now)
        if isinstance(following, datetime):
            self.wakes.append(following)
            return
        if any(isinstance(action, Reserve | StartAttempt) for action in self.actions):
            self.wakes.append(self.now)  # the next number is taken in this pass
            return
        if following is not None:
            self.actions.append(Note(following))
            self.wakes.append(self.now)
            return
        choice = Choice(self.job, self.policy, self.facts, self.now, self.spent_or_held, self._excluded(), number)
        option = choice.classical()
        if option.reason is not None:
            return  # the fallback is asked again, when it comes to that
        if option.estimate and option.currency and not self._is_granted(option):
            self._reserve(option, option.estimate, option.currency)
        else:
            self.add_attempt("Classical", option.backend)
            self.actions.append(StartAttempt(number, "Classical", option.backend))

    def _begin(self) -> None:
        """Start the next attempt on the current route, or find that none can be."""
        open_already = next((a for a in self._on_route() if a.state in ("Pending", "Running")), None)
        if open_already is not None:  # it was adopted
            self._follow(open_already)
            return
        if len(self.attempts) >= MAX_ATTEMPTS_KEPT:
            self._fail("SolverFailed", f"no answer after {len(self.attempts)} attempts")
            return
        number = len(self.attempts) + 1
        excluded, deadline = self._excluded(), self._next_deadline()
        choice = Choice(self.job, self.policy, self.facts, self.now, self.spent, excluded, number, deadline)
        options, classical = choice.quantum(), choice.classical()
        usable = [o for o in ([classical] if self._route == "Classical" else options) if o.reason is None]
        chosen = next(filter(self._is_granted, usable), usable[0] if usable else None)
        self.decision = record(self.job, options, classical, chosen)
        self.chosen = chosen
        if chosen is None:
            self._without_option([classical] if self._route == "Classical" else options)
        elif chosen.probe == "Wanted":
            self.take_probe(chosen.backend)
        elif chosen.estimate and chosen.currency and not self._is_granted(chosen):
            self._reserve(chosen, chosen.estimate, chosen.currency)
        else:
            self._start(chosen)

    def _without_option(self, options: Sequence[Option]) -> None:
        """Nothing can be chosen now: wait for a window or a slot where one comes in time, or for money where
        the policy says so; else leave the route."""
        reason, message = why_none(options, self.facts.policy_missing)
        if self._waits(options):
            return
        if is_rejected(self.policy, options):
            self._fail(reason, message[:2048])
        elif waits := hold(self.policy, options, self.previous.hold, self.now):
            self.hold, self.state, self.message = waits.status, "Held", waits.message[:2048]
            self.wakes.append(waits.wake_time)
        else:
            self._give_up(reason, message)

    def _waits(self, options: Sequence[Option]) -> bool:
        """Hold the job where what rules out a backend passes before its next deadline. It holds no money meanwhile."""
        deadline = self._next_deadline()
        awaited = [o for o in options if o.passes and (o.passes_time is None or o.passes_time < deadline)]
        if not awaited:
            return False
        times = [option.passes_time for option in awaited if option.passes_time is not None]
        crowded = any(option.reason == "QuotaExceeded" for option in awaited)
        self.waiting = WaitingStatus(
            reason="QuotaExceeded" if crowded else "WindowClosed", until_time=min(times, default=None)
        )
        waits = "; ".join(f"{option.backend}: {option.message}" for option in awaited)
        self.state, self.message = "Held", f"waits to start: {waits}"[:2048]
        self.wakes += [*times, deadline]
        return True

    def _next_deadline(self) -> datetime:
        """The deadline that ends a wait for the next attempt."""
        started = any(attempt.start_time for attempt in self._on_route())
        bound = deadlines(self.spec.limits, clock_start(self.job, self.now), self.fallback, started, None)
        return min((deadline.time for deadline in bound), default=self.now)

    def _excluded(self) -> dict[str, Exclusion]:
        excluded = {
            attempt.backend: Exclusion("BackendUnavailable", attempt.message)
            for attempt in self.attempts
            if attempt.reason == "BackendUnavailable"
        }
        refused = self.facts.reservation
        if refused is not None and not refused.granted:
            names = [refused.backend]
            if refused.refusal == "LedgerFull":  # for all that has a price: asked one by one, there is no end to it
                names = [CLASSICAL_BACKEND, *(backend.name for backend in self.policy.spec.backends)]
                names = [name for name in names if rate_card_of(self.policy, name).currency is not None]
            why = Exclusion("BudgetExceeded", refused.message, refused.refusal, refused.budgets)
            excluded |= dict.fromkeys(names, why)
        return excluded

    def _is_granted(self, option: Option) -> bool:
        reservation = self.facts.reservation
        return (
            reservation is not None
            and reservation.granted
            and (reservation.attempt, reservation.backend) == (len(self.attempts) + 1, option.backend)
        )

    def _reserve(self, option: Option, amount: Decimal, currency: str) -> None:
        self.message = f"reserves {display(amount, currency)} for {option.backend}"
        self.hold = self.previous.hold  # whoever loses the race for the money goes on to wait, no longer than before
        if self.facts.reservation is not None and self.facts.reservation.granted:
            # Money is set aside for another way. It is released first: the key is the attempt, and holds one sum.
            self.wakes.append(self.now)
            return
        namespace = self.job.metadata.namespace or ""
        claims = Claims(self.policy, namespace, self.now).of(option.backend, currency)
        self.actions.append(Reserve(len(self.attempts) + 1, option.backend, amount, currency, self.now, claims))

    def _start(self, option: Option) -> None:
        attempt = self.add_attempt(option.route, option.backend)
        self.actions.append(StartAttempt(attempt.number, option.route, option.backend))
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
        if self._on_route():  # a hedge has begun it
            self._steer()
        else:
            self._begin()

    def _fail(self, reason: Reason, message: str) -> None:
        self._end_job("Failed", reason, message)

    def _end_job(self, state: State, reason: Reason, message: str) -> None:
        """End the job, once the attempts that are still open have ended: their money is settled first."""
        self.cancel_attempts(reason, message)
        if self.all_ended():
            self.state, self.reason, self.message = state, reason, message
