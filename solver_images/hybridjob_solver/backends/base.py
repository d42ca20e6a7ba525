"""What a quantum backend is: it samples an OpenQASM 3 circuit."""

from dataclasses import dataclass
from typing import Protocol

from hybridjob.contract.verdict import GateShots
from hybridjob_solver.encode.qubo import Bits, Ints


@dataclass(frozen=True)
class Samples:
    """Distinct outcomes of a circuit's classical bits, in ascending order of the bit strings.

    Shapes: bits (k, m), counts (k,). `bits[:, 0]` is bit 0 of the circuit.
    """

    bits: Bits
    counts: Ints
    depth: int
    """Depth of the circuit as it ran: after transpilation, where the backend transpiles."""
    seconds: float
    """Seconds on the backend itself: neither parsing nor transpilation."""
    gate_shots: GateShots
    """What ran: of the circuit as it was handed over."""


class QuantumBackend(Protocol):
    """An adapter to one SDK. It gets circuits of the form that `circuits.model` writes.

    To add one: write a module with a class that has this method, and name it in `backends.registry`.
    """

    def sample(self, qasm3: str, shots: int, seed: int) -> Samples:
        """Run the circuit `shots` times. The same seed gives the same samples.

        Raises BackendUnavailableError when the backend cannot run the circuit, and MemoryError when it does not fit.
        """
