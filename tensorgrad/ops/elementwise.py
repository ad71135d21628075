"""Operations that work element by element, with broadcasting."""

from typing import Any

import numpy as np

from ..core.registry import NONZERO, POSITIVE, REAL
from .define import operation


@operation(np.add, kind="linear")
def add(a, b):
    """a + b."""
    return a + b


add.vjp(a=lambda g: g, b=lambda g: g)


@operation(np.subtract, kind="linear")
def subtract(a, b):
    """a - b."""
    return a - b


subtract.vjp(a=lambda g: g, b=lambda g: -g)


@operation(np.multiply, kind="multilinear")
def multiply(a, b):
    """a * b."""
    return a * b


multiply.vjp(a=lambda g, b: g * b, b=lambda g, a: g * a)


@operation(np.true_divide, kind="smooth", domains=(REAL, NONZERO))
def divide(a, b):
    """a / b."""
    return a / b


divide.vjp(a=lambda g, b: g / b, b=lambda g, y, b: -g * y / b)


@operation(np.power, kind="smooth", domains=(POSITIVE, REAL))
def power(a, b):
    """a ** b."""
    return a**b


def _power_by_base(g: Any, a: Any, b: Any) -> Any:
    # Where the exponent is 0 so is the derivative, even at 0, where 0 * 0**-1 is nan.
    if isinstance(b, int | float):
        return g * (b * a ** (b - 1)) if b else np.zeros_like(g)
    return np.where(b == 0, 0, g * b * a ** np.where(b == 0, 1, b - 1))


def _power_by_exponent(g: Any, y: Any, a: Any) -> Any:
    # At base 0, y * log(0) is nan: the derivative from the right, 0, is taken.
    return np.where(a == 0, 0, g * y * np.log(np.where(a == 0, 1, a)))


power.vjp(a=_power_by_base, b=_power_by_exponent)


@operation(np.negative, kind="linear")
def negative(x):
    """-x."""
    return -x


negative.vjp(x=lambda g: -g)


@operation(np.exp, kind="smooth")
def exp(x):
    """Exponential."""
    return np.exp(x)


exp.vjp(x=lambda g, y: g * y)


@operation(np.log, kind="smooth", domains=POSITIVE)
def log(x):
    """Natural logarithm."""
    return np.log(x)


log.vjp(x=lambda g, x: g / x)


@operation(
    np.sqrt,
    kind="smooth",
    domains=POSITIVE,
    kinks="infinite slope at 0: the gradient is 0 where the incoming one is, else inf",
)
def sqrt(x):
    """Square root."""
    return np.sqrt(x)


# 0 / 0 would be nan where nothing flows back (strong zero).
sqrt.vjp(x=lambda g, y: np.where(g == 0, 0, g / (2 * np.where(g == 0, 1, y))))


@operation(np.square, kind="smooth")
def square(x):
    """x * x."""
    return x * x


square.vjp(x=lambda g, x: g * (2 * x))


@operation(np.tanh, kind="smooth")
def tanh(x):
    """Hyperbolic tangent."""
    return np.tanh(x)


tanh.vjp(x=lambda g, y: g * (1 - y * y))
