"""BinaryProgram: linear constraints and a linear or quadratic objective over binary and bounded integer variables."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hybridjob.contract.problems import ProblemFormat
from hybridjob_solver.encode.encoding import Encoding, Sense
from hybridjob_solver.encode.program import Constraint, Program
from hybridjob_solver.encode.qubo import Bools, Floats, Ints, Quadratic, row_blocks
from hybridjob_solver.failures import InvalidTaskError
from hybridjob_solver.problems.program_file import ProgramFile, read_program

_LARGEST_BOUND = 2**31
_TOLERANCE = 1e-9
"""Relative to the largest value that a constraint's left side can take: what rounding does, and no more."""


class BinaryProgramProblem:
    """The program as the file says it, its sense and the constant of its objective included."""

    def __init__(self, file: ProgramFile) -> None:
        self.sense: Sense = "Maximize" if file.maximize else "Minimize"
        self.variable_names = file.names
        self.size = len(file.names)
        self._objective = Quadratic(file.costs, file.hessian_rows, file.hessian_cols, file.hessian_values, file.offset)
        self._lower, self._upper = _integer_bounds(file)
        self._file = file
        reach = np.maximum(np.abs(self._lower), np.abs(self._upper))
        activity = np.bincount(
            file.rows, weights=np.abs(file.coefficients) * reach[file.columns], minlength=len(file.row_names)
        )
        self._slack = _TOLERANCE * np.maximum(activity, 1.0)

    @classmethod
    def parse(cls, text: str, problem_format: ProblemFormat) -> "BinaryProgramProblem":
        """Read LP or MPS text. Raises InvalidTaskError that says what must hold."""
        return cls(read_program(text, problem_format))

    def objective(self, values: Ints) -> Floats:
        return self._objective.energies(values)

    def feasible(self, values: Ints) -> Bools:
        file = self._file
        feasible: Bools = np.all((values >= self._lower) & (values <= self._upper), axis=1)
        for block in row_blocks(len(values), len(file.coefficients)):
            activities = np.zeros((len(file.row_names), len(values[block])))
            np.add.at(activities, file.rows, (values[block][:, file.columns] * file.coefficients).T)
            low = activities >= (file.row_lower - self._slack)[:, None]
            high = activities <= (file.row_upper + self._slack)[:, None]
            feasible[block] &= np.all(low & high, axis=0)
        return feasible

    def encode(self) -> Encoding:
        f = self._objective
        sign = -1.0 if self.sense == "Maximize" else 1.0
        objective = Quadratic(sign * f.linear, f.rows, f.cols, sign * f.values, sign * f.offset)
        return Encoding(Program(objective, self._lower, self._upper, self._constraints()), self.sense)

    def _constraints(self) -> tuple[Constraint, ...]:
        file = self._file
        order = np.argsort(file.rows, kind="stable")
        counts = np.bincount(file.rows, minlength=len(file.row_names))
        ends = np.cumsum(counts)
        return tuple(
            Constraint(name, file.columns[entries], file.coefficients[entries], float(lower), float(upper))
            for name, entries, lower, upper in zip(
                file.row_names,
                (order[end - count : end] for end, count in zip(ends, counts, strict=True)),
                file.row_lower,
                file.row_upper,
                strict=True,
            )
        )


def _integer_bounds(file: ProgramFile) -> tuple[Ints, Ints]:
    """Bounds rounded to the integers inside."""
    for name, is_integer, lower, upper in zip(file.names, file.is_integer, file.lower, file.upper, strict=True):
        if not is_integer:
            raise InvalidTaskError(f"The variable {name!r} is not integer: every variable must be binary or integer")
        if not max(abs(lower), abs(upper)) <= _LARGEST_BOUND:
            raise InvalidTaskError(
                f"The variable {name!r} has bounds {lower:g} to {upper:g}: "
                f"an integer variable must have bounds within ±{_LARGEST_BOUND}"
            )
        if math.ceil(lower) > math.floor(upper):
            raise InvalidTaskError(f"The variable {name!r} has bounds {lower:g} to {upper:g}: an integer must fit")
    return _integers(np.ceil(file.lower)), _integers(np.floor(file.upper))


def _integers(values: NDArray[np.float64] | Sequence[float]) -> Ints:
    return np.asarray(values).astype(np.int64)
