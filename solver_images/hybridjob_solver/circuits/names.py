"""What a circuit's text has declared: registers, numbers, and what its operands name."""

from collections.abc import Mapping, Sequence

from openqasm3 import ast

from hybridjob_solver.circuits.expressions import CONSTANTS, Number, evaluate, evaluate_int, fail

MAX_QUBITS = 1024
"""Of a circuit, and elements of a register of bits."""

Operand = ast.Identifier | ast.IndexedIdentifier
Registers = dict[str, list[int]]


class Names:
    """The declarations of one circuit. Elements of registers are numbered in the order of declaration."""

    def __init__(self, qasm2: bool) -> None:
        self.qubits: Registers = {}
        self.bits: Registers = {}
        self.numbers: Mapping[str, Number] = CONSTANTS
        self.qubit_count = 0
        self.bit_count = 0
        self._qasm2 = qasm2

    def declare_qubits(self, node: ast.Statement, name: str, size: ast.Expression | None) -> None:
        self.qubits[name] = self._new_register(node, name, size, self.qubit_count)
        self.qubit_count += len(self.qubits[name])
        if self.qubit_count > MAX_QUBITS:
            raise fail(node, f"the circuit must have at most {MAX_QUBITS} qubits")

    def declare_bits(self, node: ast.Statement, name: str, size: ast.Expression | None) -> None:
        self.bits[name] = self._new_register(node, name, size, self.bit_count)
        self.bit_count += len(self.bits[name])

    def declare_number(self, node: ast.Statement, name: str, value: Number) -> None:
        self._check_new(node, name)
        self.numbers = {**self.numbers, name: value}

    def declare_alias(self, node: ast.Statement, name: str, value: ast.Identifier | ast.IndexExpression) -> None:
        self._check_new(node, name)
        self.qubits[name] = self.elements(value, self.qubits)

    def number(self, expression: ast.Expression) -> Number:
        return evaluate(expression, self.numbers, self._qasm2)

    def integer(self, expression: ast.Expression) -> int:
        return evaluate_int(expression, self.numbers, self._qasm2)

    def elements(self, node: Operand | ast.IndexExpression, registers: Registers) -> list[int]:
        """What an operand or expression names of `registers`: all of a register, or some elements."""
        match node:
            case ast.Identifier(name):
                indices: list[ast.IndexElement] = []
            case ast.IndexedIdentifier(ast.Identifier(name), indices):
                pass
            case ast.IndexExpression(ast.Identifier(name), index):
                indices = [index]
            case _:
                raise fail(node, "it must name a register, or elements of one")
        if name not in registers:
            kind = "qubits" if registers is self.qubits else "bits"
            raise fail(node, f"{name!r} must be a register of {kind} that was declared before")
        selected = registers[name]
        for index in indices:
            selected = self._select(node, selected, index)
        return selected

    def span(self, node: ast.RangeDefinition, size: int | None = None) -> range:
        """An OpenQASM range, which includes its end. Without `size` it must have a start and an end."""
        if size is None and (node.start is None or node.end is None):
            raise fail(node, "a loop's range must have a start and an end")
        step = 1 if node.step is None else self.integer(node.step)
        if step == 0:
            raise fail(node, "the step of a range must not be 0")
        start = 0 if node.start is None else self.integer(node.start)
        end = (size or 0) - 1 if node.end is None else self.integer(node.end)
        return range(start, end + (1 if step > 0 else -1), step)

    def _new_register(self, node: ast.Statement, name: str, size: ast.Expression | None, first: int) -> list[int]:
        self._check_new(node, name)
        length = 1 if size is None else self.integer(size)
        if not 1 <= length <= MAX_QUBITS:
            raise fail(node, f"the register {name!r} must have from 1 to {MAX_QUBITS} elements, not {length}")
        return list(range(first, first + length))

    def _check_new(self, node: ast.Statement, name: str) -> None:
        if name in self.qubits or name in self.bits or name in self.numbers:
            raise fail(node, f"{name!r} is declared twice: names must be unique")

    def _select(self, node: ast.QASMNode, elements: list[int], index: ast.IndexElement) -> list[int]:
        if isinstance(index, ast.DiscreteSet):
            positions: Sequence[int] = [self.integer(value) for value in index.values]
        elif len(index) != 1:
            raise fail(node, "registers must be indexed in one dimension")
        elif isinstance(index[0], ast.RangeDefinition):
            positions = self.span(index[0], len(elements))
        else:
            positions = [self.integer(index[0])]
        for position in positions:
            if not -len(elements) <= position < len(elements):
                raise fail(node, f"index {position} must be below the register's size, {len(elements)}")
        return [elements[position] for position in positions]
