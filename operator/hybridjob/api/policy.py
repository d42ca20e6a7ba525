"""QuantumBackendPolicy: what the platform team allows."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hybridjob.api.common import (
    Condition,
    Count,
    Currency,
    Memory,
    Money,
    Name,
    ObjectMeta,
    Resource,
    Rule,
    Timestamp,
    list_of,
)
from hybridjob.api.status import CLASSICAL_BACKEND
from hybridjob.contract.base import Model
from hybridjob.contract.task import BackendKind, Sdk

Formula = Literal["Free", "PerTaskPerShot", "PerSecond"]


class RateCard(Resource):
    """What a backend costs. Rates are data with a source, never code."""

    formula: Formula
    """Free; PerTaskPerShot: perTask per task and perShot per shot; PerSecond: perSecond per second on the backend."""
    currency: Currency | None = None
    """The currency of the rates."""
    per_task: Money | None = None
    """Per circuit that is submitted."""
    per_shot: Money | None = None
    """Per sample that is taken."""
    per_second: Money | None = None
    """Per second on the backend."""
    source: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Where the rates were read."""
    valid_until: Timestamp | None = None
    """After this instant the price is unknown, and nothing paid is submitted."""

    rules = (
        Rule(
            cel="(self.formula == 'Free') != has(self.currency)",
            message="must be given with every formula but Free, and may not be given with Free",
            holds=lambda r: (r.formula == "Free") != (r.currency is not None),
            field="currency",
        ),
        Rule(
            cel="(self.formula == 'PerTaskPerShot') == (has(self.perTask) && has(self.perShot)) && "
            "(self.formula == 'PerTaskPerShot' || (!has(self.perTask) && !has(self.perShot)))",
            message="perTask and perShot must be given with formula PerTaskPerShot, and only with it",
            holds=lambda r: (r.per_task is not None, r.per_shot is not None) == (r.formula == "PerTaskPerShot",) * 2,
        ),
        Rule(
            cel="(self.formula == 'PerSecond') == has(self.perSecond)",
            message="must be given with formula PerSecond, and only with it",
            holds=lambda r: (r.formula == "PerSecond") == (r.per_second is not None),
            field="perSecond",
        ),
    )


FREE = RateCard(formula="Free")


class Resources(Resource):
    """What a solver may use of the machine."""

    memory: Memory = "4Gi"
    """The memory limit of the solver."""


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
    resources: Resources = Resources()

    rules = (
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

    resources: Resources = Resources()


class BudgetSpec(Resource):
    """A limit on what all jobs of this policy may cost together, for as long as the policy lives."""

    name: Name
    """What reports call it."""
    limit: Money
    """The most that may be charged and reserved together, at any time."""
    currency: Currency
    """The currency of the limit; it holds for costs in this currency."""


class PolicySpec(Resource):
    """Backends, prices and budgets."""

    default: bool = False
    """The policy of jobs that name none."""
    backends: Annotated[list[BackendSpec], list_of("map", 64, "name")] = []
    """In order of preference."""
    classical: ClassicalPolicy = ClassicalPolicy()
    budgets: Annotated[list[BudgetSpec], list_of("map", 32, "name")] = []
    """Each holds by itself; several in one currency hold together."""

    rules = (
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
    )


def _unique(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names)


class PolicyStatus(Model):
    """Whether the policy can be used. Written by the operator only."""

    conditions: Annotated[list[Condition], list_of("map", 8, "type")] = []
    """Ready is the summary."""
    observed_generation: Count = 0
    """The metadata.generation that this status was written for."""


class QuantumBackendPolicy(Resource):
    """Backends, prices and budgets that hold for every job that uses the policy."""

    api_version: Literal["hybridjob.dev/v1alpha1"]
    kind: Literal["QuantumBackendPolicy"]
    metadata: ObjectMeta
    spec: PolicySpec
    status: PolicyStatus | None = None
