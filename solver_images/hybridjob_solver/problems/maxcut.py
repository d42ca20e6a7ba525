"""MaxCut: put the nodes on two sides such that the edges between them weigh most."""

import numpy as np

from hybridjob.contract import problems as contract
from hybridjob_solver.encode.encoding import Encoding, Sense
from hybridjob_solver.encode.program import over_bits
from hybridjob_solver.encode.qubo import Bools, Floats, Ints, Qubo, row_blocks
from hybridjob_solver.problems.terms import split_pairs


class MaxCutProblem:
    """Bit i is the side of node i."""

    sense: Sense = "Maximize"
    variable_names = None

    def __init__(self, data: contract.MaxCut) -> None:
        self.size = data.nodes
        self._ends, self._weights = split_pairs(data.edges)

    def objective(self, values: Ints) -> Floats:
        cut = np.empty(len(values))
        for block in row_blocks(len(values), len(self._weights)):
            sides = values[block]
            cut[block] = (sides[:, self._ends[0]] != sides[:, self._ends[1]]) @ self._weights
        return cut

    def feasible(self, values: Ints) -> Bools:
        return np.ones(len(values), dtype=bool)

    def encode(self) -> Encoding:
        """The cut is `Σ w (x_i + x_j − 2 x_i x_j)`; its negative is minimised."""
        linear = np.zeros(self.size)
        for ends in self._ends:
            np.subtract.at(linear, ends, self._weights)
        rows, cols = np.sort(self._ends, axis=0)
        return Encoding(over_bits(Qubo(linear, rows, cols, 2 * self._weights)), self.sense)
