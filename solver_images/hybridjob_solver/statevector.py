"""A small exact simulator of circuits, in numpy: what sampled answers are compared with, and the classical answer.

Basis states are numbered as in `diagonal`: qubit j is bit j of the index, least significant first.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hybridjob_solver.circuit_text import Gate
from hybridjob_solver.encode.qubo import Floats, Ints

Amplitudes = NDArray[np.complex128]
Matrix = NDArray[np.complex128]

MAX_QUBITS = 24
"""The largest state: 256 MiB, and as much again while a gate is applied."""


def _u3(theta: float, phi: float, lam: float) -> Matrix:
    cosine, sine = np.cos(theta / 2), np.sin(theta / 2)
    return np.array([
        [cosine, -np.exp(1j * lam) * sine],
        [np.exp(1j * phi) * sine, np.exp(1j * (phi + lam)) * cosine],
    ])  # fmt: skip


def _phase(angle: float) -> Matrix:
    return np.diag([1, np.exp(1j * angle)])


def _rx(angle: float) -> Matrix:
    return _u3(angle, -np.pi / 2, np.pi / 2)


def _ry(angle: float) -> Matrix:
    return _u3(angle, 0, 0)


def _rz(angle: float) -> Matrix:
    return np.diag([np.exp(-0.5j * angle), np.exp(0.5j * angle)])


def _controlled(matrix: Matrix) -> Matrix:
    """The matrix with one more qubit in front that controls it."""
    size = len(matrix)
    controlled = np.eye(2 * size, dtype=np.complex128)
    controlled[size:, size:] = matrix
    return controlled


_X = np.array([[0, 1], [1, 0]], dtype=np.complex128)
_Y = np.array([[0, -1j], [1j, 0]])
_Z = np.diag([1, -1]).astype(np.complex128)
_H = np.array([[1, 1], [1, -1]], dtype=np.complex128) / np.sqrt(2)
_SX = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
_SWAP = np.eye(4, dtype=np.complex128)[[0, 2, 1, 3]]

GATES: dict[str, tuple[int, int, Callable[..., Matrix]]] = {
    "id": (0, 1, lambda: np.eye(2, dtype=np.complex128)),
    "x": (0, 1, lambda: _X),
    "y": (0, 1, lambda: _Y),
    "z": (0, 1, lambda: _Z),
    "h": (0, 1, lambda: _H),
    "s": (0, 1, lambda: _phase(np.pi / 2)),
    "sdg": (0, 1, lambda: _phase(-np.pi / 2)),
    "t": (0, 1, lambda: _phase(np.pi / 4)),
    "tdg": (0, 1, lambda: _phase(-np.pi / 4)),
    "sx": (0, 1, lambda: _SX),
    "p": (1, 1, _phase),
    "rx": (1, 1, _rx),
    "ry": (1, 1, _ry),
    "rz": (1, 1, _rz),
    "u3": (3, 1, _u3),
    "cx": (0, 2, lambda: _controlled(_X)),
    "cy": (0, 2, lambda: _controlled(_Y)),
    "cz": (0, 2, lambda: _controlled(_Z)),
    "ch": (0, 2, lambda: _controlled(_H)),
    "cp": (1, 2, lambda angle: _controlled(_phase(angle))),
    "crx": (1, 2, lambda angle: _controlled(_rx(angle))),
    "cry": (1, 2, lambda angle: _controlled(_ry(angle))),
    "crz": (1, 2, lambda angle: _controlled(_rz(angle))),
    "swap": (0, 2, lambda: _SWAP),
    "ccx": (0, 3, lambda: _controlled(_controlled(_X))),
    "cswap": (0, 3, lambda: _controlled(_SWAP)),
}
"""Name -> number of parameters, number of qubits, matrix: the gates of `stdgates.inc` that every backend reads alike.
The first qubit is the most significant bit of the matrix's index."""


def simulate(qubits: int, gates: Iterable[Gate]) -> Amplitudes:
    """The state that the gates make of |0…0⟩, shape (2^qubits,). Conditions are not looked at."""
    state = np.zeros(1 << qubits, dtype=np.complex128)
    state[0] = 1.0
    tensor = state.reshape((2,) * qubits)
    for gate in gates:
        _, _, matrix = GATES[gate.name]
        _apply(tensor, matrix(*gate.parameters), [qubits - 1 - qubit for qubit in gate.qubits])
    return state


def _apply(tensor: Amplitudes, matrix: Matrix, axes: Sequence[int]) -> None:
    """Multiply by `matrix` in place. Rows of the identity cost nothing: a cx moves half of the state, not all."""
    slices: list[tuple[int | slice, ...]] = []
    for values in product((0, 1), repeat=len(axes)):
        index: list[int | slice] = [slice(None)] * tensor.ndim
        for axis, value in zip(axes, values, strict=True):
            index[axis] = value
        slices.append(tuple(index))
    changed = [row for row in range(len(matrix)) if not np.array_equal(matrix[row], np.eye(len(matrix))[row])]
    # `...` keeps a slice of all axes an array.
    before = {column: tensor[slices[column]].copy() for column in np.flatnonzero(matrix[changed].any(axis=0))}
    for row in changed:
        tensor[slices[row]] = sum(matrix[row, column] * part for column, part in before.items() if matrix[row, column])


def marginal(probabilities: Floats, qubits: Sequence[int]) -> Floats:
    """The distribution of some distinct qubits, shape (2^len(qubits),): qubit `qubits[j]` is bit j of the index."""
    n = len(probabilities).bit_length() - 1
    axes = [n - 1 - qubit for qubit in reversed(qubits)]
    others = [axis for axis in range(n) if axis not in axes]
    tensor = probabilities.reshape((2,) * n).transpose(*axes, *others)
    return np.asarray(tensor.reshape(1 << len(axes), -1).sum(axis=1))


def expectation(state: Amplitudes, pauli: str) -> float:
    """⟨state|pauli|state⟩; letter j of `pauli` acts on qubit j."""
    n = len(pauli)
    flipped = state.copy()
    tensor = flipped.reshape((2,) * n)
    matrices = {"X": _X, "Y": _Y, "Z": _Z}
    for qubit, letter in enumerate(pauli):
        if letter != "I":
            _apply(tensor, matrices[letter], [n - 1 - qubit])
    return float(np.vdot(state, flipped).real)


def sample(probabilities: Floats, shots: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw basis states: their distinct indices, ascending, and how often each came."""
    cumulative = np.cumsum(probabilities)
    draws = np.searchsorted(cumulative, rng.random(shots) * cumulative[-1], side="right")
    indices, counts = np.unique(draws, return_counts=True)
    return indices.astype(np.int64), counts.astype(np.int64)
