"""Which classical algorithm answers, and why."""

from dataclasses import replace

from hybridjob.contract.problems import ProblemType
from hybridjob.contract.task import ClassicalAlgorithm, ClassicalTask, QuantumAlgorithm, Task
from hybridjob_solver.algorithms.effort import Effort
from hybridjob_solver.algorithms.enumeration import MAX_BITS
from hybridjob_solver.candidates import Candidates
from hybridjob_solver.encode.encoding import Encoding
from hybridjob_solver.failures import InvalidTaskError
from hybridjob_solver.problems.base import OptimisationProblem
from hybridjob_solver.progress import OnProgress

CIRCUIT_TYPES: tuple[ProblemType, ...] = ("Circuit", "Expectation")

_MAX_EXACT_PRODUCTS = 200
"""Measured: HiGHS proves MaxCut of 200 edges in 2 s, of 2,500 not in minutes."""
_DENSE = 0.3


def check_algorithms(task: Task) -> None:
    """Raise InvalidTaskError where an algorithm does not fit the problem's type."""
    is_circuit = task.problem.type in CIRCUIT_TYPES
    classical: tuple[ClassicalAlgorithm, ...] = (
        ("Auto", "Statevector") if is_circuit else ("Auto", "SimulatedAnnealing", "Tabu", "Exact", "Enumeration")
    )
    if task.classical.algorithm not in classical:
        raise _misfit("classical", task.classical.algorithm, task.problem.type, classical)
    if task.quantum is not None:
        quantum: tuple[QuantumAlgorithm, ...] = ("Sampling",) if is_circuit else ("QAOA",)
        if task.quantum.algorithm not in quantum:
            raise _misfit("quantum", task.quantum.algorithm, task.problem.type, quantum)


def _misfit(route: str, algorithm: str, problem_type: str, fitting: tuple[str, ...]) -> InvalidTaskError:
    return InvalidTaskError(f"{route}.algorithm is {algorithm}: for {problem_type} it must be {' or '.join(fitting)}.")


def choose(encoding: Encoding) -> tuple[ClassicalAlgorithm, str]:
    """The algorithm that `Auto` stands for, and why, as half a sentence. By size and structure alone."""
    program = encoding.program
    n = encoding.bits
    products = len(program.objective.values)
    if n <= MAX_BITS:
        return "Enumeration", f"{n} binary variables are few enough to try every assignment"
    if not program.is_binary or (program.constraints and program.cardinality is None):
        return "Exact", "linear constraints are searched best where they are not penalties"
    if not program.constraints and products <= _MAX_EXACT_PRODUCTS:
        return "Exact", f"{products} products are few enough to prove an optimum"
    if program.constraints:
        return "Tabu", "it crosses the penalties of a constraint, where annealing freezes"
    if products >= _DENSE * n * (n - 1) / 2:
        return "Tabu", f"it is strong where most of the {n} variables interact"
    return "SimulatedAnnealing", f"it is strong where few of the {n} variables interact"


def solve_classically(
    problem: OptimisationProblem,
    encoding: Encoding,
    classical: ClassicalTask,
    effort: Effort,
    on_progress: OnProgress,
) -> Candidates:
    """Candidates of the algorithm that the task names, or that `choose` does."""
    algorithm, reason = classical.algorithm, ""
    if algorithm == "Auto":
        algorithm, reason = choose(encoding)
    candidates = _run(algorithm, problem, encoding, classical.seed, effort, on_progress)
    if not reason:
        return candidates
    return replace(candidates, message=f"{candidates.message}, as {reason}")


def _run(
    algorithm: ClassicalAlgorithm,
    problem: OptimisationProblem,
    encoding: Encoding,
    seed: int,
    effort: Effort,
    on_progress: OnProgress,
) -> Candidates:
    # Imported here: a task loads only the libraries of the algorithm that it uses.
    match algorithm:
        case "Enumeration":
            from hybridjob_solver.algorithms import enumeration

            return enumeration.solve(problem, encoding)
        case "Exact":
            from hybridjob_solver.algorithms import exact

            return exact.solve(encoding, effort, seed, on_progress)
        case "Tabu":
            from hybridjob_solver.algorithms import tabu

            return tabu.solve(encoding, effort, seed, on_progress)
        case "SimulatedAnnealing":
            from hybridjob_solver.algorithms import annealing

            return annealing.solve(encoding, effort, seed, on_progress)
        case _:
            raise InvalidTaskError(f"classical.algorithm is {algorithm}: an optimisation problem must have another.")
