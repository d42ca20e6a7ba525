"""QUBO and Ising forms: what every optimisation problem becomes before a solver sees it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bits = NDArray[np.uint8]


@dataclass(frozen=True)
class Qubo:
    """Minimise `offset + linear·x + Σ values_k x_rows[k] x_cols[k]` over bits x.

    Shapes: linear (n,); rows, cols and values (m,), each unordered pair at most once and rows < cols.
    """

    linear: Floats
    rows: Ints
    cols: Ints
    values: Floats
    offset: float = 0.0

    @property
    def size(self) -> int:
        return len(self.linear)

    def energies(self, bits: Bits) -> Floats:
        """The energy of each row of `bits`, shape (k, n) -> (k,)."""
        x = np.asarray(bits, dtype=np.float64)
        return self.offset + x @ self.linear + (x[:, self.rows] * x[:, self.cols]) @ self.values

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
        s = 1.0 - 2.0 * np.asarray(bits, dtype=np.float64)
        return self.offset + s @ self.fields + (s[:, self.rows] * s[:, self.cols]) @ self.couplings

    def to_qubo(self) -> Qubo:
        """The same function of bits."""
        linear = -2 * self.fields
        np.subtract.at(linear, self.rows, 2 * self.couplings)
        np.subtract.at(linear, self.cols, 2 * self.couplings)
        offset = self.offset + self.fields.sum() + self.couplings.sum()
        return Qubo(linear, self.rows, self.cols, 4 * self.couplings, float(offset))
