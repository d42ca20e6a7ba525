"""Builds quantum problems, tasks and circuits for tests."""

from typing import Any

import numpy as np

from hybridjob.contract.task import Backend, ClassicalTask, Problem, ProblemData, QuantumTask, Task
from hybridjob_solver.encode.qubo import Qubo

AER = Backend(name="aer", kind="Simulator", sdk="Qiskit", qubits=30)
CIRQ = Backend(name="cirq", kind="Simulator", sdk="Cirq", qubits=30)
MANILA = Backend(name="manila", kind="NoisySimulator", sdk="Qiskit", qubits=5, snapshot="FakeManilaV2")


def silent(stage: str, iteration: int, iterations: int, best: float) -> None:
    """Hears progress and says nothing."""


def quantum_task(backend: Backend = AER, **settings: Any) -> Task:
    """A QAOA or Sampling task; keyword arguments replace its quantum settings."""
    defaults: dict[str, Any] = {"algorithm": "QAOA", "shots": 2048, "layers": 3, "max_iterations": 30, "seed": 7}
    return _task(quantum=QuantumTask(**defaults | settings), backend=backend)


def classical_task(seed: int = 7) -> Task:
    return _task(classical=ClassicalTask(algorithm="Statevector", seed=seed))


def _task(**fields: Any) -> Task:
    problem = Problem(type="Circuit", format="QASM3", data=ProblemData(text=""))
    defaults: dict[str, Any] = {"classical": ClassicalTask(algorithm="Auto", seed=7)}
    return Task(job_uid="uid", attempt=1, problem=problem, **defaults | fields)


def qubo(linear: list[float], quadratic: list[tuple[int, int, float]], offset: float = 0.0) -> Qubo:
    rows, cols, values = zip(*quadratic, strict=True) if quadratic else ((), (), ())
    return Qubo(np.array(linear, float), np.array(rows, np.int64), np.array(cols, np.int64), np.array(values), offset)


def random_qubo(n: int, seed: int, density: float = 0.5) -> Qubo:
    """Normally distributed coefficients: fields on every variable, couplings on a share of the pairs."""
    rng = np.random.default_rng(seed)
    pairs = [(i, j, float(rng.normal())) for i in range(n) for j in range(i + 1, n) if rng.random() < density]
    return qubo(rng.normal(size=n).tolist(), pairs, offset=1.5)


def maxcut_qubo(n: int, seed: int, weighted: bool = False) -> Qubo:
    """Minus the cut weight of a random 3-regular graph."""
    import networkx

    rng = np.random.default_rng(seed)
    edges = [(min(edge), max(edge)) for edge in networkx.random_regular_graph(3, n, seed=seed).edges]
    weights = rng.exponential(size=len(edges)) if weighted else np.ones(len(edges))
    linear = np.zeros(n)
    for (i, j), weight in zip(edges, weights, strict=True):
        linear[[i, j]] -= weight
    return qubo(linear.tolist(), [(i, j, 2 * float(w)) for (i, j), w in zip(edges, weights, strict=True)])


def aer_state(qasm3: str) -> np.ndarray:
    """Aer's own state vector of a circuit's text; its qubit 0 is the least significant bit, as ours."""
    from qiskit import transpile
    from qiskit.qasm3 import loads
    from qiskit_aer import AerSimulator

    circuit = loads(qasm3)
    circuit.remove_final_measurements()
    circuit.save_statevector()
    simulator = AerSimulator(method="statevector")
    result = simulator.run(transpile(circuit, simulator, optimization_level=0)).result()
    return np.asarray(result.get_statevector())


def cirq_state(qasm3: str, qubits: int) -> np.ndarray:
    """Cirq's own state vector of a circuit's text, qubit 0 as the least significant bit."""
    import cirq
    from cirq.contrib.qasm_import import circuit_from_qasm

    circuit = cirq.drop_terminal_measurements(circuit_from_qasm(qasm3))
    order = [cirq.NamedQubit(f"q_{j}") for j in reversed(range(qubits))]
    simulator = cirq.Simulator(dtype=np.complex128)
    return np.asarray(simulator.simulate(circuit, qubit_order=order).final_state_vector)
