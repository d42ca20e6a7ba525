"""Reading OpenQASM: what is accepted means what Qiskit says it means, and all else is refused with its line."""

import numpy as np
import pytest
from qiskit import qasm2, qasm3
from qiskit.quantum_info import Operator

from hybridjob_solver.circuits.gates import BASIC_GATES
from hybridjob_solver.circuits.model import Circuit, Measurement
from hybridjob_solver.circuits.reader import read_circuit
from hybridjob_solver.circuits.statevector import apply_gates
from hybridjob_solver.failures import InvalidTaskError

V3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
V2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
ANGLES = (0.3, 0.7, 1.1, 0.5)

# Name -> parameters and qubits.
STDGATES = {name: (gate.parameters, gate.qubits) for name, gate in BASIC_GATES.items()} | {
    "CX": (0, 2),
    "U": (3, 1),
    "u1": (1, 1),
    "u2": (2, 1),
    "phase": (1, 1),
    "cphase": (1, 2),
    "cu": (4, 2),
}
QELIB1 = {
    "u": (3, 1),
    "u2": (2, 1),
    "sxdg": (0, 1),
    "cu1": (1, 2),
    "cu3": (3, 2),
    "csx": (0, 2),
    "rxx": (1, 2),
    "rzz": (1, 2),
    "rccx": (0, 3),
    "c3x": (0, 4),
    "c3sqrtx": (0, 4),
    "c4x": (0, 5),
}


def unitary(circuit: Circuit) -> np.ndarray:
    states = np.eye(1 << circuit.qubits, dtype=complex)
    for column in states:
        apply_gates(column, circuit.gates)
    return states.T


def call(name: str, parameters: int, qubits: int, modifiers: str = "") -> str:
    angles = f"({', '.join(map(str, ANGLES[:parameters]))})" if parameters else ""
    return f"{modifiers}{name}{angles} {', '.join(f'q[{j}]' for j in range(qubits))};\n"


def assert_same_up_to_phase(ours: np.ndarray, theirs: np.ndarray) -> None:
    overlap = np.vdot(theirs, ours)
    np.testing.assert_allclose(ours, theirs * overlap / abs(overlap), atol=1e-9)


@pytest.mark.parametrize(
    ("modifiers", "controls"),
    [
        ("", 0),
        ("inv @ ", 0),
        ("pow(2) @ ", 0),
        ("pow(-1) @ ", 0),
        ("ctrl @ ", 1),
        ("negctrl @ ", 1),
        ("ctrl @ inv @ ", 1),
        ("ctrl @ pow(-3) @ ", 1),
        ("ctrl(2) @ ", 2),
        ("negctrl @ ctrl @ ", 2),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Of Qiskit, about its own way to control a gate.
def test_gates_and_modifiers_of_openqasm_3(modifiers: str, controls: int) -> None:
    for name, (parameters, qubits) in STDGATES.items():
        text = f"{V3}qubit[{qubits + controls}] q;\n{call(name, parameters, qubits + controls, modifiers)}"
        circuit = read_circuit(text, "3")
        expected = Operator(qasm3.loads(text)).data
        assert_same_up_to_phase(unitary(circuit), expected)
        assert_same_up_to_phase(Operator(qasm3.loads(circuit.to_qasm3())).data, expected)


@pytest.mark.parametrize("name", QELIB1)
def test_gates_of_openqasm_2(name: str) -> None:
    parameters, qubits = QELIB1[name]
    text = f"{V2}qreg q[{qubits}];\n{call(name, parameters, qubits)}"
    expected = qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    assert_same_up_to_phase(unitary(read_circuit(text, "2")), Operator(expected).data)


SAME_PROGRAMS = [
    (
        "qubit[2] q; qubit[2] r; cx q, r; cp(0.3) q[0], r;",
        "cx q[0], q[2]; cx q[1], q[3]; cp(0.3) q[0], q[2]; cp(0.3) q[0], q[3];",
    ),
    (
        "qubit[3] q; for int i in [0:1] { rx(0.1 * i) q[i]; cx q[i], q[i + 1]; }",
        "cx q[0], q[1]; rx(0.1) q[1]; cx q[1], q[2];",
    ),
    ("qubit[3] q; for int i in [2:-2:0] { ry(pi / (i + 1)) q[i]; }", "ry(pi / 3) q[2]; ry(pi) q[0];"),
    ("qubit[3] q; for int i in {0, 2} { h q[i]; }", "h q[0]; h q[2];"),
    ("qubit[4] q; h q[{0, 3}]; cx q[0:1], q[2:3]; x q[-1];", "h q[0]; h q[3]; cx q[0], q[2]; cx q[1], q[3]; x q[3];"),
    (
        "gate pair(t) a, b { h a; rz(t / 2) b; cx a, b; } qubit[2] q; inv @ pair(0.7) q[0], q[1];",
        "cx q[0], q[1]; rz(-0.35) q[1]; h q[0];",
    ),
    (
        "gate turn(t) a { rx(t) a; p(t) a; } qubit[2] q; ctrl @ turn(0.4) q[1], q[0];",
        "crx(0.4) q[1], q[0]; cp(0.4) q[1], q[0];",
    ),
    (
        "const float t = 0.25; const int n = 2; qubit[n] q; rx(t * pi) q; rz(sin(t) + 2 ** 2) q[1];",
        "rx(pi / 4) q[0]; rx(pi / 4) q[1]; rz(4.247403959254523) q[1];",
    ),
    ("qubit[2] q; ctrl @ gphase(0.3) q[1]; gphase(1.0);", "p(0.3) q[1]; id q[0];"),
    ("qubit[2] q; let last = q[1]; h last; barrier q; if (2 > 1) { x q[0]; } else { y q[0]; }", "h q[1]; x q[0];"),
    ("gate rzz(t) a, b { rz(t) b; } qubit[2] q; rzz(0.5) q[0], q[1];", "rz(0.5) q[1]; id q[0];"),
    (
        "gate h a { x a; } qubit[2] q; h q; rxx(0.5) q[0], q[1];",
        "x q[0]; x q[1]; h q[0]; h q[1]; cx q[0], q[1]; rz(0.5) q[1]; cx q[0], q[1]; h q[0]; h q[1];",
    ),
    ("qubit[1] q; reset q; h q;", "h q[0];"),
]


@pytest.mark.parametrize(("program", "plain"), SAME_PROGRAMS)
def test_programs_unroll_to_plain_gates(program: str, plain: str) -> None:
    circuit = read_circuit(V3 + program, "3")
    expected = qasm3.loads(f"{V3}qubit[{circuit.qubits}] q; {plain}")
    assert_same_up_to_phase(unitary(circuit), Operator(expected).data)


def test_openqasm_2_divides_and_raises_to_powers_as_reals() -> None:
    circuit = read_circuit(V2 + "qreg q[1]; rx(1/2) q[0]; rz(2^3) q[0];", "2")
    assert [gate.parameters for gate in circuit.gates] == [(0.5,), (8.0,)]


def test_registers_follow_each_other() -> None:
    circuit = read_circuit(V3 + "qubit[2] a; qubit b; bit c; bit[2] d; d = measure a; c = measure b;", "3")
    assert (circuit.qubits, circuit.bits) == (3, 3)
    assert circuit.operations == (Measurement(0, 1), Measurement(1, 2), Measurement(2, 0))


@pytest.mark.parametrize(
    ("condition", "tests"),
    [
        ("c[0]", ((0, 1),)),
        ("!c[0]", ((0, 0),)),
        ("c[1] == 0", ((1, 0),)),
        ("c[1] != 0", ((1, 1),)),
        ("c[0] == true && c[1] == false", ((0, 1), (1, 0))),
        ("c == 2", ((0, 0), (1, 1))),
    ],
)
def test_conditions_on_bits(condition: str, tests: tuple[tuple[int, int], ...]) -> None:
    text = f"{V3}qubit[2] q; bit[2] c; c = measure q; if ({condition}) {{ x q[0]; }}"
    assert read_circuit(text, "3").gates[0].conditions == tests


def test_openqasm_2_condition() -> None:
    circuit = read_circuit(V2 + "qreg q[1]; creg c[2]; measure q[0] -> c[1]; if (c==2) x q[0];", "2")
    assert circuit.gates[0].conditions == ((1, 1),)  # Bit 0 was never measured into: it is 0, as the test asks.


def test_bits_never_measured_decide_at_once() -> None:
    text = V3 + "qubit q; bit c; if (c) { x q; } else { y q; } if (c == 0) { z q; }"
    assert [(gate.name, gate.conditions) for gate in read_circuit(text, "3").gates] == [("y", ()), ("z", ())]


def test_else_negates_one_bit() -> None:
    text = V3 + "qubit q; bit c; c = measure q; if (c) { x q; } else { y q; }"
    assert [(gate.name, gate.conditions) for gate in read_circuit(text, "3").gates] == [
        ("x", ((0, 1),)),
        ("y", ((0, 0),)),
    ]


BAD = {
    "empty": ("  \n", "is empty"),
    "no OpenQASM": ("hello", "must be OpenQASM: line 1"),
    "no header": ("qubit q; h q;", "header is missing"),
    "other version": ("OPENQASM 2.0;\nqreg q[1];", "says OPENQASM 2.0: it must be OPENQASM 3.0"),
    "syntax": (V3 + "qubit q;\nh q\nx q;", "line 5, column 1 has an unexpected 'x'"),
    "characters": (V3 + 'qubit ";', "L3"),
    "unknown gate": (V3 + "qubit q;\nfoo q;", r"line 4: the gate 'foo' must be defined"),
    "index": (V3 + "qubit[2] q;\nh q[2];", "line 4: index 2 must be below the register's size, 2"),
    "endless range": (V3 + "qubit[2] q; h q[0:1000000000];", "index 2 must be below"),
    "no register": (V3 + "h r;", "'r' must be a register of qubits"),
    "bit as qubit": (V3 + "bit c; h c;", "'c' must be a register of qubits"),
    "same qubit": (V3 + "qubit q; cx q, q;", "must be distinct"),
    "arity": (V3 + "qubit[2] q; h q[0], q[1];", "'h' must have 0 parameters and 1 qubits, not 0 and 2"),
    "parameters": (V3 + "qubit q; rx q;", "'rx' must have 1 parameters"),
    "register sizes": (V3 + "qubit[2] q; qubit[3] r; cx q, r;", "must have equal sizes"),
    "declared twice": (V3 + "qubit q; bit q;", "'q' is declared twice"),
    "infinite": (V3 + "qubit q; rx(1e400) q;", "finite value"),
    "division by zero": (V3 + "qubit q; rx(1.0/0) q;", "finite value"),
    "truncation": (V3 + "qubit q; rx(1/2) q;", r"must be written 1.0/2"),
    "huge power": (V3 + "qubit q; rx(9 ** 9 ** 9) q;", "finite value"),
    "free parameter": (V3 + "input float t; qubit q; rx(t) q;", "IODeclaration is not supported"),
    "unknown number": (V3 + "qubit q; rx(t) q;", "'t' must be a number that is known"),
    "assignment to a bit": (V3 + "qubit q; bit c; bit d; c = measure q; d = c;", "ClassicalAssignment is not supp"),
    "initialised bit": (V3 + 'bit[2] c = "01"; qubit q;', "must not be initialised"),
    "while": (V3 + "qubit q; while (true) { h q; }", "WhileLoop is not supported"),
    "delay": (V3 + "qubit q; delay[100ns] q;", "DelayInstruction is not supported"),
    "physical qubit": (V3 + "h $0;", r"'\$0' must be a register"),
    "recursion": (V3 + "gate a q { a q; } qubit q; a q;", "'a' must be defined before it is used"),
    "include": (V3 + 'include "/etc/passwd"; qubit q;', "must be stdgates.inc or qelib1.inc"),
    "long loop": (V3 + "qubit q; for int i in [0:1000000000] { h q; }", "must unroll to at most"),
    "empty long loop": (V3 + "qubit q; for int i in [0:1000000000] { }", "must unroll to at most"),
    "big power": (V3 + "qubit q; pow(1000000000) @ x q;", "must unroll to at most"),
    "doubling": (
        V3
        + "gate g0 a { } "
        + " ".join(f"gate g{k + 1} a {{ g{k} a; g{k} a; }}" for k in range(40))
        + "qubit q; g40 q;",
        "must unroll to at most",
    ),
    "deep": (V3 + "qubit q; rx(" + "(" * 3000 + "1" + ")" * 3000 + ") q;", "nested too deeply"),
    "wide": (V3 + "qubit[100000] q;", "from 1 to 1024"),
    "large": (V3 + "qubit q;" + " " * (1 << 20), "must have at most 1048576"),
    "no target": (V3 + "qubit q; measure q;", "must be assigned to bits"),
    "measure sizes": (V3 + "qubit[2] q; bit c; c = measure q;", "2 qubits are measured into 1 bits"),
    "measure in if": (V3 + "qubit q; bit c; c = measure q; if (c) { c = measure q; }", "only gates may depend"),
    "condition": (V3 + "qubit q; bit[2] c; c = measure q; if (c > 1) { x q; }", "there must be as many"),
    "comparison": (V3 + "qubit[2] q; bit[2] c; c = measure q; if (c > 1) { x q[0]; }", "must compare bits"),
    "condition out of range": (V3 + "qubit q; bit c; c = measure q; if (c == 2) { x q; }", "it must fit them"),
    "opaque": ("OPENQASM 2.0;\nopaque magic a;\nqreg q[1];", "line 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_text_is_refused_with_what_must_hold(name: str) -> None:
    text, message = BAD[name]
    with pytest.raises(InvalidTaskError, match=message):
        read_circuit(text, "2" if name == "opaque" else "3")
