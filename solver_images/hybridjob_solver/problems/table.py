"""Tables of features and a target, as numbers."""

from dataclasses import dataclass

import numpy as np

from hybridjob.contract.problems import Table
from hybridjob_solver.encode.qubo import Floats
from hybridjob_solver.failures import InvalidTaskError

MAX_CLASSES = 20
"""A target of integers is a label when it has at most this many distinct values."""


@dataclass(frozen=True)
class FeatureTable:
    """Numeric feature columns and a target.

    Shapes: features (rows, n), target (rows,). A label target holds the numbers of classes, 0 … classes − 1.
    """

    names: list[str]
    features: Floats
    target: Floats
    is_label: bool


def split_target(table: Table, target: str) -> FeatureTable:
    """The table's features and its target column. Raises InvalidTaskError for labels outside of the target."""
    if target not in table.columns:
        raise InvalidTaskError(f"parameters.target is {target!r}: it must be one of the columns {_few(table.columns)}")
    place = table.columns.index(target)
    names = [name for name in table.columns if name != target]
    features = np.empty((len(table.rows), len(names)))
    for number, row in enumerate(table.rows):
        cells = row[:place] + row[place + 1 :]
        for name, cell in zip(names, cells, strict=True):
            if isinstance(cell, str):
                raise InvalidTaskError(
                    f"rows[{number}], column {name!r} is {cell[:60]!r}: every column but the target must hold numbers"
                )
        features[number] = cells
    values, is_label = _target([row[place] for row in table.rows])
    return FeatureTable(names, features, values, is_label)


def _target(cells: list[float | str]) -> tuple[Floats, bool]:
    numbers = [cell for cell in cells if not isinstance(cell, str)]
    if len(numbers) == len(cells):
        values = np.array(numbers, dtype=np.float64)
        if np.any(values != np.floor(values)) or len(np.unique(values)) > MAX_CLASSES:
            return values, False
    return np.unique([str(cell) for cell in cells], return_inverse=True)[1].astype(np.float64), True


def _few(names: list[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (", …" if len(names) > 10 else "")
