"""Takes gate calls apart: definitions, parameters and modifiers down to basic gates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import openqasm3
from openqasm3 import ast

from hybridjob_solver.circuits.expressions import CONSTANTS, Number, evaluate, evaluate_int, fail
from hybridjob_solver.circuits.gates import BASIC_GATES, CONTROLLED, LIBRARY, UNDER_CONTROL, Gate

MAX_STEPS = 200_000
"""Gate calls and loop iterations: what bounds the circuit that a short text can unroll to."""

_Call = ast.QuantumGate | ast.QuantumPhase
_Definitions = dict[str, ast.QuantumGateDefinition]


@cache
def _parsed(definitions: str) -> _Definitions:
    statements = openqasm3.parse(definitions).statements
    return {gate.name.name: gate for gate in statements if isinstance(gate, ast.QuantumGateDefinition)}


@dataclass
class StepCounter:
    """Counts the steps of one reading, and ends it when there are too many."""

    steps: int = 0

    def count(self, node: ast.QASMNode) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise fail(node, f"the circuit must unroll to at most {MAX_STEPS} gate calls and loop iterations")


class GateTable:
    """The gates that a circuit can call: basic ones, the library, and its own definitions, which come first."""

    def __init__(self, counter: StepCounter, qasm2: bool) -> None:
        self._counter = counter
        self._qasm2 = qasm2
        self._own: _Definitions = {}

    def define(self, definition: ast.QuantumGateDefinition) -> None:
        """Add a definition. What its body calls must be known by now, so that no gate can call itself."""
        name = definition.name.name
        if name in self._own:
            raise fail(definition, f"the gate {name!r} is defined twice: names must be unique")
        for call in definition.body:
            if isinstance(call, ast.QuantumGate):
                self._look_up(call, call.name.name, self._own)
            elif not isinstance(call, ast.QuantumPhase | ast.QuantumBarrier):
                raise fail(call, f"the gate {name!r} must consist of gates")
        self._own[name] = definition

    def call(self, call: _Call, qubits: Sequence[int], numbers: Mapping[str, Number]) -> list[Gate]:
        """The basic gates of a call on `qubits`, one index per operand.

        A phase that the whole state shares is dropped: nothing can observe it.
        """
        return self._call(call, qubits, numbers, self._own)

    def _call(self, call: _Call, qubits: Sequence[int], numbers: Mapping[str, Number], own: _Definitions) -> list[Gate]:
        self._counter.count(call)
        if len(set(qubits)) < len(qubits):
            raise fail(call, "the qubits of a gate must be distinct")
        exponent, controls = self._modifiers(call, numbers)
        if len(qubits) < len(controls):
            raise fail(call, f"a gate with {len(controls)} controls must name as many qubits before its targets")
        flips = [Gate("x", (), (qubit,)) for qubit, value in zip(qubits, controls, strict=False) if not value]
        targets = qubits[len(controls) :]
        gates: list[Gate] = []
        for _ in range(abs(exponent)):
            self._counter.count(call)
            gates += self._once(call, targets, numbers, own, qubits[: len(controls)])
        if exponent < 0:
            gates = [inverted for gate in reversed(gates) for inverted in gate.inverse()]
        return [*flips, *gates, *flips]

    def _modifiers(self, call: _Call, numbers: Mapping[str, Number]) -> tuple[int, list[bool]]:
        """The power of a call, −1 for an inverse, and the value that each control must have."""
        exponent = 1
        controls: list[bool] = []
        for modifier in call.modifiers:
            number = 1 if modifier.argument is None else evaluate_int(modifier.argument, numbers, self._qasm2)
            match modifier.modifier:
                case ast.GateModifierName.inv:
                    exponent = -exponent
                case ast.GateModifierName.pow:
                    exponent *= number
                case name:
                    if not 1 <= number <= len(call.qubits):
                        raise fail(call, f"{number} controls need as many qubits: there are {len(call.qubits)} in all")
                    controls += [name is ast.GateModifierName.ctrl] * number
        return exponent, controls

    def _once(
        self,
        call: _Call,
        qubits: Sequence[int],
        numbers: Mapping[str, Number],
        own: _Definitions,
        controls: Sequence[int],
    ) -> list[Gate]:
        if isinstance(call, ast.QuantumPhase):
            if qubits:
                raise fail(call, "gphase must not name qubits beyond its controls")
            angle = float(evaluate(call.argument, numbers, self._qasm2))
            # A phase under a control is a phase of the control.
            gate = [Gate("p", (angle,), (controls[0],))] if controls else []
            return self._control(call, gate, controls[1:])
        name = call.name.name
        parameters = [float(evaluate(argument, numbers, self._qasm2)) for argument in call.arguments]
        definition = self._look_up(call, name, own)
        takes = (
            (len(definition.arguments), len(definition.qubits))
            if definition
            else (BASIC_GATES[name].parameters, BASIC_GATES[name].qubits)
        )
        if takes != (len(parameters), len(qubits)):
            raise fail(
                call,
                f"the gate {name!r} must have {takes[0]} parameters and {takes[1]} qubits, "
                f"not {len(parameters)} and {len(qubits)}",
            )
        if definition is None:
            gates = [Gate(name, tuple(parameters), tuple(qubits))]
        else:
            gates = self._expand(definition, parameters, qubits, own if own.get(name) is definition else {})
        return self._control(call, gates, controls)

    def _look_up(self, call: _Call, name: str, own: _Definitions) -> ast.QuantumGateDefinition | None:
        """The definition of a gate, or None for a basic one."""
        if name in own:
            return own[name]
        if name in BASIC_GATES:
            return None
        library = _parsed(LIBRARY)
        if name not in library:
            known = ", ".join([*BASIC_GATES, *library])
            raise fail(call, f"the gate {name!r} must be defined before it is used, or be one of {known}")
        return library[name]

    def _expand(
        self,
        definition: ast.QuantumGateDefinition,
        parameters: Iterable[float],
        qubits: Sequence[int],
        own: _Definitions,
    ) -> list[Gate]:
        names = [argument.name for argument in definition.arguments]
        numbers = CONSTANTS | dict(zip(names, parameters, strict=True))
        places = dict(zip((qubit.name for qubit in definition.qubits), qubits, strict=True))
        gates: list[Gate] = []
        for call in definition.body:
            if isinstance(call, ast.QuantumGate | ast.QuantumPhase):  # And not a barrier.
                gates += self._call(call, [self._place(operand, places) for operand in call.qubits], numbers, own)
        return gates

    def _place(self, operand: ast.Identifier | ast.IndexedIdentifier, places: Mapping[str, int]) -> int:
        if not isinstance(operand, ast.Identifier) or operand.name not in places:
            raise fail(operand, "a gate's body must act on the qubits that its head names")
        return places[operand.name]

    def _control(self, call: _Call, gates: Sequence[Gate], controls: Sequence[int]) -> list[Gate]:
        """The gates under more controls: each gate under the first, and so on."""
        for control in controls:
            gates = [controlled for gate in gates for controlled in self._control_once(call, gate, control)]
        return list(gates)

    def _control_once(self, call: _Call, gate: Gate, control: int) -> list[Gate]:
        self._counter.count(call)
        qubits = (control, *gate.qubits)
        name = CONTROLLED.get(gate.name)
        if name in BASIC_GATES:
            return [Gate(name, gate.parameters, qubits)]
        if name is not None:
            return self._expand(_parsed(LIBRARY)[name], gate.parameters, qubits, {})
        parts = self._expand(_parsed(UNDER_CONTROL)[gate.name], gate.parameters, gate.qubits, {})
        return self._control(call, parts, [control])
