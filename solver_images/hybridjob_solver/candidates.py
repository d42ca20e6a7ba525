"""What an algorithm hands back, before anything is verified."""

from dataclasses import dataclass, field
from typing import Any

from hybridjob.contract.verdict import Iteration, Usage
from hybridjob_solver.encode.qubo import Bits, Ints


@dataclass(frozen=True)
class Candidates:
    """Distinct bit strings over the encoded variables, and how they were found.

    Shapes: bits (k, n), counts (k,). Bit strings are in variable order: bits[:, 0] is variable 0 and qubit 0. Slack
    bits, which come last, may be left out.
    """

    bits: Bits
    counts: Ints
    algorithm: str
    message: str
    """Half a sentence for people: which algorithm and why it, what it did."""
    is_optimal: bool = False
    """Proven: no assignment is better than the best of these."""
    convergence: list[Iteration] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    qubits: int | None = None
    circuit_depth: int | None = None
    circuit: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
