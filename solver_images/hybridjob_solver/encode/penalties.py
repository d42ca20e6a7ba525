"""Constraints as penalties: from a program over bits to a QUBO.

Each constraint becomes `weight · (coefficients·x + slack − upper)²` in integers, so that the smallest violation costs
`weight`. The weight is at least `highest feasible − lowest infeasible objective`, bounded from the coefficients: every
infeasible string is then worse than every feasible one. It is no larger than that bound asks for (and a part in a
thousand, to be strictly worse in floating point), because a large penalty flattens the objective for every solver.
"""

import math
from fractions import Fraction

import numpy as np

from hybridjob_solver.encode.program import Constraint, Program, range_weights
from hybridjob_solver.encode.qubo import Floats, Ints, Quadratic, Qubo
from hybridjob_solver.failures import BackendUnavailableError, InvalidTaskError

_MAX_DENOMINATOR = 10**6
_MAX_ACTIVITY = 2**20
"""Largest integer that a scaled constraint may reach: its square times the weight keeps 12 exact bits in float64."""
_MAX_PRODUCTS = 5_000_000
_MARGIN = 1e-3


class _Row:
    """A constraint in integers, `coefficients·x + slack = upper` with slack in 0 … width."""

    def __init__(self, constraint: Constraint) -> None:
        self.name = constraint.name
        self.columns = constraint.columns
        fractions = [_fraction(constraint.name, value) for value in constraint.coefficients]
        scale = math.lcm(*(fraction.denominator for fraction in fractions)) if fractions else 1
        integers = [int(fraction * scale) for fraction in fractions]
        divisor = math.gcd(*integers) or 1
        integers = [value // divisor for value in integers]
        lowest, highest = sum(v for v in integers if v < 0), sum(v for v in integers if v > 0)
        if max(-lowest, highest) > _MAX_ACTIVITY:
            raise _not_exact(constraint.name, f"it reaches {max(-lowest, highest)}, beyond {_MAX_ACTIVITY}")
        self.coefficients: Ints = np.array(integers, dtype=np.int64)
        # Integers cannot reach a fractional bound: it rounds to the next one inside.
        factor = Fraction(scale, divisor)
        self.upper = highest
        if constraint.upper < math.inf:
            self.upper = min(highest, math.floor(_fraction(constraint.name, constraint.upper) * factor))
        lower = lowest
        if constraint.lower > -math.inf:
            lower = max(lowest, math.ceil(_fraction(constraint.name, constraint.lower) * factor))
        self.width = self.upper - lower
        if self.width < 0:
            raise InvalidTaskError(f"The constraint {self.name!r} cannot hold: no values of its variables satisfy it")
        self.is_redundant = lower == lowest and self.upper == highest


def _fraction(name: str, value: float) -> Fraction:
    fraction = Fraction(value).limit_denominator(_MAX_DENOMINATOR)
    # Wider than a rounding error, as integers with a lower bound shift the sides; far narrower than the 1e-9 with
    # which a program's feasibility is told.
    if not math.isclose(float(fraction), value, rel_tol=1e-12, abs_tol=0.0):
        raise _not_exact(name, f"{value!r} is no fraction with a denominator up to {_MAX_DENOMINATOR}")
    return fraction


def _not_exact(name: str, reason: str) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"The constraint {name!r} has no exact penalty in integers: {reason}; it must be solved with classical Exact"
    )


def penalise(program: Program) -> Qubo:
    """The QUBO of a program over bits. Bits of slack variables follow those of the program.

    Its minimum over the slack bits is the objective at feasible strings, and above the objective of every feasible
    string at infeasible ones. Raises BackendUnavailableError where no exact penalty exists, InvalidTaskError where a
    constraint cannot hold.
    """
    rows = [row for row in map(_Row, program.constraints) if not row.is_redundant]
    objective = program.objective
    if not rows:
        return Qubo(objective.linear, objective.rows, objective.cols, objective.values, objective.offset)
    slacks = [range_weights(row.width) for row in rows]
    products = sum((len(row.columns) + len(slack)) ** 2 // 2 for row, slack in zip(rows, slacks, strict=True))
    if products > _MAX_PRODUCTS:
        raise BackendUnavailableError(
            f"The penalties of the constraints have {products} products: they must have at most {_MAX_PRODUCTS}"
        )

    weight = _penalty_weight(program)
    n, size = objective.size, objective.size + sum(map(len, slacks))
    linear = np.concatenate([objective.linear, np.zeros(size - n)])
    offset = objective.offset
    keys, values = [objective.rows * size + objective.cols], [objective.values]
    next_slack = n
    for row, slack in zip(rows, slacks, strict=True):
        columns = np.concatenate([row.columns, np.arange(next_slack, next_slack + len(slack))])
        coefficients = np.concatenate([row.coefficients, slack]).astype(np.float64)
        next_slack += len(slack)
        # (a·y − u)² = u² + Σ a_i (a_i − 2u) y_i + Σ_{i<j} 2 a_i a_j y_i y_j for bits y
        offset += weight * row.upper**2
        np.add.at(linear, columns, weight * coefficients * (coefficients - 2 * row.upper))
        i, j = np.triu_indices(len(columns), k=1)
        keys.append(np.minimum(columns[i], columns[j]) * size + np.maximum(columns[i], columns[j]))
        values.append(2 * weight * coefficients[i] * coefficients[j])
    pairs, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    summed = np.bincount(inverse, weights=np.concatenate(values), minlength=len(pairs)).astype(np.float64)
    return Qubo(linear, pairs // size, pairs % size, summed, float(offset))


def _penalty_weight(program: Program) -> float:
    """The price of violating a constraint by one unit."""
    objective = program.objective
    if program.cardinality is not None:
        gap = _cardinality_gap(objective, program.cardinality)
    else:
        low, high = _bounds(objective)
        gap = high - low
    scale = max(float(np.abs(objective.linear).max(initial=0.0)), float(np.abs(objective.values).max(initial=0.0)))
    return max(gap, 0.0) * (1 + _MARGIN) + (scale * _MARGIN or 1.0)


def _bounds(objective: Quadratic) -> tuple[float, float]:
    """Bounds of the objective over all bit strings, without its offset.

    Each product is shared evenly by its two variables: `Σ x_i (linear_i + ½ Σ_j q_ij x_j)`, bounded term by term.
    """
    low, high = objective.linear.copy(), objective.linear.copy()
    for ends in (objective.rows, objective.cols):
        np.add.at(low, ends, np.minimum(objective.values, 0) / 2)
        np.add.at(high, ends, np.maximum(objective.values, 0) / 2)
    return float(np.minimum(low, 0).sum()), float(np.maximum(high, 0).sum())


def _cardinality_gap(objective: Quadratic, select: int) -> float:
    """The largest `(highest objective with `select` ones − lowest with m ones) / (m − select)²` over m ≠ select.

    A string of m ones violates Σx = select by |m − select|, so its penalty grows with the square: strings far from
    feasible need less weight than `_bounds` would give them. With m ones, `x_i (linear_i + ½ Σ_j q_ij x_j)` counts
    m − 1 of the couplings, and m of these terms count.
    """
    n = objective.size
    couplings = np.zeros((n, n))
    couplings[objective.rows, objective.cols] = couplings[objective.cols, objective.rows] = objective.values / 2
    np.fill_diagonal(couplings, np.inf)  # sorts last: a variable has no coupling with itself
    partial = np.zeros((n, n))
    np.cumsum(np.sort(couplings, axis=1)[:, :-1], axis=1, out=partial[:, 1:])
    lowest = np.array([0.0, *(_smallest(objective.linear + partial[:, m - 1], m) for m in range(1, n + 1))])
    np.fill_diagonal(couplings, -np.inf)
    largest = -np.sort(-couplings, axis=1)[:, : select - 1].sum(axis=1)
    highest = -_smallest(-objective.linear - largest, select)
    m = np.arange(n + 1)
    others = m != select
    return float(((highest - lowest[others]) / (m[others] - select) ** 2).max())


def _smallest(terms: Floats, count: int) -> float:
    return float(np.sort(terms)[:count].sum())
