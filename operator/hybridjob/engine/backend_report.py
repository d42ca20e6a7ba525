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
