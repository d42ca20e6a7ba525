"""Qubo and Ising: the two forms that need no modelling."""

import numpy as np

from hybridjob.contract import problems as contract
from hybridjob_solver.encode.encoding import Encoding, Sense
from hybridjob_solver.encode.program import over_bits
from hybridjob_solver.encode.qubo import Bools, Floats, Ints, Ising, Quadratic, Qubo
from hybridjob_solver.problems.terms import dense_linear, split_pairs


class _Unconstrained:
    """Minimises `function` of the numbers that `_numbers` makes of bits."""

    sense: Sense = "Minimize"
    variable_names = None

    def __init__(self, function: Quadratic) -> None:
        self._function = function

    @property
    def size(self) -> int:
        return self._function.size

    def objective(self, values: Ints) -> Floats:
        return self._function.energies(self._numbers(values))

    def _numbers(self, values: Ints) -> Ints:
        return values

    def feasible(self, values: Ints) -> Bools:
        return np.ones(len(values), dtype=bool)


class QuboProblem(_Unconstrained):
    """Minimise a quadratic function of bits."""

    def __init__(self, data: contract.Qubo) -> None:
        (rows, cols), values = split_pairs(data.quadratic)
        super().__init__(Quadratic(dense_linear(data.linear, data.variables), rows, cols, values, data.offset))

    def encode(self) -> Encoding:
        f = self._function
        rows, cols = np.sort((f.rows, f.cols), axis=0)
        return Encoding(over_bits(Qubo(f.linear, rows, cols, f.values, f.offset)), self.sense)


class IsingProblem(_Unconstrained):
    """Minimise a quadratic function of spins; bit 0 is spin +1."""

    def __init__(self, data: contract.Ising) -> None:
        (rows, cols), values = split_pairs(data.couplings)
        super().__init__(Quadratic(dense_linear(data.fields, data.spins), rows, cols, values, data.offset))

    def _numbers(self, values: Ints) -> Ints:
        return 1 - 2 * values.astype(np.int64)  # unsigned bits would wrap around

    def encode(self) -> Encoding:
        f = self._function
        rows, cols = np.sort((f.rows, f.cols), axis=0)
        return Encoding(over_bits(Ising(f.linear, rows, cols, f.values, f.offset).to_qubo()), self.sense)
