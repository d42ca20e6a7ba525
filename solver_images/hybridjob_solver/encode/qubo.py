"""QUBO and Ising forms: what every optimisation problem becomes before a solver sees it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bits = NDArray[np.uint8]
Bools = NDArray[np.bool_]

_BLOCK = 2**22
"""Numbers that one intermediate array may hold: 32 MiB."""


def row_blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices over `rows` rows such that an intermediate array with `width` columns stays small."""
    step = max(1, _BLOCK // max(1, width))
    return (slice(start, start + step) for start in range(0, rows, step))


@dataclass(frozen=True)
class Quadratic:
    """`offset + linear·x + Σ values_k x_rows[k] x_cols[k]` of integers x.

    Shapes: linear (n,); rows, cols and values (m,), each unordered pair at most once and rows ≤ cols.
    """

    linear: Floats
    rows: Ints
    cols: Ints
    values: Floats
    offset: float = 0.0

    @property
    def size(self) -> int:
        return len(self.linear)

    def energies(self, x: NDArray[np.integer]) -> Floats:
        """The value at each row of `x`, shape (k, n) -> (k,)."""
        energies = self.offset + x @ self.linear
        for block in row_blocks(len(x), len(self.values)):
            y = np.asarray(x[block], dtype=np.float64)
            energies[block] += (y[:, self.rows] * y[:, self.cols]) @ self.values
        return energies


@dataclass(frozen=True)
class Qubo(Quadratic):
    """Minimise a quadratic function over bits. Shapes as in Quadratic, with rows < cols: x² = x is linear."""

    def to_ising(self) -> "Ising":
        """The same function of spins, with x = (1 − s) / 2: bit 0 is spin +1."""
        fields = -self.linear / 2
        np.subtract.at(fields, self.rows, self.values / 4)
        np.subtract.at(fields, self.cols, self.values / 4)
        offset = self.offset + self.linear.sum() / 2 + self.values.sum() / 4
        return Ising(fields, self.rows, self.cols, self.values / 4, float(offset))


@dataclass(frozen=True)
class Ising:
    """Minimise `offset + fields·s + Σ couplings_k s_rows[k] s_cols[k]` over spins s = ±1. Shapes as in Qubo."""

    fields: Floats
    rows: Ints
    cols: Ints
    couplings: Floats
    offset: float = 0.0

    @property
    def size(self) -> int:
        return len(self.fields)

    def energies(self, bits: Bits) -> Floats:
        """The energy of each row of `bits` (bit 0 is spin +1), shape (k, n) -> (k,)."""
        s = 1 - 2 * np.asarray(bits, dtype=np.int64)
        return Quadratic(self.fields, self.rows, self.cols, self.couplings, self.offset).energies(s)

    def to_qubo(self) -> Qubo:
        """The same function of bits."""
        linear = -2 * self.fields
        np.subtract.at(linear, self.rows, 2 * self.couplings)
        np.subtract.at(linear, self.cols, 2 * self.couplings)
        offset = self.offset + self.fields.sum() + self.couplings.sum()
        return Qubo(linear, self.rows, self.cols, 4 * self.couplings, float(offset))
