"""Circuit breakers at work: whether a job may start on a backend now, and what a policy's status says of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from hybridjob.api.breaker import BreakerStatus, CircuitBreakerSpec, ForceSpec
from hybridjob.api.common import format_timestamp
from hybridjob.api.policy import BackendSpec, BackendStatus, QuantumBackendPolicy
from hybridjob.engine.accounts import Key
from hybridjob.engine.breaker import ALL, Breaker, Circuit, counted, settled, to_pass
from hybridjob.engine.instants import instant, millis
from hybridjob.engine.policies import find_backend
from hybridjob.engine.pricing import display

MAX_NAMESPACES_REPORTED = 8


Probe = Literal["Wanted", "Held"]
"""A job may start as a probe only: it has to ask for that first, or has it."""


@dataclass(frozen=True)
class Refused:
    """Nothing may start, at least not this job."""

    message: str


def rules_of(policy: QuantumBackendPolicy, backend: str) -> CircuitBreakerSpec | None:
    """The backend's rules, else the policy's; None where it has no breaker."""
    found = find_backend(policy, backend)
    return (found.circuit_breaker if found is not None else None) or policy.spec.circuit_breaker


def gate(
    policy: QuantumBackendPolicy,
    backend: BackendSpec,
    breaker: Breaker,
    namespace: str,
    key: Key,
    cost: Decimal,
    now: datetime,
) -> Probe | Refused | None:
    """None where an attempt that may cost so much can start like any other."""
    rules = rules_of(policy, backend.name)
    if rules is None:
        return None
    forced = _forced(rules, now)
    if forced is not None:
        return Refused(_by_hand(forced)) if forced.state == "Open" else None
    time = millis(now)
    circuits = list(to_pass(settled(breaker, rules, time), namespace, time))
    for name, circuit in circuits:
        if circuit.state(time) == "Open":
            return Refused(
                f"{_whose(name)} is Open since {_time(circuit.opened)}, next probe at {_time(circuit.until)}"
            )
        if circuit.probe is not None and circuit.probe.key != key:
            return Refused(f"{_whose(name)} is HalfOpen since {_time(circuit.until)}, {_probed(circuit)}")
        if rules.max_probe_cost is not None and cost > rules.max_probe_cost:
            currency = backend.rate_card.currency
            return Refused(
                f"{_whose(name)} is HalfOpen since {_time(circuit.until)}, and waits for a probe of at most "
                f"{display(rules.max_probe_cost, currency)}: this job may cost {display(cost, currency)}"
            )
    if not circuits:
        return None
    return "Held" if all(circuit.probe is not None for _, circuit in circuits) else "Wanted"


def breaker_report(
    policy: QuantumBackendPolicy, breakers: Mapping[str, Breaker], report: list[BackendStatus], now: datetime
) -> list[BackendStatus]:
    """The report on the policy's backends, with the breakers of those that have one."""
    known = {status.name: status for status in report}
    for backend in policy.spec.backends:
        rules = rules_of(policy, backend.name)
        if rules is not None:
            status = known.get(backend.name) or BackendStatus(name=backend.name, open=True)
            found = _status(breakers.get(backend.name, Breaker()), rules, now)
            known[backend.name] = status.model_copy(update={"breaker": found})
    return [known[backend.name] for backend in policy.spec.backends if backend.name in known]


def _status(breaker: Breaker, rules: CircuitBreakerSpec, now: datetime) -> BreakerStatus:
    time = millis(now)
    breaker = settled(breaker, rules, time)
    failures = sum(outcome.fault for outcome in counted(breaker, ALL, rules, time))
    forced = _forced(rules, now)
    if forced is not None:
        return BreakerStatus(state=forced.state, failures=failures, message=_by_hand(forced))
    open_ = {name: circuit for name, circuit in sorted(breaker.circuits.items()) if circuit.opened is not None}
    if not open_:
        return BreakerStatus(state="Closed", failures=failures)
    scope = {ALL: open_[ALL]} if ALL in open_ else open_
    first = min(scope.values(), key=lambda circuit: circuit.until)
    state = first.state(time)
    return BreakerStatus(
        state=state,
        scope="All" if ALL in open_ else "Namespaces",
        namespaces=[name for name in open_ if name != ALL][:MAX_NAMESPACES_REPORTED],
        since_time=_instant(first.opened if state == "Open" else first.until),
        next_probe_time=_instant(first.until),
        failures=failures,
        message=_probed(first) if first.probe is not None else "",
    )


def _forced(rules: CircuitBreakerSpec, now: datetime) -> ForceSpec | None:
    return rules.force if rules.force is not None and now < rules.force.until_time else None


def _by_hand(forced: ForceSpec) -> str:
    return f"its circuit breaker is forced {forced.state} until {format_timestamp(forced.until_time)}: {forced.reason}"


def _whose(name: str) -> str:
    return "its circuit breaker" + (f" for namespace {name}" if name != ALL else "")


def _probed(circuit: Circuit) -> str:
    probe = circuit.probe
    return f"probed by job {probe.key[0]} until {_time(probe.until)} at the latest" if probe is not None else ""


def _instant(time: int | None) -> datetime | None:
    return instant(time) if time is not None else None


def _time(time: int | None) -> str:
    return format_timestamp(instant(time)) if time is not None else ""
