"""FeatureSelection: choose columns that say much about the target and little about each other.

The score is the difference form of minimum redundancy, maximum relevance: H. Peng, F. Long, C. Ding, "Feature selection
based on mutual information", IEEE TPAMI 27 (2005), with correlations in the place of mutual information: they need no
binning, and tell the same from few rows as from many.
"""

import numpy as np

from hybridjob_solver.encode.encoding import Encoding, Sense
from hybridjob_solver.encode.qubo import Bools, Floats, Ints
from hybridjob_solver.problems.cardinality import encode_selection, selects
from hybridjob_solver.problems.table import FeatureTable


class FeatureSelectionProblem:
    """Maximise `(1/k) Σ relevance_i − (1/k²) Σ_{i≠j} |pearson_ij|` over choices of exactly k columns.

    The relevance of a column is |pearson| with a numeric target, and the correlation ratio η with a label. Constant
    columns correlate with nothing.
    """

    sense: Sense = "Maximize"

    def __init__(self, table: FeatureTable, select: int) -> None:
        self.variable_names = table.names
        self.size = len(table.names)
        self._select = select
        columns = _standardised(table.features)
        rows = len(columns)
        self._redundancy = np.abs(columns.T @ columns) / rows
        np.fill_diagonal(self._redundancy, 0.0)
        if table.is_label:
            self._relevance = _correlation_ratios(columns, table.target.astype(np.int64))
        else:
            self._relevance = np.abs(_standardised(table.target[:, None])[:, 0] @ columns) / rows

    def objective(self, values: Ints) -> Floats:
        redundancy = ((values @ self._redundancy) * values).sum(axis=1)
        score: Floats = values @ self._relevance / self._select - redundancy / self._select**2
        return score

    def feasible(self, values: Ints) -> Bools:
        return selects(values, self._select)

    def encode(self) -> Encoding:
        return encode_selection(self._relevance / self._select, self._redundancy / self._select**2, self._select)


def _standardised(columns: Floats) -> Floats:
    """Columns of mean 0 and variance 1; constant ones are 0. Shape (rows, n) -> (rows, n)."""
    scale = np.abs(columns).max(axis=0)
    scaled = columns / np.where(scale > 0, scale, 1.0)  # squares of large numbers would overflow
    centred = scaled - scaled.mean(axis=0)
    centred[:, np.ptp(scaled, axis=0) == 0] = 0.0  # the mean of equal numbers may be off by a rounding error
    deviation = centred.std(axis=0)
    standardised: Floats = centred / np.where(deviation > 0, deviation, 1.0)
    return standardised


def _correlation_ratios(columns: Floats, classes: Ints) -> Floats:
    """η = √(variance of the class means / total variance) of standardised columns, shape (rows, n) -> (n,)."""
    counts = np.bincount(classes)
    means = np.stack([np.bincount(classes, weights=column) / counts for column in columns.T], axis=1)
    ratios: Floats = np.sqrt(counts @ means**2 / len(columns))
    return np.minimum(ratios, 1.0)
