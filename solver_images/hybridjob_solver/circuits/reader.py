"""Reads OpenQASM 2 and 3 into a circuit of basic gates: loops, definitions, modifiers and conditions unrolled.

The grammar is that of the `openqasm3` package; what statements mean is here, because a reader that drops or
misreads a statement gives a wrong answer and no error. Whatever is not understood is refused with its line.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import openqasm3
from openqasm3 import ast

from hybridjob_solver.circuits.expressions import CONSTANTS, Number, evaluate, evaluate_int, fail
from hybridjob_solver.circuits.model import Circuit, Measurement, Operation, Reset
from hybridjob_solver.circuits.unroll import GateTable, StepCounter
from hybridjob_solver.failures import InvalidTaskError

MAX_TEXT_BYTES = 1 << 20
MAX_QUBITS = 1024

_Operand = ast.Identifier | ast.IndexedIdentifier
_Conditions = tuple[tuple[int, int], ...]


def read_circuit(text: str, version: str) -> Circuit:
    """The circuit that `text` describes; `version`, "2" or "3", is the OpenQASM version that its header must have.

    Registers of qubits, and of bits, are laid one after the other in the order of their declarations.

    Raises InvalidTaskError, with the line, for whatever cannot be read.
    """
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise InvalidTaskError(f"The circuit has {len(text.encode())} bytes: it must have at most {MAX_TEXT_BYTES}.")
    program = _parse(text)
    if program.version is None or program.version.split(".")[0] != version:
        found = f"says OPENQASM {program.version}" if program.version else "is missing"
        raise InvalidTaskError(f"The circuit's header {found}: it must be OPENQASM {version}.0; as the format says.")
    reader = _Reader(qasm2=version == "2")
    try:
        reader.run(program.statements)
    except RecursionError as error:
        raise InvalidTaskError("The circuit is nested too deeply: expressions and blocks must be flatter.") from error
    return Circuit(reader.qubit_count, reader.bit_count, tuple(reader.operations))


def _parse(text: str) -> ast.Program:
    if not text.strip():
        raise InvalidTaskError("The circuit is empty: it must be OpenQASM text.")
    try:
        return openqasm3.parse(text)
    except RecursionError as error:
        raise InvalidTaskError("The circuit is nested too deeply: expressions and blocks must be flatter.") from error
    except Exception as error:  # The parser lets errors of its generated code through, too.
        raise InvalidTaskError(f"The circuit must be OpenQASM: {_syntax_error(error)}.") from error


def _syntax_error(error: Exception) -> str:
    """Where the grammar gave up: the parser keeps it in the exception's cause."""
    recognition = next(iter(getattr(error.__cause__, "args", ())), None)
    token = getattr(recognition, "offendingToken", None)
    if token is None:
        return str(error) or "its syntax is wrong"
    return f"line {token.line}, column {token.column + 1} has an unexpected {token.text!r}"


class _Reader:
    """The state of one reading. Statements are executed in order; gates are appended to `operations`."""

    def __init__(self, qasm2: bool) -> None:
        self.qubit_count = 0
        self.bit_count = 0
        self.operations: list[Operation] = []
        self._qasm2 = qasm2
        self._qubits: dict[str, list[int]] = {}
        self._bits: dict[str, list[int]] = {}
        self._numbers: dict[str, Number] = dict(CONSTANTS)
        self._written: set[int] = set()  # Bits that have been measured into; all others are 0.
        self._used: set[int] = set()  # Qubits that something has acted on; all others are |0⟩.
        self._conditions: _Conditions = ()
        self._counter = StepCounter()
        self._gates = GateTable(self._counter, qasm2)

    def run(self, statements: Iterable[ast.Statement | ast.Pragma]) -> None:
        for statement in statements:
            self._execute(statement)

    def _execute(self, statement: ast.Statement | ast.Pragma) -> None:
        match statement:
            case ast.Include(filename):
                if filename not in ("stdgates.inc", "qelib1.inc"):
                    raise fail(statement, f"includes must be stdgates.inc or qelib1.inc, not {filename!r}")
            case ast.Pragma() | ast.QuantumBarrier():
                pass
            case ast.QubitDeclaration(ast.Identifier(name), size):
                self._qubits[name] = self._declare(statement, name, size, self.qubit_count)
                self.qubit_count += len(self._qubits[name])
                if self.qubit_count > MAX_QUBITS:
                    raise fail(statement, f"the circuit must have at most {MAX_QUBITS} qubits")
            case ast.ClassicalDeclaration(ast.BitType(size), ast.Identifier(name), initial):
                self._bits[name] = self._declare(statement, name, size, self.bit_count)
                self.bit_count += len(self._bits[name])
                if isinstance(initial, ast.QuantumMeasurement):
                    self._measure(statement, initial.qubit, ast.Identifier(name))
                elif initial is not None:
                    raise fail(statement, "bits must not be initialised but by measurements")
            case ast.ClassicalDeclaration(
                ast.IntType() | ast.UintType() | ast.FloatType() | ast.AngleType() | ast.BoolType(),
                ast.Identifier(name),
                ast.Expression() as value,
            ) | ast.ConstantDeclaration(_, ast.Identifier(name), value):
                self._check_new(statement, name)
                self._numbers[name] = self._number(value)
            case ast.AliasStatement(ast.Identifier(name), ast.Identifier() | ast.IndexExpression() as value):
                self._check_new(statement, name)
                self._qubits[name] = self._alias(statement, value)
            case ast.QuantumGateDefinition():
                self._gates.define(statement)
            case ast.QuantumGate() | ast.QuantumPhase():
                self._broadcast(statement)
            case ast.QuantumMeasurementStatement(measurement, target):
                self._measure(statement, measurement.qubit, target)
            case ast.QuantumReset(qubits):
                self._check_unconditional(statement)
                # Many files begin by resetting what is |0⟩ already.
                self.operations += [
                    Reset(qubit) for qubit in self._operand(qubits, self._qubits) if qubit in self._used
                ]
            case ast.ForInLoop():
                self._loop(statement)
            case ast.BranchingStatement():
                self._branch(statement)
            case _:
                raise fail(
                    statement,
                    f"{type(statement).__name__} is not supported: a circuit must consist of declarations, gates, "
                    "measurements, resets, for loops and conditions on measured bits",
                )

    # Declarations and names

    def _declare(self, node: ast.Statement, name: str, size: ast.Expression | None, first: int) -> list[int]:
        self._check_new(node, name)
        length = 1 if size is None else self._integer(size)
        if not 1 <= length <= MAX_QUBITS:
            raise fail(node, f"the register {name!r} must have from 1 to {MAX_QUBITS} elements, not {length}")
        return list(range(first, first + length))

    def _check_new(self, node: ast.Statement, name: str) -> None:
        if name in self._qubits or name in self._bits or name in self._numbers:
            raise fail(node, f"{name!r} is declared twice: names must be unique")
        self._check_unconditional(node)

    def _check_unconditional(self, node: ast.Statement) -> None:
        if self._conditions:
            raise fail(node, "only gates may depend on measured bits")

    def _number(self, expression: ast.Expression) -> Number:
        return evaluate(expression, self._numbers, self._qasm2)

    def _integer(self, expression: ast.Expression) -> int:
        return evaluate_int(expression, self._numbers, self._qasm2)

    def _operand(self, node: _Operand, registers: dict[str, list[int]]) -> list[int]:
        """The elements that an operand names: a register, an element or several of them."""
        name, indices = (node.name, []) if isinstance(node, ast.Identifier) else (node.name.name, node.indices)
        kind = "qubits" if registers is self._qubits else "bits"
        if name not in registers:
            raise fail(node, f"{name!r} must be a register of {kind} that was declared before")
        elements = registers[name]
        for index in indices:
            elements = self._select(node, elements, index)
        return elements

    def _select(self, node: ast.QASMNode, elements: list[int], index: ast.IndexElement) -> list[int]:
        if isinstance(index, ast.DiscreteSet):
            positions: Sequence[int] = [self._integer(value) for value in index.values]
        elif len(index) != 1:
            raise fail(node, "registers must be indexed in one dimension")
        elif isinstance(index[0], ast.RangeDefinition):
            positions = self._range(index[0], len(elements))
        else:
            positions = [self._integer(index[0])]
        for position in positions:
            if not -len(elements) <= position < len(elements):
                raise fail(node, f"index {position} must be below the register's size, {len(elements)}")
        return [elements[position] for position in positions]

    def _range(self, node: ast.RangeDefinition, size: int | None = None) -> range:
        """An OpenQASM range, which includes its end. Without `size` it must have a start and an end."""
        if size is None and (node.start is None or node.end is None):
            raise fail(node, "a loop's range must have a start and an end")
        step = 1 if node.step is None else self._integer(node.step)
        if step == 0:
            raise fail(node, "the step of a range must not be 0")
        start = 0 if node.start is None else self._integer(node.start)
        end = (size or 0) - 1 if node.end is None else self._integer(node.end)
        return range(start, end + (1 if step > 0 else -1), step)

    def _alias(self, statement: ast.Statement, value: ast.Identifier | ast.IndexExpression) -> list[int]:
        if isinstance(value, ast.Identifier):
            return self._operand(value, self._qubits)
        if not isinstance(value.collection, ast.Identifier):
            raise fail(statement, "an alias must name a register or elements of one")
        return self._select(statement, self._operand(value.collection, self._qubits), value.index)

    # Statements that act on qubits

    def _measure(self, statement: ast.Statement, source: _Operand, target: _Operand | None) -> None:
        self._check_unconditional(statement)
        if target is None:
            raise fail(statement, "a measurement must be assigned to bits")
        qubits, bits = self._operand(source, self._qubits), self._operand(target, self._bits)
        if len(qubits) != len(bits):
            raise fail(statement, f"{len(qubits)} qubits are measured into {len(bits)} bits: there must be as many")
        self.operations += [Measurement(qubit, bit) for qubit, bit in zip(qubits, bits, strict=True)]
        self._written.update(bits)
        self._used.update(qubits)

    def _broadcast(self, statement: ast.QuantumGate | ast.QuantumPhase) -> None:
        """Apply a gate to each element of the registers that it names, side by side."""
        operands = [self._operand(qubit, self._qubits) for qubit in statement.qubits]
        length = max((len(operand) for operand in operands), default=1)
        if any(len(operand) not in (1, length) for operand in operands):
            raise fail(statement, "registers that one gate acts on must have equal sizes")
        for position in range(length):
            qubits = [operand[position if len(operand) > 1 else 0] for operand in operands]
            self._used.update(qubits)
            for gate in self._gates.call(statement, qubits, self._numbers):
                self.operations.append(replace(gate, conditions=self._conditions))

    def _loop(self, statement: ast.ForInLoop) -> None:
        match statement.set_declaration:
            case ast.RangeDefinition() as bounds:
                values: Iterable[Number] = self._range(bounds)
            case ast.DiscreteSet(expressions):
                values = [self._number(expression) for expression in expressions]
            case _:
                raise fail(statement, "a loop must run over a range or a set of numbers")
        name = statement.identifier.name
        self._check_new(statement, name)
        for value in values:
            self._counter.count(statement)
            outer = dict(self._numbers)
            self._numbers[name] = value
            self.run(statement.block)
            self._numbers = outer  # What a block declares ends with it.

    def _branch(self, statement: ast.BranchingStatement) -> None:
        if self._depends_on_bits(statement.condition):
            self._branch_on_bits(statement)
        else:
            self.run(statement.if_block if self._number(statement.condition) else statement.else_block)

    def _branch_on_bits(self, statement: ast.BranchingStatement) -> None:
        # A bit that was never measured into is 0: what tests it is decided now.
        condition = [(bit, value) for bit, value in self._tests(statement.condition) if bit in self._written]
        never = any(value for bit, value in self._tests(statement.condition) if bit not in self._written)
        if statement.else_block and len(condition) > 1 and not never:
            raise fail(statement, "an else after a condition on several bits must be written as separate conditions")
        outer = self._conditions
        if not never:
            self._conditions = (*outer, *condition)
            self.run(statement.if_block)
        if never or condition:
            self._conditions = outer if never else (*outer, (condition[0][0], 1 - condition[0][1]))
            self.run(statement.else_block)
        self._conditions = outer

    def _depends_on_bits(self, condition: ast.Expression) -> bool:
        match condition:
            case ast.Identifier(name):
                return name in self._bits
            case ast.IndexExpression():
                return True
            case ast.UnaryExpression(_, operand):
                return self._depends_on_bits(operand)
            case ast.BinaryExpression(_, left, right):
                return self._depends_on_bits(left) or self._depends_on_bits(right)
            case _:
                return False

    def _tests(self, condition: ast.Expression) -> list[tuple[int, int]]:
        """The condition as (bit, value) pairs that must all hold."""
        match condition:
            case ast.Identifier() | ast.IndexExpression():
                return self._compare(condition, 1)
            case ast.UnaryExpression(op, operand) if op is ast.UnaryOperator["!"]:
                tests = self._tests(operand)
                if len(tests) == 1:
                    return [(tests[0][0], 1 - tests[0][1])]
            case ast.BinaryExpression(op, left, right) if op is ast.BinaryOperator["&&"]:
                return [*self._tests(left), *self._tests(right)]
            case ast.BinaryExpression(op, left, right) if op is ast.BinaryOperator["=="]:
                return self._compare(left, self._integer(right))
            case ast.BinaryExpression(op, left, right) if op is ast.BinaryOperator["!="]:
                tests = self._compare(left, self._integer(right))
                if len(tests) == 1:
                    return [(tests[0][0], 1 - tests[0][1])]
        raise fail(condition, "a condition must compare bits with numbers by == or, for one bit, !=, joined by &&")

    def _compare(self, operand: ast.Expression, value: int) -> list[tuple[int, int]]:
        """Bit 0 of a register is the least significant of the number that it is compared with."""
        match operand:
            case ast.Identifier():
                bits = self._operand(operand, self._bits)
            case ast.IndexExpression(ast.Identifier() as register, index):
                bits = self._select(operand, self._operand(register, self._bits), index)
            case _:
                raise fail(operand, "the left side of a condition must be bits")
        if not 0 <= value < 1 << len(bits):
            raise fail(operand, f"{len(bits)} bits are compared with {value}: it must fit them")
        return [(bit, value >> position & 1) for position, bit in enumerate(bits)]
