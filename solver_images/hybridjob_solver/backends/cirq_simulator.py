"""Cirq's state-vector simulator."""

import os
import re
import time
from collections.abc import Iterator

import cirq
import numpy as np
from cirq.contrib.qasm_import import circuit_from_qasm

from hybridjob.contract.task import Backend
from hybridjob_solver.backends.base import Samples
from hybridjob_solver.backends.counting import Operation, count
from hybridjob_solver.encode.qubo import Bits

_BYTES_PER_AMPLITUDE = 16
"""A complex64 state and the buffer that gates are applied into."""


class CirqSimulator:
    """The ideal simulator of cirq-core."""

    def __init__(self, backend: Backend) -> None:
        self._name = backend.name

    def sample(self, qasm3: str, shots: int, seed: int) -> Samples:
        circuit = circuit_from_qasm(_in_cirq_dialect(qasm3))
        self._check_memory(len(circuit.all_qubits()))
        started = time.perf_counter()
        result = cirq.Simulator(seed=seed).run(circuit, repetitions=shots)
        seconds = time.perf_counter() - started
        bits, counts = np.unique(_bits(result, qasm3, shots), axis=0, return_counts=True)
        return Samples(
            bits=bits,
            counts=counts.astype(np.int64),
            depth=len(circuit),
            seconds=seconds,
            gate_shots=count(_operations(circuit), shots),
        )

    def _check_memory(self, qubits: int) -> None:
        """Refuse what cannot fit: the kernel would otherwise end the process, and perhaps another."""
        most = (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _BYTES_PER_AMPLITUDE).bit_length() - 1
        if qubits > most:
            raise MemoryError(
                f"Backend {self._name!r} simulates at most {most} qubits in the memory of this machine, "
                f"and the circuit has {qubits}."
            )


def _operations(circuit: cirq.Circuit) -> Iterator[Operation]:
    """What the circuit does, operations under a condition included."""
    for operation in circuit.all_operations():
        if cirq.is_measurement(operation):
            yield "Measurement", operation.qubits
        elif isinstance(operation.without_classical_controls().gate, cirq.ResetChannel):
            yield "Reset", operation.qubits
        else:
            yield "Gate", operation.qubits


def _in_cirq_dialect(qasm3: str) -> str:
    """Cirq's importer knows neither truth values nor nested conditions, but `&&` of numbers."""
    return qasm3.replace("== true)", "== 1)").replace("== false)", "== 0)").replace(") if (", " && ")


def _bits(result: cirq.Result, qasm3: str, shots: int) -> Bits:
    """The classical bits of each shot, shape (shots, m). A bit that nothing was measured into stays 0.

    Cirq's importer measures bit j of register c into the key `c_j`, once more for every repeated measurement.
    """
    declared = re.search(r"^bit\[(\d+)\] c;$", qasm3, re.MULTILINE)
    bits = np.zeros((shots, int(declared[1]) if declared else 0), dtype=np.uint8)
    for key, record in result.records.items():
        bits[:, int(key.removeprefix("c_"))] = record[:, -1, 0]
    return bits
