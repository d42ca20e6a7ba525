"""The status of a HybridJob: what the engine knows and decided, and the words it says it with."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hybridjob.api.common import Condition, Count, Currency, Money, Timestamp, list_of
from hybridjob.api.rates import RateCard
from hybridjob.contract.base import Model

State = Literal["Pending", "Held", "Running", "FallingBack", "Succeeded", "Failed", "Cancelled"]
Route = Literal["Quantum", "Classical"]

FallbackReason = Literal[
    "SolverFailed",
    "BackendUnavailable",
    "BudgetExceeded",
    "LatencyExceeded",
    "QualityRegressed",
    "WindowClosed",
    "QuotaExceeded",
]
"""Why a job leaves the quantum route."""
Reason = Literal[
    "SolverFailed",
    "BackendUnavailable",
    "BudgetExceeded",
    "LatencyExceeded",
    "QualityRegressed",
    "WindowClosed",
    "QuotaExceeded",
    "InvalidProblem",
    "PolicyNotFound",
    "Cancelled",
]
"""Why a job fell back, failed or was cancelled: one closed list."""
FALLBACK_REASONS: tuple[FallbackReason, ...] = (
    "SolverFailed",
    "BackendUnavailable",
    "BudgetExceeded",
    "LatencyExceeded",
    "QualityRegressed",
    "WindowClosed",
    "QuotaExceeded",
)

CLASSICAL_BACKEND = "classical"
"""The name of the classical route among the backends; no policy may give it to one of its own."""

MAX_SOLUTION_LENGTH = 1024
MAX_ATTEMPTS_KEPT = 64


class Sample(Model):
    """One outcome of the answer's ranking."""

    solution: Annotated[str, StringConstraints(max_length=MAX_SOLUTION_LENGTH)]
    """The bit string in variable order."""
    objective: float
    """In the problem's own units and sense."""
    feasible: bool
    """Whether the constraints hold."""
    count: Count
    """How many of the shots gave it."""


class ResultStatus(Model):
    """The answer, verified: objective and feasibility are recomputed from the original problem."""

    objective: float
    """In the problem's own units and sense."""
    sense: Literal["Maximize", "Minimize", "Value"]
    """Whether more or less is better; Value where neither is."""
    feasible: bool
    """Whether the problem's constraints hold."""
    baseline: float | None = None
    """The classical solver's objective on the same instance; a classical answer is its own."""
    solution: Annotated[str, StringConstraints(max_length=MAX_SOLUTION_LENGTH)] | None = None
    """The bit string in variable order; longer ones are in the payload."""
    algorithm: Annotated[str, StringConstraints(max_length=64)] | None = None
    """What found the answer."""
    digest: Annotated[str, StringConstraints(max_length=80)] | None = None
    """SHA-256 of the payload."""
    reference: Annotated[str, StringConstraints(max_length=4096)] | None = None
    """Where the payload is."""
    top: Annotated[list[Sample], list_of("atomic", 16)] = []
    """The best outcomes, best first."""


class AttemptStatus(Model):
    """One run of one solver."""

    number: Annotated[int, Field(ge=1, le=100)]
    """From 1, over all routes."""
    route: Route
    """The route that it is an attempt on."""
    backend: Annotated[str, StringConstraints(max_length=63)]
    """The policy's name of the backend; classical on the classical route."""
    state: Literal["Pending", "Running", "Cancelling", "Succeeded", "Failed", "Cancelled"]
    """How far it is."""
    reason: Reason | None = None
    """One word: why it failed."""
    message: Annotated[str, StringConstraints(max_length=2048)] = ""
    """One sentence for people."""
    created_time: Timestamp
    """When it was decided."""
    start_time: Timestamp | None = None
    """When its solver started."""
    end_time: Timestamp | None = None
    """When its solver ended."""
    exit_code: Annotated[int, Field(ge=-255, le=255)] | None = None
    """Negative for the signal that ended the solver."""
    rate_card: RateCard | None = None
    """The prices that hold for it, as they stood when it started; None when it is free."""
    reserved: Money | None = None
    """The money held for it."""
    cost: Money | None = None
    """The money charged for it. What has ended and has none stays reserved: nobody knows what it cost."""
    queue_seconds: Annotated[float, Field(ge=0)] | None = None
    """From decision to the start of the solver."""
    run_seconds: Annotated[float, Field(ge=0)] | None = None
    """From the start to the end of the solver."""
    shots: Count | None = None
    """Shots taken."""
    qubits: Count | None = None
    """Qubits of the circuit that was sampled."""
    circuit_depth: Count | None = None
    """Depth of that circuit on the backend."""
    objective: float | None = None
    """What this attempt answered, whether or not it was accepted."""
    feasible: bool | None = None
    """Whether that answer satisfies the constraints."""


class CostStatus(Model):
    """Money, over all attempts."""

    currency: Currency | None = None
    """None while everything was free."""
    estimated: Money
    """What the chosen attempt was expected to cost, at the most what was reserved for it."""
    reserved: Money
    """Held for attempts under way, and for those that ended and nobody knows the cost of."""
    actual: Money
    """Charged for attempts that ended."""


class LatencyStatus(Model):
    """Where the time went."""

    queue_seconds: Annotated[float, Field(ge=0)] | None = None
    """From creation to the start of the first solver."""
    run_seconds: Annotated[float, Field(ge=0)] | None = None
    """Of all attempts together."""
    total_seconds: Annotated[float, Field(ge=0)] | None = None
    """From creation to the end."""


class FallbackStatus(Model):
    """The roll-back to the classical route."""

    source: Annotated[Route, Field(alias="from")]
    """The route that was left."""
    target: Annotated[Route, Field(alias="to")]
    """The route that took over."""
    reason: FallbackReason
    """One word: why."""
    message: Annotated[str, StringConstraints(max_length=2048)]
    """One sentence for people."""
    time: Timestamp
    """When."""


class HoldStatus(Model):
    """What a held job waits for, while it waits for money."""

    budgets: Annotated[list[Annotated[str, StringConstraints(max_length=63)]], list_of("atomic", 32)]
    """The budgets that have no room for it."""
    since_time: Timestamp
    """Since when."""
    until_time: Timestamp
    """Until when at the latest; then it goes on as spec.fallback says."""


class WaitingStatus(Model):
    """What a held job waits for, while the policy's windows or quotas keep it from starting."""

    reason: Literal["WindowClosed", "QuotaExceeded"]
    """One word: why."""
    until_time: Timestamp | None = None
    """When it ends, where that is known: a window opens, or a period moves on. A place becomes free when another
    attempt ends."""


class OptionStatus(Model):
    """One route that was weighed."""

    route: Route
    """Quantum or Classical."""
    backend: Annotated[str, StringConstraints(max_length=63)]
    """The policy's name of the backend; classical on the classical route."""
    estimated_cost: Money | None = None
    """What it was expected to cost: by the time that attempts have taken, where that is its price."""
    maximum_cost: Money | None = None
    """The most that it could cost: what is reserved."""
    currency: Currency | None = None
    """The currency of both."""
    reason: Annotated[str, StringConstraints(max_length=64)]
    """One word: why it was chosen, or what rules it out."""
    message: Annotated[str, StringConstraints(max_length=2048)]
    """One sentence for people."""
    next_open: Timestamp | None = None
    """When it opens, where its windows or its maintenance rule it out now."""


class DecisionStatus(Model):
    """Why this route."""

    chosen: OptionStatus | None = None
    rejected: Annotated[list[OptionStatus], list_of("atomic", 64)] = []
    """The other options, each with what rules it out."""


class HybridJobStatus(Model):
    """What the engine knows and decided. Written by the operator only."""

    conditions: Annotated[list[Condition], list_of("map", 8, "type")] = []
    """Succeeded is the summary: Unknown while the job is active."""
    observed_generation: Count = 0
    """The metadata.generation that this status was written for."""
    state: State = "Pending"
    """One word for people and printer columns."""
    reason: Reason | None = None
    """One word: why it fell back, failed or was cancelled."""
    message: Annotated[str, StringConstraints(max_length=2048)] = ""
    """One sentence for people."""
    start_time: Timestamp | None = None
    """When its first solver started."""
    completion_time: Timestamp | None = None
    """When it ended, whichever way."""
    policy: Annotated[str, StringConstraints(max_length=253)] | None = None
    """The policy that holds for this job."""
    route: Route | None = None
    """The route of the latest attempt, and then of the answer."""
    backend: Annotated[str, StringConstraints(max_length=63)] | None = None
    """Its backend."""
    attempts: Annotated[list[AttemptStatus], list_of("map", MAX_ATTEMPTS_KEPT, "number")] = []
    """Every run of a solver."""
    cost: CostStatus | None = None
    """Money, over all attempts."""
    latency: LatencyStatus | None = None
    """Where the time went."""
    result: ResultStatus | None = None
    """The answer: accepted, and not replaced by any other. The job has succeeded once nothing of it runs any more."""
    fallback: FallbackStatus | None = None
    """The roll-back to the classical route, if there was one."""
    hold: HoldStatus | None = None
    """Set while it waits for money; it holds none then."""
    waiting: WaitingStatus | None = None
    """Why no solver may start now, and until when."""
    decision: DecisionStatus | None = None
    """Why this route."""
