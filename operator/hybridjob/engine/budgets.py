"""Budgets: which of them apply to an attempt, what is used of them, and which alerts are due."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from hybridjob.api.budgets import BudgetSpec
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import BudgetStatus, QuantumBackendPolicy
from hybridjob.api.status import CLASSICAL_BACKEND
from hybridjob.engine.accounts import Claim, Series, from_micros, to_micros
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_requests import AlertRequest
from hybridjob.engine.periods import period_at

MAX_VALUES_REPORTED = 8
"""Of a budget by namespace or backend, the status shows so many, the fullest first."""


@dataclass(frozen=True)
class Alert:
    """A budget has reached one of its thresholds."""

    budget: str
    value: str
    """The namespace or the backend, where the budget counts each by itself."""
    percent: int
    message: str
    request: AlertRequest
    """What to ask of the book first: it is given when the answer says that this was the first time."""


class Claims:
    """What attempts of a job in this namespace are held to at this instant."""

    def __init__(self, policy: QuantumBackendPolicy, namespace: str, now: datetime) -> None:
        self._budgets, self._namespace, self._now = policy.spec.budgets, namespace, now
        self._shared: dict[str, Claim] = {}
        """By budget: those that are the same for all backends are made once."""

    def of(self, backend: str, currency: str) -> tuple[Claim, ...]:
        """What an attempt on this backend, priced in this currency, is held to."""
        return tuple(self._claim(budget, backend) for budget in self._budgets if budget.currency == currency)

    def _claim(self, budget: BudgetSpec, backend: str) -> Claim:
        if budget.scope == "Backend":
            return _claim(budget, backend, self._now)
        if budget.name not in self._shared:
            value = self._namespace if budget.scope == "Namespace" else ""
            self._shared[budget.name] = _claim(budget, value, self._now)
        return self._shared[budget.name]


def _claim(budget: BudgetSpec, value: str, now: datetime) -> Claim:
    period = period_at(budget.period, now)
    series = Series(budget.currency, budget.scope, value, period.name)
    return Claim(budget.name, budget.limit, series, period.start, period.end, period.since, period.until)


def used(policy: QuantumBackendPolicy, job: HybridJob, book: Book, now: datetime) -> Mapping[Series, Decimal]:
    """What is committed and reserved now, of every series that a budget counts which may apply to the job."""
    namespace = job.metadata.namespace or ""
    backends = [backend.name for backend in policy.spec.backends] + [CLASSICAL_BACKEND]
    found = {}
    for budget in policy.spec.budgets:
        values = {"Policy": [""], "Namespace": [namespace], "Backend": backends}
        for value in values[budget.scope]:
            claim = _claim(budget, value, now)
            found[claim.series] = from_micros(book.used(claim.series, claim.since))
    return found


def _counted(policy: QuantumBackendPolicy, book: Book, now: datetime) -> Iterator[tuple[BudgetSpec, list[Claim]]]:
    """Every budget, with a claim on each of the series that count for it, the fullest first."""
    for budget in policy.spec.budgets:
        claim = _claim(budget, "", now)
        if budget.scope == "Policy":
            yield budget, [claim]
            continue
        like = (claim.series.unit, claim.series.scope, claim.series.period)
        values = [s.value for s in book.accounts if (s.unit, s.scope, s.period) == like]
        claims = [_claim(budget, value, now) for value in values]
        yield budget, sorted(claims, key=lambda c: (-book.used(c.series, c.since), c.series.value))


def budget_report(policy: QuantumBackendPolicy, book: Book, now: datetime) -> list[BudgetStatus]:
    """What is left of each budget: for people, not for decisions."""
    return [
        _status(budget, claim, book)
        for budget, claims in _counted(policy, book, now)
        for claim in claims[:MAX_VALUES_REPORTED]
    ]


def least_left(report: Sequence[BudgetStatus]) -> str:
    """The tightest budget, at a glance."""
    if not report:
        return ""
    tightest = min(report, key=lambda budget: budget.remaining / budget.limit if budget.limit else Decimal(0))
    return f"{tightest.label} {tightest.remaining:f}/{tightest.limit:f} {tightest.currency}"


def budgets_of(
    policy: QuantumBackendPolicy, job: HybridJob, options: Iterable[tuple[str, str]], book: Book, now: datetime
) -> list[BudgetStatus]:
    """What is left of each budget that any of the job's options, a backend and its currency, is held to."""
    specs = {budget.name: budget for budget in policy.spec.budgets}
    claims = Claims(policy, job.metadata.namespace or "", now)
    found = dict.fromkeys(claim for backend, currency in options for claim in claims.of(backend, currency))
    order = {name: position for position, name in enumerate(specs)}
    return [_status(specs[claim.budget], claim, book) for claim in sorted(found, key=lambda c: order[c.budget])]


def _status(budget: BudgetSpec, claim: Claim, book: Book) -> BudgetStatus:
    accounts = book.window(claim.series, claim.since)
    committed = sum(account.committed for account in accounts)
    reserved = sum(account.reserved for account in accounts)
    left = max(0, to_micros(budget.limit) - committed - reserved)
    told = {alert for account in accounts for alert in account.alerted}
    return BudgetStatus(
        name=budget.name,
        scope=budget.scope,
        value=claim.series.value,
        currency=budget.currency,
        limit=budget.limit,
        committed=from_micros(committed),
        reserved=from_micros(reserved),
        remaining=from_micros(left),
        next_period_time=datetime.fromtimestamp(claim.end, UTC) if claim.end is not None else None,
        alerts=[
            percent
            for percent in sorted(set(budget.alerts))
            if _alert(budget, percent) in told or _is_reached(budget, percent, committed + reserved)
        ],
    )


def due_alerts(policy: QuantumBackendPolicy, book: Book, now: datetime) -> list[Alert]:
    """The alerts whose thresholds are reached, and that were not given in this period."""
    due = []
    for budget, claims in _counted(policy, book, now):
        for claim in claims:
            accounts = book.window(claim.series, claim.since)
            if not any(account.start == claim.start for account in accounts):
                continue  # nothing was asked of this period yet
            micros = sum(account.committed + account.reserved for account in accounts)
            told = {alert for account in accounts for alert in account.alerted}
            for percent in sorted(set(budget.alerts)):
                if _is_reached(budget, percent, micros) and _alert(budget, percent) not in told:
                    due.append(_due(policy, budget, claim, percent, micros))
    return due


def _is_reached(budget: BudgetSpec, percent: int, micros: int) -> bool:
    return micros * 100 >= to_micros(budget.limit) * percent


def _alert(budget: BudgetSpec, percent: int) -> str:
    """An alert's name in the book. It names the limit: a limit that is raised is a new one to be told about."""
    return f"{budget.name} {percent}% of {budget.limit:f}"


def _due(policy: QuantumBackendPolicy, budget: BudgetSpec, claim: Claim, percent: int, micros: int) -> Alert:
    value = claim.series.value
    of = f" for {budget.scope.lower()} {value}" if value else ""
    message = (
        f"budget {budget.name} of policy {policy.metadata.name}{of}: {from_micros(micros):f} of {budget.limit:f} "
        f"{budget.currency} are charged or reserved, {percent} % or more"
    )
    request = AlertRequest(claim.series, claim.start, _alert(budget, percent))
    return Alert(budget.name, value, percent, message, request)
