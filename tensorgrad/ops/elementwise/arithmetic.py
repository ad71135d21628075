"""Arithmetic, powers, exponentials and logarithms, element by element.

The rules keep a zero gradient zero (ops/support/strong.py): a value may be infinite or
NaN where nothing flows back.
"""

import math
from typing import Any

import numpy as np

from ...core.types import Array, Operand
from ..support.axes import kernel
from ..support.define import binary, operation, unary
from ..support.registry import NONZERO, POSITIVE, REAL, Domain
from ..support.strong import divided, nothing, scaled

__all__ = [
    "add", "cbrt", "divide", "exp", "exp2", "expm1", "float_power", "log", "log1p",
    "log2", "log10", "multiply", "negative", "positive", "pow", "power", "reciprocal",
    "sqrt", "square", "subtract", "tanh", "true_divide",
]  # fmt: skip


@operation(np.add, kind="linear")
def add(a: Operand, b: Operand) -> Array:
    """a + b."""
    return a + b


add.vjp(a=lambda g: g, b=lambda g: g)


@operation(np.subtract, kind="linear")
def subtract(a: Operand, b: Operand) -> Array:
    """a - b."""
    return a - b


subtract.vjp(a=lambda g: g, b=lambda g: -g)


@operation(np.multiply, kind="multilinear")
def multiply(a: Operand, b: Operand) -> Array:
    """a * b."""
    return a * b


multiply.vjp(a=lambda g, b: scaled(g, b), b=lambda g, a: scaled(g, a))


@operation(np.true_divide, domains=(REAL, NONZERO))
def divide(a: Operand, b: Operand) -> Array:
    """a / b."""
    return a / b


divide.vjp(a=lambda g, b: divided(g, b), b=lambda g, y, b: -divided(scaled(g, y), b))


@operation(np.negative, kind="linear")
def negative(x: Operand) -> Array:
    """-x."""
    return -x


negative.vjp(x=lambda g: -g)

positive = unary(np.positive, "+x, a copy.", kind="linear", x=lambda g: g)
reciprocal = unary(
    np.reciprocal,
    "1 / x.",
    domains=NONZERO,
    kinks="x = 0: -inf, of whatever sign",
    x=lambda g, y: -scaled(scaled(g, y), y),
)


@operation(np.square)
def square(x: Operand) -> Array:
    """x * x."""
    return x * x


square.vjp(x=lambda g, x: scaled(g, 2 * x))


def _is_number(value: Any) -> bool:
    """Whether a value is Python's own: one of NumPy's may be a tensor's."""
    return type(value) is int or type(value) is float


_POWERS = (
    "base 0: 0 in b, -inf where b < 0, the limit from the right, and so 0 for x**x, "
    "not -inf; exponent 0: 0 in a; base below 0: nan in b"
)


@operation(np.power, domains=(POSITIVE, REAL), kinks=_POWERS)
def power(a: Operand, b: Operand) -> Array:
    """a ** b."""
    # The operator is the faster one for numbers, but of NumPy's scalars it has
    # another last bit than np.power and arrays have.
    return a**b if _is_number(b) else np.power(a, b)


float_power = binary(
    np.float_power,
    "a ** b, computed in float64.",
    domains=(POSITIVE, REAL),
    kinks=_POWERS,
)


@kernel("power")
def _quiet_power(a, b):
    """a ** b for slopes, which matter only where something flows back."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return a**b


def _power_by_base(g: Any, a: Any, b: Any) -> Any:
    """Return `g * b * a ** (b - 1)`, which is 0 where b is, even at base 0."""
    if not _is_number(b):
        return scaled(g, scaled(b, _quiet_power(a, b - 1)))
    if b == 0:
        return nothing(g)
    if b == 2:  # a ** 1 is a copy
        return scaled(g, b * a)
    has_pole = b < 1 or not float(b).is_integer()
    return scaled(g, b * (_quiet_power(a, b - 1) if has_pole else a ** (b - 1)))


def _power_by_exponent(g: Any, y: Any, a: Any) -> Any:
    """Return `g * y * log(a)`, at base 0 the derivative from the right."""
    if _is_number(a) and a > 0:
        return scaled(g, y * math.log(a))
    base = np.where(a == 0, math.e, np.where(a < 0, math.nan, a))
    at_zero = np.where(np.isinf(y), -y, 0)
    return scaled(g, np.where(a == 0, at_zero, scaled(y, np.log(base))))


for _power in (power, float_power, _quiet_power):
    _power.vjp(a=_power_by_base, b=_power_by_exponent)


sqrt = unary(
    np.sqrt,
    "Square root.",
    domains=POSITIVE,
    kinks="infinite slope at 0: the gradient is 0 where the incoming one is, as in "
    "sqrt(x)**2, else inf; below 0: nan",
    x=lambda g, y: divided(g, 2 * y),
)
cbrt = unary(
    np.cbrt,
    "Cube root, of negative numbers too.",
    domains=NONZERO,
    kinks="infinite slope at 0: the gradient is 0 where the incoming one is, else inf; "
    "its derivative, infinite of either sign beside 0, is 0",
    x=lambda g, y: divided(g, 3 * (y * y)),
)
exp = unary(np.exp, "Exponential.", x=lambda g, y: scaled(g, y))
exp2 = unary(np.exp2, "2 ** x.", x=lambda g, y: scaled(g, y * math.log(2)))
# Not y + 1, which has lost the digits of a small exponential.
expm1 = unary(
    np.expm1, "exp(x) - 1, accurate near 0.", x=lambda g, x: scaled(g, np.exp(x))
)

log = unary(
    np.log,
    "Natural logarithm.",
    domains=POSITIVE,
    kinks="below 0: 1 / x as above, the slope of log(abs(x))",
    x=lambda g, x: divided(g, x),
)
log2 = unary(
    np.log2,
    "Logarithm to base 2.",
    domains=POSITIVE,
    kinks="below 0: as log",
    x=lambda g, x: divided(g, x) * (1 / math.log(2)),
)
log10 = unary(
    np.log10,
    "Logarithm to base 10.",
    domains=POSITIVE,
    kinks="below 0: as log",
    x=lambda g, x: divided(g, x) * (1 / math.log(10)),
)
log1p = unary(
    np.log1p,
    "log(1 + x), accurate near 0.",
    domains=Domain(-0.7, 3.0),
    kinks="below -1: as log below 0",
    x=lambda g, x: divided(g, 1 + x),
)
tanh = unary(np.tanh, "Hyperbolic tangent.", x=lambda g, y: scaled(g, 1 - y * y))

pow = power
true_divide = divide
