"""What a solver answers: a verdict that fits a container's termination message, and a payload beside it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from hybridjob.contract.base import Model

MAX_VERDICT_BYTES = 4096
"""The limit of a Kubernetes termination message."""
PAYLOAD_PREFIX = b"hybridjob.dev/payload "
"""What the line of standard output begins with that holds a printed payload."""
MAX_PRINTED_PAYLOAD_BYTES = 2**19
"""Half of what a ConfigMap holds."""
MAX_MESSAGE_LENGTH = 1024
MAX_SOLUTION_BITS = 1024


Quantity = Annotated[int, Field(ge=0)]


class GateShots(Model):
    """The operations of the circuits that were handed to the backend, each counted once for every shot, over all tasks.

    Of the circuit as it was handed over: after transpilation, where that comes before. Barriers are not counted. A gate
    on N > 2 qubits counts as 6 (N - 2) gates on two. What depends on a measured bit counts as if it always ran.
    """

    one_qubit: Quantity = 0
    """Gates on one qubit."""
    two_qubit: Quantity = 0
    """Gates on two qubits."""
    preparations: Quantity = 0
    """Of a qubit in its ground state: each qubit that is used, once, and every reset."""
    measurements: Quantity = 0
    """Of one qubit each, in the middle of the circuit or at its end."""

    def __add__(self, other: "GateShots") -> "GateShots":
        return GateShots(
            one_qubit=self.one_qubit + other.one_qubit,
            two_qubit=self.two_qubit + other.two_qubit,
            preparations=self.preparations + other.preparations,
            measurements=self.measurements + other.measurements,
        )


class Usage(Model):
    """What the attempt used of the backend: the quantities that rate cards price."""

    tasks: Quantity = 0
    shots: Quantity = 0
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """Seconds on the backend itself."""
    gate_shots: GateShots | None = None
    """None where the solver does not tell."""


class Answer(Model):
    """A verified answer. Objective and feasibility are recomputed from the original problem."""

    objective: float
    feasible: bool
    sense: Literal["Maximize", "Minimize", "Value"]
    baseline: float | None = None
    """The objective of the classical solver on the same instance; a classical answer is its own. None where the
    classical solver found none."""
    solution: Annotated[str, Field(max_length=MAX_SOLUTION_BITS)] | None = None
    """The bit string in variable order; None when it is longer than 1,024 (the payload has it) or has no such form."""


class Verdict(Model):
    """The outcome of one attempt. `answer` is set exactly when the exit code is 0."""

    schema_version: Literal["hybridjob.dev/verdict/v1"] = "hybridjob.dev/verdict/v1"
    job_uid: str
    attempt: int
    exit_code: int
    message: Annotated[str, Field(max_length=MAX_MESSAGE_LENGTH)]
    """One sentence for people: how the answer was found, or why there is none and what must hold."""
    algorithm: str | None = None
    answer: Answer | None = None
    usage: Usage = Usage()
    qubits: int | None = None
    circuit_depth: int | None = None
    backend_failed: bool = False
    """With BACKEND_UNAVAILABLE: the backend can run nothing now, not only not this task."""
    payload_digest: str | None = None
    """`sha256:<hex>` over the payload file's bytes."""


class Iteration(Model):
    """One point of a solver's convergence, in the problem's own units and sense."""

    iteration: int
    objective: float
    """Expectation at this iteration (quantum) or best so far (classical)."""
    best: float


class Sample(Model):
    """One distinct outcome among the samples."""

    solution: str
    """The bit string in variable order; the values, joined by commas, where not all variables are binary."""
    objective: float
    feasible: bool
    count: int


class Payload(Model):
    """The full result of one attempt."""

    schema_version: Literal["hybridjob.dev/payload/v1"] = "hybridjob.dev/payload/v1"
    job_uid: str
    attempt: int
    solution: str | None = None
    assignment: dict[str, float] | None = None
    """Variable name to value, where the problem names its variables."""
    convergence: list[Iteration] = []
    samples: list[Sample] = []
    """The best and most frequent outcomes, best objective first, at most 1,024 of them."""
    baseline: dict[str, Any] | None = None
    """How the baseline was found: algorithm, objective, solution."""
    circuit: str | None = None
    """The circuit that was sampled, as OpenQASM 3."""
    parameters: dict[str, Any] = {}
    """Angles and settings that reproduce the answer."""
    prepare: list[dict[str, Any]] = []
    """What each prepare step did: its inputs, outputs and fitted numbers."""
    versions: dict[str, str] = {}
    """Versions of the libraries that took part."""
