"""What ran on the backend, counted on the circuits of Qiskit and Cirq, and what it costs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridjob.api.rates import RateCard
from hybridjob.contract.problems import ExpectationParameters
from hybridjob.contract.task import Backend
from hybridjob.contract.verdict import GateShots
from hybridjob.engine.pricing import Workload, charge, estimate, qaoa_gate_shots
from hybridjob_solver.algorithms import circuits, qaoa
from hybridjob_solver.backends.registry import open_backend
from hybridjob_solver.circuits.gates import Gate
from hybridjob_solver.circuits.model import Circuit, Measurement, Reset, measure_all
from hybridjob_solver.encode.qubo import Qubo
from hybridjob_solver.problems.circuit import CircuitProblem
from support.build import START
from support.quantum import AER, CIRQ, MANILA, quantum_task, qubo, silent

IDEAL = pytest.mark.parametrize("backend", [AER, CIRQ], ids=lambda backend: backend.sdk)
H, CX = Gate("h", (), (0,)), Gate("cx", (), (0, 1))

IONQ = RateCard.model_validate(
    {
        "formula": "GateShots",
        "currency": "AQT",
        "perTask": "12.4166",
        "perOneQubitGateShot": "0.000220",
        "perTwoQubitGateShot": "0.000975",
    }
)
QUANTINUUM = RateCard.model_validate({"formula": "HQC", "currency": "HQC", "perHqc": "1"})


def per_shot(one_qubit: int, two_qubit: int, preparations: int, measurements: int, shots: int) -> GateShots:
    return GateShots(
        one_qubit=one_qubit * shots,
        two_qubit=two_qubit * shots,
        preparations=preparations * shots,
        measurements=measurements * shots,
    )


@IDEAL
@pytest.mark.parametrize(
    ("circuit", "counted"),
    [
        pytest.param(Circuit(2, 2, (H, CX, *measure_all(2))), (1, 1, 2, 2), id="Bell"),
        pytest.param(Circuit(5, 1, (H, Measurement(0, 0))), (1, 0, 1, 1), id="qubits that nothing acts on"),
        pytest.param(
            Circuit(3, 1, (Gate("ccx", (), (0, 1, 2)), Gate("cswap", (), (0, 1, 2)), Measurement(2, 0))),
            (0, 12, 3, 1),
            id="gates on three qubits",
        ),
        pytest.param(Circuit(1, 1, (H, Reset(0), Gate("id", (), (0,)), Measurement(0, 0))), (2, 0, 2, 1), id="reset"),
        pytest.param(
            Circuit(
                3,
                3,
                (
                    H,
                    Measurement(0, 0),
                    Gate("x", (), (1,), ((0, 1),)),
                    Measurement(1, 1),
                    Gate("cz", (), (1, 2), ((0, 1), (1, 1))),
                    Measurement(0, 2),
                ),
            ),
            (2, 1, 3, 3),
            id="gates under conditions",
        ),
    ],
)
def test_what_is_counted(backend: Backend, circuit: Circuit, counted: tuple[int, int, int, int]) -> None:
    samples = open_backend(backend).sample(circuit.to_qasm3(), 50, seed=1)
    assert samples.gate_shots == per_shot(*counted, shots=50)


def solved(instance: Qubo, backend: Backend, **quantum: Any) -> Any:
    return qaoa.solve(instance, quantum_task(backend, max_iterations=0, **quantum), lambda energy: energy, silent).usage


TRIANGLE = qubo([-2.0, -2.0, -2.0], [(0, 1, 2.0), (0, 2, 2.0), (1, 2, 2.0)])
"""MaxCut: no fields, so that a layer is three pairs of CX, RZ, CX, and three RX."""


@IDEAL
def test_qaoa_of_a_triangle(backend: Backend) -> None:
    """3 H, 3 RZ and 3 RX; 6 CX; three qubits."""
    usage = solved(TRIANGLE, backend, layers=1, shots=1000)
    assert usage.gate_shots == per_shot(9, 6, 3, 3, shots=1000)
    assert str(charge(IONQ, usage)) == "20.2466"  # 12.4166 + 9000 × 0.00022 + 6000 × 0.000975
    assert str(charge(QUANTINUUM, usage)) == "24.8"  # 5 + 1000 × (9 + 60 + 30) / 5000


@IDEAL
def test_an_expectation_value_is_the_sum_of_its_tasks(backend: Backend) -> None:
    """Measured in ZZ and in XX, for which both qubits are turned."""
    problem = CircuitProblem.parse(
        'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];',
        "QASM3",
        ExpectationParameters(observable=[("ZZ", 0.5), ("XX", 0.25), ("II", 1.0)]),
    )
    usage = circuits.solve(problem, quantum_task(backend, algorithm="Sampling", shots=100), silent).usage
    assert (usage.tasks, usage.shots) == (2, 200)
    assert usage.gate_shots == per_shot(1 + 3, 2, 4, 4, shots=100)
    assert str(charge(IONQ, usage)) == "25.1162"  # 2 × 12.4166 + 400 × 0.00022 + 200 × 0.000975
    assert str(charge(QUANTINUUM, usage)) == "11.28"  # 2 × 5 + 100 × (4 + 20 + 40) / 5000


def test_a_constant_observable_costs_nothing() -> None:
    problem = CircuitProblem.parse("OPENQASM 3.0; qubit q;", "QASM3", ExpectationParameters(observable=[("I", 2.0)]))
    usage = circuits.solve(problem, quantum_task(algorithm="Sampling"), silent).usage
    assert (charge(IONQ, usage), charge(QUANTINUUM, usage)) == (0, 0)


@IDEAL
@given(
    n=st.integers(1, 5),
    density=st.floats(0, 1),
    layers=st.integers(1, 3),
    shots=st.integers(1, 64),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=40, deadline=None)
def test_what_qaoa_costs_never_exceeds_its_estimate(
    backend: Backend, n: int, density: float, layers: int, shots: int, seed: int
) -> None:
    """Where nothing is transpiled for a device; with every pair and every field it costs all of it."""
    rng = np.random.default_rng(seed)
    pairs = [(i, j, float(rng.normal())) for i in range(n) for j in range(i + 1, n) if rng.random() < density]
    usage = solved(qubo(rng.normal(size=n).tolist(), pairs), backend, layers=layers, shots=shots)
    bound = qaoa_gate_shots(n, layers, shots)
    for card in (IONQ, QUANTINUUM):
        most = estimate(card, Workload(1, shots, 900, bound), START).maximum
        cost = charge(card, usage)
        assert cost is not None
        assert cost <= most
        if len(pairs) == n * (n - 1) // 2:
            assert cost == most


def test_a_device_runs_what_its_transpiler_makes_of_the_circuit() -> None:
    """FakeManilaV2 couples five qubits in a line: the third side of a triangle needs swaps, which the estimate does
    not know."""
    from qiskit import transpile
    from qiskit.qasm3 import loads
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    task = quantum_task(MANILA, max_iterations=0, layers=1, shots=200)
    found = qaoa.solve(TRIANGLE, task, lambda energy: energy, silent)
    assert found.circuit is not None
    on_device = transpile(loads(found.circuit), FakeManilaV2(), optimization_level=1, seed_transpiler=7).count_ops()
    ran = found.usage.gate_shots
    assert ran == per_shot(on_device["rz"] + on_device["sx"] + on_device.get("x", 0), on_device["cx"], 3, 3, shots=200)
    assert ran.two_qubit > qaoa_gate_shots(3, 1, 200).two_qubit
