"""Whether there is money for an attempt, and where not, which limit stands in its way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.engine.accounts import Claim
from hybridjob.engine.facts import Facts
from hybridjob.engine.pricing import ZERO, display

Spent = Callable[[str], Decimal]
"""What the job's attempts have cost so far, in a currency."""


@dataclass(frozen=True)
class Shortage:
    """Why there is no money."""

    word: str
    """One word for machines."""
    message: str
    budgets: tuple[str, ...] = ()
    """The budgets that have no room for it."""


def shortage(
    job: HybridJob,
    policy: QuantumBackendPolicy,
    claims: Sequence[Claim],
    cost: Decimal,
    currency: str,
    facts: Facts,
    spent: Spent,
) -> Shortage | None:
    """What stands in the way of an attempt that may cost so much and is held to these claims, or None."""
    limits = job.spec.limits
    if limits.max_cost is not None:
        if limits.currency != currency:
            message = (
                f"priced in {currency}, and limits.maxCost is in {limits.currency}: currencies are never converted"
            )
            return Shortage("UnitMismatch", message)
        before = spent(currency)
        if before + cost > limits.max_cost:
            already = f" after {display(before, currency)} spent" if before else ""
            return Shortage(
                "BudgetExceeded",
                f"may cost {display(cost, currency)}{already}, above limits.maxCost "
                f"{display(limits.max_cost, currency)}",
            )
    name = policy.metadata.name
    if policy.spec.budgets and not claims:
        return Shortage("UnitMismatch", f"policy {name} has budgets, but none in {currency}")
    lefts = ((claim, claim.limit - facts.used.get(claim.series, ZERO)) for claim in claims)
    lacking = [(claim, left) for claim, left in lefts if cost > left]
    if not lacking:
        return None
    parts = [
        f"budget {claim.budget} of policy {name} has {display(max(ZERO, left), currency)} left of "
        f"{display(claim.limit, currency)}"
        for claim, left in lacking
    ]
    message = f"may cost {display(cost, currency)}, and {' and '.join(parts)}"
    return Shortage("BudgetExceeded", message, tuple(claim.budget for claim, _ in lacking))
