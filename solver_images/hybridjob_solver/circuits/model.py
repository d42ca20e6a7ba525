"""Circuits as values, and as the OpenQASM 3 in which they cross to a backend.

What is written here is a small part of OpenQASM 3 that readers agree on: `stdgates.inc`, one register of qubits, one of
bits, literal numbers, no loops, no definitions. Qubit j and bit j are element j of their register.
"""

from dataclasses import dataclass

from hybridjob_solver.circuits.gates import Gate


@dataclass(frozen=True)
class Measurement:
    qubit: int
    bit: int


@dataclass(frozen=True)
class Reset:
    qubit: int


Operation = Gate | Measurement | Reset


@dataclass(frozen=True)
class Circuit:
    qubits: int
    bits: int
    operations: tuple[Operation, ...]

    @property
    def gates(self) -> list[Gate]:
        return [operation for operation in self.operations if isinstance(operation, Gate)]

    @property
    def measurements(self) -> dict[int, int]:
        """Bit -> the qubit that was last measured into it."""
        return {step.bit: step.qubit for step in self.operations if isinstance(step, Measurement)}

    @property
    def is_dynamic(self) -> bool:
        """Whether it is more than gates, then measurements: resets, conditions, or gates on measured qubits."""
        measured: set[int] = set()
        for operation in self.operations:
            match operation:
                case Reset():
                    return True
                case Measurement(qubit):
                    measured.add(qubit)
                case Gate(qubits=qubits, conditions=conditions):
                    if conditions or not measured.isdisjoint(qubits):
                        return True
        return False

    def to_qasm3(self) -> str:
        """The circuit as OpenQASM 3."""
        head = ["OPENQASM 3.0;", 'include "stdgates.inc";', f"qubit[{self.qubits}] q;"]
        if self.bits:
            head.append(f"bit[{self.bits}] c;")
        return "\n".join([*head, *map(_statement, self.operations)]) + "\n"


def measure_all(qubits: int) -> list[Operation]:
    """Measurements of qubit j into bit j, for every qubit."""
    return [Measurement(qubit, qubit) for qubit in range(qubits)]


def _statement(operation: Operation) -> str:
    match operation:
        case Measurement(qubit, bit):
            return f"c[{bit}] = measure q[{qubit}];"
        case Reset(qubit):
            return f"reset q[{qubit}];"
        case Gate(name, parameters, qubits, conditions):
            # Only literal numbers: 17 digits give back the same double.
            angles = f"({', '.join(map(repr, parameters))})" if parameters else ""
            text = f"{name}{angles} {', '.join(f'q[{qubit}]' for qubit in qubits)};"
            # Nested, and against truth values: the one form of a conjunction that Qiskit's importer takes.
            tests = "".join(f"if (c[{bit}] == {'true' if value else 'false'}) " for bit, value in conditions)
            return tests + text
