"""LP and MPS text, read by HiGHS."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import highspy
import numpy as np

from hybridjob.contract.problems import MAX_TERMS, MAX_VARIABLES, ProblemFormat
from hybridjob_solver.encode.qubo import Bools, Floats, Ints
from hybridjob_solver.failures import InvalidTaskError
from hybridjob_solver.highs import quiet_highs

_MAX_REASON = 300


@dataclass(frozen=True)
class ProgramFile:
    """A program as its file says it, in coordinates.

    Shapes: n variables, m constraints; rows, columns and coefficients (entries,). The objective is
    `offset + costs·x + Σ hessian_values_k x_rows[k] x_cols[k]`, each pair once and hessian_rows ≤ hessian_cols.
    """

    names: list[str]
    lower: Floats
    upper: Floats
    is_integer: Bools
    costs: Floats
    offset: float
    maximize: bool
    hessian_rows: Ints
    hessian_cols: Ints
    hessian_values: Floats
    row_names: list[str]
    row_lower: Floats
    row_upper: Floats
    rows: Ints
    columns: Ints
    coefficients: Floats


def read_program(text: str, problem_format: ProblemFormat) -> ProgramFile:
    """Read LP or MPS text. Raises InvalidTaskError for text that HiGHS cannot read, or that it proves infeasible
    while it simplifies the program."""
    highs = quiet_highs()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"program.{problem_format.lower()}"
        log = Path(directory) / "log"
        path.write_text(text, encoding="utf-8")
        highs.setOptionValue("log_file", str(log))
        status = highs.readModel(str(path))
        highs.setOptionValue("log_file", "")
        complaints = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    # A warning that something is ignored means another program than the one that was written.
    if status == highspy.HighsStatus.kError or "ignored" in complaints:
        raise InvalidTaskError(f"The text must be a program in {problem_format} format: {_reason(complaints)}")
    model = highs.getModel()
    lp = model.lp_
    if not 1 <= lp.num_col_ <= MAX_VARIABLES:
        raise InvalidTaskError(f"The program has {lp.num_col_} variables: it must have 1 to {MAX_VARIABLES}")
    entries = len(lp.a_matrix_.value_) + len(model.hessian_.value_)
    if entries > MAX_TERMS:
        raise InvalidTaskError(f"The program has {entries} coefficients: it must have at most {MAX_TERMS}")
    if not np.all(np.isfinite(lp.col_cost_)):
        raise InvalidTaskError("The objective has infinite coefficients: all must be finite")
    _reject_infeasible(highs)
    return _to_file(lp, model.hessian_)


def _reason(complaints: str) -> str:
    """HiGHS's first complaint with its place, in one line."""
    lines = [line.strip(" |") for line in complaints.splitlines()]
    first = next((i for i, line in enumerate(lines) if line.startswith(("ERROR", "WARNING"))), None)
    if first is None or "Parser error reading" in lines[first]:  # says no more than its temporary name
        return "HiGHS cannot read it"
    place = next((line for line in lines[first:] if line.startswith("-->")), "")
    reason = lines[first].partition(":")[2].strip()
    line, _, column = place.partition(".")[2].partition(":")[2].partition(":")
    return (f"line {line}, column {column}: {reason}" if column else reason)[:_MAX_REASON]


def _reject_infeasible(highs: highspy.Highs) -> None:
    highs.passHessian(highspy.HighsHessian())  # integer quadratic programs are not presolved; constraints are
    highs.presolve()
    if highs.getModelPresolveStatus() == highspy.HighsPresolveStatus.kInfeasible:
        raise InvalidTaskError("The constraints contradict each other: no assignment of the variables satisfies them")


def _to_file(lp: highspy.HighsLp, hessian: highspy.HighsHessian) -> ProgramFile:
    n, m = lp.num_col_, lp.num_row_
    integrality = lp.integrality_ or [highspy.HighsVarType.kContinuous] * n
    columns, rows, coefficients = _coordinates(lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_)
    if lp.a_matrix_.format_ != highspy.MatrixFormat.kColwise:
        columns, rows = rows, columns
    first, second, values = _coordinates(hessian.start_, hessian.index_, hessian.value_)
    # HiGHS holds one triangle of Q in ½ xᵀQx: a square counts half, a product once.
    values = np.where(first == second, values / 2, values)
    kept = values != 0
    return ProgramFile(
        names=lp.col_names_ or [f"x{j}" for j in range(n)],
        lower=np.array(lp.col_lower_, dtype=np.float64),
        upper=np.array(lp.col_upper_, dtype=np.float64),
        is_integer=np.array([kind == highspy.HighsVarType.kInteger for kind in integrality]),
        costs=np.array(lp.col_cost_, dtype=np.float64),
        offset=float(lp.offset_),
        maximize=lp.sense_ == highspy.ObjSense.kMaximize,
        hessian_rows=np.minimum(first, second)[kept],
        hessian_cols=np.maximum(first, second)[kept],
        hessian_values=values[kept],
        row_names=lp.row_names_ or [f"r{i}" for i in range(m)],
        row_lower=np.array(lp.row_lower_, dtype=np.float64),
        row_upper=np.array(lp.row_upper_, dtype=np.float64),
        rows=rows,
        columns=columns,
        coefficients=coefficients,
    )


def _coordinates(starts: list[int], indices: list[int], values: list[float]) -> tuple[Ints, Ints, Floats]:
    """Compressed columns as (column, row, value) arrays."""
    offsets = np.array(starts, dtype=np.int64)
    columns = np.repeat(np.arange(len(offsets) - 1), offsets[1:] - offsets[:-1])
    return columns, np.array(indices, dtype=np.int64), np.array(values, dtype=np.float64)
