"""QAOA: the fast evolution against simulators of the circuit, the start angles, and whole solves."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from hybridjob.contract.task import Backend
from hybridjob_solver.algorithms import qaoa
from hybridjob_solver.algorithms.angles import starting_angles
from hybridjob_solver.candidates import Candidates
from hybridjob_solver.diagonal import DiagonalQaoa, bits_of, energies_of_all_states
from hybridjob_solver.encode.qubo import Qubo
from hybridjob_solver.failures import BackendUnavailableError, InvalidTaskError
from support.quantum import AER, CIRQ, aer_state, cirq_state, maxcut_qubo, quantum_task, qubo, random_qubo, silent


def solve(problem: Qubo, backend: Backend = AER, **settings: Any) -> Candidates:
    task = quantum_task(backend, **settings)
    return qaoa.solve(problem, task, lambda energy: energy, silent)


def mean_energy(problem: Qubo, found: Candidates) -> float:
    return float(problem.energies(found.bits) @ found.counts / found.counts.sum())


@given(n=st.integers(1, 8), seed=st.integers(0, 1000), density=st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_table_holds_the_energy_of_every_state(n: int, seed: int, density: float) -> None:
    problem = random_qubo(n, seed, density)
    expected = problem.energies(bits_of(np.arange(2**n), n))
    np.testing.assert_allclose(energies_of_all_states(problem), expected, atol=1e-12)


@pytest.mark.parametrize(
    "instance", [*(random_qubo(n, seed=n) for n in (1, 2, 3, 5, 8, 10)), maxcut_qubo(8, 1)], ids=lambda q: f"n{q.size}"
)
def test_diagonal_aer_and_cirq_agree_on_the_energy(instance: Qubo) -> None:
    n = instance.size
    rng = np.random.default_rng(n)
    gammas, betas = rng.uniform(-1, 1, 3), rng.uniform(-1, 1, 3)
    energies = energies_of_all_states(instance)

    ours = DiagonalQaoa(energies).energy(gammas.tolist(), betas.tolist())

    text = qaoa.qaoa_circuit(instance.to_ising(), gammas, betas).to_qasm3()
    for state in (aer_state(text), cirq_state(text, n)):
        assert ours == pytest.approx(np.abs(state) ** 2 @ energies, abs=1e-6)


@pytest.mark.parametrize("layers", [3, 6])  # With one layer COBYLA finds its way from anywhere.
@pytest.mark.parametrize("problem", [random_qubo, maxcut_qubo, lambda n, seed: maxcut_qubo(n, seed, weighted=True)])
def test_one_evaluation_at_the_start_beats_a_hundred_from_random_angles(layers: int, problem: Any) -> None:
    ours, random_start = [], []
    for seed in range(5):
        instance = problem(10, seed)
        energies = energies_of_all_states(instance)
        state = DiagonalQaoa(energies)
        gammas, betas = starting_angles(instance.to_ising(), layers)
        ours.append(state.energy(gammas.tolist(), betas.tolist()) / np.ptp(energies))

        def energy(x: np.ndarray, state: DiagonalQaoa = state) -> float:
            return state.energy(x[:layers].tolist(), x[layers:].tolist())

        start = np.random.default_rng(seed).uniform(0, [2 * np.pi] * layers + [np.pi] * layers)
        found = minimize(energy, start, method="COBYLA", options={"maxiter": 100})
        random_start.append(found.fun / np.ptp(energies))
    assert np.median(ours) < np.median(random_start)


def test_more_layers_start_from_better_energies() -> None:
    instance = maxcut_qubo(12, seed=1)
    state = DiagonalQaoa(energies_of_all_states(instance))
    by_layers = [
        state.energy(*(angles.tolist() for angles in starting_angles(instance.to_ising(), layers)))
        for layers in (1, 2, 4, 8, 12, 16)  # Beyond 8 the angles are interpolated.
    ]
    assert by_layers == sorted(by_layers, reverse=True)


@pytest.mark.parametrize("backend", [AER, CIRQ], ids=lambda backend: backend.sdk)
def test_samples_follow_the_distribution_that_was_optimised(backend: Backend) -> None:
    instance = random_qubo(6, seed=3)
    found = solve(instance, backend, shots=20_000)

    state = DiagonalQaoa(energies_of_all_states(instance))
    probabilities = state.probabilities(found.parameters["gammas"], found.parameters["betas"])
    counts = np.zeros(64)
    counts[found.bits @ (1 << np.arange(6))] = found.counts

    expected = 20_000 * probabilities
    frequent = expected >= 5
    chi_square = ((counts - expected)[frequent] ** 2 / expected[frequent]).sum()
    # Mean k and variance 2k for k degrees of freedom: five standard deviations.
    assert chi_square < frequent.sum() + 5 * np.sqrt(2 * frequent.sum())
    assert found.counts.sum() == 20_000


@pytest.mark.parametrize("backend", [AER, CIRQ], ids=lambda backend: backend.sdk)
def test_solves_a_small_problem(backend: Backend) -> None:
    instance = random_qubo(8, seed=5)
    found = solve(instance, backend)
    assert instance.energies(found.bits).min() == pytest.approx(energies_of_all_states(instance).min())
    assert mean_energy(instance, found) == pytest.approx(found.parameters["expectedObjective"], abs=0.2)
    assert found.qubits == 8
    assert found.circuit_depth is not None
    assert found.circuit is not None
    assert found.circuit.startswith("OPENQASM 3.0;")
    assert found.usage.tasks == 1
    assert found.usage.shots == 2048


def test_search_never_gets_worse_and_keeps_to_its_budget() -> None:
    seen: list[tuple[str, int, int, float]] = []
    task = quantum_task(max_iterations=25)
    found = qaoa.solve(random_qubo(7, seed=2), task, lambda energy: -energy, lambda *line: seen.append(line))
    assert len(found.convergence) == 25
    best = [point.best for point in found.convergence]
    assert best == sorted(best)  # In the problem's own sense, which this one's objective reverses.
    assert best[-1] == max(point.objective for point in found.convergence)
    assert best[-1] == found.parameters["expectedObjective"]
    assert [line[1] for line in seen if line[0] == "search"] == list(range(1, 26))


@pytest.mark.parametrize("iterations", [0, 1, 5])
def test_a_budget_too_small_to_search_is_one_evaluation_at_the_start(iterations: int) -> None:
    assert len(solve(random_qubo(4, seed=1), max_iterations=iterations).convergence) == 1


@pytest.mark.parametrize("backend", [AER, CIRQ], ids=lambda backend: backend.sdk)
def test_same_seed_same_answer(backend: Backend) -> None:
    first, second, other = (solve(random_qubo(6, seed=1), backend, seed=seed) for seed in (4, 4, 5))
    assert first.circuit == second.circuit == other.circuit
    np.testing.assert_array_equal(first.counts, second.counts)
    np.testing.assert_array_equal(first.bits, second.bits)
    assert first.counts.tolist() != other.counts.tolist()


DEGENERATE = {
    "all zero": qubo([0, 0, 0], []),
    "one variable": qubo([-1], []),
    "no couplings": qubo([1, -2, 3], []),
    "rounding errors": qubo([1e-16, -1e-16, 2e-16], [(0, 2, -3e-16)]),
    "huge": qubo([1e12, -1e12, 2e12], [(0, 1, -3e12)]),
    "mixed scales": qubo([1e12, -1, 2], [(0, 1, -3)]),
    "cancelling fields": qubo([1, 1], [(0, 1, -2.0)]),
    "near overflow": qubo([1e300, -1e300], [(0, 1, -1e300)]),
}


@pytest.mark.parametrize("backend", [AER, CIRQ], ids=lambda backend: backend.sdk)
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_problems_are_solved(name: str, backend: Backend) -> None:
    problem = DEGENERATE[name]
    found = solve(problem, backend)
    assert problem.energies(found.bits).min() == energies_of_all_states(problem).min()


def test_energies_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidTaskError, match="must be scaled down"):
        solve(qubo([1e308, 1e308, -1e308], [(0, 1, 1e308)]))


def test_more_variables_than_qubits_names_both_numbers() -> None:
    small = AER.model_copy(update={"qubits": 3})
    with pytest.raises(BackendUnavailableError, match=r"4 variables.*3 qubits.*must be made smaller"):
        solve(random_qubo(4, seed=1), small)


def test_more_variables_than_the_table_can_hold() -> None:
    device = AER.model_copy(update={"qubits": 100})
    with pytest.raises(BackendUnavailableError, match=r"30 variables.*at most 26"):
        solve(qubo([1.0] * 30, []), device)


def test_couplings_run_side_by_side() -> None:
    """A ring of ten needs two rounds of couplings, whatever the order in which they are given."""
    ring = qubo([0] * 10, [(min(i, (i + 1) % 10), max(i, (i + 1) % 10), 1.0) for i in range(10)])
    assert (solve(ring, layers=1).circuit_depth or 0) <= 1 + 2 * 3 + 2 + 1
