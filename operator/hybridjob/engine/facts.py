"""What a runtime has observed of one job. Facts are never guesses: what is not known is None or absent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from hybridjob.api.status import Route, Sample
from hybridjob.contract.verdict import Verdict
from hybridjob.engine.accounts import Series
from hybridjob.engine.breaker import Breaker
from hybridjob.engine.hedging import Hedge
from hybridjob.engine.latency import History


@dataclass(frozen=True)
class Fault:
    """Something that keeps a solver from running, and that nothing but this engine will ever end."""

    time: datetime
    """When it was first seen."""
    message: str
    patience: timedelta = timedelta(0)
    """How long it may last: it may pass by itself."""
    of_backend: bool = True
    """Whether it speaks against the backend: an image that cannot be pulled does, a quota of the cluster does not."""


@dataclass(frozen=True)
class AttemptFacts:
    """What is known of a solver run that exists. An attempt without facts does not exist in the world."""

    start_time: datetime | None = None
    """When the solver began to run; None while it waits for a place."""
    end_time: datetime | None = None
    """When it was gone for good."""
    exit_code: int | None = None
    """Set with end_time; negative for a signal."""
    verdict: Verdict | None = None
    verdict_error: str | None = None
    """Why a solver that ended has no usable verdict."""
    detail: str | None = None
    """What the runtime saw of the end that the exit code does not say: the last line of the log, the memory limit."""
    reference: str | None = None
    """Where the payload is."""
    top: tuple[Sample, ...] = ()
    route: Route | None = None
    backend: str | None = None
    """What it was started as, where the world remembers that."""
    waiting: str | None = None
    """What it waits for before it starts."""
    held: str | None = None
    """Who keeps it from starting, and why: a queue."""
    fault: Fault | None = None


@dataclass(frozen=True)
class ReservationFacts:
    """The ledger's answer to a reservation for an attempt that has not begun."""

    attempt: int
    backend: str
    amount: Decimal
    granted: bool
    message: str = ""
    """Why it was refused."""
    refusal: str | None = None
    """The same in one word."""
    budgets: tuple[str, ...] = ()
    """The budgets that have no room."""


@dataclass(frozen=True)
class Waiter:
    """A job that waits for the policy's quotas."""

    since: datetime
    """When the job was made: of one namespace, the oldest comes first."""
    uid: str
    namespace: str
    backends: tuple[str, ...] = ()
    """Those that it waits for a slot of, in order of preference; none where it waits for a period to move on."""


@dataclass(frozen=True)
class PolicyLoad:
    """What the other jobs of the policy take of its quotas, at this instant."""

    running: Mapping[tuple[str, str], int] = field(default_factory=lambda: MappingProxyType({}))
    """Quantum attempts under way or decided, by namespace and backend."""
    waiting: tuple[Waiter, ...] = ()
    served: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    """When each namespace last began a quantum attempt."""
    kept: tuple[str, ...] = ()
    """The backends that the job itself has a slot of already."""
    starts: tuple[datetime, ...] = ()
    """When jobs of the job's namespace began their quantum work, as far back as a quota asks."""


@dataclass(frozen=True)
class Facts:
    attempts: Mapping[int, AttemptFacts] = field(default_factory=lambda: MappingProxyType({}))
    """By attempt number."""
    reservation: ReservationFacts | None = None
    begun: frozenset[int] = frozenset()
    """The attempts that money is reserved for, and that the policy's book knows to have begun."""
    used: Mapping[Series, Decimal] = field(default_factory=lambda: MappingProxyType({}))
    """What is committed and reserved now, of every series that a budget counts which applies to the job."""
    load: PolicyLoad = PolicyLoad()
    """What the policy's other jobs take of its quotas. It must be read in the same step in which the decision is taken
    and its own load is put: see `loads.Loads`."""
    breakers: Mapping[str, Breaker] = field(default_factory=lambda: MappingProxyType({}))
    """What the policy's book remembers of each backend's faults."""
    latencies: Mapping[str, History] = field(default_factory=lambda: MappingProxyType({}))
    """What it remembers of how long attempts took, by backend."""
    hedges: tuple[Hedge, ...] = ()
    """The hedges that it has granted in the last minute."""
    unavailable: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Backends that cannot run here, by name, and why."""
    problem_size: int | None = None
    """Qubits that the problem needs at least, where they can be told before it is encoded."""
    problem_error: str | None = None
    """What must hold of the problem's data and does not."""
    problem_missing: str | None = None
    """What the job refers to and is not there (yet)."""
    policy_missing: str | None = None
    """Why no policy holds for the job; None where one does."""
