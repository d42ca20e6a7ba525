"""From a task to its outcome: the problem is read, encoded, solved by the route that the task names, and verified."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hybridjob.contract.problems import ExpectationParameters
from hybridjob.contract.task import Task
from hybridjob.contract.verdict import Answer, Usage
from hybridjob_solver.algorithms.choose import CIRCUIT_TYPES, check_algorithms, solve_classically
from hybridjob_solver.algorithms.effort import ANSWER, PROOF
from hybridjob_solver.baseline import find_baseline
from hybridjob_solver.failures import InvalidTaskError
from hybridjob_solver.inputs import parse_parameters, read_text
from hybridjob_solver.problems.load import check_problem, load_problem
from hybridjob_solver.progress import OnProgress
from hybridjob_solver.verify import verify

if TYPE_CHECKING:
    from hybridjob_solver.problems.circuit import CircuitProblem


@dataclass(frozen=True)
class Outcome:
    """An answer and what becomes of it in verdict and payload."""

    answer: Answer
    algorithm: str
    message: str
    usage: Usage = field(default_factory=Usage)
    qubits: int | None = None
    circuit_depth: int | None = None
    payload_fields: dict[str, Any] = field(default_factory=dict)


def check(task: Task) -> None:
    """Raise what is wrong with the task or its problem, without solving anything."""
    _check_settings(task)
    if task.problem.type in CIRCUIT_TYPES:
        _read_circuit(task)
    else:
        check_problem(task)


def solve(task: Task, on_progress: OnProgress) -> Outcome:
    """Solve the task by its quantum route where it has one, else by its classical route."""
    _check_settings(task)
    if task.problem.type in CIRCUIT_TYPES:
        return _solve_circuit(task, on_progress)
    return _optimise(task, on_progress)


def _check_settings(task: Task) -> None:
    if (task.quantum is None) != (task.backend is None):
        raise InvalidTaskError("quantum and backend must be given together.")
    seeds = [task.classical.seed] if task.quantum is None else [task.classical.seed, task.quantum.seed]
    if min(seeds) < 0:
        raise InvalidTaskError(f"A seed is {min(seeds)}: it must not be negative.")
    if task.quantum is not None:
        for name in ("shots", "layers"):
            if getattr(task.quantum, name) < 1:
                raise InvalidTaskError(f"quantum.{name} is {getattr(task.quantum, name)}: it must be at least 1.")
    check_algorithms(task)


def _optimise(task: Task, on_progress: OnProgress) -> Outcome:
    problem, prepared = load_problem(task)
    encoding = problem.encode()
    if task.quantum is None:
        effort = PROOF if task.classical.algorithm == "Exact" else ANSWER
        candidates = solve_classically(problem, encoding, task.classical, effort, on_progress)
        baseline = None
    else:
        from hybridjob_solver.algorithms import qaoa

        qubo = encoding.qubo
        # First the baseline: it is cheap, and where it proves that there is no answer, no shots are spent.
        baseline = find_baseline(problem, encoding, task.classical, on_progress)
        candidates = qaoa.solve(qubo, task, encoding.objective_of, on_progress)
    verified = verify(problem, encoding, candidates)
    # A classical answer is what quantum ones are compared with: it is its own baseline.
    reference = verified.objective if baseline is None else baseline.objective
    caveat = "" if verified.feasible else f"; none of {verified.distinct} distinct outcomes is feasible"
    return Outcome(
        answer=verified.answer(problem, reference),
        algorithm=candidates.algorithm,
        message=f"{candidates.message}{caveat}.",
        usage=candidates.usage,
        qubits=candidates.qubits,
        circuit_depth=candidates.circuit_depth,
        payload_fields={
            "solution": verified.solution,
            "assignment": verified.assignment,
            "convergence": candidates.convergence,
            "samples": verified.samples,
            "baseline": baseline.report if baseline else None,
            "circuit": candidates.circuit,
            "parameters": candidates.parameters,
            "prepare": prepared,
        },
    )


def _read_circuit(task: Task) -> "CircuitProblem":
    from hybridjob_solver.problems.circuit import CircuitProblem

    if task.prepare:
        raise InvalidTaskError(f"prepare works on tables: for {task.problem.type} it must be left out.")
    parameters = parse_parameters(task.problem)
    observable = parameters if isinstance(parameters, ExpectationParameters) else None
    return CircuitProblem.parse(read_text(task.problem.data), task.problem.format, observable)


def _solve_circuit(task: Task, on_progress: OnProgress) -> Outcome:
    from hybridjob_solver.algorithms import circuits

    outcome = circuits.solve(_read_circuit(task), task, on_progress)
    return Outcome(
        answer=outcome.answer,
        algorithm=outcome.algorithm,
        message=outcome.message,
        usage=outcome.usage,
        qubits=outcome.qubits,
        circuit_depth=outcome.circuit_depth,
        payload_fields=outcome.payload_fields,
    )
