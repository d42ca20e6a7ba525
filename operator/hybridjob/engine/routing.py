"""Which routes are open to a job, in order of preference, and what rules out each of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from hybridjob.api.hybridjob import HybridJob, HybridJobSpec, QuantumSpec
from hybridjob.api.policy import BackendSpec, QuantumBackendPolicy
from hybridjob.api.status import CLASSICAL_BACKEND, DecisionStatus, FallbackReason, OptionStatus, Route
from hybridjob.engine.accounts import Claim
from hybridjob.engine.budgets import claims_of
from hybridjob.engine.facts import Facts
from hybridjob.engine.policies import find_backend
from hybridjob.engine.pricing import ZERO, PriceUnknownError, display, estimate, workload


@dataclass(frozen=True)
class Option:
    """One way to solve the job. `reason` is None when nothing rules it out."""

    route: Route
    backend: str
    estimate: Decimal | None
    currency: str | None
    reason: FallbackReason | None
    message: str


@dataclass(frozen=True)
class Exclusion:
    """A backend that has been tried and cannot be used for this job any more."""

    reason: FallbackReason
    message: str


def quantum_options(
    job: HybridJob,
    policy: QuantumBackendPolicy,
    facts: Facts,
    now: datetime,
    spent: Decimal,
    excluded: Mapping[str, Exclusion],
) -> list[Option]:
    """Every backend in order of preference: the job's order where it names some, the policy's otherwise.

    `spent` is what the job's attempts have cost so far.
    """
    quantum = job.spec.quantum
    if quantum is None:
        return []
    names = quantum.backends or [backend.name for backend in policy.spec.backends]
    options = []
    for name in names:
        backend = find_backend(policy, name)
        if backend is None:
            message = f"policy {policy.metadata.name} has no backend named {name}"
            options.append(Option("Quantum", name, None, None, "BackendUnavailable", message))
        elif name in excluded:
            options.append(Option("Quantum", name, None, None, excluded[name].reason, excluded[name].message))
        else:
            options.append(_weigh(job, quantum, policy, backend, facts, spent, now))
    return options


def _weigh(
    job: HybridJob,
    quantum: QuantumSpec,
    policy: QuantumBackendPolicy,
    backend: BackendSpec,
    facts: Facts,
    spent: Decimal,
    now: datetime,
) -> Option:
    """Capabilities first, then money: what cannot run need not be priced."""
    spec, namespace = job.spec, job.metadata.namespace or ""
    incapable = _incapability(quantum, backend, facts)
    if incapable:
        return Option("Quantum", backend.name, None, None, "BackendUnavailable", incapable)
    card = backend.rate_card
    try:
        cost = estimate(card, workload(spec), now)
    except PriceUnknownError as error:
        message = f"price unknown, so nothing is submitted: {error}"
        return Option("Quantum", backend.name, None, card.currency, "BudgetExceeded", message)
    reservation = facts.reservation
    is_reserved = reservation is not None and reservation.granted and reservation.backend == backend.name
    if card.currency is not None and not is_reserved:  # what is reserved already counts among what is used
        claims = claims_of(policy, namespace, backend.name, card.currency, now)
        too_dear = _unaffordable(spec, policy, claims, facts, spent, cost, card.currency)
        if too_dear:
            return Option("Quantum", backend.name, cost, card.currency, "BudgetExceeded", too_dear)
    price = "free" if card.currency is None else f"at most {display(cost, card.currency)}"
    return Option("Quantum", backend.name, cost, card.currency, None, f"{backend.kind} on {backend.sdk}, {price}")


def _incapability(quantum: QuantumSpec, backend: BackendSpec, facts: Facts) -> str | None:
    if quantum.sdk not in ("Auto", backend.sdk):
        return f"the job asks for {quantum.sdk}, and this backend is {backend.sdk}"
    if facts.problem_size is not None and facts.problem_size > backend.qubits:
        return f"the problem needs {facts.problem_size} qubits, and this backend has {backend.qubits}"
    if quantum.shots > backend.max_shots:
        return f"the job asks for {quantum.shots} shots, and this backend allows {backend.max_shots}"
    return facts.unavailable.get(backend.name)


def _unaffordable(
    spec: HybridJobSpec,
    policy: QuantumBackendPolicy,
    claims: Sequence[Claim],
    facts: Facts,
    spent: Decimal,
    cost: Decimal,
    currency: str,
) -> str | None:
    limits = spec.limits
    if limits.max_cost is not None:
        if limits.currency != currency:
            return f"priced in {currency}, and limits.maxCost is in {limits.currency}: currencies are never converted"
        if spent + cost > limits.max_cost:
            already = f" after {display(spent, currency)} spent" if spent else ""
            return (
                f"estimated at {display(cost, currency)}{already}, above limits.maxCost "
                f"{display(limits.max_cost, currency)}"
            )
    if policy.spec.budgets and not claims:
        return f"policy {policy.metadata.name} has budgets, but none in {currency}"
    for claim in claims:
        left = claim.limit - facts.used.get(claim.series, ZERO)
        if cost > left:
            return (
                f"estimated at {display(cost, currency)}, and budget {claim.budget} of policy {policy.metadata.name} "
                f"has {display(max(ZERO, left), currency)} left of {display(claim.limit, currency)}"
            )
    return None


def why_none(options: Sequence[Option]) -> tuple[FallbackReason, str]:
    """The one reason for which no backend can be used. Money outranks capability: it is what the user can change."""
    if not options:
        return "BackendUnavailable", "the policy has no quantum backend"
    reason: FallbackReason = "BackendUnavailable"
    if any(option.reason == "BudgetExceeded" for option in options):
        reason = "BudgetExceeded"
    return reason, "; ".join(f"{option.backend}: {option.message}" for option in options)


def first_choice(job: HybridJob, policy: QuantumBackendPolicy, facts: Facts, now: datetime) -> DecisionStatus:
    """What would be decided first about a new job: the decision without the run."""
    options = quantum_options(job, policy, facts, now, ZERO, {})
    if job.spec.strategy == "ClassicalOnly":
        return record(job, options, CLASSICAL)
    chosen = next((option for option in options if option.reason is None), None)
    if chosen is None and why_none(options)[0] in job.spec.fallback.on:
        chosen = CLASSICAL
    return record(job, options, chosen)


def record(job: HybridJob, options: Sequence[Option], chosen: Option | None) -> DecisionStatus:
    """The decision as it stands in the status, with every option that was weighed. `chosen` is None when nothing can be
    chosen."""
    rejected = [
        _status(option, option.reason or "LowerPreference", option.message)
        for option in options
        if chosen is None or option.backend != chosen.backend
    ]
    if chosen is None:
        return DecisionStatus(rejected=rejected)
    if chosen.route == "Quantum":
        rejected.append(_status(CLASSICAL, "KeptForFallback", "answers when the quantum route ends badly"))
        return DecisionStatus(chosen=_status(chosen, "Preferred", chosen.message), rejected=rejected)
    if job.spec.strategy == "ClassicalOnly":
        why = "routing.strategy is ClassicalOnly" if job.spec.quantum else "the job has no quantum route"
        return DecisionStatus(chosen=_status(chosen, "ClassicalOnly", why), rejected=rejected)
    return DecisionStatus(chosen=_status(chosen, "FellBack", "the quantum route was given up"), rejected=rejected)


def _status(option: Option, reason: str, message: str) -> OptionStatus:
    return OptionStatus(
        route=option.route,
        backend=option.backend,
        estimated_cost=option.estimate,
        currency=option.currency,
        reason=reason,
        message=message[:2048],
    )


CLASSICAL = Option("Classical", CLASSICAL_BACKEND, ZERO, None, None, "the classical solver, free")
