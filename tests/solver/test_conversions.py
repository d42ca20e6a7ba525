"""Original problem, program, QUBO, Ising and decoded answer agree on every assignment of small random problems."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hybridjob_solver.encode.program import expand, range_weights
from hybridjob_solver.failures import BackendUnavailableError, InvalidTaskError
from hybridjob_solver.problems.base import OptimisationProblem
from support.optimisation import all_bits, brute_force, problem_of

MAX_ENCODED_BITS = 14

thorough = settings(max_examples=60, deadline=None)
numbers = st.one_of(st.integers(-9, 9).map(float), st.floats(-100, 100).filter(lambda x: x == 0 or abs(x) > 1e-6))


def check_conversions(problem: OptimisationProblem) -> None:
    """Feasible assignments have their objective as least energy over all codes and slacks; every infeasible one has
    more energy than every feasible one; the Ising form has the same energies."""
    encoding = problem.encode()
    assume(encoding.qubo.size <= MAX_ENCODED_BITS)
    truth = brute_force(problem, encoding)
    codes = all_bits(encoding.qubo.size)
    energies = encoding.qubo.energies(codes)
    scale = 1 + float(np.abs(energies).max())
    np.testing.assert_allclose(encoding.qubo.to_ising().energies(codes), energies, atol=1e-12 * scale)
    np.testing.assert_allclose(encoding.qubo.to_ising().to_qubo().energies(codes), energies, atol=1e-12 * scale)

    place = {tuple(row): i for i, row in enumerate(truth.values.tolist())}
    least = np.full(len(truth.values), np.inf)
    for value, energy in zip(encoding.decode(codes).tolist(), energies, strict=True):
        i = place[tuple(value)]
        least[i] = min(least[i], energy)
    np.testing.assert_array_equal(encoding.decode(encoding.encode_values(truth.values)), truth.values)

    expected = np.array([encoding.objective_of(energy) for energy in least])
    np.testing.assert_allclose(
        expected[truth.feasible], truth.objectives[truth.feasible], atol=1e-12 * scale * len(energies)
    )
    if truth.has_answer:
        assert np.all(least[~truth.feasible] > least[truth.feasible].max())


@st.composite
def pairs(draw: st.DrawFn, n: int) -> list[list[Any]]:
    """Terms on distinct pairs, in either order."""
    chosen = draw(st.lists(st.sampled_from([(i, j) for i in range(n) for j in range(i)]), unique=True)) if n > 1 else []
    return [[*(pair if draw(st.booleans()) else pair[::-1]), draw(numbers)] for pair in chosen]


@st.composite
def linear(draw: st.DrawFn, n: int) -> list[list[Any]]:
    return [[i, draw(numbers)] for i in draw(st.lists(st.integers(0, n - 1), unique=True))]


@given(data=st.data(), n=st.integers(1, 10))
@thorough
def test_maxcut_agrees_with_its_conversions(data: st.DataObject, n: int) -> None:
    edges = data.draw(pairs(n))
    problem = problem_of("MaxCut", {"nodes": n, "edges": edges})
    sides = all_bits(n)
    cuts = [sum(w for i, j, w in edges if side[i] != side[j]) for side in sides]
    np.testing.assert_allclose(problem.objective(sides), cuts, atol=1e-9)
    check_conversions(problem)


@given(data=st.data(), n=st.integers(1, 10), offset=numbers)
@thorough
def test_qubo_agrees_with_its_conversions(data: st.DataObject, n: int, offset: float) -> None:
    one, two = data.draw(linear(n)), data.draw(pairs(n))
    problem = problem_of("Qubo", {"variables": n, "linear": one, "quadratic": two, "offset": offset})
    bits = all_bits(n)
    values = [offset + sum(v * x[i] for i, v in one) + sum(v * x[i] * x[j] for i, j, v in two) for x in bits.tolist()]
    np.testing.assert_allclose(problem.objective(bits), values, atol=1e-9)
    check_conversions(problem)


@given(data=st.data(), n=st.integers(1, 10), offset=numbers)
@thorough
def test_ising_agrees_with_its_conversions(data: st.DataObject, n: int, offset: float) -> None:
    h, couplings = data.draw(linear(n)), data.draw(pairs(n))
    problem = problem_of("Ising", {"spins": n, "h": h, "J": couplings, "offset": offset})
    bits = all_bits(n)
    spins = [[1 if bit == 0 else -1 for bit in row] for row in bits.tolist()]
    values = [offset + sum(v * s[i] for i, v in h) + sum(v * s[i] * s[j] for i, j, v in couplings) for s in spins]
    np.testing.assert_allclose(problem.objective(bits), values, atol=1e-9)
    check_conversions(problem)


@given(data=st.data(), n=st.integers(1, 8))
@thorough
def test_portfolio_agrees_with_its_conversions(data: st.DataObject, n: int) -> None:
    returns = data.draw(st.lists(numbers, min_size=n, max_size=n))
    matrix = [[data.draw(numbers) if j <= i else 0.0 for j in range(n)] for i in range(n)]
    covariance = [[abs(matrix[i][i]) if i == j else matrix[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
    select, aversion = data.draw(st.integers(1, n)), data.draw(st.floats(0, 10))
    problem = problem_of(
        "Portfolio",
        {"expectedReturns": returns, "covariance": covariance, "select": select, "riskAversion": aversion},
    )
    chosen = all_bits(n).astype(np.int64)
    values = [
        sum(returns[i] for i in range(n) if x[i])
        - aversion * sum(covariance[i][j] for i in range(n) for j in range(n) if x[i] and x[j])
        for x in chosen
    ]
    np.testing.assert_allclose(problem.objective(chosen), values, atol=1e-7)
    np.testing.assert_array_equal(problem.feasible(chosen), [sum(x) == select for x in chosen])
    check_conversions(problem)


@given(data=st.data(), n=st.integers(1, 7), rows=st.integers(2, 12), is_label=st.booleans())
@thorough
def test_feature_selection_agrees_with_its_conversions(data: st.DataObject, n: int, rows: int, is_label: bool) -> None:
    target: Any = st.sampled_from(["a", "b", "c"]) if is_label else st.floats(-5, 5)
    table = {
        "columns": [f"f{i}" for i in range(n)] + ["y"],
        "rows": [[*(data.draw(numbers) for _ in range(n)), data.draw(target)] for _ in range(rows)],
    }
    select = data.draw(st.integers(1, n))
    problem = problem_of("FeatureSelection", table, parameters={"target": "y", "select": select})
    scores = problem.objective(all_bits(n).astype(np.int64))
    assert np.all(np.isfinite(scores))
    check_conversions(problem)


def test_feature_selection_scores_as_the_paper_says() -> None:
    rng = np.random.default_rng(3)
    features, target = rng.normal(size=(40, 4)), rng.normal(size=40)
    table = {"columns": ["a", "b", "c", "d", "y"], "rows": np.column_stack([features, target]).tolist()}
    problem = problem_of("FeatureSelection", table, parameters={"target": "y", "select": 2})
    correlation = np.abs(np.corrcoef(np.column_stack([features, target]).T))
    expected = (correlation[0, 4] + correlation[2, 4]) / 2 - 2 * correlation[0, 2] / 4
    assert problem.objective(np.array([[1, 0, 1, 0]]))[0] == pytest.approx(expected)


def test_relevance_to_a_label_is_the_correlation_ratio() -> None:
    values = [1.0, 2.0, 3.0, 7.0, 8.0, 9.0, 4.0]
    labels = ["a", "a", "a", "b", "b", "b", "c"]
    table = {"columns": ["f", "y"], "rows": [[v, label] for v, label in zip(values, labels, strict=True)]}
    problem = problem_of("FeatureSelection", table, parameters={"target": "y", "select": 1})
    mean = np.mean(values)
    between = 3 * (2 - mean) ** 2 + 3 * (8 - mean) ** 2 + (4 - mean) ** 2
    expected = np.sqrt(between / np.sum((np.array(values) - mean) ** 2))
    assert problem.objective(np.array([[1]]))[0] == pytest.approx(expected)


@pytest.mark.parametrize("labels", [["a", "b", "a", "c"], [0, 1, 0, 2]])
def test_labels_and_class_numbers_are_the_same_target(labels: list[Any]) -> None:
    def relevance(target: list[Any]) -> float:
        table = {"columns": ["f", "y"], "rows": [[v, t] for v, t in zip([1.0, 5.0, 2.0, 3.0], target, strict=True)]}
        problem = problem_of("FeatureSelection", table, parameters={"target": "y", "select": 1})
        return float(problem.objective(np.array([[1]]))[0])

    assert relevance(labels) == pytest.approx(relevance([f"class {label}" for label in labels]))


def test_constant_columns_correlate_with_nothing() -> None:
    table = {"columns": ["constant", "f", "y"], "rows": [[0.1, 1.0, 1.0], [0.1, 2.0, 2.5], [0.1, 3.0, 2.0]]}
    problem = problem_of("FeatureSelection", table, parameters={"target": "y", "select": 1})
    assert problem.objective(np.array([[1, 0]]))[0] == 0


@dataclass(frozen=True)
class Program:
    """A program over integers, small enough to evaluate by hand."""

    maximize: bool
    bounds: list[tuple[int, int]]
    costs: list[float]
    products: dict[tuple[int, int], float]
    constant: float
    constraints: list[tuple[dict[int, float], str, float]]

    def lp_text(self) -> str:
        n = len(self.bounds)
        products = " ".join(
            f"{2 * value:+g} x{i} ^ 2" if i == j else f"{2 * value:+g} x{i} * x{j}"
            for (i, j), value in self.products.items()
        )
        quadratic = f"+ [ {products} ] / 2" if products else ""
        lines = [
            "Maximize" if self.maximize else "Minimize",
            f" obj: {_terms(dict(enumerate(self.costs)))} {quadratic} {self.constant:+g}",
            "Subject To",
            *(f" row{i}: {_terms(terms)} {sign} {side}" for i, (terms, sign, side) in enumerate(self.constraints)),
            "Bounds",
            *(f" {low} <= x{i} <= {high}" for i, (low, high) in enumerate(self.bounds)),
            "General",
            *(f" x{i}" for i in range(n)),
            "End",
        ]
        return "\n".join(lines)

    def values(self) -> np.ndarray:
        return np.array(list(product(*(range(low, high + 1) for low, high in self.bounds))))

    def objective(self, x: np.ndarray) -> float:
        return (
            self.constant
            + sum(cost * x[i] for i, cost in enumerate(self.costs))
            + sum(value * x[i] * x[j] for (i, j), value in self.products.items())
        )

    def is_feasible(self, x: np.ndarray) -> bool:
        sums = [sum(value * x[i] for i, value in terms.items()) for terms, _, _ in self.constraints]
        return all(
            {"<=": left <= side + 1e-9, ">=": left >= side - 1e-9, "=": abs(left - side) <= 1e-9}[sign]
            for left, (_, sign, side) in zip(sums, self.constraints, strict=True)
        )


def _terms(terms: dict[int, float]) -> str:
    return " ".join(f"{value:+g} x{i}" for i, value in terms.items())


@st.composite
def programs(draw: st.DrawFn) -> Program:
    n = draw(st.integers(1, 4))
    decimals = st.sampled_from([-3, -2, -1.5, -1, -0.1, 0.1, 0.25, 0.5, 1, 2, 2.5, 7])
    variables = st.integers(0, n - 1)
    ordered = st.tuples(variables, variables).map(lambda pair: (min(pair), max(pair)))
    lows = draw(st.lists(st.sampled_from([0, 0, 0, -2, -1, 1]), min_size=n, max_size=n))
    return Program(
        maximize=draw(st.booleans()),
        bounds=[(low, low + draw(st.sampled_from([1, 1, 1, 2, 3]))) for low in lows],
        costs=draw(st.lists(decimals, min_size=n, max_size=n)),
        products=draw(st.dictionaries(ordered, decimals, max_size=3)),
        constant=draw(decimals),
        constraints=draw(
            st.lists(
                st.tuples(
                    st.dictionaries(variables, decimals, min_size=1),
                    st.sampled_from(["<=", ">=", "="]),
                    st.sampled_from([-2, -0.5, 0, 0.3, 1, 2, 3.5]),
                ),
                max_size=3,
            )
        ),
    )


@given(program=programs())
@settings(max_examples=200, deadline=None)
def test_programs_agree_with_their_text_and_conversions(program: Program) -> None:
    values = program.values()
    feasible = [program.is_feasible(x) for x in values]
    try:
        problem = problem_of("BinaryProgram", program.lp_text())
        check_conversions(problem)
    except InvalidTaskError:
        assert not any(feasible)
        return
    np.testing.assert_allclose(problem.objective(values), [program.objective(x) for x in values], atol=1e-9)
    np.testing.assert_array_equal(problem.feasible(values), feasible)


def test_lp_and_mps_text_of_one_program_agree() -> None:
    lp = "Maximize\n obj: 3 x + 2 y + 5\nSubject To\n c: x + y <= 2\nBounds\n 0 <= y <= 3\nBinary\n x\nGeneral\n y\nEnd"
    mps = (
        "NAME p\nOBJSENSE\n    MAX\nROWS\n N  obj\n L  c\nCOLUMNS\n"
        "    M1 'MARKER' 'INTORG'\n    x obj 3 c 1\n    y obj 2 c 1\n    M2 'MARKER' 'INTEND'\n"
        "RHS\n    rhs c 2 obj -5\nBOUNDS\n BV bnd x\n UP bnd y 3\nENDATA\n"
    )
    values = np.array([[0, 0], [1, 1], [1, 3]])
    first, second = problem_of("BinaryProgram", lp), problem_of("BinaryProgram", mps, problem_format="MPS")
    assert first.variable_names == second.variable_names == ["x", "y"]
    assert (first.sense, second.sense) == ("Maximize", "Maximize")
    np.testing.assert_array_equal(first.objective(values), [5, 10, 14])
    np.testing.assert_array_equal(second.objective(values), [5, 10, 14])
    np.testing.assert_array_equal(first.feasible(values), [True, True, False])
    np.testing.assert_array_equal(second.feasible(values), [True, True, False])


@given(size=st.integers(0, 300))
def test_range_weights_reach_every_value_and_none_beyond(size: int) -> None:
    sums = {0}
    for weight in range_weights(size):
        sums |= {value + weight for value in sums}
    assert sums == set(range(size + 1))


def test_a_constraint_without_exact_penalty_is_left_to_classical_exact() -> None:
    text = "Minimize\n obj: x + y\nSubject To\n c: 1.4142135623730951 x + 1.7320508075688772 y >= 1\nBinary\n x y\nEnd"
    encoding = problem_of("BinaryProgram", text).encode()
    with pytest.raises(BackendUnavailableError, match=r"'c' has no exact penalty.*must be solved with classical Exact"):
        _ = encoding.qubo


def test_fixed_variables_take_no_bits() -> None:
    text = "Minimize\n obj: x + y\nSubject To\n c: x + y >= 1\nBounds\n 2 <= x <= 2\nBinary\n y\nGeneral\n x\nEnd"
    encoding = problem_of("BinaryProgram", text).encode()
    assert encoding.bits == 1
    np.testing.assert_array_equal(encoding.decode(np.array([[0], [1]])), [[2, 0], [2, 1]])


def test_expansion_of_a_binary_program_is_itself() -> None:
    program = problem_of("MaxCut", {"nodes": 3, "edges": [[0, 1, 1.0]]}).encode().program
    expanded, _ = expand(program)
    np.testing.assert_array_equal(expanded.objective.linear, program.objective.linear)
