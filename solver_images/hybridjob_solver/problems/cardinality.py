"""Problems that choose exactly so many of their items, by a quadratic merit."""

import numpy as np

from hybridjob_solver.encode.encoding import Encoding
from hybridjob_solver.encode.program import Constraint, over_bits
from hybridjob_solver.encode.qubo import Bools, Floats, Ints, Qubo


def selects(values: Ints, count: int) -> Bools:
    """Whether each row of `values` has exactly `count` ones, (k, n) -> (k,)."""
    selected: Bools = values.sum(axis=1) == count
    return selected


def encode_selection(merits: Floats, costs: Floats, count: int) -> Encoding:
    """Maximise `merits·x − xᵀ costs x` with exactly `count` ones. Shapes: merits (n,), costs (n, n)."""
    n = len(merits)
    rows, cols = np.triu_indices(n, k=1)
    pairs = costs[rows, cols] + costs[cols, rows]
    kept = pairs != 0
    objective = Qubo(np.diag(costs) - merits, rows[kept], cols[kept], pairs[kept])
    constraint = Constraint(f"select {count}", np.arange(n), np.ones(n), count, count)
    return Encoding(over_bits(objective, (constraint,)), "Maximize")
