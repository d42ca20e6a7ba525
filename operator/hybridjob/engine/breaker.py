"""The circuit breaker of a backend: a state machine. Pure; the policy's book keeps it, beside the money.

    Closed ──faults──> Open ──its time is over──> HalfOpen ──a probe answers──> Closed
                         ^                           │
                         └──────a probe fails────────┘  for twice as long

A backend has one circuit for all namespaces, and one for each namespace. A job passes both. Faults of one namespace
open its own circuit only: whoever sends what makes a solver crash cannot take the backend from the others. The circuit
for all opens when those faults come from two namespaces, and reopens when probes of two namespaces have failed.

A probe is a lease on a half-open circuit. It expires, and has failed then: a probe that is lost blocks nobody for ever.
Expiry needs no event and no write; whoever looks sees what became of the circuit meanwhile.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from hybridjob.api.breaker import MAX_OUTCOMES, BreakerState, CircuitBreakerSpec
from hybridjob.engine.accounts import Key

ALL = "*"
"""The circuit for all namespaces, among the names of namespaces."""
MAX_CIRCUITS = 64
"""How many circuits of one backend are kept; beyond, the oldest is forgotten."""
_FORGET_SECONDS = 7 * 86_400
"""A half-open circuit that nobody has probed for so long, as its namespace has no jobs any more, is forgotten."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt, as far as the backend is concerned."""

    key: Key
    namespace: str
    time: int
    """When it ended, in milliseconds since 1970, as all times here."""
    fault: bool


@dataclass(frozen=True, slots=True)
class Lease:
    """The one probe of a half-open circuit."""

    key: Key
    namespace: str
    until: int


@dataclass(frozen=True, slots=True)
class Circuit:
    """One circuit. It is closed where `opened` is None."""

    opened: int | None = None
    """Since when it is open."""
    until: int = 0
    """When it becomes half-open."""
    openings: int = 0
    """How often it opened, since it was closed last."""
    probe: Lease | None = None
    doubter: str | None = None
    """The namespace whose probe of the circuit for all has failed since: a second one's opens it again."""
    counts_from: int = 0
    """Outcomes before it was closed last do not count."""

    def state(self, now: int) -> BreakerState:
        if self.opened is None:
            return "Closed"
        return "Open" if now < self.until else "HalfOpen"


@dataclass(frozen=True)
class Breaker:
    """All that is remembered of one backend. A value."""

    outcomes: tuple[Outcome, ...] = ()
    """The latest, in the order in which they were told."""
    circuits: Mapping[str, Circuit] = field(default_factory=lambda: MappingProxyType({}))
    """By namespace, or ALL; those that are not there are closed."""
    forgotten: int = 0
    """Outcomes up to this time are not remembered any more, and are not counted when they are told again."""


@dataclass(frozen=True)
class ReportRequest:
    """Tell what an attempt says of its backend. Telling it again changes nothing."""

    key: Key
    backend: str
    namespace: str
    time: int
    """When the attempt ended."""
    fault: bool
    """See `faults`."""
    rules: CircuitBreakerSpec


@dataclass(frozen=True)
class ProbeRequest:
    """Ask to be the probe of every half-open circuit that the job must pass: of all of them, or of none."""

    key: Key
    backend: str
    namespace: str
    rules: CircuitBreakerSpec


@dataclass(frozen=True)
class ReleaseRequest:
    """Give the probe back: the attempt says nothing of its backend, or will never be."""

    key: Key
    backend: str


BreakerRequest = ReportRequest | ProbeRequest | ReleaseRequest


def apply(breaker: Breaker, request: BreakerRequest, now: int) -> Breaker:
    """Do what is asked. The same value comes back where nothing changes."""
    match request:
        case ReportRequest():
            return _report(breaker, request, now)
        case ProbeRequest():
            return _take_probe(breaker, request, now)
        case ReleaseRequest(key=key):
            return _without_probe(breaker, key)


def settled(breaker: Breaker, rules: CircuitBreakerSpec, now: int) -> Breaker:
    """The breaker as it stands at `now`: probes whose time is over have failed."""
    while lapsed := [(c.probe, name) for name, c in breaker.circuits.items() if c.probe and c.probe.until <= now]:
        lease, name = min(lapsed, key=lambda found: (found[0].until, found[1]))
        breaker = _probe_failed(breaker, name, lease.namespace, rules, lease.until)
    return breaker


def to_pass(breaker: Breaker, namespace: str, now: int) -> Iterator[tuple[str, Circuit]]:
    """The circuits that a job of the namespace must pass and that are not closed, of a settled breaker."""
    for name in (ALL, namespace):
        circuit = breaker.circuits.get(name)
        if circuit is not None and circuit.state(now) != "Closed":
            yield name, circuit


def counted(breaker: Breaker, name: str, rules: CircuitBreakerSpec, now: int) -> list[Outcome]:
    """The outcomes that count for a circuit."""
    closed = [breaker.circuits[n].counts_from for n in {name, ALL} if n in breaker.circuits]
    since = max([now - rules.window_seconds * 1000, *closed])
    return [o for o in breaker.outcomes if o.time > since and name in (ALL, o.namespace)]


def _report(breaker: Breaker, request: ReportRequest, now: int) -> Breaker:
    if request.time <= breaker.forgotten or any(o.key == request.key for o in breaker.outcomes):
        return breaker
    breaker = settled(breaker, request.rules, now)
    probed = [name for name, c in breaker.circuits.items() if c.probe is not None and c.probe.key == request.key]
    healthy = request.rules.failure_ratio is None and not any(o.fault for o in breaker.outcomes)
    if not request.fault and healthy and not probed:
        return breaker  # nothing to learn: a backend without faults costs no writes
    outcome = Outcome(request.key, request.namespace, min(request.time, now), request.fault)
    breaker = _remember(breaker, outcome, now)
    for name in sorted(probed, reverse=True):  # that for all last: it may take the place of the namespace's
        if outcome.fault:
            breaker = _probe_failed(breaker, name, outcome.namespace, request.rules, now)
        else:
            breaker = _put(breaker, name, Circuit(counts_from=now))
    if outcome.fault:
        for name in (outcome.namespace, ALL):
            circuit = breaker.circuits.get(name, Circuit())
            if circuit.state(now) == "Closed" and _trips(
                name, counted(breaker, name, request.rules, now), request.rules
            ):
                breaker = _open(breaker, name, request.rules, now)
    return breaker


def _remember(breaker: Breaker, outcome: Outcome, now: int) -> Breaker:
    outcomes = (*breaker.outcomes, outcome)
    dropped, kept = outcomes[:-MAX_OUTCOMES], outcomes[-MAX_OUTCOMES:]
    forgotten = max([breaker.forgotten, *(o.time for o in dropped)])
    stale = now - _FORGET_SECONDS * 1000
    circuits = {
        name: c for name, c in breaker.circuits.items() if (c.counts_from if c.opened is None else c.until) > stale
    }
    return Breaker(kept, circuits, forgotten)


def _trips(name: str, outcomes: Sequence[Outcome], rules: CircuitBreakerSpec) -> bool:
    run: list[Outcome] = []
    for outcome in reversed(outcomes):
        if not outcome.fault:
            break
        run.append(outcome)
    if len(run) >= rules.consecutive_failures and _agreed(name, run):
        return True
    if rules.failure_ratio is None or len(outcomes) < rules.minimum_attempts:
        return False
    faults = [outcome for outcome in outcomes if outcome.fault]
    return len(faults) >= rules.failure_ratio * len(outcomes) and _agreed(name, faults)


def _agreed(name: str, faults: Sequence[Outcome]) -> bool:
    """Whether one namespace's faults are not all there is against a backend that all use."""
    return name != ALL or len({fault.namespace for fault in faults}) > 1


def _open(breaker: Breaker, name: str, rules: CircuitBreakerSpec, at: int) -> Breaker:
    before = breaker.circuits.get(name, Circuit())
    openings = before.openings + 1
    opened = Circuit(at, at + _open_millis(name, openings, rules, at), openings, counts_from=before.counts_from)
    if name == ALL:  # it takes the place of the namespaces' own
        breaker = replace(breaker, circuits={})
    return _put(breaker, name, opened)


def _open_millis(name: str, openings: int, rules: CircuitBreakerSpec, at: int) -> int:
    """Doubling, capped; give or take a fifth, lest many breakers that opened together probe together."""
    limit = rules.max_open_seconds * 1000
    seconds = min(rules.max_open_seconds, rules.open_seconds << min(openings - 1, 20))
    jitter = zlib.crc32(f"{name} {at}".encode()) % 401  # in thousandths
    return min(limit, seconds * (800 + jitter))


def _probe_failed(breaker: Breaker, name: str, namespace: str, rules: CircuitBreakerSpec, at: int) -> Breaker:
    circuit = breaker.circuits[name]
    if name != ALL or circuit.doubter not in (None, namespace):
        return _open(breaker, name, rules, at)
    # One namespace's word is not enough to keep it from all: its own circuit opens, and another one may probe.
    breaker = _put(breaker, ALL, replace(circuit, probe=None, doubter=namespace))
    own = breaker.circuits.get(namespace, Circuit())
    return breaker if own.state(at) == "Open" else _open(breaker, namespace, rules, at)


def _take_probe(breaker: Breaker, request: ProbeRequest, now: int) -> Breaker:
    now_stands = settled(breaker, request.rules, now)
    circuits = list(to_pass(now_stands, request.namespace, now))
    if any(c.state(now) == "Open" or (c.probe and c.probe.key != request.key) for _, c in circuits):
        return breaker
    wanted = [(name, c) for name, c in circuits if c.probe is None]
    lease = Lease(request.key, request.namespace, now + request.rules.probe_deadline_seconds * 1000)
    for name, circuit in wanted:
        now_stands = _put(now_stands, name, replace(circuit, probe=lease))
    return now_stands if wanted else breaker


def _without_probe(breaker: Breaker, key: Key) -> Breaker:
    for name, circuit in breaker.circuits.items():
        if circuit.probe is not None and circuit.probe.key == key:
            breaker = _put(breaker, name, replace(circuit, probe=None))
    return breaker


def _put(breaker: Breaker, name: str, circuit: Circuit) -> Breaker:
    circuits = {**breaker.circuits, name: circuit}
    if len(circuits) > MAX_CIRCUITS:
        oldest = min((other for other in circuits if other not in (ALL, name)), key=lambda n: circuits[n].until)
        del circuits[oldest]
    return replace(breaker, circuits=circuits)
