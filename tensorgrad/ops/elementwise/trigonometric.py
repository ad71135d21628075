"""Circular and hyperbolic functions, their inverses, and angles, element by element.

Slopes are written so that neither a square overflows before its reciprocal is taken,
nor a value outside the domain warns where nothing flows back.
"""

import math
from typing import Any

import numpy as np

from ...core.tensor import Tensor
from ...core.types import Array, Operand
from ..support.axes import kernel
from ..support.define import operation
from ..support.limits import per_length
from ..support.registry import ABOVE_ONE, INSIDE_ONE, NONZERO
from ..support.strong import divided, scaled


@operation(np.sin, kind="smooth")
def sin(x: Operand) -> Array:
    """Sine."""
    return np.sin(x)


sin.vjp(x=lambda g, x: scaled(g, np.cos(x)))


@operation(np.cos, kind="smooth")
def cos(x: Operand) -> Array:
    """Cosine."""
    return np.cos(x)


cos.vjp(x=lambda g, x: -scaled(g, np.sin(x)))


@operation(np.tan, kind="smooth", domains=INSIDE_ONE)
def tan(x: Operand) -> Array:
    """Tangent."""
    return np.tan(x)


tan.vjp(x=lambda g, y: scaled(g, 1 + y * y))


@kernel("sqrt")
def _cosine_of_arcsin(x):
    """Return `sqrt(1 - x**2)`, accurate near the ends of the domain."""
    return np.sqrt((1 - x) * (1 + x))


_cosine_of_arcsin.vjp(x=lambda g, y, x: -divided(scaled(g, x), y))

_ENDS = "infinite slope at -1 and 1: 0 where the incoming gradient is; NaN outside"


@operation(np.arcsin, kind="smooth", domains=INSIDE_ONE, kinks=_ENDS)
def arcsin(x: Operand) -> Array:
    """Angle in [-pi/2, pi/2] whose sine is x."""
    return np.arcsin(x)


@operation(np.arccos, kind="smooth", domains=INSIDE_ONE, kinks=_ENDS)
def arccos(x: Operand) -> Array:
    """Angle in [0, pi] whose cosine is x."""
    return np.arccos(x)


arcsin.vjp(x=lambda g, x: divided(g, _cosine_of_arcsin(x)))
arccos.vjp(x=lambda g, x: -divided(g, _cosine_of_arcsin(x)))


def _folded(x: Any) -> tuple[Any, Any]:
    """Return where |x| > 1, and x with 1/x in its place there."""
    far = np.abs(x) > 1
    return far, np.where(far, 1 / np.where(far, x, 1), x)


def _arctan_slope(x: Any) -> Any:
    """Return `1 / (1 + x**2)`, as w^2 / (1 + w^2) with w = 1/x far from 0."""
    far, w = _folded(x)
    square = w * w
    return np.where(far, square, 1) / (1 + square)


def _arcsinh_slope(x: Any) -> Any:
    """Return `1 / sqrt(1 + x**2)`, as |w| / sqrt(1 + w^2) with w = 1/x far from 0."""
    far, w = _folded(x)
    return np.where(far, np.abs(w), 1) / np.sqrt(1 + w * w)


@operation(np.arctan, kind="smooth")
def arctan(x: Operand) -> Array:
    """Angle in [-pi/2, pi/2] whose tangent is x."""
    return np.arctan(x)


arctan.vjp(x=lambda g, x: scaled(g, _arctan_slope(x)))


@operation(
    np.hypot,
    kind="smooth",
    domains=NONZERO,
    kinks="a = b = 0: 0, and the curvature of what is smooth there, as of every norm",
)
def hypot(a: Operand, b: Operand) -> Array:
    """sqrt(a^2 + b^2), without overflow."""
    return np.hypot(a, b)


def _cosine(side: Any, length: Any) -> Any:
    """Return `side / length`: 0 for the length 0, a sign for an infinite side."""
    limit = np.logical_or(length == 0, np.isinf(length))
    at_limit = np.where(np.isinf(side), np.sign(side), 0)
    return np.where(limit, at_limit, side / np.where(limit, 1, length))


def _hypot_vjp(g: Any, side: Any, y: Any) -> Any:
    """Return `g * (side / y)`."""
    slope = scaled(g, _cosine(side, y))
    if type(g) is not Tensor:
        return slope
    return np.where(y == 0, scaled(per_length(g, y), side), slope)


hypot.vjp(a=lambda g, a, y: _hypot_vjp(g, a, y), b=lambda g, b, y: _hypot_vjp(g, b, y))


@operation(
    np.arctan2,
    kind="smooth",
    domains=NONZERO,
    kinks="a = b = 0: 0; jump of 2 pi on the negative half-axis of b",
)
def arctan2(a: Operand, b: Operand) -> Array:
    """Angle of the point (b, a), in [-pi, pi]."""
    return np.arctan2(a, b)


def _over_square(side: Any, a: Any, b: Any) -> Any:
    """Return `side / (a**2 + b**2)`, 0 at the origin."""
    length = np.hypot(a, b)
    return divided(_cosine(side, length), np.where(length == 0, 1, length))


arctan2.vjp(
    a=lambda g, a, b: scaled(g, _over_square(b, a, b)),
    b=lambda g, a, b: -scaled(g, _over_square(a, a, b)),
)


@operation(np.sinh, kind="smooth")
def sinh(x: Operand) -> Array:
    """Hyperbolic sine."""
    return np.sinh(x)


sinh.vjp(x=lambda g, x: scaled(g, np.cosh(x)))


@operation(np.cosh, kind="smooth")
def cosh(x: Operand) -> Array:
    """Hyperbolic cosine."""
    return np.cosh(x)


cosh.vjp(x=lambda g, x: scaled(g, np.sinh(x)))


@operation(np.arcsinh, kind="smooth")
def arcsinh(x: Operand) -> Array:
    """Number whose hyperbolic sine is x."""
    return np.arcsinh(x)


arcsinh.vjp(x=lambda g, x: scaled(g, _arcsinh_slope(x)))


@operation(
    np.arccosh,
    kind="smooth",
    domains=ABOVE_ONE,
    kinks="infinite slope at 1: 0 where the incoming gradient is; NaN below",
)
def arccosh(x: Operand) -> Array:
    """Number from 0 on whose hyperbolic cosine is x."""
    return np.arccosh(x)


@kernel("sqrt")
def _sinh_of_arccosh(x):
    """Return `sqrt(x**2 - 1)`, NaN where x < 1."""
    return np.sqrt(x - 1) * np.sqrt(x + 1)


_sinh_of_arccosh.vjp(x=lambda g, y, x: divided(scaled(g, x), y))
arccosh.vjp(x=lambda g, x: divided(g, _sinh_of_arccosh(x)))


@operation(
    np.arctanh,
    kind="smooth",
    domains=INSIDE_ONE,
    kinks=_ENDS,
)
def arctanh(x: Operand) -> Array:
    """Number whose hyperbolic tangent is x."""
    return np.arctanh(x)


@kernel("subtract")
def _complement_of_square(x):
    """Return `1 - x**2`, accurate near the ends of the domain, NaN outside of it."""
    return np.where(np.abs(x) > 1, math.nan, (1 - x) * (1 + x))


_complement_of_square.vjp(
    x=lambda g, x: scaled(g, np.where(np.abs(x) > 1, math.nan, -2 * x))
)
arctanh.vjp(x=lambda g, x: divided(g, _complement_of_square(x)))


@operation(np.degrees, kind="linear")
def degrees(x: Operand) -> Array:
    """Radians in degrees."""
    return np.degrees(x)


@operation(np.rad2deg, kind="linear")
def rad2deg(x: Operand) -> Array:
    """Radians in degrees."""
    return np.rad2deg(x)


@operation(np.radians, kind="linear")
def radians(x: Operand) -> Array:
    """Degrees in radians."""
    return np.radians(x)


@operation(np.deg2rad, kind="linear")
def deg2rad(x: Operand) -> Array:
    """Degrees in radians."""
    return np.deg2rad(x)


for _op in (degrees, rad2deg):
    _op.vjp(x=lambda g: np.degrees(g))
for _op in (radians, deg2rad):
    _op.vjp(x=lambda g: np.radians(g))
