"""The draft of a job's new status: one pass brings it up to the facts, changes it, and writes it down."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.api.status import (
    CLASSICAL_BACKEND,
    FALLBACK_REASONS,
    MAX_ATTEMPTS_KEPT,
    AttemptStatus,
    CostStatus,
    FallbackReason,
    FallbackStatus,
    HoldStatus,
    HybridJobStatus,
    LatencyStatus,
    Reason,
    Route,
    WaitingStatus,
)
from hybridjob.engine.actions import Action, CancelAttempt, KeepReserved, Note, Settle, StartAttempt
from hybridjob.engine.breaker import ProbeRequest, ReleaseRequest, ReportRequest
from hybridjob.engine.breaker_gate import rules_of
from hybridjob.engine.conditions import conditions_of
from hybridjob.engine.facts import AttemptFacts, Facts
from hybridjob.engine.faults import Kind, kind_of
from hybridjob.engine.instants import millis
from hybridjob.engine.latency import DurationRequest, sample_of
from hybridjob.engine.ledger_requests import SubmitRequest
from hybridjob.engine.lifecycle import OPEN, TERMINAL
from hybridjob.engine.outcomes import end_attempt, lose_attempt
from hybridjob.engine.policies import find_backend, rate_card_of
from hybridjob.engine.pricing import ZERO
from hybridjob.engine.routing import Option

_CANCEL_AGAIN = timedelta(seconds=30)


class Draft:
    """What a pass starts from, and what it has decided so far."""

    def __init__(
        self, job: HybridJob, status: HybridJobStatus, policy: QuantumBackendPolicy, facts: Facts, now: datetime
    ) -> None:
        self.job, self.spec, self.policy, self.facts, self.now = job, job.spec, policy, facts, now
        self.created = job.metadata.creation_timestamp or now
        self.previous = status
        self.state, self.reason, self.message = status.state, status.reason, status.message
        self.attempts = list(status.attempts)
        self.fallback, self.decision, self.result = status.fallback, status.decision, status.result
        self.winner: AttemptStatus | None = None
        """The attempt that has answered in this pass."""
        self.chosen: Option | None = None
        self.hold: HoldStatus | None = None
        self.waiting: WaitingStatus | None = None
        self.actions: list[Action] = []
        self.wakes: list[datetime] = []

    @property
    def hedged(self) -> bool:
        """Whether classical attempts run beside the quantum ones."""
        return self.spec.strategy == "Hedged" and self.fallback is None

    # What happened

    def observe(self) -> None:
        """Bring the attempts up to the facts; settle those that ended."""
        marked = [attempt.number for attempt in self.attempts if attempt.state == "Cancelling"]
        self._adopt()
        for index, attempt in enumerate(self.attempts):
            if attempt.state in OPEN:
                facts = self.facts.attempts.get(attempt.number)
                if attempt.state != "Cancelling" or facts is None or attempt.number in marked:
                    self._observe_attempt(index, attempt, facts)

    def _adopt(self) -> None:
        """Take up attempts that exist and are not in the status: the write that should have followed their start was
        lost. They are never started again, and never as something else."""
        while len(self.attempts) < MAX_ATTEMPTS_KEPT and (found := self._untold_attempt()) is not None:
            route, backend = found
            # A new way is begun only after the one before was given up, which was in the lost write, too.
            # With Hedged, the classical solver runs beside the quantum one.
            beside = {"Quantum", "Classical"} - {route} if self.spec.strategy == "Hedged" else set()
            lost = "another way was begun; why, was lost with the operator"
            self.cancel_attempts("BackendUnavailable", lost, [a for a in self.attempts if a.route not in beside])
            if route == "Classical" and self.spec.strategy == "QuantumFirst" and self.fallback is None:
                self._recall_fallback()
            self.add_attempt(route, backend)

    def _untold_attempt(self) -> tuple[Route, str] | None:
        """The route and the backend of the next attempt, where it exists, or has existed, and the status does not tell
        of it."""
        number, reservation = len(self.attempts) + 1, self.facts.reservation
        facts = self.facts.attempts.get(number)
        if facts is not None and facts.route is not None and facts.backend is not None:
            return facts.route, facts.backend
        if number in self.facts.begun and reservation is not None and reservation.attempt == number:
            return "Classical" if reservation.backend == CLASSICAL_BACKEND else "Quantum", reservation.backend
        return None

    def _recall_fallback(self) -> None:
        """The classical solver was started, so the quantum route had been given up; why, was in the lost write too."""
        last = self.attempts[-1].reason if self.attempts else None
        reason: FallbackReason = next((known for known in FALLBACK_REASONS if known == last), "BackendUnavailable")
        message = "the quantum route was given up; why, was lost with the operator"
        self.fallback = FallbackStatus(
            source="Quantum", target="Classical", reason=reason, message=message, time=self.now
        )
        self.state, self.reason, self.message = "FallingBack", reason, message

    def add_attempt(self, route: Route, backend: str) -> AttemptStatus:
        """Append a new attempt, with the prices that hold now and the money that is set aside for it."""
        number = len(self.attempts) + 1
        reservation = self.facts.reservation
        reserved = None
        if reservation is not None and reservation.granted and reservation.attempt == number:
            reserved = reservation.amount if reservation.backend == backend else None
        card = rate_card_of(self.policy, backend)
        attempt = AttemptStatus(
            number=number,
            route=route,
            backend=backend,
            state="Pending",
            created_time=self.now,
            rate_card=card if card.currency is not None else None,
            reserved=reserved,
        )
        self.attempts.append(attempt)
        return attempt

    def _observe_attempt(self, index: int, attempt: AttemptStatus, facts: AttemptFacts | None) -> None:
        if facts is None and (attempt.state == "Cancelling" or self._is_paid_and_begun(attempt)):
            self._end(index, lose_attempt(attempt, self.now, begun=self._is_paid_and_begun(attempt)))
        elif facts is None and attempt.route == "Quantum" and find_backend(self.policy, attempt.backend) is None:
            self._end(index, self._withdrawn(attempt))
        elif facts is None:
            # It should exist and does not: the process that was to start it, or ran it, is gone.
            self.actions.append(StartAttempt(attempt.number, attempt.route, attempt.backend))
            self.attempts[index] = attempt.model_copy(update={"state": "Pending", "start_time": None})
        elif facts.end_time is not None:
            ended = end_attempt(attempt, facts, begun=attempt.number in self.facts.begun)
            self.tell_breaker(ended, kind_of(ended, facts), facts.end_time)
            self._end(index, ended)
        elif attempt.state == "Cancelling":
            self.actions.append(CancelAttempt(attempt.number))
            if facts.start_time is not None and attempt.start_time is None:  # it has cost something by now
                self._note_start(index, attempt.model_copy(update={"start_time": facts.start_time}))
            self.wakes.append(self.now + _CANCEL_AGAIN)  # its end may come without a word: a node can be lost
        elif facts.start_time is not None and attempt.start_time is None:
            self._note_start(index, attempt.model_copy(update={"state": "Running", "start_time": facts.start_time}))
        elif facts.start_time is None and facts.held is not None:
            # A queue took its place away again: it starts anew, and this is no failure.
            self.attempts[index] = attempt.model_copy(update={"state": "Pending", "start_time": None})

    def _withdrawn(self, attempt: AttemptStatus) -> AttemptStatus:
        """An attempt whose solver is to be started anew, and whose backend the policy has no more. It costs nothing:
        what is paid and has begun is lost instead."""
        name = self.policy.metadata.name
        why = self.facts.policy_missing or f"policy {name} has no backend named {attempt.backend} any more"
        return attempt.model_copy(
            update={
                "state": "Failed",
                "reason": "BackendUnavailable",
                "message": f"its solver is gone, and is not started again: {why}"[:2048],
                "end_time": self.now,
                "cost": None if attempt.reserved is None else ZERO,
            }
        )

    def _is_paid_and_begun(self, attempt: AttemptStatus) -> bool:
        begun = attempt.start_time is not None or attempt.number in self.facts.begun
        return attempt.reserved is not None and begun

    def _note_start(self, index: int, attempt: AttemptStatus) -> None:
        self.attempts[index] = attempt
        if attempt.reserved is not None:
            self.actions.append(Note(SubmitRequest((self.job.metadata.uid or "", attempt.number))))

    def _end(self, index: int, ended: AttemptStatus) -> None:
        if ended.cost is not None:
            self.actions.append(Settle(ended.number, ended.cost))
        elif ended.reserved is not None:
            patience = timedelta(seconds=self.policy.spec.reconcile_seconds)
            self.actions.append(KeepReserved(ended.number, self.now + patience))
        self.attempts[index] = ended
        self._tell_duration(ended)

    def _tell_duration(self, ended: AttemptStatus) -> None:
        """Report what an attempt took, where the policy learns from it."""
        rules, sample = self.policy.spec.latency, sample_of(ended)
        if rules is not None and sample is not None:
            self.actions.append(Note(DurationRequest(ended.backend, sample, rules)))

    # What changes

    def cancel_attempt(self, attempt: AttemptStatus, reason: Reason | None, message: str) -> None:
        """Mark the attempt; the next pass, which follows at once, cancels it. Were it the other way round, a crash in
        between would leave a killed solver, and nothing to tell it from one that crashed by itself."""
        self.attempts[attempt.number - 1] = attempt.model_copy(
            update={"state": "Cancelling", "reason": reason, "message": message[:2048]}
        )
        self.wakes.append(self.now)

    def cancel_attempts(
        self, reason: Reason | None, message: str, attempts: Sequence[AttemptStatus] | None = None
    ) -> None:
        """Cancel those of the attempts that are open; of all, where none are given."""
        for attempt in list(self.attempts if attempts is None else attempts):
            if attempt.state in ("Pending", "Running"):
                self.cancel_attempt(attempt, reason, message)

    def all_ended(self) -> bool:
        return all(attempt.state not in OPEN for attempt in self.attempts)

    def release_unused_reservation(self) -> None:
        """Money that was granted for an attempt that will not be: another way was chosen, or the job ended."""
        reservation = self.facts.reservation
        if reservation is None or not reservation.granted:
            return
        if not any(a.number == reservation.attempt and a.reserved is not None for a in self.attempts):
            self.actions.append(Settle(reservation.attempt, ZERO))

    # Circuit breakers

    def tell_breaker(self, attempt: AttemptStatus, kind: Kind, time: datetime) -> None:
        """Report what an attempt says of its backend, where the policy has a breaker for it."""
        rules = rules_of(self.policy, attempt.backend)
        if attempt.route == "Quantum" and rules is not None and kind != "Neutral":  # else its probe is released
            key, namespace = (self.job.metadata.uid or "", attempt.number), self.job.metadata.namespace or ""
            report = ReportRequest(key, attempt.backend, namespace, millis(time), kind == "Fault", rules)
            self.actions.append(Note(report))

    def take_probe(self, backend: str) -> None:
        """Ask to be the probe; the next pass, which follows at once, sees whether it is."""
        rules = rules_of(self.policy, backend)
        if rules is not None:
            key, namespace = (self.job.metadata.uid or "", len(self.attempts) + 1), self.job.metadata.namespace or ""
            self.actions.append(Note(ProbeRequest(key, backend, namespace, rules)))
            self.message = f"asks to be the probe of the circuit breaker of {backend}"
            self.wakes.append(self.now)

    def release_unused_probes(self) -> None:
        """Probes that no attempt needs: the job ended or went another way, or the attempt says nothing of its
        backend."""
        uid = self.job.metadata.uid or ""
        for backend, breaker in self.facts.breakers.items():
            for key in {c.probe.key for c in breaker.circuits.values() if c.probe and c.probe.key[0] == uid}:
                if not self._needs_probe(key[1], backend):
                    self.actions.append(Note(ReleaseRequest(key, backend)))

    def _needs_probe(self, number: int, backend: str) -> bool:
        told = (a.request for a in self.actions if isinstance(a, Note))
        if any(isinstance(request, ReportRequest) and request.key[1] == number for request in told):
            return True  # it is told what became of it in this very pass
        if number == len(self.attempts) + 1:
            return self.chosen is not None and self.chosen.backend == backend and self.state not in TERMINAL
        found = self.attempts[number - 1] if number <= len(self.attempts) else None
        return found is not None and found.backend == backend and found.state in OPEN

    # What is written

    def status(self) -> HybridJobStatus:
        route, backend = self._shown()
        ended = self.state in TERMINAL
        starts = [attempt.start_time for attempt in self.attempts if attempt.start_time]
        return HybridJobStatus(
            conditions=conditions_of(
                self.previous.conditions,
                state=self.state,
                reason=self.reason,
                message=self.message,
                policy=self.policy.metadata.name,
                policy_missing=self.facts.policy_missing,
                admitted=bool(self.attempts),
                suspended=self.spec.suspend and not ended,
                fallback=self.fallback,
                generation=self.job.metadata.generation,
                now=self.now,
            ),
            observed_generation=self.job.metadata.generation,
            state=self.state,
            reason=self.reason,
            message=self.message[:2048],
            start_time=self.previous.start_time or min(starts, default=None),
            completion_time=self.now if ended else None,
            policy=self.policy.metadata.name if self.facts.policy_missing is None else self.previous.policy,
            route=route,
            backend=backend,
            attempts=self.attempts,
            cost=self._cost(),
            latency=self._latency(ended, starts),
            result=self.result,
            fallback=self.fallback,
            hold=self.hold,
            waiting=self.waiting,
            decision=self.decision,
        )

    def _shown(self) -> tuple[Route | None, str | None]:
        """The route and backend of the answer; before there is one, of the latest attempt that is no hedge."""
        if self.result is not None and self.winner is None:
            return self.previous.route, self.previous.backend
        main = [attempt for attempt in self.attempts if not (self.hedged and attempt.route == "Classical")]
        current = self.winner or (main[-1] if main else None)
        return (current.route, current.backend) if current is not None else (None, None)

    def spent_or_held(self, currency: str | None) -> Decimal:
        """What the attempts have cost, or may still cost."""
        return self._charged(currency) + _reserved(self._priced_in(currency))

    def spent(self, currency: str | None) -> Decimal:
        """What the attempts that ended have cost at most."""
        ended = [attempt for attempt in self._priced_in(currency) if attempt.state not in OPEN]
        return self._charged(currency) + _reserved(ended)

    def _charged(self, currency: str | None) -> Decimal:
        return sum((attempt.cost or ZERO for attempt in self._priced_in(currency)), ZERO)

    def _priced_in(self, currency: str | None) -> list[AttemptStatus]:
        """The attempts with prices in this currency: those in others are never converted."""
        return [a for a in self.attempts if a.rate_card is not None and a.rate_card.currency == currency]

    def _cost(self) -> CostStatus:
        before = self.previous.cost
        estimated, currency = (before.estimated, before.currency) if before else (ZERO, None)
        if self.chosen is not None:
            estimated, currency = self.chosen.expected or ZERO, self.chosen.currency or currency
        if currency is None:  # of attempts that were taken up nobody tells what was chosen
            currency = next((a.rate_card.currency for a in reversed(self.attempts) if a.rate_card is not None), None)
        return CostStatus(
            currency=currency,
            estimated=estimated,
            reserved=_reserved(self._priced_in(currency)),
            actual=self._charged(currency),
        )

    def _latency(self, ended: bool, starts: list[datetime]) -> LatencyStatus:
        return LatencyStatus(
            queue_seconds=_seconds(self.created, min(starts)) if starts else None,
            run_seconds=round(sum(a.run_seconds or 0.0 for a in self.attempts), 3) if starts else None,
            total_seconds=_seconds(self.created, self.now) if ended else None,
        )


def _reserved(attempts: Sequence[AttemptStatus]) -> Decimal:
    """What is held for those that are under way, and for those that ended and nobody knows the cost of."""
    return sum((a.reserved for a in attempts if a.reserved is not None and a.cost is None), ZERO)


def _seconds(start: datetime, end: datetime) -> float:
    return max(0.0, round((end - start).total_seconds(), 3))
