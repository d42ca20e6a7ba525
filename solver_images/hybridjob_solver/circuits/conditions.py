"""Conditions on measured bits, as tests that must all hold."""

from openqasm3 import ast

from hybridjob_solver.circuits.expressions import fail
from hybridjob_solver.circuits.names import Names

Tests = list[tuple[int, int]]
"""(bit, value) pairs."""


def depends_on_bits(condition: ast.Expression, names: Names) -> bool:
    """Whether the condition is decided when the circuit runs, rather than when it is read."""
    match condition:
        case ast.Identifier(name):
            return name in names.bits
        case ast.IndexExpression():
            return True
        case ast.UnaryExpression(_, operand):
            return depends_on_bits(operand, names)
        case ast.BinaryExpression(_, left, right):
            return depends_on_bits(left, names) or depends_on_bits(right, names)
        case _:
            return False


def tests_of(condition: ast.Expression, names: Names) -> Tests:
    """The tests of a condition. Raises InvalidTaskError for what is not a conjunction of them."""
    match condition:
        case ast.Identifier() | ast.IndexExpression():
            return _compare(condition, 1, names)
        case ast.UnaryExpression(op, operand) if op is ast.UnaryOperator["!"]:
            return _negate(condition, tests_of(operand, names))
        case ast.BinaryExpression(op, left, right) if op is ast.BinaryOperator["&&"]:
            return [*tests_of(left, names), *tests_of(right, names)]
        case ast.BinaryExpression(op, left, right) if op is ast.BinaryOperator["=="]:
            return _compare(left, names.integer(right), names)
        case ast.BinaryExpression(op, left, right) if op is ast.BinaryOperator["!="]:
            return _negate(condition, _compare(left, names.integer(right), names))
    raise fail(condition, "a condition must compare bits with numbers by == or !=, joined by &&")


def _compare(bits: ast.Expression, value: int, names: Names) -> Tests:
    """Bit 0 of a register is the least significant of the number that it is compared with."""
    if not isinstance(bits, ast.Identifier | ast.IndexExpression):
        raise fail(bits, "the left side of a condition must be bits")
    elements = names.elements(bits, names.bits)
    if not 0 <= value < 1 << len(elements):
        raise fail(bits, f"{len(elements)} bits are compared with {value}: it must fit them")
    return [(bit, value >> position & 1) for position, bit in enumerate(elements)]


def _negate(condition: ast.Expression, tests: Tests) -> Tests:
    if len(tests) != 1:
        raise fail(condition, "only a condition on a single bit can be negated: others must be written out")
    (bit, value) = tests[0]
    return [(bit, 1 - value)]
