"""Lists of terms, as the contract has them, as arrays."""

import numpy as np

from hybridjob_solver.encode.qubo import Floats, Ints


def split_pairs(terms: list[tuple[int, int, float]]) -> tuple[Ints, Floats]:
    """Index pairs, shape (2, m), and values, shape (m,)."""
    pairs = np.array([term[:2] for term in terms], dtype=np.int64).reshape(-1, 2).T
    return pairs, np.array([term[2] for term in terms], dtype=np.float64)


def dense_linear(terms: list[tuple[int, float]], size: int) -> Floats:
    """Values by index, zero where none is given, shape (size,)."""
    linear = np.zeros(size)
    for index, value in terms:
        linear[index] = value
    return linear
