"""Which routes are open to a job, in order of preference, and what rules out each of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from hybridjob.api.hybridjob import HybridJob, QuantumSpec
from hybridjob.api.policy import BackendSpec, QuantumBackendPolicy
from hybridjob.api.rates import RateCard
from hybridjob.api.status import CLASSICAL_BACKEND, DecisionStatus, FallbackReason, OptionStatus, Route
from hybridjob.engine import latency
from hybridjob.engine.affordability import Spent, shortage
from hybridjob.engine.breaker import Breaker
from hybridjob.engine.breaker_gate import Probe, Refused, gate
from hybridjob.engine.budgets import Claims
from hybridjob.engine.facts import Facts
from hybridjob.engine.policies import find_backend
from hybridjob.engine.pricing import (
    ZERO,
    PriceUnknownError,
    Workload,
    classical_workload,
    display,
    estimate,
    workload,
)
from hybridjob.engine.quotas import shortfalls
from hybridjob.engine.windows import wait


@dataclass(frozen=True)
class Option:
    """One way to solve the job. `reason` is None when nothing rules it out."""

    route: Route
    backend: str
    message: str
    reason: FallbackReason | None = None
    word: str | None = None
    """What rules it out, in a word that says more than the reason: PriceUnknown, UnitMismatch, LedgerFull."""
    expected: Decimal | None = None
    """What it is likely to cost."""
    estimate: Decimal | None = None
    """The most that it can cost."""
    currency: str | None = None
    budgets: tuple[str, ...] = ()
    """The budgets that rule it out."""
    probe: Probe | None = None
    """Set where its circuit breaker lets it start as the probe only."""
    passes: bool = False
    """Whether what rules it out will pass: the job may wait."""
    passes_time: datetime | None = None
    """When, where that is known."""
    next_open: datetime | None = None
    """When its windows open, where they rule it out."""


@dataclass(frozen=True)
class Exclusion:
    """What rules out a backend for this job, whatever else speaks for it: it was tried, or refused money."""

    reason: FallbackReason
    message: str
    word: str | None = None
    budgets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """What the options of a job are weighed by."""

    job: HybridJob
    policy: QuantumBackendPolicy
    facts: Facts
    now: datetime
    spent: Spent
    excluded: Mapping[str, Exclusion]
    attempt: int = 1
    """The number of the attempt that is weighed."""
    deadline: datetime | None = None
    """When it must have begun at the latest."""

    @cached_property
    def _claims(self) -> Claims:
        return Claims(self.policy, self.job.metadata.namespace or "", self.now)

    def quantum(self) -> list[Option]:
        """Every backend in order of preference: the job's order where it names some, the policy's otherwise."""
        quantum = self.job.spec.quantum
        if quantum is None:
            return []
        names = quantum.backends or [backend.name for backend in self.policy.spec.backends]
        return self._within_quotas([self._backend(quantum, name) for name in names])

    def classical(self) -> Option:
        """The classical solver, which may have a price, too."""
        option = Option("Classical", CLASSICAL_BACKEND, "the classical solver")
        card = self.policy.spec.classical.rate_card
        why = self.excluded.get(CLASSICAL_BACKEND)
        if why is not None and why.reason == "BudgetExceeded":
            return _excluded(option, why)
        return self._priced(option, card, classical_workload(self.job.spec))

    def _backend(self, quantum: QuantumSpec, name: str) -> Option:
        """Capabilities first, then money, then what will pass: only what could run otherwise is worth waiting for."""
        backend = find_backend(self.policy, name)
        if backend is None:
            message = self.facts.policy_missing or f"policy {self.policy.metadata.name} has no backend named {name}"
            return Option("Quantum", name, message, "BackendUnavailable")
        option = Option("Quantum", name, f"{backend.kind} on {backend.sdk}")
        if name in self.excluded:
            return _excluded(option, self.excluded[name])
        incapable = _incapability(quantum, backend, self.facts)
        if incapable:
            return replace(option, reason="BackendUnavailable", message=incapable)
        option = self._priced(option, backend.rate_card, workload(self.job.spec, self.facts.problem_size))
        if option.reason is None:
            option = self._in_time(option)
        if option.reason is None:
            option = self._within_windows(option, backend)
        return self._past_breaker(option, backend) if option.reason is None else option

    def _within_windows(self, option: Option, backend: BackendSpec) -> Option:
        closed = wait(self.job, self.policy, backend, self.deadline, self.now)
        if closed is None:
            return option
        return replace(
            option,
            reason="WindowClosed",
            message=closed.message,
            passes=closed.start_time is not None,
            passes_time=closed.start_time,
            next_open=closed.next_open,
        )

    def _in_time(self, option: Option) -> Option:
        takes = latency.estimate(self.policy, option.backend, self.facts.latencies, self.now)
        if takes is None:
            return option
        late = latency.too_slow(self.job, takes, self.attempt == 1, self.now)
        if late is not None:
            return replace(option, reason="LatencyExceeded", message=late)
        return replace(option, message=f"{option.message}, {takes}")

    def _past_breaker(self, option: Option, backend: BackendSpec) -> Option:
        """It is asked after the windows, which are worth waiting for: until they open, it may have closed."""
        metadata = self.job.metadata
        breaker = self.facts.breakers.get(backend.name, Breaker())
        key = (metadata.uid or "", self.attempt)
        found = gate(self.policy, backend, breaker, metadata.namespace or "", key, option.estimate or ZERO, self.now)
        if isinstance(found, Refused):
            return replace(option, reason="BackendUnavailable", message=found.message)
        if found is None:
            return option
        return replace(option, probe=found, message=f"{option.message}, as the probe of its circuit breaker")

    def _within_quotas(self, options: list[Option]) -> list[Option]:
        usable = tuple(option.backend for option in options if option.reason is None)
        lacking = shortfalls(self.policy, self.job, self.facts.load, usable, self.now)
        return [
            option
            if (why := lacking.get(option.backend)) is None
            else replace(
                option,
                reason="QuotaExceeded",
                word=why.word,
                message=why.message,
                passes=why.passes,
                passes_time=why.passes_time,
            )
            for option in options
        ]

    def _priced(self, option: Option, card: RateCard, work: Workload) -> Option:
        if card.currency is None:
            return replace(option, expected=ZERO, estimate=ZERO, message=f"{option.message}, free")
        option = replace(option, currency=card.currency)
        try:
            seconds = latency.mean_run(self.policy, option.backend, self.facts.latencies, self.now)
            found = estimate(card, replace(work, expected_seconds=seconds), self.now)
        except PriceUnknownError as error:
            message = f"price unknown, so nothing is submitted: {error}"
            return replace(option, reason="BudgetExceeded", word="PriceUnknown", message=message)
        cost = found.maximum
        option = replace(option, expected=found.expected, estimate=cost)
        reservation = self.facts.reservation
        if reservation is None or not reservation.granted or reservation.backend != option.backend:
            # What is reserved already counts among what is used, and is not asked for twice.
            claims = self._claims.of(option.backend, card.currency)
            lacking = shortage(self.job, self.policy, claims, cost, card.currency, self.facts, self.spent)
            if lacking is not None:
                return replace(
                    option,
                    reason="BudgetExceeded",
                    word=lacking.word,
                    message=lacking.message,
                    budgets=lacking.budgets,
                )
        return replace(option, message=f"{option.message}, at most {display(cost, card.currency)}")


def _excluded(option: Option, why: Exclusion) -> Option:
    return replace(option, reason=why.reason, message=why.message, word=why.word, budgets=why.budgets)


def _incapability(quantum: QuantumSpec, backend: BackendSpec, facts: Facts) -> str | None:
    if quantum.sdk not in ("Auto", backend.sdk):
        return f"the job asks for {quantum.sdk}, and this backend is {backend.sdk}"
    if facts.problem_size is not None and facts.problem_size > backend.qubits:
        return f"the problem needs {facts.problem_size} qubits, and this backend has {backend.qubits}"
    if quantum.shots > backend.max_shots:
        return f"the job asks for {quantum.shots} shots, and this backend allows {backend.max_shots}"
    return facts.unavailable.get(backend.name)


def why_none(options: Sequence[Option], policy_missing: str | None = None) -> tuple[FallbackReason, str]:
    """The one reason for which no backend can be used: that of the option that came nearest to it. Money outranks
    capability, time outranks money, a window both, and a quota all: it is asked last."""
    if not options:
        return "BackendUnavailable", policy_missing or "the policy has no quantum backend"
    reasons = {option.reason for option in options}
    ranked: tuple[FallbackReason, ...] = ("QuotaExceeded", "WindowClosed", "LatencyExceeded", "BudgetExceeded")
    reason: FallbackReason = next((reason for reason in ranked if reason in reasons), "BackendUnavailable")
    return reason, "; ".join(f"{option.backend}: {option.message}" for option in options)


def is_rejected(policy: QuantumBackendPolicy, options: Sequence[Option]) -> bool:
    """Whether a budget that has no room says that the job fails, whatever its fallback says."""
    rejecting = {budget.name for budget in policy.spec.budgets if budget.on_exceeded == "Reject"}
    return any(rejecting & set(option.budgets) for option in options)


def record(job: HybridJob, options: Sequence[Option], classical: Option, chosen: Option | None) -> DecisionStatus:
    """The decision as it stands in the status, with every option that was weighed. `chosen` is None when nothing can be
    chosen."""
    rejected = [
        _status(option, option.word or option.reason or "LowerPreference", option.message)
        for option in options
        if chosen is None or option.backend != chosen.backend
    ]
    if chosen is None or chosen.route == "Quantum":
        if classical.reason is not None:
            rejected.append(_status(classical, classical.word or classical.reason, classical.message))
        elif chosen is not None:
            rejected.append(_status(classical, "KeptForFallback", "answers when the quantum route ends badly"))
    if chosen is None:
        return DecisionStatus(rejected=rejected)
    if chosen.route == "Quantum":
        return DecisionStatus(chosen=_status(chosen, chosen.reason or "Preferred", chosen.message), rejected=rejected)
    if job.spec.strategy == "ClassicalOnly":
        why = "routing.strategy is ClassicalOnly" if job.spec.quantum else "the job has no quantum route"
        return DecisionStatus(chosen=_status(chosen, "ClassicalOnly", why), rejected=rejected)
    return DecisionStatus(chosen=_status(chosen, "FellBack", "the quantum route was given up"), rejected=rejected)


def _status(option: Option, reason: str, message: str) -> OptionStatus:
    return OptionStatus(
        route=option.route,
        backend=option.backend,
        estimated_cost=option.expected,
        maximum_cost=option.estimate,
        currency=option.currency,
        reason=reason,
        message=message[:2048],
        next_open=option.next_open,
    )
