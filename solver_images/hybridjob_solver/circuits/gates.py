"""The closed set of gates that circuits are made of, and how every other gate is made of them.

Basic gates are those of `stdgates.inc` that Qiskit, Cirq and `statevector` read alike, so that a circuit of basic gates
means the same everywhere. The rest of `stdgates.inc` and `qelib1.inc` is defined by them, in OpenQASM. All definitions
are exact including the global phase, because under a `ctrl` modifier that phase is observable.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.complex128]


@dataclass(frozen=True)
class Gate:
    """A basic gate on distinct qubits, applied when every condition (bit, value) holds."""

    name: str
    parameters: tuple[float, ...]
    qubits: tuple[int, ...]
    conditions: tuple[tuple[int, int], ...] = ()

    def matrix(self) -> Matrix:
        """The unitary, shape (2^k, 2^k) for k qubits; the first qubit is the most significant bit of the index."""
        return BASIC_GATES[self.name].matrix(*self.parameters)

    def inverse(self) -> list["Gate"]:
        """Basic gates that undo this one."""
        match self.name:
            case "s" | "t":
                return [replace(self, name=f"{self.name}dg")]
            case "sdg" | "tdg":
                return [replace(self, name=self.name.removesuffix("dg"))]
            case "sx":  # √X = H S H
                return [replace(self, name=name) for name in ("h", "sdg", "h")]
            case "u3":
                theta, phi, lam = self.parameters
                return [replace(self, parameters=(-theta, -lam, -phi))]
            case _:  # A rotation, or its own inverse.
                return [replace(self, parameters=tuple(-angle for angle in self.parameters))]


@dataclass(frozen=True)
class BasicGate:
    parameters: int
    qubits: int
    matrix: Callable[..., Matrix]


def _fixed(rows: object, qubits: int = 1) -> BasicGate:
    constant = np.array(rows, dtype=np.complex128)
    return BasicGate(0, qubits, lambda: constant)


def _controlled(gate: BasicGate) -> BasicGate:
    """The gate with one more qubit, in front, that controls it."""

    def matrix(*parameters: float) -> Matrix:
        controlled = np.eye(2 << gate.qubits, dtype=np.complex128)
        controlled[1 << gate.qubits :, 1 << gate.qubits :] = gate.matrix(*parameters)
        return controlled

    return BasicGate(gate.parameters, gate.qubits + 1, matrix)


def _u3(theta: float, phi: float, lam: float) -> Matrix:
    cosine, sine = np.cos(theta / 2), np.sin(theta / 2)
    upper = [cosine, -np.exp(1j * lam) * sine]
    lower = [np.exp(1j * phi) * sine, np.exp(1j * (phi + lam)) * cosine]
    return np.array([upper, lower], dtype=np.complex128)


def _phase(angle: float) -> Matrix:
    return np.diag([1, np.exp(1j * angle)]).astype(np.complex128)


def _rz(angle: float) -> Matrix:
    return np.diag([np.exp(-0.5j * angle), np.exp(0.5j * angle)]).astype(np.complex128)


_X = _fixed([[0, 1], [1, 0]])
_Y = _fixed([[0, -1j], [1j, 0]])
_Z = _fixed([[1, 0], [0, -1]])
_H = _fixed(np.array([[1, 1], [1, -1]]) / np.sqrt(2))
_P = BasicGate(1, 1, _phase)
_RX = BasicGate(1, 1, lambda angle: _u3(angle, -np.pi / 2, np.pi / 2))
_RY = BasicGate(1, 1, lambda angle: _u3(angle, 0, 0))
_RZ = BasicGate(1, 1, _rz)
_SWAP = _fixed(np.eye(4)[[0, 2, 1, 3]], qubits=2)

BASIC_GATES: dict[str, BasicGate] = {
    "id": _fixed(np.eye(2)),
    "x": _X,
    "y": _Y,
    "z": _Z,
    "h": _H,
    "s": _fixed(_phase(np.pi / 2)),
    "sdg": _fixed(_phase(-np.pi / 2)),
    "t": _fixed(_phase(np.pi / 4)),
    "tdg": _fixed(_phase(-np.pi / 4)),
    "sx": _fixed(np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2),
    "p": _P,
    "rx": _RX,
    "ry": _RY,
    "rz": _RZ,
    "u3": BasicGate(3, 1, _u3),
    "cx": _controlled(_X),
    "cy": _controlled(_Y),
    "cz": _controlled(_Z),
    "ch": _controlled(_H),
    "cp": _controlled(_P),
    "crx": _controlled(_RX),
    "cry": _controlled(_RY),
    "crz": _controlled(_RZ),
    "swap": _SWAP,
    "ccx": _controlled(_controlled(_X)),
    "cswap": _controlled(_SWAP),
}

CONTROLLED = {
    "x": "cx",
    "y": "cy",
    "z": "cz",
    "h": "ch",
    "p": "cp",
    "rx": "crx",
    "ry": "cry",
    "rz": "crz",
    "u3": "cu3",
    "sx": "csx",
    "s": "cs",
    "sdg": "csdg",
    "t": "ct",
    "tdg": "ctdg",
    "cx": "ccx",
    "swap": "cswap",
}
"""What a gate becomes under one more control. The other gates are first taken apart, by UNDER_CONTROL."""

LIBRARY = """
gate CX c, t { cx c, t; }
gate U(theta, phi, lambda) q { u3(theta, phi, lambda) q; }
gate u(theta, phi, lambda) q { u3(theta, phi, lambda) q; }
gate u2(phi, lambda) q { u3(pi/2, phi, lambda) q; }
gate u1(lambda) q { p(lambda) q; }
gate phase(lambda) q { p(lambda) q; }
gate u0(gamma) q { }
gate sxdg q { h q; sdg q; h q; }
gate cs c, t { cp(pi/2) c, t; }
gate csdg c, t { cp(-pi/2) c, t; }
gate ct c, t { cp(pi/4) c, t; }
gate ctdg c, t { cp(-pi/4) c, t; }
gate csx c, t { h t; cp(pi/2) c, t; h t; }
gate cu1(lambda) c, t { cp(lambda) c, t; }
gate cphase(lambda) c, t { cp(lambda) c, t; }
gate cu3(theta, phi, lambda) c, t {
  p((lambda + phi)/2) c; p((lambda - phi)/2) t; cx c, t;
  u3(-theta/2, 0, -(phi + lambda)/2) t; cx c, t; u3(theta/2, phi, 0) t;
}
gate cu(theta, phi, lambda, gamma) c, t { p(gamma) c; cu3(theta, phi, lambda) c, t; }
gate rzz(theta) a, b { cx a, b; rz(theta) b; cx a, b; }
gate rxx(theta) a, b { h a; h b; rzz(theta) a, b; h a; h b; }
gate ryy(theta) a, b { sxdg a; sxdg b; rzz(theta) a, b; sx a; sx b; }
gate iswap a, b { s a; s b; h a; cx a, b; cx b, a; h b; }
gate ccz a, b, c { h c; ccx a, b, c; h c; }
gate c3x a, b, c, d { ctrl(3) @ x a, b, c, d; }
gate c4x a, b, c, d, e { ctrl(4) @ x a, b, c, d, e; }
gate c3sqrtx a, b, c, d { ctrl(3) @ sx a, b, c, d; }
gate rccx a, b, c { h c; t c; cx b, c; tdg c; cx a, c; t c; cx b, c; tdg c; h c; }
"""
"""Gates of `stdgates.inc` and `qelib1.inc`, and some in common use, by basic ones."""

UNDER_CONTROL = """
gate id q { }
gate cy c, t { sdg t; cx c, t; s t; }
gate cz c, t { h t; cx c, t; h t; }
gate ch c, t { s t; h t; t t; cx c, t; tdg t; h t; sdg t; }
gate cp(lambda) c, t { p(lambda/2) c; cx c, t; p(-lambda/2) t; cx c, t; p(lambda/2) t; }
gate crx(theta) c, t { h t; crz(theta) c, t; h t; }
gate cry(theta) c, t { ry(theta/2) t; cx c, t; ry(-theta/2) t; cx c, t; }
gate crz(theta) c, t { rz(theta/2) t; cx c, t; rz(-theta/2) t; cx c, t; }
gate ccx a, b, c {
  h c; cx b, c; tdg c; cx a, c; t c; cx b, c; tdg c; cx a, c;
  t b; t c; h c; cx a, b; t a; tdg b; cx a, b;
}
gate cswap c, a, b { cx b, a; ccx c, a, b; cx b, a; }
"""
"""Basic gates by smaller ones: how they are taken apart when a `ctrl` modifier asks for one more control."""
