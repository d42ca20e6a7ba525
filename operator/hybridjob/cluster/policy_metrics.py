"""What Prometheus scrapes of the policies: the state of their rules. No label grows with the number of jobs."""

from collections.abc import Iterator
from decimal import Decimal
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hybridjob.api.breaker import BreakerState
from hybridjob.api.policy import PolicyStatus
from hybridjob.engine.accounts import from_micros
from hybridjob.engine.ledger import MAX_OPEN_ENTRIES, Book

_STATES: tuple[str, ...] = get_args(BreakerState)


class PolicyMetrics(Collector):
    """Tells what was reported last, and nothing of a policy that is gone."""

    def __init__(self) -> None:
        self.reports: dict[str, tuple[PolicyStatus, Book]] = {}
        """By policy."""

    def collect(self) -> Iterator[Metric]:
        yield from self._of_books()
        yield from self._of_budgets()
        yield from self._of_backends()

    def _of_books(self) -> Iterator[Metric]:
        # As the ledger has it, which survives restarts: a cost may become known long after its attempt ended.
        charged = CounterMetricFamily("hybridjob_money_charged", "Money charged", labels=("policy", "currency"))
        money = _gauge("money_reserved", "Money reserved", "policy", "currency")
        unknown = _gauge("money_unknown", "Of it, what nobody knows the cost of", "policy", "currency")
        entries = _gauge("ledger_open_entries", "Attempts that money is held for", "policy")
        most = _gauge("ledger_max_entries", "Beyond so many, nothing paid starts", "policy")
        for policy, (status, book) in self.reports.items():
            reserved = {budget.currency: Decimal(0) for budget in status.budgets}
            lost = dict(reserved)
            for entry in book.entries.values():
                reserved[entry.unit] = reserved.get(entry.unit, Decimal(0)) + entry.amount
            for entry in book.unknown():
                lost[entry.unit] = lost.get(entry.unit, Decimal(0)) + entry.amount
            for currency, total in book.totals().items():
                charged.add_metric((policy, currency), float(from_micros(total.committed)))
            for family, amounts in ((money, reserved), (unknown, lost)):
                for currency, amount in amounts.items():
                    family.add_metric((policy, currency), float(amount))
            entries.add_metric((policy,), len(book.entries))
            most.add_metric((policy,), MAX_OPEN_ENTRIES)
        yield from (charged, money, unknown, entries, most)

    def _of_budgets(self) -> Iterator[GaugeMetricFamily]:
        labels = ("policy", "budget", "value", "currency")
        limit = _gauge("budget_limit", "Limit of a budget; value is the namespace or backend it counts", *labels)
        committed = _gauge("budget_committed", "Charged in this period", *labels)
        reserved = _gauge("budget_reserved", "Reserved in this period", *labels)
        for policy, (status, _) in self.reports.items():
            for budget in status.budgets:
                key = (policy, budget.name, budget.value, budget.currency)
                limit.add_metric(key, float(budget.limit))
                committed.add_metric(key, float(budget.committed))
                reserved.add_metric(key, float(budget.reserved))
        yield from (limit, committed, reserved)

    def _of_backends(self) -> Iterator[GaugeMetricFamily]:
        open_ = _gauge("backend_open", "Whether windows and maintenance let work start", "policy", "backend")
        breaker = _gauge("breaker_state", "1 for the state of the circuit breaker", "policy", "backend", "state")
        samples = _gauge("latency_samples", "Attempts that latencies are measured on", "policy", "backend")
        estimated = _gauge("latency_estimated", "Those of them that were estimated before", "policy", "backend")
        covered = _gauge("latency_covered", "Those of these that took no longer than estimated", "policy", "backend")
        for policy, (status, _) in self.reports.items():
            for backend in status.backends:
                key = (policy, backend.name)
                open_.add_metric(key, backend.open)
                if backend.breaker is not None:
                    for state in _STATES:
                        breaker.add_metric((*key, state), state == backend.breaker.state)
                if backend.latency is not None:
                    samples.add_metric(key, backend.latency.samples)
                    estimated.add_metric(key, backend.latency.estimated)
                    covered.add_metric(key, backend.latency.covered)
        yield from (open_, breaker, samples, estimated, covered)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"hybridjob_{name}", text, labels=labels)
