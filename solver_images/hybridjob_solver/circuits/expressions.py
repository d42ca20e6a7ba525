"""Numbers in OpenQASM: what can be computed while a circuit is read."""

import math
from collections.abc import Callable, Mapping

from openqasm3 import ast

from hybridjob_solver.failures import InvalidTaskError

Number = int | float | bool

CONSTANTS: dict[str, Number] = {
    "pi": math.pi,
    "π": math.pi,
    "tau": math.tau,
    "τ": math.tau,
    "euler": math.e,
    "ℇ": math.e,
}

_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "exp": math.exp,
    "ln": math.log,
    "log": math.log,
    "sqrt": math.sqrt,
}


def fail(node: ast.QASMNode, what: str) -> InvalidTaskError:
    """The error of a circuit's text, with its line where the parser knows it."""
    where = f"line {node.span.start_line}" if node.span else "a built-in gate"
    return InvalidTaskError(f"The circuit's {where}: {what}")


def evaluate(expression: ast.Expression, variables: Mapping[str, Number], qasm2: bool = False) -> Number:
    """The value of a constant expression. In OpenQASM 2 every division is real, and `^` is a power.

    Raises InvalidTaskError for what is not a finite number.
    """
    try:
        value = _evaluate(expression, variables, qasm2)
    except (ArithmeticError, ValueError) as error:
        raise fail(expression, f"the expression must have a finite value: {error}") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise fail(expression, "the expression must have a finite value")
    return value


def evaluate_int(expression: ast.Expression, variables: Mapping[str, Number], qasm2: bool = False) -> int:
    """The value of an expression that must be an integer."""
    value = evaluate(expression, variables, qasm2)
    if not isinstance(value, int):
        raise fail(expression, f"{value} must be an integer")
    return int(value)


def _evaluate(expression: ast.Expression, variables: Mapping[str, Number], qasm2: bool) -> Number:
    match expression:
        case ast.IntegerLiteral(value) | ast.FloatLiteral(value) | ast.BooleanLiteral(value):
            number: Number = value
            return number
        case ast.Identifier(name):
            if name not in variables:
                raise fail(expression, f"{name!r} must be a number that is known when the circuit is read")
            return variables[name]
        case ast.UnaryExpression(op, operand):
            value = _evaluate(operand, variables, qasm2)
            if op is ast.UnaryOperator["-"]:
                return -value
            if op is ast.UnaryOperator["!"]:
                return not value
        case ast.BinaryExpression(op, left, right):
            return _combine(expression, _evaluate(left, variables, qasm2), _evaluate(right, variables, qasm2), qasm2)
        case ast.FunctionCall(ast.Identifier(name), [argument]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_evaluate(argument, variables, qasm2))
    raise fail(expression, f"{type(expression).__name__} cannot be evaluated: it must be arithmetic on known numbers")


def _combine(expression: ast.BinaryExpression, left: Number, right: Number, qasm2: bool) -> Number:
    match expression.op.name:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            integers = isinstance(left, int) and isinstance(right, int) and not qasm2
            if integers and left % right:
                # OpenQASM 3 divides integers with truncation, which turns rx(1/2) into rx(0): never what was meant.
                raise fail(expression, f"{left}/{right} truncates in OpenQASM 3: it must be written {left}.0/{right}")
            return left // right if integers else left / right
        case "%":
            return left % right
        case "**":
            return _power(left, right)
        case "^" if qasm2:
            return _power(left, right)
        case "==":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right
        case "&&":
            return bool(left) and bool(right)
        case "||":
            return bool(left) or bool(right)
    raise fail(expression, f"the operator {expression.op.name} is not supported on numbers")


def _power(base: Number, exponent: Number) -> float:
    """As a float: integer powers have no bound on their size."""
    return math.pow(base, exponent)
