"""QAOA for diagonal cost functions, on a precomputed table of all 2^n energies.

The parameter search of QAOA needs nothing but this: the cost layer is one multiplication by exp(−iγE) per amplitude,
and the mixer a handful of small matrix products. No circuit, no transpiler, no simulator.

Bit order, here and in the whole package: variable j is qubit j and bit j of a basis state's index, least significant
first, so `index = Σ x_j 2^j`. Arrays of bits are in variable order: `bits[:, 0]` is variable 0.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hybridjob_solver.encode.qubo import Bits, Floats, Ints, Qubo

MAX_QUBITS = 26
"""The largest table that is built: evolution takes 48 bytes per basis state, 3 GiB at 26 qubits."""

_MIXER_GROUP = 3
"""Qubits that one matrix product mixes. Measured best of 2 to 6: wider ones cost flops, narrower ones passes."""
_BLOCK = 1 << 14
"""Amplitudes per step of the cost layer: what fits the second-level cache."""
_TURN_BITS = 13
"""Phases are looked up as a coarse and a fine rotation of this many bits each: 26 bits are steps of 9.4e-8 radians."""


def energies_of_all_states(qubo: Qubo) -> Floats:
    """The energy of every basis state, shape (2^n,). Takes O(2^n): each variable doubles the table of those before.

    Raises MemoryError where the table does not fit.
    """
    n = qubo.size
    couplings = np.zeros((n, n))
    couplings[qubo.rows, qubo.cols] = qubo.values
    table = np.empty(1 << n)
    table[0] = qubo.offset
    # field[i]: what variable k adds to state i of the variables before it.
    field = np.empty(1 << max(n - 1, 0))
    for k in range(n):
        field[0] = qubo.linear[k]
        for j in range(k):
            np.add(field[: 1 << j], couplings[j, k], out=field[1 << j : 2 << j])
        np.add(table[: 1 << k], field[: 1 << k], out=table[1 << k : 2 << k])
    return table


def bits_of(indices: Ints, n: int) -> Bits:
    """The bit strings of basis-state indices, shape (k,) -> (k, n), in variable order."""
    return ((indices[:, None] >> np.arange(n)) & 1).astype(np.uint8)


class DiagonalQaoa:
    """The QAOA state of a table of energies, `Π_l exp(iβ_l ΣX) exp(−iγ_l E) |+⟩`, in double precision.

    The mixer is written for −ΣX, of which |+⟩ is the ground state: positive angles then anneal towards low energies.

    The state is kept in the basis S^⊗n, S = diag(1, i), where exp(iβX) is the real rotation exp(iβY): a product of a
    real with a complex matrix takes half the flops of two complex ones. S commutes with the cost and does not change
    probabilities, so that only the initial state shows it.
    """

    def __init__(self, energies: Floats) -> None:
        self._energies = energies
        self._lowest = float(energies.min())
        self._state = np.empty(len(energies), dtype=np.complex128)
        self._scratch = np.empty_like(self._state)
        steps = 1 << _TURN_BITS
        self._coarse = np.exp(-2j * np.pi * np.arange(steps) / steps)
        self._fine = np.exp(-2j * np.pi * np.arange(steps) / steps**2)

    @property
    def qubits(self) -> int:
        return len(self._energies).bit_length() - 1

    def probabilities(self, gammas: Sequence[float], betas: Sequence[float]) -> Floats:
        """The probability of every basis state, shape (2^n,). `gammas` are in units of 1/energy, `betas` in radians."""
        self._prepare_plus()
        for gamma, beta in zip(gammas, betas, strict=True):
            self._apply_cost(gamma)
            self._apply_mixer(beta)
        squares = np.square(self._state.view(np.float64), out=self._scratch.view(np.float64))
        return np.add(squares[0::2], squares[1::2])

    def energy(self, gammas: Sequence[float], betas: Sequence[float]) -> float:
        """The expectation of the energy."""
        return float(self.probabilities(gammas, betas) @ self._energies)

    def _prepare_plus(self) -> None:
        """S^⊗n |+⟩: amplitude i^popcount / √2^n."""
        state = self._state
        state[0] = len(state) ** -0.5
        for k in range(self.qubits):
            np.multiply(state[: 1 << k], 1j, out=state[1 << k : 2 << k])

    def _apply_cost(self, gamma: float) -> None:
        """Multiply by exp(−iγ(E − E_min)). Two table look-ups take a sixth of the time of a sine and a cosine."""
        mask = (1 << _TURN_BITS) - 1
        scale = gamma / (2 * np.pi) * (1 << 2 * _TURN_BITS)
        for start in range(0, len(self._state), _BLOCK):
            block = slice(start, start + _BLOCK)
            angle = ((self._energies[block] - self._lowest) * scale).astype(np.int64)
            self._state[block] *= self._coarse[(angle >> _TURN_BITS) & mask]
            self._state[block] *= self._fine[angle & mask]

    def _apply_mixer(self, beta: float) -> None:
        """exp(iβY) on every qubit, a group of qubits per matrix product."""
        cosine, sine = np.cos(beta), np.sin(beta)
        rotation = np.array([[cosine, sine], [-sine, cosine]])
        bounds = [*range(0, self.qubits, _MIXER_GROUP), self.qubits]
        for low, high in pairwise(bounds):
            matrix = np.ones((1, 1))
            for _ in range(low, high):
                matrix = np.kron(matrix, rotation)
            source, target = self._state.view(np.float64), self._scratch.view(np.float64)
            if low:
                shape: tuple[int, ...] = (-1, len(matrix), 2 << low)
                np.matmul(matrix, source.reshape(shape), out=target.reshape(shape))
            else:
                # The lowest group has no long rows to multiply: real and imaginary parts join its columns instead.
                shape = (-1, 2 * len(matrix))
                np.matmul(source.reshape(shape), np.kron(matrix.T, np.eye(2)), out=target.reshape(shape))
            self._state, self._scratch = self._scratch, self._state
