"""Exact optimisation by HiGHS (Huangfu, Hall 2018): the constrained program itself, not its penalties.

HiGHS solves linear programs over integers, so each product of two bits becomes a variable y = x_i x_j. At an optimum
only one side of McCormick's envelope (1976) is needed: y ≥ x_i + x_j − 1 where the product costs, y ≤ x_i and y ≤ x_j
where it pays.
"""

import highspy
import numpy as np

from hybridjob.contract.verdict import Iteration
from hybridjob_solver.algorithms.effort import Effort
from hybridjob_solver.candidates import Candidates
from hybridjob_solver.encode.encoding import Encoding
from hybridjob_solver.encode.program import Program
from hybridjob_solver.failures import BackendUnavailableError, InvalidTaskError
from hybridjob_solver.highs import quiet_highs
from hybridjob_solver.progress import OnProgress


def solve(encoding: Encoding, effort: Effort, seed: int, on_progress: OnProgress) -> Candidates:
    """An optimal assignment, or the best that is found in `effort.exact_seconds`.

    Raises InvalidTaskError when the constraints contradict each other, BackendUnavailableError when no feasible
    assignment was found in time.
    """
    # Products of integers are products of their bits; a linear objective leaves integers as they are.
    has_products = len(encoding.program.objective.values) > 0
    program = encoding.bit_program if has_products else encoding.program
    highs = quiet_highs(seed)
    highs.passModel(_linear_model(program))
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.setOptionValue("mip_feasibility_tolerance", 1e-9)  # rounding to integers must not break a constraint
    if effort.exact_seconds is not None:
        highs.setOptionValue("time_limit", effort.exact_seconds)
    convergence: list[Iteration] = []

    def improved(event: highspy.HighsCallbackEvent) -> None:
        best = encoding.objective_of(event.data_out.objective_function_value)
        convergence.append(Iteration(iteration=len(convergence) + 1, objective=best, best=best))
        on_progress("Exact", len(convergence), 0, best)

    highs.cbMipImprovingSolution += improved
    highs.run()
    status = highs.getModelStatus()
    if status == highspy.HighsModelStatus.kInfeasible:
        raise InvalidTaskError("The constraints contradict each other: HiGHS proves that no assignment satisfies them.")
    info = highs.getInfo()
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        raise BackendUnavailableError(
            f"HiGHS found no feasible assignment ({highs.modelStatusToString(status)}): "
            "the constraints must be loosened, or algorithm Exact given its time."
        )
    solution = np.rint(highs.getSolution().col_value[: len(program.lower)]).astype(np.int64)[None, :]
    optimal = status == highspy.HighsModelStatus.kOptimal
    outcome = "proven optimal" if optimal else f"within {info.mip_gap:.1%} of optimal after {effort.exact_seconds} s"
    return Candidates(
        bits=solution.astype(np.uint8) if has_products else encoding.encode_values(solution),
        counts=np.ones(1, dtype=np.int64),
        algorithm="Exact",
        message=f"HiGHS, {outcome}",
        is_optimal=optimal,
        convergence=convergence,
        parameters={"seed": seed},
    )


def _linear_model(program: Program) -> highspy.HighsLp:
    """The program with a variable for each product; its own variables come first."""
    objective = program.objective
    n, m = objective.size, len(objective.values)
    lp = highspy.HighsLp()
    lp.num_col_ = n + m
    lp.col_cost_ = np.concatenate([objective.linear, objective.values])
    lp.col_lower_ = np.concatenate([program.lower, np.zeros(m)]).astype(np.float64)
    lp.col_upper_ = np.concatenate([program.upper, np.ones(m)]).astype(np.float64)
    lp.offset_ = objective.offset
    integer, continuous = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
    lp.integrality_ = [integer] * n + [continuous] * m  # a product of integers is one by itself

    product = n + np.arange(m)
    costs = objective.values > 0
    i, j = objective.rows, objective.cols
    # Rows of three entries, y ≥ x_i + x_j − 1, then rows of two, y ≤ x_i and y ≤ x_j.
    above = np.stack([product, i, j], axis=1)[costs]
    below = np.concatenate([np.stack([product, end], axis=1)[~costs] for end in (i, j)])
    columns = [above.ravel(), below.ravel(), *(c.columns for c in program.constraints)]
    values = [
        np.tile([1.0, -1.0, -1.0], len(above)),
        np.tile([1.0, -1.0], len(below)),
        *(c.coefficients for c in program.constraints),
    ]
    lengths = [3] * len(above) + [2] * len(below) + [len(c.columns) for c in program.constraints]
    lp.num_row_ = len(lengths)
    lp.row_lower_ = np.array([-1.0] * len(above) + [-np.inf] * len(below) + [c.lower for c in program.constraints])
    lp.row_upper_ = np.array([np.inf] * len(above) + [0.0] * len(below) + [c.upper for c in program.constraints])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.cumsum([0, *lengths]).astype(np.int32)
    lp.a_matrix_.index_ = np.concatenate(columns).astype(np.int32)
    lp.a_matrix_.value_ = np.concatenate(values)
    return lp
