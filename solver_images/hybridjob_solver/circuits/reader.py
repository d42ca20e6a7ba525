"""Reads OpenQASM 2 and 3 into a circuit of basic gates: loops, definitions, modifiers and conditions unrolled.

The grammar is that of the `openqasm3` package; what statements mean is here, because a reader that drops or
misreads a statement gives a wrong answer and no error. Whatever is not understood is refused with its line.
"""

from collections.abc import Iterable
from dataclasses import replace

import openqasm3
from openqasm3 import ast

from hybridjob_solver.circuits.conditions import depends_on_bits, tests_of
from hybridjob_solver.circuits.expressions import Number, fail
from hybridjob_solver.circuits.model import Circuit, Measurement, Operation, Reset
from hybridjob_solver.circuits.names import Names, Operand
from hybridjob_solver.circuits.unroll import GateTable, StepCounter
from hybridjob_solver.failures import InvalidTaskError

MAX_TEXT_BYTES = 1 << 20


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
    return Circuit(reader.names.qubit_count, reader.names.bit_count, tuple(reader.operations))


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
        self.names = Names(qasm2)
        self.operations: list[Operation] = []
        self._written: set[int] = set()  # Bits that have been measured into; all others are 0.
        self._used: set[int] = set()  # Qubits that something has acted on; all others are |0⟩.
        self._conditions: tuple[tuple[int, int], ...] = ()
        self._counter = StepCounter()
        self._gates = GateTable(self._counter, qasm2)

    def run(self, statements: Iterable[ast.Statement | ast.Pragma]) -> None:
        for statement in statements:
            if self._conditions and not isinstance(statement, _CONDITIONAL):
                raise fail(statement, "only gates may depend on measured bits")
            self._execute(statement)

    def _execute(self, statement: ast.Statement | ast.Pragma) -> None:
        match statement:
            case ast.Include(filename):
                if filename not in ("stdgates.inc", "qelib1.inc"):
                    raise fail(statement, f"includes must be stdgates.inc or qelib1.inc, not {filename!r}")
            case ast.Pragma() | ast.QuantumBarrier():
                pass
            case ast.QubitDeclaration(ast.Identifier(name), size):
                self.names.declare_qubits(statement, name, size)
            case ast.ClassicalDeclaration(ast.BitType(size), ast.Identifier(name), initial):
                self.names.declare_bits(statement, name, size)
                if isinstance(initial, ast.QuantumMeasurement):
                    self._measure(statement, initial.qubit, ast.Identifier(name))
                elif initial is not None:
                    raise fail(statement, "bits must not be initialised but by measurements")
            case ast.ClassicalDeclaration(kind, ast.Identifier(name), ast.Expression() as value) | (
                ast.ConstantDeclaration(kind, ast.Identifier(name), value)
            ) if isinstance(kind, ast.IntType | ast.UintType):
                self.names.declare_number(statement, name, self.names.integer(value))
            case ast.ClassicalDeclaration(kind, ast.Identifier(name), ast.Expression() as value) | (
                ast.ConstantDeclaration(kind, ast.Identifier(name), value)
            ) if isinstance(kind, ast.FloatType | ast.AngleType | ast.BoolType):
                self.names.declare_number(statement, name, self.names.number(value))
            case ast.AliasStatement(ast.Identifier(name), ast.Identifier() | ast.IndexExpression() as value):
                self.names.declare_alias(statement, name, value)
            case ast.QuantumGateDefinition():
                self._gates.define(statement)
            case ast.QuantumGate() | ast.QuantumPhase():
                self._broadcast(statement)
            case ast.QuantumMeasurementStatement(measurement, target):
                self._measure(statement, measurement.qubit, target)
            case ast.QuantumReset(operand):
                # Many files begin by resetting what is |0⟩ already.
                qubits = self.names.elements(operand, self.names.qubits)
                self.operations += [Reset(qubit) for qubit in qubits if qubit in self._used]
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

    def _measure(self, statement: ast.Statement, source: Operand, target: Operand | None) -> None:
        if target is None:
            raise fail(statement, "a measurement must be assigned to bits")
        qubits = self.names.elements(source, self.names.qubits)
        bits = self.names.elements(target, self.names.bits)
        if len(qubits) != len(bits):
            raise fail(statement, f"{len(qubits)} qubits are measured into {len(bits)} bits: there must be as many")
        self.operations += [Measurement(qubit, bit) for qubit, bit in zip(qubits, bits, strict=True)]
        self._written.update(bits)
        self._used.update(qubits)

    def _broadcast(self, statement: ast.QuantumGate | ast.QuantumPhase) -> None:
        """Apply a gate to each element of the registers that it names, side by side."""
        operands = [self.names.elements(operand, self.names.qubits) for operand in statement.qubits]
        length = max((len(operand) for operand in operands), default=1)
        if any(len(operand) not in (1, length) for operand in operands):
            raise fail(statement, "registers that one gate acts on must have equal sizes")
        for position in range(length):
            qubits = [operand[position if len(operand) > 1 else 0] for operand in operands]
            self._used.update(qubits)
            for gate in self._gates.call(statement, qubits, self.names.numbers):
                self.operations.append(replace(gate, conditions=self._conditions))

    def _loop(self, statement: ast.ForInLoop) -> None:
        match statement.set_declaration:
            case ast.RangeDefinition() as bounds:
                values: Iterable[Number] = self.names.span(bounds)
            case ast.DiscreteSet(expressions):
                values = [self.names.number(expression) for expression in expressions]
            case _:
                raise fail(statement, "a loop must run over a range or a set of numbers")
        outer = self.names.numbers
        for value in values:
            self._counter.count(statement)
            self.names.declare_number(statement, statement.identifier.name, value)
            self.run(statement.block)
            self.names.numbers = outer  # What a block declares ends with it.

    def _branch(self, statement: ast.BranchingStatement) -> None:
        if not depends_on_bits(statement.condition, self.names):
            self.run(statement.if_block if self.names.number(statement.condition) else statement.else_block)
            return
        tests = tests_of(statement.condition, self.names)
        # A bit that was never measured into is 0: what tests it is decided now.
        if any(value and bit not in self._written for bit, value in tests):
            self.run(statement.else_block)
            return
        open_tests = [(bit, value) for bit, value in tests if bit in self._written]
        if statement.else_block and len(open_tests) > 1:
            raise fail(statement, "an else after a condition on several bits must be written as separate conditions")
        outer = self._conditions
        self._conditions = (*outer, *open_tests)
        self.run(statement.if_block)
        for bit, value in open_tests:
            self._conditions = (*outer, (bit, 1 - value))
            self.run(statement.else_block)
        self._conditions = outer


_CONDITIONAL = (ast.QuantumGate, ast.QuantumPhase, ast.QuantumBarrier, ast.ForInLoop, ast.BranchingStatement)
"""Statements that a condition on measured bits may hold."""
