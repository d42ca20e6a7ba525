"""The canonical form of every optimisation problem: a quadratic objective over bounded integers, linear constraints."""

from dataclasses import dataclass

import numpy as np

from hybridjob_solver.encode.qubo import Floats, Ints, Quadratic, Qubo
from hybridjob_solver.failures import InvalidTaskError

_LARGEST = 1e15
"""Coefficients may add up to this: beyond, float64 no longer tells neighbouring objective values apart."""


@dataclass(frozen=True)
class Constraint:
    """`lower ≤ coefficients·x[columns] ≤ upper`, infinite where one-sided. Shapes: columns, coefficients (k,)."""

    name: str
    columns: Ints
    coefficients: Floats
    lower: float
    upper: float


@dataclass(frozen=True)
class Program:
    """Minimise `objective` over integers `lower ≤ x ≤ upper` that satisfy `constraints`. Shapes: lower, upper (n,)."""

    objective: Quadratic
    lower: Ints
    upper: Ints
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        terms = (self.objective.linear, self.objective.values, self.objective.offset)
        with np.errstate(over="ignore", invalid="ignore"):
            total = sum(float(np.abs(term).sum()) for term in terms)
        if not total <= _LARGEST:
            raise InvalidTaskError(
                f"The objective's coefficients add up to {total:.3g}: they must stay below {_LARGEST:.0e}; scale them"
            )

    @property
    def is_binary(self) -> bool:
        return bool(np.all(self.lower == 0) and np.all(self.upper == 1))

    @property
    def cardinality(self) -> int | None:
        """How many of the variables must be one, where that is the only constraint on bits."""
        if len(self.constraints) != 1 or not self.is_binary:
            return None
        only = self.constraints[0]
        names_all = len(only.columns) == self.objective.size and bool(np.all(only.coefficients == 1))
        return int(only.upper) if names_all and only.lower == only.upper and only.upper % 1 == 0 else None


def over_bits(objective: Qubo, constraints: tuple[Constraint, ...] = ()) -> Program:
    """A program over bits."""
    n = objective.size
    return Program(objective, np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.int64), constraints)


@dataclass(frozen=True)
class BinaryExpansion:
    """Bounded integers as weighted sums of bits: `x_j = lower_j + Σ weights[k] bits[k]`, k in starts[j]:starts[j+1].

    The weights of a variable of range r are 1, 2, 4, …, and a remainder that makes them add up to r: every code is in
    range, so bounds need no constraint. Shapes: lower (n,), starts (n + 1,), weights (m,).
    """

    lower: Ints
    starts: Ints
    weights: Ints

    @property
    def size(self) -> int:
        """The number of bits."""
        return len(self.weights)

    def decode(self, bits: Ints) -> Ints:
        """Integers of bits, shape (k, m) -> (k, n)."""
        sums = np.zeros((len(bits), self.size + 1), dtype=np.int64)
        np.cumsum(bits * self.weights, axis=1, out=sums[:, 1:])
        return self.lower + sums[:, self.starts[1:]] - sums[:, self.starts[:-1]]

    def encode(self, values: Ints) -> Ints:
        """Bits of integers, shape (k, n) -> (k, m): one of the codes of each."""
        bits = np.zeros((len(values), self.size), dtype=np.int64)
        for j, (start, end) in enumerate(zip(self.starts, self.starts[1:], strict=False)):
            rest = values[:, j] - self.lower[j]
            # Each weight is at most 1 + the sum of the smaller ones, so greedy from the largest never gets stuck.
            for k in start + np.argsort(-self.weights[start:end], kind="stable"):
                bits[:, k] = rest >= self.weights[k]
                rest = rest - bits[:, k] * self.weights[k]
        return bits


def range_weights(size: int) -> list[int]:
    """The weights 1, 2, 4, …, remainder whose subset sums are exactly 0 … size."""
    weights: list[int] = []
    while size > 0:
        weight = min(1 << len(weights), size)
        weights.append(weight)
        size -= weight
    return weights


def expand(program: Program) -> tuple[Program, BinaryExpansion]:
    """The same program over bits, and how its integers are made of them."""
    widths = [range_weights(int(size)) for size in program.upper - program.lower]
    starts = np.cumsum([0] + [len(weights) for weights in widths])
    weights = np.array([weight for weights in widths for weight in weights], dtype=np.int64)
    expansion = BinaryExpansion(program.lower, starts, weights)
    if program.is_binary:
        objective = program.objective
        qubo = Qubo(objective.linear, objective.rows, objective.cols, objective.values, objective.offset)
        return over_bits(qubo, program.constraints), expansion
    constraints = tuple(_expand_constraint(constraint, expansion) for constraint in program.constraints)
    return over_bits(_expand_objective(program.objective, expansion), constraints), expansion


def _expand_constraint(constraint: Constraint, expansion: BinaryExpansion) -> Constraint:
    columns: list[int] = []
    coefficients: list[float] = []
    shift = 0.0
    for column, coefficient in zip(constraint.columns, constraint.coefficients, strict=True):
        bits = range(expansion.starts[column], expansion.starts[column + 1])
        columns += bits
        coefficients += [coefficient * expansion.weights[k] for k in bits]
        shift += coefficient * expansion.lower[column]
    return Constraint(
        constraint.name,
        np.array(columns, dtype=np.int64),
        np.array(coefficients, dtype=np.float64),
        constraint.lower - shift,
        constraint.upper - shift,
    )


def _expand_objective(objective: Quadratic, expansion: BinaryExpansion) -> Qubo:
    """Multiply out `Π (lower + Σ weights·bits)` of every term."""
    lower, starts, weights = expansion.lower, expansion.starts, expansion.weights
    offset = objective.offset + float(objective.linear @ lower)
    linear = np.repeat(objective.linear, np.diff(starts)) * weights
    products: dict[tuple[int, int], float] = {}
    for i, j, value in zip(objective.rows, objective.cols, objective.values, strict=True):
        offset += float(value * lower[i] * lower[j])
        bits_i, bits_j = range(starts[i], starts[i + 1]), range(starts[j], starts[j + 1])
        for k in bits_i:
            linear[k] += value * lower[j] * weights[k]
        for k in bits_j:
            linear[k] += value * lower[i] * weights[k]
        for k in bits_i:
            for m in bits_j:
                if k == m:
                    linear[k] += value * weights[k] ** 2
                else:
                    pair = (min(k, m), max(k, m))
                    products[pair] = products.get(pair, 0.0) + value * weights[k] * weights[m]
    rows, cols = np.array(list(products), dtype=np.int64).reshape(-1, 2).T
    return Qubo(linear, rows, cols, np.array(list(products.values()), dtype=np.float64), offset)
