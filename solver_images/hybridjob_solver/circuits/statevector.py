"""A small exact simulator of circuits, in numpy: what sampled answers are compared with, and the classical answer.

Basis states are numbered as in `diagonal`: qubit j is bit j of the index, least significant first.
"""

from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hybridjob_solver.circuits.gates import BASIC_GATES, Gate, Matrix
from hybridjob_solver.encode.qubo import Floats, Ints

Amplitudes = NDArray[np.complex128]

MAX_QUBITS = 24
"""The largest state: 256 MiB, and as much again while a gate is applied."""


def simulate(qubits: int, gates: Iterable[Gate]) -> Amplitudes:
    """The state that the gates make of |0…0⟩, shape (2^qubits,). Conditions are not looked at."""
    state = np.zeros(1 << qubits, dtype=np.complex128)
    state[0] = 1.0
    apply_gates(state, gates)
    return state


def apply_gates(state: Amplitudes, gates: Iterable[Gate]) -> None:
    """Apply the gates to `state` in place, shape (2^qubits,)."""
    for gate in gates:
        _apply(state, gate.matrix(), gate.qubits)


def expectation(state: Amplitudes, pauli: str) -> float:
    """⟨state|pauli|state⟩; letter j of `pauli` acts on qubit j."""
    image = state.copy()
    for qubit, letter in enumerate(pauli):
        if letter != "I":
            _apply(image, BASIC_GATES[letter.lower()].matrix(), (qubit,))
    return float(np.vdot(state, image).real)


def marginal(probabilities: Floats, qubits: Sequence[int]) -> Floats:
    """The distribution of some distinct qubits, shape (2^len(qubits),): qubit `qubits[j]` is bit j of the index."""
    n = _qubit_count(probabilities)
    kept = [n - 1 - qubit for qubit in reversed(qubits)]
    summed = [axis for axis in range(n) if axis not in kept]
    tensor = probabilities.reshape((2,) * n).transpose(*kept, *summed)
    return np.asarray(tensor.reshape(1 << len(kept), -1).sum(axis=1))


def sample(probabilities: Floats, shots: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw basis states: their distinct indices, ascending, and how often each came."""
    cumulative = np.cumsum(probabilities)
    draws = np.searchsorted(cumulative, rng.random(shots) * cumulative[-1], side="right")
    indices, counts = np.unique(draws, return_counts=True)
    return indices.astype(np.int64), counts.astype(np.int64)


def _qubit_count(states: Floats | Amplitudes) -> int:
    return len(states).bit_length() - 1


def _apply(state: Amplitudes, matrix: Matrix, qubits: Sequence[int]) -> None:
    """Multiply by `matrix` in place. Rows of the identity cost nothing: a cx moves half of the state, not all."""
    n = _qubit_count(state)
    tensor = state.reshape((2,) * n)
    parts = []
    for values in product((0, 1), repeat=len(qubits)):
        index: list[int | slice] = [slice(None)] * n
        for qubit, value in zip(qubits, values, strict=True):
            index[n - 1 - qubit] = value
        # The ellipsis keeps a part an array when no axis is left of it.
        parts.append(tensor[(*index, ...)])
    rows = [row for row in range(len(parts)) if not np.array_equal(matrix[row], np.eye(len(parts))[row])]
    before = {int(column): parts[column].copy() for column in np.flatnonzero(matrix[rows].any(axis=0))}
    for row in rows:
        parts[row][...] = sum(matrix[row, column] * part for column, part in before.items() if matrix[row, column])
