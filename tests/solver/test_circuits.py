"""Circuits and observables: sampled and exact answers, and that three simulators agree."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridjob.contract.problems import ExpectationParameters
from hybridjob.contract.task import Backend, Task
from hybridjob.contract.verdict import Payload
from hybridjob_solver.algorithms import circuits
from hybridjob_solver.algorithms.circuits import CircuitOutcome
from hybridjob_solver.algorithms.observable import group
from hybridjob_solver.circuits.gates import BASIC_GATES, Gate
from hybridjob_solver.circuits.model import Circuit, measure_all
from hybridjob_solver.circuits.outcomes import OutcomeDistribution
from hybridjob_solver.circuits.statevector import expectation, simulate
from hybridjob_solver.failures import BackendUnavailableError, InvalidTaskError
from hybridjob_solver.problems.circuit import CircuitProblem
from support.quantum import AER, CIRQ, MANILA, aer_state, cirq_state, classical_task, quantum_task, silent

V3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
BELL = V3 + "qubit[2] q;\nbit[2] c;\nry(1.0) q[0];\ncx q[0], q[1];\nc = measure q;\n"
"""|00⟩ with probability cos²(1/2) = 0.770, else |11⟩."""
TELEPORT = V3 + (
    "qubit[3] q; bit[3] c; ry(0.8) q[0]; h q[1]; cx q[1], q[2]; cx q[0], q[1]; h q[0]; c[0] = measure q[0]; "
    "c[1] = measure q[1]; if (c[1]) { x q[2]; } if (c[0]) { z q[2]; } c[2] = measure q[2];"
)
IDEAL = pytest.mark.parametrize("backend", [AER, CIRQ], ids=lambda backend: backend.sdk)


def sampling(backend: Backend, **fields: Any) -> Task:
    return quantum_task(backend, algorithm="Sampling", **fields)


def solve(text: str, task: Task, observable: list[tuple[str, float]] | None = None) -> CircuitOutcome:
    parameters = None if observable is None else ExpectationParameters(observable=observable)
    found = circuits.solve(CircuitProblem.parse(text, "QASM3", parameters), task, silent)
    Payload(job_uid="uid", attempt=1, **found.payload_fields)  # It must fit the contract.
    return found


@st.composite
def random_circuits(draw: st.DrawFn) -> Circuit:
    n = draw(st.integers(1, 6))
    names = [name for name, gate in BASIC_GATES.items() if gate.qubits <= n]
    angles = st.floats(-7, 7, allow_nan=False)
    gates = []
    for name in draw(st.lists(st.sampled_from(names), max_size=25)):
        basic = BASIC_GATES[name]
        qubits = draw(st.permutations(range(n)))[: basic.qubits]
        gates.append(Gate(name, tuple(draw(angles) for _ in range(basic.parameters)), tuple(qubits)))
    return Circuit(n, n, (*gates, *measure_all(n)))


@given(circuit=random_circuits())
@settings(max_examples=40, deadline=None)
def test_numpy_aer_and_cirq_prepare_the_same_state(circuit: Circuit) -> None:
    ours = simulate(circuit.qubits, circuit.gates)
    text = circuit.to_qasm3()
    for theirs in (aer_state(text), cirq_state(text, circuit.qubits)):
        assert abs(np.vdot(theirs, ours)) == pytest.approx(1.0, abs=1e-6)
        np.testing.assert_allclose(np.abs(ours) ** 2, np.abs(theirs) ** 2, atol=1e-6)


@given(circuit=random_circuits(), data=st.data())
@settings(max_examples=30, deadline=None)
def test_expectation_of_a_pauli_string(circuit: Circuit, data: st.DataObject) -> None:
    from qiskit.quantum_info import Pauli, Statevector

    pauli = data.draw(st.text("IXYZ", min_size=circuit.qubits, max_size=circuit.qubits))
    state = simulate(circuit.qubits, circuit.gates)
    expected = Statevector(state).expectation_value(Pauli(pauli[::-1]))  # Qiskit writes qubit 0 last.
    assert expectation(state, pauli) == pytest.approx(float(np.real(expected)), abs=1e-9)


@IDEAL
def test_sampled_circuit(backend: Backend) -> None:
    found = solve(BELL, sampling(backend, shots=4000))
    exact = np.cos(0.5) ** 2
    assert found.answer.solution == "00"
    assert found.answer.sense == "Value"
    assert found.answer.baseline == pytest.approx(exact)
    assert found.answer.objective == pytest.approx(exact, abs=5 * np.sqrt(exact * (1 - exact) / 4000))
    assert found.payload_fields["parameters"]["hellingerFidelity"] > 0.999
    assert [sample.solution for sample in found.payload_fields["samples"]] == ["00", "11"]
    assert (found.usage.tasks, found.usage.shots, found.qubits) == (1, 4000, 2)


def test_exact_circuit() -> None:
    found = solve(BELL, classical_task())
    assert found.algorithm == "Statevector"
    assert found.answer.objective == pytest.approx(np.cos(0.5) ** 2)
    assert found.answer.solution == "00"
    assert sum(sample.count for sample in found.payload_fields["samples"]) == 1024
    assert found.payload_fields == solve(BELL, classical_task()).payload_fields
    assert found.payload_fields["samples"] != solve(BELL, classical_task(seed=8)).payload_fields["samples"]


def test_noise_lowers_the_fidelity() -> None:
    ghz = V3 + "qubit[4] q; bit[4] c; h q[0]; cx q[0], q[1]; cx q[1], q[2]; cx q[2], q[3]; c = measure q;"
    fidelity = {
        backend.name: solve(ghz, sampling(backend)).payload_fields["parameters"]["hellingerFidelity"]
        for backend in (AER, MANILA)
    }
    assert fidelity["manila"] < 0.98 < fidelity["aer"]


@IDEAL
def test_feedback_runs_on_backends_and_has_no_baseline(backend: Backend) -> None:
    found = solve(TELEPORT, sampling(backend, shots=4000))
    ones = sum(sample.count for sample in found.payload_fields["samples"] if sample.solution[2] == "1")
    exact = np.sin(0.4) ** 2
    assert ones / 4000 == pytest.approx(exact, abs=5 * np.sqrt(exact / 4000))
    assert found.answer.baseline is None
    assert "hellingerFidelity" not in found.payload_fields["parameters"]


def test_feedback_has_no_state_vector() -> None:
    with pytest.raises(BackendUnavailableError, match="gates first and measurements last"):
        solve(TELEPORT, classical_task())


def test_a_qubit_measured_twice_and_a_bit_left_alone() -> None:
    text = V3 + "qubit[2] q; bit[4] c; h q[1]; c[0] = measure q[1]; c[3] = measure q[1]; c[1] = measure q[0];"
    found = solve(text, sampling(AER))
    assert {sample.solution for sample in found.payload_fields["samples"]} == {"0000", "1001"}
    distribution = OutcomeDistribution(CircuitProblem.parse(text, "QASM3", None).circuit)
    outcomes = np.array([[0, 0, 0, 0], [1, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]], dtype=np.uint8)
    np.testing.assert_allclose(distribution.probability_of(outcomes), [0.5, 0.5, 0, 0])


OBSERVABLE = [("ZZI", 0.5), ("XXI", -0.25), ("IYY", 0.75), ("III", 2.0), ("ZII", 1.0), ("IIZ", 0.1)]
STATE = V3 + "qubit[3] q; bit c; ry(0.7) q[0]; rx(0.4) q[2]; cx q[0], q[1]; cx q[1], q[2]; s q[1]; c = measure q[0];"


@IDEAL
def test_sampled_expectation(backend: Backend) -> None:
    found = solve(STATE, sampling(backend, shots=4000), OBSERVABLE)
    exact = solve(STATE, classical_task(), OBSERVABLE).answer.objective
    assert found.answer.baseline == pytest.approx(exact)
    assert abs(found.answer.objective - exact) < 5 * found.payload_fields["parameters"]["standardError"]
    assert sorted(found.payload_fields["parameters"]["measurementBases"]) == ["XXI", "ZYY", "ZZZ"]
    assert (found.usage.tasks, found.usage.shots) == (3, 12_000)


def test_standard_error_is_honest() -> None:
    """The spread of repeated estimates is what each of them says of itself."""
    preparation = CircuitProblem.parse(STATE, "QASM3", ExpectationParameters(observable=OBSERVABLE)).circuit
    constant, groups = group(OBSERVABLE)
    outcomes = [OutcomeDistribution(measured.circuit(preparation)) for measured in groups]
    estimates, variances = [], []
    for seed in range(400):
        parts = [
            measured.estimate(*outcome.draw(200, seed=10 * seed + k))
            for k, (measured, outcome) in enumerate(zip(groups, outcomes, strict=True))
        ]
        estimates.append(constant + sum(mean for mean, _ in parts))
        variances.append(sum(variance for _, variance in parts))
    assert np.std(estimates) == pytest.approx(np.sqrt(np.mean(variances)), rel=0.15)
    exact = solve(STATE, classical_task(), OBSERVABLE).answer.objective
    assert np.mean(estimates) == pytest.approx(exact, abs=5 * np.std(estimates) / np.sqrt(400))


def test_a_constant_observable_needs_no_backend() -> None:
    found = solve(STATE, sampling(AER), [("III", 1.5), ("III", 0.5), ("XII", 0.0)])
    assert (found.answer.objective, found.usage.tasks) == (2.0, 0)


@given(paulis=st.lists(st.text("IXYZ", min_size=4, max_size=4), min_size=1, max_size=20))
def test_groups_hold_every_term_once_and_commute_qubit_by_qubit(paulis: list[str]) -> None:
    constant, groups = group([(pauli, 1.0) for pauli in paulis])
    terms = dict(term for measured in groups for term in measured.terms)
    assert sum(terms.values()) + constant == len(paulis)
    for measured in groups:
        for pauli, _ in measured.terms:
            assert all(letter in ("I", basis) for letter, basis in zip(pauli, measured.basis, strict=True))


@pytest.mark.parametrize(
    ("text", "observable", "message"),
    [
        (V3, None, "no qubits"),
        (V3 + "qubit q; h q;", None, "must measure qubits"),
        (STATE, [("ZZ", 1.0)], "2 letters and the circuit has 3 qubits"),
        (V3 + "qubit q; bit c; c = measure q; h q;", [("Z", 1.0)], "gates alone"),
        (V3 + "qubit q; h q; reset q;", [("Z", 1.0)], "gates alone"),
        (V3 + "qubit q; bit c; c = measure q; if (c) { x q; }", [("Z", 1.0)], "gates alone"),
    ],
)
def test_problems_that_cannot_be_answered(text: str, observable: list[tuple[str, float]] | None, message: str) -> None:
    with pytest.raises(InvalidTaskError, match=message):
        solve(text, classical_task(), observable)


def test_format_must_agree_with_the_header() -> None:
    with pytest.raises(InvalidTaskError, match=r"must be OPENQASM 2\.0"):
        CircuitProblem.parse(BELL, "QASM2", None)


def test_more_qubits_than_the_backend_names_both_numbers() -> None:
    with pytest.raises(BackendUnavailableError, match=r"3 qubits.*has 2"):
        solve(TELEPORT, sampling(AER.model_copy(update={"qubits": 2})))


def test_more_qubits_than_a_state_vector_can_hold() -> None:
    with pytest.raises(BackendUnavailableError, match=r"25 qubits.*at most 24"):
        solve(V3 + "qubit[25] q; bit c; h q; c = measure q[0];", classical_task())
