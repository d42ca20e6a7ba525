"""The classical answer that a quantum one is measured against."""

from dataclasses import dataclass
from typing import Any

from hybridjob.contract.task import ClassicalTask
from hybridjob_solver.algorithms.choose import solve_classically
from hybridjob_solver.algorithms.effort import BASELINE
from hybridjob_solver.encode.encoding import Encoding
from hybridjob_solver.failures import BackendUnavailableError
from hybridjob_solver.problems.base import OptimisationProblem
from hybridjob_solver.progress import OnProgress
from hybridjob_solver.verify import verify


@dataclass(frozen=True)
class Baseline:
    """`objective` is None where no feasible answer was found; `report` says how it was."""

    objective: float | None
    report: dict[str, Any]


def find_baseline(
    problem: OptimisationProblem, encoding: Encoding, classical: ClassicalTask, on_progress: OnProgress
) -> Baseline:
    """The answer of the task's classical algorithm on the same instance, with a tenth of the effort.

    Raises InvalidTaskError where it proves that there is no answer: a quantum backend need not be paid to look for one.
    """
    try:
        candidates = solve_classically(problem, encoding, classical, BASELINE, on_progress)
    except BackendUnavailableError as error:  # the quantum answer then stands without a baseline
        return Baseline(None, {"algorithm": classical.algorithm, "message": str(error)})
    verified = verify(problem, encoding, candidates)
    report = {
        "algorithm": candidates.algorithm,
        "message": candidates.message,
        "objective": verified.objective,
        "feasible": verified.feasible,
        "optimal": candidates.is_optimal,
        "solution": verified.solution,
    }
    return Baseline(verified.objective if verified.feasible else None, report)
