"""Budgets: which of them apply to an attempt, and what is used of them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.engine.accounts import LIFETIME, Claim, Series, from_micros
from hybridjob.engine.ledger import Book


def claims_of(
    policy: QuantumBackendPolicy,
    namespace: str,  # noqa: ARG001
    backend: str,  # noqa: ARG001
    currency: str,
    now: datetime,  # noqa: ARG001
) -> tuple[Claim, ...]:
    """What an attempt of a job in this namespace, on this backend, priced in this currency, is held to now."""
    return tuple(
        Claim(budget.name, budget.limit, Series(currency, "Policy", "", LIFETIME))
        for budget in policy.spec.budgets
        if budget.currency == currency
    )


def used(policy: QuantumBackendPolicy, job: HybridJob, book: Book, now: datetime) -> Mapping[Series, Decimal]:
    """What is committed and reserved now, of every series that a budget counts which may apply to the job."""
    namespace = job.metadata.namespace or ""
    currencies = {budget.currency for budget in policy.spec.budgets}
    backends = [backend.name for backend in policy.spec.backends]
    return {
        claim.series: from_micros(book.used(claim.series, claim.since))
        for currency in currencies
        for backend in backends
        for claim in claims_of(policy, namespace, backend, currency, now)
    }
