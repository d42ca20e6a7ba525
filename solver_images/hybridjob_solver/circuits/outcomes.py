"""The exact distribution of what a circuit's measurements give."""

import numpy as np

from hybridjob_solver.circuits.model import Circuit
from hybridjob_solver.circuits.statevector import marginal, sample, simulate
from hybridjob_solver.encode.qubo import Bits, Floats, Ints


class OutcomeDistribution:
    """The outcomes of an ideal circuit that is not dynamic, as strings of its classical bits.

    A qubit may be measured into several bits, and a bit may stay unwritten: it is 0.
    """

    def __init__(self, circuit: Circuit) -> None:
        measurements = circuit.measurements
        qubits = list(dict.fromkeys(measurements.values()))
        self._bit_count = circuit.bits
        self._bits = np.array(list(measurements), dtype=np.int64)
        # Position of each bit's qubit in the index of the distribution.
        self._positions = np.array([qubits.index(qubit) for qubit in measurements.values()], dtype=np.int64)
        state = simulate(circuit.qubits, circuit.gates)
        self._probabilities = marginal(np.square(np.abs(state)), qubits)

    def most_probable(self) -> tuple[Bits, float]:
        """The outcome of the highest probability, shape (m,), and that probability."""
        index = int(np.argmax(self._probabilities))
        return self._outcomes(np.array([index]))[0], float(self._probabilities[index])

    def probability_of(self, outcomes: Bits) -> Floats:
        """The probability of each outcome, shape (k, m) -> (k,)."""
        indices = np.zeros(len(outcomes), dtype=np.int64)
        for bit, position in zip(self._bits, self._positions, strict=True):
            indices |= outcomes[:, bit].astype(np.int64) << position
        # Bits of the same qubit that differ, or an unwritten bit that is 1, come from noise alone.
        possible = (self._outcomes(indices) == outcomes).all(axis=1)
        return np.where(possible, self._probabilities[indices], 0.0)

    def draw(self, shots: int, seed: int) -> tuple[Bits, Ints]:
        """Distinct outcomes of `shots` ideal shots, (k, m), and their counts, (k,)."""
        indices, counts = sample(self._probabilities, shots, np.random.default_rng(seed))
        return self._outcomes(indices), counts

    def _outcomes(self, indices: Ints) -> Bits:
        outcomes = np.zeros((len(indices), self._bit_count), dtype=np.uint8)
        outcomes[:, self._bits] = (indices[:, None] >> self._positions) & 1
        return outcomes
