"""Classical algorithms against brute force, and the choice that `Auto` makes."""

from typing import Any

import networkx as nx
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine

from hybridjob.contract.task import ClassicalAlgorithm, ClassicalTask
from hybridjob_solver.algorithms.choose import choose, solve_classically
from hybridjob_solver.algorithms.effort import ANSWER, BASELINE, Effort
from hybridjob_solver.candidates import Candidates
from hybridjob_solver.failures import BackendUnavailableError, InvalidTaskError
from hybridjob_solver.problems.base import OptimisationProblem
from hybridjob_solver.verify import Verified, verify
from support.optimisation import (
    CONTRADICTION,
    KNAPSACK,
    brute_force,
    problem_of,
    random_maxcut,
    random_portfolio,
)

QUICK = Effort(heuristic_seconds=0.1, exact_seconds=None)

INTEGER_PROGRAM = """
Minimize
 cost: 3 trucks + 2 vans - x + [ 2 trucks * vans - 4 trucks * x ] / 2
Subject To
 load: 5 trucks + 2 vans >= 11
 fleet: trucks + vans <= 6
Bounds
 0 <= trucks <= 4
 1 <= vans <= 5
Binary
 x
General
 trucks vans
End
"""

SMALL_PROBLEMS: dict[str, OptimisationProblem] = {
    "MaxCut": problem_of("MaxCut", random_maxcut(11, 0.5, seed=1)),
    "Qubo": problem_of(
        "Qubo", {"variables": 4, "linear": [[0, -1.0], [2, 2.0]], "quadratic": [[0, 1, -2.0], [3, 2, -5.0]]}
    ),
    "Ising": problem_of("Ising", {"spins": 5, "h": [[0, 0.5]], "J": [[0, 1, -1.0], [1, 2, 2.0], [4, 3, 1.0]]}),
    "Portfolio": problem_of("Portfolio", random_portfolio(10, 4, seed=2)),
    "Knapsack": problem_of("BinaryProgram", KNAPSACK),
    "IntegerProgram": problem_of("BinaryProgram", INTEGER_PROGRAM),
}


def run(
    problem: OptimisationProblem, algorithm: ClassicalAlgorithm, effort: Effort = QUICK, seed: int = 1
) -> Candidates:
    classical = ClassicalTask(algorithm=algorithm, seed=seed)
    return solve_classically(problem, problem.encode(), classical, effort, lambda *_: None)


def verified(problem: OptimisationProblem, candidates: Candidates) -> Verified:
    return verify(problem, problem.encode(), candidates)


@pytest.mark.parametrize("algorithm", ["Auto", "SimulatedAnnealing", "Tabu", "Exact", "Enumeration"])
@pytest.mark.parametrize("name", SMALL_PROBLEMS)
def test_every_algorithm_finds_the_optimum_of_a_small_problem(name: str, algorithm: ClassicalAlgorithm) -> None:
    problem = SMALL_PROBLEMS[name]
    best = brute_force(problem, problem.encode()).best(problem.sense == "Maximize")
    candidates = run(problem, algorithm)
    answer = verified(problem, candidates)
    assert answer.feasible
    assert answer.objective == pytest.approx(best)
    assert candidates.is_optimal == (algorithm in ("Auto", "Exact", "Enumeration"))


@pytest.mark.parametrize("algorithm", ["SimulatedAnnealing", "Tabu"])
def test_a_seed_determines_the_answer(algorithm: ClassicalAlgorithm) -> None:
    problem = problem_of("MaxCut", random_maxcut(60, 0.3, seed=3))
    first, second = (run(problem, algorithm, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.bits, second.bits)
    np.testing.assert_array_equal(first.counts, second.counts)
    assert first.convergence == second.convergence


@pytest.mark.parametrize(
    ("problem", "algorithm"),
    [
        (problem_of("MaxCut", random_maxcut(19, 0.5, seed=1)), "Enumeration"),
        (problem_of("MaxCut", random_maxcut(30, 0.3, seed=1)), "Exact"),
        (problem_of("MaxCut", random_maxcut(100, 0.1, seed=1)), "SimulatedAnnealing"),
        (problem_of("MaxCut", random_maxcut(100, 0.8, seed=1)), "Tabu"),
        (problem_of("Portfolio", random_portfolio(30, 10, seed=1)), "Tabu"),
    ],
)
def test_auto_chooses_by_size_and_structure(problem: OptimisationProblem, algorithm: str) -> None:
    assert choose(problem.encode())[0] == algorithm


def test_auto_leaves_constraints_that_are_not_a_cardinality_to_highs() -> None:
    names = [f"x{i}" for i in range(30)]
    total = " + ".join(names)
    text = f"Maximize\n obj: {total}\nSubject To\n c: {total} <= 4\nBinary\n {' '.join(names)}\nEnd"
    problem = problem_of("BinaryProgram", text)
    candidates = run(problem, "Auto")
    assert candidates.algorithm == "Exact"
    assert verified(problem, candidates).objective == 4


def test_auto_says_why() -> None:
    candidates = run(problem_of("MaxCut", random_maxcut(10, 0.5, seed=1)), "Auto")
    assert candidates.message == (
        "Enumeration of all 1024 assignments, as 10 binary variables are few enough to try every assignment"
    )


def test_the_karate_club_is_cut_to_proven_optimality() -> None:
    graph = nx.karate_club_graph()
    problem = problem_of("MaxCut", {"nodes": 34, "edges": [[i, j, 1.0] for i, j in graph.edges]})
    exact, annealed = run(problem, "Auto"), run(problem, "SimulatedAnnealing")
    assert exact.is_optimal
    assert exact.convergence[-1].best == 61
    assert verified(problem, exact).objective == verified(problem, annealed).objective == 61


@pytest.mark.parametrize(("load", "select"), [(load_wine, 4), (load_breast_cancer, 6)])
def test_features_of_a_real_table_are_chosen_as_well_as_the_best_exchange(load: Any, select: int) -> None:
    data = load()
    names = [str(name) for name in data.feature_names]
    rows = np.column_stack([data.data, data.target]).tolist()
    parameters = {"target": "y", "select": select}
    problem = problem_of("FeatureSelection", {"columns": [*names, "y"], "rows": rows}, parameters=parameters)
    answer = verified(problem, run(problem, "Auto"))
    assert answer.assignment is not None
    assert list(answer.assignment) == names
    chosen = np.array([int(value) for value in answer.assignment.values()])
    exchanged = []
    for out in np.flatnonzero(chosen):
        for into in np.flatnonzero(1 - chosen):
            other = chosen.copy()
            other[[out, into]] = 0, 1
            exchanged.append(other)
    assert answer.feasible
    assert answer.objective >= problem.objective(np.array(exchanged)).max()


def test_tabu_answers_a_large_portfolio_within_its_cardinality() -> None:
    problem = problem_of("Portfolio", random_portfolio(120, 25, seed=5))
    answer = verified(problem, run(problem, "Auto"))
    assert answer.feasible
    assert answer.solution is not None
    assert answer.solution.count("1") == 25


@pytest.mark.parametrize("algorithm", ["Auto", "Exact", "Enumeration"])
def test_contradicting_constraints_are_an_invalid_task(algorithm: ClassicalAlgorithm) -> None:
    text = CONTRADICTION
    with pytest.raises(InvalidTaskError, match="contradict"):
        run(problem_of("BinaryProgram", text), algorithm)


def test_exact_keeps_constraints_that_have_no_exact_penalty() -> None:
    text = "Maximize\n obj: 3 x + 2 y\nSubject To\n c: 1.4142135623730951 x + 1.7320508 y <= 3.1\nBinary\n x y\nEnd"
    problem = problem_of("BinaryProgram", text)
    answer = verified(problem, run(problem, "Exact"))
    assert (answer.objective, answer.feasible) == (3.0, True)
    with pytest.raises(BackendUnavailableError, match="no exact penalty"):
        run(problem, "Tabu")


def test_enumeration_refuses_what_it_cannot_finish() -> None:
    with pytest.raises(BackendUnavailableError, match="Enumeration must have at most 19"):
        run(problem_of("MaxCut", random_maxcut(20, 0.5, seed=1)), "Enumeration")


def test_the_best_so_far_never_gets_worse() -> None:
    problem = problem_of("MaxCut", random_maxcut(80, 0.3, seed=8))
    for algorithm in ("SimulatedAnnealing", "Tabu"):
        best = [point.best for point in run(problem, algorithm).convergence]
        assert best == sorted(best)


def test_a_budget_pays_for_reads_within_limits() -> None:
    assert BASELINE.reads(0.01, least=4, most=1000) < ANSWER.reads(0.01, least=4, most=1000)
    assert ANSWER.reads(1000.0, least=4, most=200) == 4
    assert ANSWER.reads(1e-9, least=4, most=200) == 200


def test_integer_answers_are_values_not_bits() -> None:
    problem = SMALL_PROBLEMS["IntegerProgram"]
    answer = verified(problem, run(problem, "Exact"))
    assert answer.solution is None
    assert answer.assignment is not None
    assert answer.samples[0].solution == ",".join(str(int(value)) for value in answer.assignment.values())
    assert set(answer.assignment) == {"trucks", "vans", "x"}


def test_samples_are_feasible_first_then_best() -> None:
    problem = SMALL_PROBLEMS["Portfolio"]
    candidates = Candidates(
        bits=np.array([[1] * 10, [1] * 4 + [0] * 6, [0] * 6 + [1] * 4, [1] * 10], dtype=np.uint8),
        counts=np.array([5, 1, 2, 3]),
        algorithm="by hand",
        message="by hand",
    )
    answer = verified(problem, candidates)
    assert [sample.feasible for sample in answer.samples] == [True, True, False]
    assert answer.samples[0].objective >= answer.samples[1].objective
    assert answer.samples[2].count == 8
    assert answer.objective == answer.samples[0].objective


def test_of_many_outcomes_the_best_and_the_most_frequent_are_kept() -> None:
    problem = problem_of("Qubo", {"variables": 11, "linear": [[i, float(2**i)] for i in range(11)]})
    indices = np.arange(2048)
    bits = ((indices[:, None] >> np.arange(11)) & 1).astype(np.uint8)
    counts = np.where(indices == 2047, 100, 1)
    answer = verified(problem, Candidates(bits=bits, counts=counts, algorithm="by hand", message="by hand"))
    assert len(answer.samples) == 1024
    objectives = [sample.objective for sample in answer.samples]
    assert objectives == sorted(objectives)
    assert objectives[:512] == list(range(512))
    assert answer.samples[-1].count == 100
