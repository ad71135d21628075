"""Circular and hyperbolic functions, their inverses, and angles, element by element.

Slopes are written so that neither a square overflows before its reciprocal is taken,
nor a value outside the domain warns where nothing flows back.
"""

import math
from functools import partial
from typing import Any

import numpy as np

from ...core.tensor import Tensor
from ..support.axes import kernel
from ..support.define import binary, unary
from ..support.limits import per_length
from ..support.registry import ABOVE_ONE, INSIDE_ONE, NONZERO
from ..support.strong import divided, scaled

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "deg2rad",
    "degrees", "hypot", "rad2deg", "radians", "sin", "sinh", "tan",
]  # fmt: skip

sin = unary(np.sin, "Sine.", x=lambda g, x: scaled(g, np.cos(x)))
cos = unary(np.cos, "Cosine.", x=lambda g, x: -scaled(g, np.sin(x)))
tan = unary(np.tan, "Tangent.", domains=INSIDE_ONE, x=lambda g, y: scaled(g, 1 + y * y))


@kernel("sqrt")
def _cosine_of_arcsin(x):
    """Return `sqrt(1 - x**2)`, accurate near the ends of the domain."""
    return np.sqrt((1 - x) * (1 + x))


_cosine_of_arcsin.vjp(x=lambda g, y, x: -divided(scaled(g, x), y))

_ENDS = "infinite slope at -1 and 1: 0 where the incoming gradient is; NaN outside"
_on_an_interval = partial(unary, domains=INSIDE_ONE, kinks=_ENDS)

arcsin = _on_an_interval(
    np.arcsin,
    "Angle in [-pi/2, pi/2] whose sine is x.",
    x=lambda g, x: divided(g, _cosine_of_arcsin(x)),
)
arccos = _on_an_interval(
    np.arccos,
    "Angle in [0, pi] whose cosine is x.",
    x=lambda g, x: -divided(g, _cosine_of_arcsin(x)),
)


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


arctan = unary(
    np.arctan,
    "Angle in [-pi/2, pi/2] whose tangent is x.",
    x=lambda g, x: scaled(g, _arctan_slope(x)),
)


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


hypot = binary(
    np.hypot,
    "sqrt(a^2 + b^2), without overflow.",
    domains=NONZERO,
    kinks="a = b = 0: 0, and the curvature of what is smooth there, as of every norm",
    a=lambda g, a, y: _hypot_vjp(g, a, y),
    b=lambda g, b, y: _hypot_vjp(g, b, y),
)


def _over_square(side: Any, a: Any, b: Any) -> Any:
    """Return `side / (a**2 + b**2)`, 0 at the origin."""
    length = np.hypot(a, b)
    return divided(_cosine(side, length), np.where(length == 0, 1, length))


arctan2 = binary(
    np.arctan2,
    "Angle of the point (b, a), in [-pi, pi].",
    domains=NONZERO,
    kinks="a = b = 0: 0; jump of 2 pi on the negative half-axis of b",
    a=lambda g, a, b: scaled(g, _over_square(b, a, b)),
    b=lambda g, a, b: -scaled(g, _over_square(a, a, b)),
)

sinh = unary(np.sinh, "Hyperbolic sine.", x=lambda g, x: scaled(g, np.cosh(x)))
cosh = unary(np.cosh, "Hyperbolic cosine.", x=lambda g, x: scaled(g, np.sinh(x)))
arcsinh = unary(
    np.arcsinh,
    "Number whose hyperbolic sine is x.",
    x=lambda g, x: scaled(g, _arcsinh_slope(x)),
)


@kernel("sqrt")
def _sinh_of_arccosh(x):
    """Return `sqrt(x**2 - 1)`, NaN where x < 1."""
    return np.sqrt(x - 1) * np.sqrt(x + 1)


_sinh_of_arccosh.vjp(x=lambda g, y, x: divided(scaled(g, x), y))

arccosh = unary(
    np.arccosh,
    "Number from 0 on whose hyperbolic cosine is x.",
    domains=ABOVE_ONE,
    kinks="infinite slope at 1: 0 where the incoming gradient is; NaN below",
    x=lambda g, x: divided(g, _sinh_of_arccosh(x)),
)


@kernel("subtract")
def _complement_of_square(x):
    """Return `1 - x**2`, accurate near the ends of the domain, NaN outside of it."""
    return np.where(np.abs(x) > 1, math.nan, (1 - x) * (1 + x))


_complement_of_square.vjp(
    x=lambda g, x: scaled(g, np.where(np.abs(x) > 1, math.nan, -2 * x))
)

arctanh = _on_an_interval(
    np.arctanh,
    "Number whose hyperbolic tangent is x.",
    x=lambda g, x: divided(g, _complement_of_square(x)),
)

_to_degrees = partial(unary, kind="linear", x=lambda g: np.degrees(g))
_to_radians = partial(unary, kind="linear", x=lambda g: np.radians(g))
degrees = _to_degrees(np.degrees, "Radians in degrees.")
rad2deg = _to_degrees(np.rad2deg, "Radians in degrees.")
radians = _to_radians(np.radians, "Degrees in radians.")
deg2rad = _to_radians(np.deg2rad, "Degrees in radians.")

acos, asin, atan, atan2 = arccos, arcsin, arctan, arctan2
acosh, asinh, atanh = arccosh, arcsinh, arctanh
