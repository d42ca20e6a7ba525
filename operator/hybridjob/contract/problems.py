"""The shapes of every problem type, as JSON and as text, and what must hold of them.

Checked twice by the same code: by the command line before anything starts, and by the solver before it works. Formats
that need a library to read (LP, MPS, OpenQASM) are checked by the solver alone.
"""

import csv
import io
import json
import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from hybridjob.contract.base import Model

ProblemType = Literal[
    "Qubo", "Ising", "MaxCut", "Portfolio", "FeatureSelection", "BinaryProgram", "Circuit", "Expectation"
]
ProblemFormat = Literal["Json", "EdgeList", "COO", "LP", "MPS", "QASM3", "QASM2", "CSV"]

FORMATS: dict[ProblemType, tuple[ProblemFormat, ...]] = {
    "Qubo": ("Json", "COO"),
    "Ising": ("Json", "COO"),
    "MaxCut": ("Json", "EdgeList"),
    "Portfolio": ("Json",),
    "FeatureSelection": ("Json", "CSV"),
    "BinaryProgram": ("LP", "MPS"),
    "Circuit": ("QASM3", "QASM2"),
    "Expectation": ("QASM3", "QASM2"),
}
"""The formats that each type can be read from; the first is the default."""

SOLVER_FORMATS: frozenset[ProblemFormat] = frozenset({"LP", "MPS", "QASM3", "QASM2"})
"""The formats that need a library to read: only a solver has it."""

MAX_VARIABLES = 10_000
MAX_TERMS = 1_000_000
_MAX_DIGITS = 18
"""Of an integer, so that it fits 64 bits."""

Index = Annotated[int, Field(ge=0, lt=MAX_VARIABLES)]
# strict=False lets a JSON or YAML list be read as a tuple; the members stay strict.
LinearTerm = Annotated[tuple[Index, FiniteFloat], Field(strict=False)]
QuadraticTerm = Annotated[tuple[Index, Index, FiniteFloat], Field(strict=False)]
Variables = Annotated[int, Field(ge=1, le=MAX_VARIABLES)]
LinearTerms = Annotated[list[LinearTerm], Field(max_length=MAX_TERMS)]
QuadraticTerms = Annotated[list[QuadraticTerm], Field(max_length=MAX_TERMS)]


def _check_index(where: str, index: int, size: int) -> None:
    if index >= size:
        raise ValueError(f"{where} names index {index}: it must be below {size}")


def _check_pairs(name: str, terms: Iterable[tuple[int, int, float]], size: int) -> None:
    seen: set[tuple[int, int]] = set()
    for position, (i, j, _) in enumerate(terms):
        _check_index(f"{name}[{position}]", max(i, j), size)
        if i == j:
            raise ValueError(f"{name}[{position}] joins {i} with itself: the two indices must differ")
        pair = (min(i, j), max(i, j))
        if pair in seen:
            raise ValueError(f"{name}[{position}] repeats the pair {pair[0]}, {pair[1]}: each pair must be given once")
        seen.add(pair)


def _check_linear(name: str, terms: Iterable[tuple[int, float]], size: int) -> None:
    seen: set[int] = set()
    for position, (i, _) in enumerate(terms):
        _check_index(f"{name}[{position}]", i, size)
        if i in seen:
            raise ValueError(f"{name}[{position}] repeats index {i}: each index must be given once")
        seen.add(i)


class MaxCut(Model):
    """Maximise the weight of the edges between the two sides."""

    nodes: Variables
    edges: QuadraticTerms

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_pairs("edges", self.edges, self.nodes)
        return self


class Qubo(Model):
    """Minimise `offset + Σ linear_i x_i + Σ quadratic_ij x_i x_j` over bits x."""

    variables: Variables
    linear: LinearTerms = []
    quadratic: QuadraticTerms = []
    offset: FiniteFloat = 0.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_linear("linear", self.linear, self.variables)
        _check_pairs("quadratic", self.quadratic, self.variables)
        return self


class Ising(Model):
    """Minimise `offset + Σ h_i s_i + Σ J_ij s_i s_j` over spins s = ±1. Bit 0 is spin +1."""

    spins: Variables
    fields: Annotated[LinearTerms, Field(alias="h")] = []
    couplings: Annotated[QuadraticTerms, Field(alias="J")] = []
    offset: FiniteFloat = 0.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_linear("h", self.fields, self.spins)
        _check_pairs("J", self.couplings, self.spins)
        return self


class Portfolio(Model):
    """Choose `select` assets that maximise `r·x − riskAversion · xᵀΣx` (Markowitz 1952, with cardinality)."""

    expected_returns: Annotated[list[FiniteFloat], Field(min_length=1, max_length=1000)]
    covariance: Annotated[list[list[FiniteFloat]], Field(min_length=1, max_length=1000)]
    select: Annotated[int, Field(ge=1)]
    risk_aversion: Annotated[FiniteFloat, Field(ge=0)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        n = len(self.expected_returns)
        if len(self.covariance) != n or any(len(row) != n for row in self.covariance):
            raise ValueError(f"covariance must be a {n} × {n} matrix, as expectedReturns has {n} assets")
        for i in range(n):
            for j in range(i):
                a, b = self.covariance[i][j], self.covariance[j][i]
                if not math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12):
                    raise ValueError(f"covariance must be symmetric: [{i}][{j}] is {a} and [{j}][{i}] is {b}")
            if self.covariance[i][i] < 0:
                raise ValueError(f"covariance[{i}][{i}] is {self.covariance[i][i]}: a variance must not be negative")
        if self.select > n:
            raise ValueError(f"select is {self.select}: it must not exceed the {n} assets")
        return self


class Table(Model):
    """A table with named columns. A cell is a number or a label; only the target column may hold labels."""

    columns: Annotated[list[str], Field(min_length=2, max_length=1024)]
    rows: Annotated[list[list[FiniteFloat | str]], Field(min_length=2, max_length=100_000)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.columns)) != len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            raise ValueError(f"columns names {twice!r} twice: column names must be unique")
        for position, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"rows[{position}] has {len(row)} cells: it must have {len(self.columns)}, one per column"
                )
        return self


class FeatureSelectionParameters(Model):
    """Choose `select` columns that explain the column `target`."""

    target: str
    select: Annotated[int, Field(ge=1, le=1024)]


PauliTerm = Annotated[
    tuple[Annotated[str, Field(pattern="^[IXYZ]+$", max_length=64)], FiniteFloat], Field(strict=False)
]


class ExpectationParameters(Model):
    """The observable `Σ coefficient · Pauli string`; the leftmost letter acts on qubit 0 of the circuit."""

    observable: Annotated[list[PauliTerm], Field(min_length=1, max_length=10_000)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        lengths = {len(pauli) for pauli, _ in self.observable}
        if len(lengths) > 1:
            raise ValueError("observable mixes Pauli strings of different lengths: all must name every qubit")
        return self


class NoParameters(Model):
    """Types that take no parameters."""


PARAMETERS: dict[ProblemType, type[Model]] = {
    "FeatureSelection": FeatureSelectionParameters,
    "Expectation": ExpectationParameters,
}
"""The model of `problem.parameters` for the types that take any."""

SHAPES: dict[ProblemType, type[Model]] = {
    "Qubo": Qubo,
    "Ising": Ising,
    "MaxCut": MaxCut,
    "Portfolio": Portfolio,
    "FeatureSelection": Table,
}
"""The model of the `Json` format, for the types that have one."""


def check_parameters(problem_type: ProblemType, parameters: dict[str, Any]) -> Model:
    """Parse `problem.parameters`. Raises pydantic.ValidationError."""
    return PARAMETERS.get(problem_type, NoParameters).model_validate(parameters)


def parse_object(problem_type: ProblemType, data: Any) -> Model:
    """Parse a problem given as an object. Raises pydantic.ValidationError."""
    return SHAPES[problem_type].model_validate(data)


def parse_text(problem_type: ProblemType, problem_format: ProblemFormat, text: str) -> Model | None:
    """Parse a problem given as text, or return None for formats that only a solver can read.

    Raises ValueError (pydantic.ValidationError is one) that says what must hold.
    """
    match problem_format:
        case "Json":
            return parse_object(problem_type, _load_json(text))
        case "EdgeList":
            return _parse_edge_list(text)
        case "COO":
            return _parse_coo(problem_type, text)
        case "CSV":
            return _parse_csv(text)
        case _:
            return None


def _load_json(text: str) -> Any:
    def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"the key {twice!r} is given twice: keys must be unique")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=refuse_duplicates, parse_int=_parse_integer)
    except json.JSONDecodeError as error:
        raise ValueError(f"must be JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("must be JSON of ordinary depth: it is nested too deeply") from error


def _parse_integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits is given: it must have at most {_MAX_DIGITS}")
    return int(digits)


def _numbers(line: str, number: int, integers: int, meaning: str) -> tuple[list[int], float]:
    fields = line.split()
    if len(fields) != integers + 1:
        raise ValueError(f"line {number} is {line[:60]!r}: it must be {meaning!r}")
    try:
        indices, value = [_parse_integer(field) for field in fields[:integers]], float(fields[integers])
    except ValueError as error:
        raise ValueError(f"line {number} is {line[:60]!r}: it must be {meaning!r}, all numbers") from error
    if not math.isfinite(value):
        raise ValueError(f"line {number}: {fields[integers]} must be a finite number")
    return indices, value


def _content_lines(text: str) -> list[tuple[int, str]]:
    return [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _parse_edge_list(text: str) -> MaxCut:
    lines = _content_lines(text)
    if not lines:
        raise ValueError("must begin with a line 'n m': it is empty")
    head = lines[0][1].split()
    if len(head) != 2 or not all(field.isdecimal() for field in head):
        raise ValueError(f"line {lines[0][0]} is {lines[0][1][:60]!r}: it must be 'n m', nodes and edges")
    nodes, edge_count = _parse_integer(head[0]), _parse_integer(head[1])
    edges = []
    for number, line in lines[1:]:
        with_weight = line if len(line.split()) != 2 else f"{line} 1"
        (i, j), weight = _numbers(with_weight, number, 2, "i j weight")
        if not (1 <= i <= nodes and 1 <= j <= nodes):
            raise ValueError(f"line {number} joins {i} and {j}: nodes must be from 1 to {nodes}")
        edges.append((i - 1, j - 1, weight))
    if len(edges) != edge_count:
        raise ValueError(f"the first line announces {edge_count} edges, and {len(edges)} follow: they must agree")
    return MaxCut(nodes=nodes, edges=edges)


def _parse_coo(problem_type: ProblemType, text: str) -> Qubo | Ising:
    """Lines `i j value`, indices from 0; `i i value` is the linear term. The size is the largest index + 1."""
    linear: list[tuple[int, float]] = []
    quadratic: list[tuple[int, int, float]] = []
    size = 0
    for number, line in _content_lines(text):
        (i, j), value = _numbers(line, number, 2, "i j value")
        if min(i, j) < 0:
            raise ValueError(f"line {number} has a negative index: indices must start from 0")
        size = max(size, i + 1, j + 1)
        if i == j:
            linear.append((i, value))
        else:
            quadratic.append((i, j, value))
    if not size:
        raise ValueError("must hold lines 'i j value': it is empty")
    if problem_type == "Ising":
        return Ising(spins=size, fields=linear, couplings=quadratic)
    return Qubo(variables=size, linear=linear, quadratic=quadratic)


def _parse_csv(text: str) -> Table:
    """A header line, then rows. Cells that read as numbers are numbers, all others labels."""
    try:
        lines = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error as error:
        raise ValueError(f"must be CSV: {error}") from error
    if len(lines) < 3:
        raise ValueError("must be CSV with a header line and at least two rows")

    def cell(row: int, column: int, value: str) -> float | str:
        try:
            number = float(value)
        except ValueError:
            if not value.strip():
                where = f"row {row}, column {lines[0][column]!r}"
                raise ValueError(f"{where} is empty: every cell must be filled") from None
            return value
        if not math.isfinite(number):
            raise ValueError(f"row {row}, column {lines[0][column]!r} is {value}: it must be a finite number")
        return number

    width = len(lines[0])
    for row, values in enumerate(lines[1:], start=1):
        if len(values) != width:
            raise ValueError(f"row {row} has {len(values)} cells: it must have {width}, one per column")
    return Table(
        columns=[name.strip() for name in lines[0]],
        rows=[
            [cell(row, column, value) for column, value in enumerate(values)]
            for row, values in enumerate(lines[1:], start=1)
        ],
    )
