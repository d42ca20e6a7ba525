"""QuantumBackendPolicy: what the platform team allows."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from hybridjob.api.breaker import BreakerStatus, CircuitBreakerSpec
from hybridjob.api.budgets import BudgetSpec, Scope
from hybridjob.api.common import (
    Condition,
    Count,
    Cpu,
    Currency,
    Image,
    LabelKey,
    LabelValue,
    Memory,
    Money,
    Name,
    ObjectMeta,
    Resource,
    Rule,
    Timestamp,
    list_of,
)
from hybridjob.api.latency import ExpectedLatency, LatencySpec, MeasuredLatency
from hybridjob.api.quotas import MaxConcurrent, QuotasSpec
from hybridjob.api.rates import FREE, RateCard
from hybridjob.api.status import CLASSICAL_BACKEND
from hybridjob.api.windows import Hours, MaintenanceSpec, Schedule, WindowsMode, WindowSpec
from hybridjob.contract.base import Model
from hybridjob.contract.task import BackendKind, Sdk


class Resources(Resource):
    """What a solver may use of the machine."""

    memory: Memory = "4Gi"
    """The memory limit of the solver; on a cluster it is requested, too."""
    cpu: Cpu = "500m"
    """The processor time that is requested on a cluster; there is no limit."""


_WINDOW_RULES = (
    Rule(
        cel="!has(self.windowsMode) || self.windows.size() > 0",
        message="may only be given with at least one window",
        holds=lambda s: s.windows_mode is None or bool(s.windows),
        field="windowsMode",
    ),
    Rule(
        cel="self.windows.all(a, self.windows.exists_one(b, a.name == b.name))",
        message="must have unique names",
        holds=lambda s: _unique([window.name for window in s.windows]),
        field="windows",
    ),
)


class BackendSpec(Resource):
    """One quantum backend that jobs may use."""

    name: Name
    """What jobs call it."""
    kind: BackendKind
    """Simulator: exact state vector. NoisySimulator: with the noise of a device snapshot."""
    sdk: Sdk
    """The SDK, and so the solver image, that runs it."""
    qubits: Annotated[int, Field(ge=1, le=64)]
    """Circuits with more qubits are not admitted."""
    max_shots: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000_000
    """Jobs that ask for more shots are not admitted."""
    snapshot: Annotated[str, StringConstraints(pattern=r"^Fake[A-Za-z0-9]+$", max_length=64)] | None = None
    """The device snapshot of a NoisySimulator, by its class name in qiskit_ibm_runtime.fake_provider."""
    rate_card: RateCard = FREE
    """What it costs."""
    image: Image | None = None
    """The solver image on a cluster; the default is the operator's image for the SDK."""
    resources: Resources = Resources()
    max_concurrent: MaxConcurrent | None = None
    """Attempts under way on it at once."""
    windows: Annotated[list[WindowSpec], list_of("map", 32, "name")] = []
    """When work may start on it; those of the policy hold, too."""
    windows_mode: WindowsMode | None = None
    """Allow, the default: only inside one of `windows`. Deny: never inside one of them."""
    maintenance: Annotated[list[MaintenanceSpec], list_of("atomic", 32)] = []
    """When nothing may start on it, once."""
    circuit_breaker: CircuitBreakerSpec | None = None
    """When it is left alone because it fails; in place of the policy's."""
    expected_latency: ExpectedLatency | None = None
    """What its attempts take, until enough have been measured."""

    rules = (
        *_WINDOW_RULES,
        Rule(
            cel="(self.kind == 'NoisySimulator') == has(self.snapshot)",
            message="must be given with kind NoisySimulator, and only with it",
            holds=lambda b: (b.kind == "NoisySimulator") == (b.snapshot is not None),
            field="snapshot",
        ),
        Rule(
            cel="self.kind != 'NoisySimulator' || self.sdk == 'Qiskit'",
            message="must be Qiskit with kind NoisySimulator",
            holds=lambda b: b.kind != "NoisySimulator" or b.sdk == "Qiskit",
            field="sdk",
        ),
        Rule(
            cel=f"self.name != '{CLASSICAL_BACKEND}'",
            message=f"may not be {CLASSICAL_BACKEND}, which names the classical route",
            holds=lambda b: b.name != CLASSICAL_BACKEND,
            field="name",
        ),
    )


class ClassicalPolicy(Resource):
    """The classical solver."""

    image: Image | None = None
    """The solver image on a cluster; the default is the operator's."""
    resources: Resources = Resources()
    rate_card: RateCard = FREE
    """What its time costs."""
    expected_latency: ExpectedLatency | None = None
    """What its attempts take, until enough have been measured."""

    rules = (
        Rule(
            cel="!has(self.rateCard) || self.rateCard.formula in ['Free', 'PerSecond', 'PerHour']",
            message="must be Free, PerSecond or PerHour for the classical solver",
            holds=lambda c: c.rate_card.formula in ("Free", "PerSecond", "PerHour"),
            field="rateCard.formula",
        ),
    )


class LabelSelectorRequirement(Resource):
    """One requirement on a label."""

    key: LabelKey
    """The label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label's value relates to `values`."""
    values: Annotated[list[LabelValue], list_of("atomic", 32)] = []
    """At least one with In and NotIn, none with Exists and DoesNotExist."""

    rules = (
        Rule(
            cel="(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            message="must be given with In and NotIn, and only with them",
            holds=lambda r: (r.operator in ("In", "NotIn")) == bool(r.values),
            field="values",
        ),
    )


class LabelSelector(Resource):
    """A metav1.LabelSelector: all requirements must hold. An empty one selects everything."""

    match_labels: Annotated[dict[str, LabelValue], Field(max_length=32)] = {}
    """Labels and the values that they must have."""
    match_expressions: Annotated[list[LabelSelectorRequirement], list_of("atomic", 32)] = []
    """Further requirements."""


_HAS_PRICE = "has({0}.rateCard) && has({0}.rateCard.currency)"
_NO_PRICES = (
    f"!(has(self.classical) && {_HAS_PRICE.format('self.classical')}) && "
    f"!self.backends.exists(k, {_HAS_PRICE.format('k')})"
)
_PRICED_IN_B = (
    f"(has(self.classical) && {_HAS_PRICE.format('self.classical')} && self.classical.rateCard.currency == b.currency)"
    f" || self.backends.exists(k, {_HAS_PRICE.format('k')} && k.rateCard.currency == b.currency)"
)


class PolicySpec(Resource):
    """Backends, prices and budgets."""

    default: bool = False
    """The policy of jobs that name none."""
    namespace_selector: LabelSelector = LabelSelector()
    """The namespaces whose jobs may use this policy, by their labels; by default all. Every namespace has the label
    kubernetes.io/metadata.name. A laptop has no namespaces' labels, and every policy selects every job there."""
    backends: Annotated[list[BackendSpec], list_of("map", 64, "name")] = []
    """In order of preference."""
    classical: ClassicalPolicy = ClassicalPolicy()
    budgets: Annotated[list[BudgetSpec], list_of("map", 32, "name")] = []
    """Each holds by itself; several in one currency hold together."""
    quotas: QuotasSpec = QuotasSpec()
    windows: Annotated[list[WindowSpec], list_of("map", 32, "name")] = []
    """When quantum work may start. Classical work always may."""
    windows_mode: WindowsMode | None = None
    """Allow, the default: only inside one of `windows`. Deny: never inside one of them."""
    spread_seconds: Annotated[int, Field(ge=0, le=3600)] = 30
    """Jobs that waited for a backend to open start within so many seconds of that, each at its own moment: a thousand
    at once would be a load that nobody needs. 0: all at once."""
    circuit_breaker: CircuitBreakerSpec | None = None
    """When a backend is left alone because it fails, each by itself. Without it, never."""
    latency: LatencySpec | None = None
    """How to learn what attempts take. Without it, only `expectedLatency` is known."""
    reconcile_seconds: Annotated[int, Field(ge=0, le=2_592_000)] = 3600
    """How long the money of an attempt stays reserved that ended and left nothing to tell what it cost. Then all of it
    is charged."""

    rules = (
        *_WINDOW_RULES,
        Rule(
            cel="self.backends.all(a, self.backends.exists_one(b, a.name == b.name))",
            message="must have unique names",
            holds=lambda s: _unique([backend.name for backend in s.backends]),
            field="backends",
        ),
        Rule(
            cel="self.budgets.all(a, self.budgets.exists_one(b, a.name == b.name))",
            message="must have unique names",
            holds=lambda s: _unique([budget.name for budget in s.budgets]),
            field="budgets",
        ),
        Rule(
            cel=f"{_NO_PRICES} || self.budgets.all(b, {_PRICED_IN_B})",
            message="must be in the currency of a backend's or the classical rate card, where any of them has a price",
            holds=lambda s: not (prices := _currencies(s)) or prices >= {budget.currency for budget in s.budgets},
            field="budgets",
        ),
    )

    def schedule(self, backend: BackendSpec | None = None) -> Schedule:
        """When quantum work may start on the backend; on any of them, where none is given."""
        hours = [Hours(self.windows, self.windows_mode or "Allow")]
        if backend is None:
            return Schedule(hours)
        return Schedule([*hours, Hours(backend.windows, backend.windows_mode or "Allow")], backend.maintenance)

    @model_validator(mode="after")
    def _check_that_it_opens(self) -> Self:
        """No rule of the API server can tell. The operator says in the policy's conditions what is wrong."""
        must = "must leave some time open: with its mode it never is, whatever the time of the year"
        if not self.schedule().ever_opens():
            raise ValueError(f"windows {must}")
        for index, backend in enumerate(self.backends):
            if not self.schedule(backend).ever_opens():
                raise ValueError(f"backends[{index}] {must}, together with the policy's windows and its maintenance")
        return self


def _currencies(spec: PolicySpec) -> set[str]:
    cards = [spec.classical.rate_card, *(backend.rate_card for backend in spec.backends)]
    return {card.currency for card in cards if card.currency is not None}


def _unique(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names)


class BudgetStatus(Model):
    """How much of a budget is left. A report, at most some seconds old: the ledger holds the truth."""

    name: Name
    """The budget."""
    scope: Scope = "Policy"
    """What it counts."""
    value: Annotated[str, StringConstraints(max_length=63)] = ""
    """Which namespace or backend."""
    currency: Currency
    """Its currency."""
    limit: Money
    """Its limit."""
    committed: Money
    """Charged for attempts that ended."""
    reserved: Money
    """Held for attempts under way."""
    remaining: Money
    """What may still be reserved; zero where the limit was lowered below what is used."""
    next_period_time: Timestamp | None = None
    """When it begins anew, or a rolling one moves on."""
    alerts: Annotated[list[Count], list_of("atomic", 8)] = []
    """The percentages of `alerts` that were reached in this period."""

    @property
    def label(self) -> str:
        """The budget's name, with what it counts."""
        return f"{self.name} ({self.value})" if self.value else self.name


class BackendStatus(Model):
    """Whether work may start on a backend now: its hours, and its circuit breaker."""

    name: Name
    """The backend."""
    open: bool
    """Whether the policy's windows, its own and its maintenance let work start."""
    next_open: Timestamp | None = None
    """When it opens, where it is closed and opens within 400 days."""
    next_close: Timestamp | None = None
    """When it closes, where it is open and closes within 400 days."""
    message: Annotated[str, StringConstraints(max_length=2048)] = ""
    """What closes it, for people."""
    breaker: BreakerStatus | None = None
    """Its circuit breaker, where it has one."""
    latency: MeasuredLatency | None = None
    """What its attempts have taken, where the policy has `latency`."""


class UnknownOutcome(Model):
    """Money that stays reserved for an attempt that has ended: nobody knows what it cost."""

    job_uid: Annotated[str, StringConstraints(max_length=63)]
    """The HybridJob, which may be gone."""
    attempt: Annotated[int, Field(ge=1, le=100)]
    """The attempt."""
    namespace: Annotated[str, StringConstraints(max_length=63)]
    """The job's namespace."""
    job: Annotated[str, StringConstraints(max_length=253)]
    """The job's name."""
    backend: Annotated[str, StringConstraints(max_length=63)]
    """Where it ran."""
    currency: Currency
    """The currency."""
    reserved: Money
    """What it cost at most."""
    charge_time: Timestamp
    """When all of it is charged, unless somebody finds out before."""


class PolicyStatus(Model):
    """Whether the policy can be used, which backends are open, and what is left of its budgets. Written by the operator
    only."""

    conditions: Annotated[list[Condition], list_of("map", 8, "type")] = []
    """Ready is the summary."""
    observed_generation: Count = 0
    """The metadata.generation that this status was written for."""
    budgets: Annotated[list[BudgetStatus], list_of("atomic", 256)] = []
    """Each budget of the policy; of those by namespace or backend the fullest."""
    backends: Annotated[list[BackendStatus], list_of("map", 65, "name")] = []
    """Each backend that has windows, maintenance, a circuit breaker or a measured latency; classical for that one."""
    open_backends: Annotated[str, StringConstraints(max_length=16)] = ""
    """On how many backends work may start, of how many: 2/3. An open circuit breaker that holds for all counts as
    closed."""
    least_left: Annotated[str, StringConstraints(max_length=256)] = ""
    """What is left of the budget that has the least left of its limit: `month 0.43/4 USD`."""
    open_reservations: Count = 0
    """Attempts that money is held for."""
    unknown_outcomes: Annotated[list[UnknownOutcome], list_of("atomic", 16)] = []
    """Those of them that have ended, and that nobody knows the cost of: the first to be charged."""


class QuantumBackendPolicy(Resource):
    """Backends, prices and budgets that hold for every job that uses the policy."""

    api_version: Literal["hybridjob.dev/v1alpha1"]
    kind: Literal["QuantumBackendPolicy"]
    metadata: ObjectMeta
    spec: PolicySpec
    status: PolicyStatus | None = None
