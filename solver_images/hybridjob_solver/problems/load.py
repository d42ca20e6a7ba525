"""From a task to its optimisation problem."""

from dataclasses import dataclass
from typing import Any

from hybridjob.contract import problems as contract
from hybridjob.contract.base import Model
from hybridjob.contract.task import Problem, Task
from hybridjob_solver.failures import InvalidTaskError
from hybridjob_solver.inputs import parse_data, parse_parameters
from hybridjob_solver.prepare import check_steps, prepare
from hybridjob_solver.problems.base import OptimisationProblem
from hybridjob_solver.problems.table import FeatureTable, split_target


def load_problem(task: Task) -> tuple[OptimisationProblem, list[dict[str, Any]]]:
    """The problem to solve, after its prepare steps, and what each of these did.

    Raises InputUnreadableError when the data cannot be read, InvalidTaskError when it is not what it must be.
    """
    data = _parse(task)
    if isinstance(data, _Selection):
        from hybridjob_solver.problems.feature_selection import FeatureSelectionProblem

        table, report = prepare(data.table, task.prepare)
        return FeatureSelectionProblem(table, data.select), report
    return _build(task.problem, data), []


def check_problem(task: Task) -> None:
    """Raise what `load_problem` raises for a task that is wrong, without fitting its prepare steps."""
    data = _parse(task)
    if not isinstance(data, _Selection):
        _build(task.problem, data).encode()


@dataclass(frozen=True)
class _Selection:
    """A table that its prepare steps fit, and how many of its columns to choose."""

    table: FeatureTable
    select: int


def _parse(task: Task) -> Model | _Selection | str:
    parameters = parse_parameters(task.problem)
    data = parse_data(task.problem)
    if isinstance(data, contract.Table) and isinstance(parameters, contract.FeatureSelectionParameters):
        table = split_target(data, parameters.target)
        columns = check_steps(table, task.prepare)
        if parameters.select > columns:
            raise InvalidTaskError(
                f"parameters.select is {parameters.select}: it must be at most {columns}, the columns to choose from."
            )
        return _Selection(table, parameters.select)
    if task.prepare:
        raise InvalidTaskError(f"prepare works on tables: for {task.problem.type} it must be left out.")
    return data


def _build(problem: Problem, data: Model | str) -> OptimisationProblem:
    # Imported here: reading a program needs HiGHS, and nothing else does.
    match data:
        case contract.MaxCut():
            from hybridjob_solver.problems.maxcut import MaxCutProblem

            return MaxCutProblem(data)
        case contract.Qubo():
            from hybridjob_solver.problems.quadratic import QuboProblem

            return QuboProblem(data)
        case contract.Ising():
            from hybridjob_solver.problems.quadratic import IsingProblem

            return IsingProblem(data)
        case contract.Portfolio():
            from hybridjob_solver.problems.portfolio import PortfolioProblem

            return PortfolioProblem(data)
        case str():
            from hybridjob_solver.problems.binary_program import BinaryProgramProblem

            return BinaryProgramProblem.parse(data, problem.format)
        case _:
            raise TypeError(f"{problem.type} is no optimisation problem")
