"""What a policy's status says of its backends: their hours, their circuit breakers, what their attempts have taken."""

from datetime import datetime

from hybridjob.api.policy import BackendStatus, QuantumBackendPolicy
from hybridjob.engine.breaker_gate import breaker_report
from hybridjob.engine.latency import latency_report
from hybridjob.engine.ledger import Book
from hybridjob.engine.windows import window_report


def backend_report(policy: QuantumBackendPolicy, book: Book, now: datetime) -> list[BackendStatus]:
    """Each backend of which there is something to say."""
    report = breaker_report(policy, book.breakers, window_report(policy, now), now)
    return latency_report(policy, book.latencies, report, now)


def open_backends(policy: QuantumBackendPolicy, report: list[BackendStatus]) -> str:
    """On how many of the policy's backends work may start, at a glance."""
    shut = {status.name for status in report if not status.open or _is_shut_for_all(status)}
    names = [backend.name for backend in policy.spec.backends]
    return f"{sum(name not in shut for name in names)}/{len(names)}"


def _is_shut_for_all(status: BackendStatus) -> bool:
    return status.breaker is not None and (status.breaker.state, status.breaker.scope) == ("Open", "All")
