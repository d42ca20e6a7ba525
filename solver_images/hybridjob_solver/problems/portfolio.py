"""Portfolio: choose assets for return against risk (Markowitz 1952), a fixed number of them at equal weight."""

import numpy as np

from hybridjob.contract import problems as contract
from hybridjob_solver.encode.encoding import Encoding, Sense
from hybridjob_solver.encode.qubo import Bools, Floats, Ints
from hybridjob_solver.problems.cardinality import encode_selection, selects


class PortfolioProblem:
    """Maximise `r·x − riskAversion · xᵀΣx` with exactly `select` ones. Bit i chooses asset i."""

    sense: Sense = "Maximize"
    variable_names = None

    def __init__(self, data: contract.Portfolio) -> None:
        self.size = len(data.expected_returns)
        self._returns = np.array(data.expected_returns)
        self._covariance = np.array(data.covariance)
        self._risk_aversion = data.risk_aversion
        self._select = data.select

    def objective(self, values: Ints) -> Floats:
        risk = ((values @ self._covariance) * values).sum(axis=1)
        objective: Floats = values @ self._returns - self._risk_aversion * risk
        return objective

    def feasible(self, values: Ints) -> Bools:
        return selects(values, self._select)

    def encode(self) -> Encoding:
        with np.errstate(over="ignore"):
            return encode_selection(self._returns, self._risk_aversion * self._covariance, self._select)
