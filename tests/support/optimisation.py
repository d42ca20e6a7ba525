"""Optimisation problems for tests: tasks of every type, and the truth about them by brute force."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from hybridjob.contract.problems import FORMATS, ProblemFormat, ProblemType
from hybridjob.contract.task import ClassicalAlgorithm, ClassicalTask, PrepareStep, Problem, ProblemData, Task
from hybridjob_solver.encode.encoding import Encoding
from hybridjob_solver.encode.qubo import Bits, Bools, Floats, Ints
from hybridjob_solver.problems.base import OptimisationProblem
from hybridjob_solver.problems.load import load_problem


def task_of(
    problem_type: ProblemType,
    data: dict[str, Any] | str,
    problem_format: ProblemFormat | None = None,
    *,
    parameters: dict[str, Any] | None = None,
    prepare: list[dict[str, Any]] | None = None,
    algorithm: ClassicalAlgorithm = "Auto",
    seed: int = 7,
) -> Task:
    """A classical task; `data` is an object or text."""
    source = ProblemData(text=data) if isinstance(data, str) else ProblemData(inline=data)
    return Task(
        job_uid="job",
        attempt=1,
        problem=Problem(
            type=problem_type,
            format=problem_format or FORMATS[problem_type][0],
            data=source,
            parameters=parameters or {},
        ),
        prepare=[PrepareStep.model_validate(step) for step in prepare or []],
        classical=ClassicalTask(algorithm=algorithm, seed=seed),
    )


def problem_of(problem_type: ProblemType, data: dict[str, Any] | str, **settings: Any) -> OptimisationProblem:
    return load_problem(task_of(problem_type, data, **settings))[0]


def all_bits(n: int) -> Bits:
    """Every bit string, shape (2^n, n)."""
    return np.array(list(product((0, 1), repeat=n)), dtype=np.uint8).reshape(-1, n)


@dataclass(frozen=True)
class Truth:
    """Every assignment of a problem and what holds of it."""

    values: Ints
    objectives: Floats
    feasible: Bools

    @property
    def has_answer(self) -> bool:
        return bool(self.feasible.any())

    def best(self, maximize: bool) -> float:
        feasible = self.objectives[self.feasible]
        return float(feasible.max() if maximize else feasible.min())


def brute_force(problem: OptimisationProblem, encoding: Encoding) -> Truth:
    program = encoding.program
    ranges = [range(low, high + 1) for low, high in zip(program.lower, program.upper, strict=True)]
    values = np.array(list(product(*ranges)), dtype=np.int64).reshape(-1, problem.size)
    return Truth(values, problem.objective(values), problem.feasible(values))


def random_portfolio(n: int, select: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n, n)) * 0.1
    return {
        "expectedReturns": rng.normal(0.1, 0.1, n).tolist(),
        "covariance": (factors @ factors.T).tolist(),
        "select": select,
        "riskAversion": 0.5,
    }


def random_maxcut(n: int, density: float, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    pairs = [(i, j) for i in range(n) for j in range(i) if rng.random() < density]
    return {"nodes": n, "edges": [[i, j, float(rng.integers(1, 9))] for i, j in pairs]}


KNAPSACK = """
Maximize
 value: 8 lamp + 11 stove + 6 rope + 4 map + 10
Subject To
 weight: 5 lamp + 7 stove + 4 rope + 3 map <= 14
Binary
 lamp stove rope map
End
"""
"""Best: stove, rope and map, 21 and the constant 10."""

CONTRADICTION = """
Minimize
 cost: x + y
Subject To
 low: 2 x + 2 y >= 3
 high: 2 x + 3 y <= 4
Binary
 x y
End
"""
"""No assignment satisfies both, and no single constraint says so."""
