"""The state of a policy's rules for people, a line each: what `policy` shows of all, and `explain` of those that one
job meets."""

from collections.abc import Iterator

from hybridjob.api.breaker import BreakerStatus
from hybridjob.api.latency import MeasuredLatency
from hybridjob.api.policy import BackendStatus, BudgetStatus


def state_lines(status: BackendStatus) -> Iterator[str]:
    """What a backend's hours, its circuit breaker and its attempts say, where there is anything."""
    if not status.open:
        yield status.message
    elif status.next_close is not None:
        yield f"open until {status.next_close:%Y-%m-%d %H:%M} UTC"
    if status.breaker is not None:
        yield _breaker_line(status.breaker)
    if status.latency is not None:
        yield _latency_line(status.latency)


def _latency_line(status: MeasuredLatency) -> str:
    total = status.total
    line = f"took {total.p50:g} s p50, {total.p90:g} s p90, {total.p99:g} s p99 of {status.samples} attempts"
    return f"{line}; {status.covered} of {status.estimated} within the p90 before" if status.estimated else line


def _breaker_line(status: BreakerStatus) -> str:
    line = f"breaker {status.state}"
    if status.since_time is not None:
        whom = "all" if status.scope == "All" else ", ".join(status.namespaces)
        line += f" for {whom} since {status.since_time:%Y-%m-%d %H:%M:%S} UTC"
    if status.state == "Open" and status.next_probe_time is not None:
        line += f", next probe {status.next_probe_time:%H:%M:%S} UTC"
    line += f"; {status.failures} faults counted"
    return f"{line}; {status.message}" if status.message else line


def budget_line(status: BudgetStatus) -> str:
    line = (
        f"{status.label:<12} {status.committed:f} used, {status.reserved:f} reserved, {status.remaining:f} left of "
        f"{status.limit:f} {status.currency}"
    )
    if status.next_period_time is not None:
        line += f", anew {status.next_period_time:%Y-%m-%d %H:%M} UTC"
    if status.alerts:
        line += f"; reached {', '.join(f'{percent} %' for percent in status.alerts)}"
    return line
