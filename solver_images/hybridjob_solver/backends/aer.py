"""Qiskit Aer: ideal, and with the noise of a device snapshot."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ControlFlowOp, Measure, Qubit, Reset
from qiskit.qasm3 import loads
from qiskit_aer import AerError, AerSimulator

from hybridjob.contract.task import Backend
from hybridjob_solver.backends.base import Samples
from hybridjob_solver.backends.counting import Operation, count
from hybridjob_solver.failures import BackendFailedError, BackendUnavailableError


class Aer:
    """The ideal state-vector simulator."""

    def __init__(self, backend: Backend) -> None:
        self._name = backend.name

    def sample(self, qasm3: str, shots: int, seed: int) -> Samples:
        simulator = AerSimulator(method="statevector")
        circuit = loads(qasm3)
        # Aer derives its number of qubits from the memory of this machine.
        if circuit.num_qubits > simulator.num_qubits:
            raise MemoryError(
                f"Backend {self._name!r} simulates at most {simulator.num_qubits} qubits in the memory of this "
                f"machine, and the circuit has {circuit.num_qubits}."
            )
        # Level 0 only rewrites gates that Aer does not know, in milliseconds.
        return _run(self._name, simulator, transpile(circuit, simulator, optimization_level=0), shots, seed)


class NoisyAer:
    """A simulator with the noise model, coupling map and basis gates of a snapshot of an IBM device."""

    def __init__(self, backend: Backend) -> None:
        self._name = backend.name
        self._device = _snapshot(backend)

    def sample(self, qasm3: str, shots: int, seed: int) -> Samples:
        circuit = loads(qasm3)
        if circuit.num_qubits > self._device.num_qubits:
            raise BackendUnavailableError(
                f"Backend {self._name!r} reproduces a device of {self._device.num_qubits} qubits, and the circuit has "
                f"{circuit.num_qubits}: the problem must be smaller, or the snapshot that of a larger device."
            )
        on_device = transpile(circuit, self._device, optimization_level=1, seed_transpiler=seed)
        return _run(self._name, AerSimulator.from_backend(self._device), on_device, shots, seed)


def _snapshot(backend: Backend) -> Any:
    try:
        from qiskit_ibm_runtime import fake_provider
    except ImportError as error:
        raise BackendFailedError(
            f"Backend {backend.name!r} needs qiskit-ibm-runtime, which this solver does not have: "
            "install it with pip install 'hybridjob[qiskit]', or use the Qiskit image."
        ) from error
    snapshots = sorted(name for name in dir(fake_provider) if name.startswith("Fake") and "Provider" not in name)
    if backend.snapshot not in snapshots:
        raise BackendFailedError(
            f"Backend {backend.name!r} names the snapshot {backend.snapshot!r}, which qiskit-ibm-runtime does not "
            "have: it must be a class of qiskit_ibm_runtime.fake_provider, such as FakeManilaV2 (5 qubits), "
            "FakeGuadalupeV2 (16) or FakeTorino (133)."
        )
    return getattr(fake_provider, backend.snapshot)()


def _run(name: str, simulator: Any, circuit: QuantumCircuit, shots: int, seed: int) -> Samples:
    started = time.perf_counter()
    try:
        result = simulator.run(circuit, shots=shots, seed_simulator=seed).result()
        status = "" if result.success else "; ".join([result.status, *(part.status for part in result.results)])
    except AerError as error:
        status = str(error)
    seconds = time.perf_counter() - started
    if "memory" in status.lower():
        raise MemoryError(f"Backend {name!r} ran out of memory on {circuit.num_qubits} qubits: {status}")
    if status:
        raise BackendFailedError(f"Backend {name!r} did not run the circuit: {status}")
    counts = sorted((key[::-1], count) for key, count in result.get_counts().items())  # Qiskit writes bit 0 last.
    return Samples(
        bits=np.array([[int(bit) for bit in key] for key, _ in counts], dtype=np.uint8),
        counts=np.array([count for _, count in counts], dtype=np.int64),
        depth=circuit.depth(),
        seconds=seconds,
        gate_shots=count(_operations(circuit, circuit.qubits), shots),
    )


def _operations(circuit: QuantumCircuit, qubits: list[Qubit]) -> Iterator[Operation]:
    """What the circuit does, blocks under a condition included; `qubits` are what its own stand for."""
    place = dict(zip(circuit.qubits, qubits, strict=True))
    for step in circuit.data:
        targets = [place[qubit] for qubit in step.qubits]
        match step.operation:
            case ControlFlowOp(blocks=blocks):
                for block in blocks:
                    yield from _operations(block, targets)
            case Measure():
                yield "Measurement", targets
            case Reset():
                yield "Reset", targets
            case _:
                yield "Gate", targets
