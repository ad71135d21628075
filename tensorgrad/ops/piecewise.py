"""Operations with kinks, selections between values, and comparisons."""

from typing import Any

import numpy as np

from ..core.registry import NONZERO, REAL, Domain, case
from .define import constant, operation


@operation(
    np.maximum, kind="piecewise", kinks="a = b: each input gets half of the gradient"
)
def maximum(a, b):
    """The larger of a and b."""
    return np.maximum(a, b)


@operation(
    np.minimum, kind="piecewise", kinks="a = b: each input gets half of the gradient"
)
def minimum(a, b):
    """The smaller of a and b."""
    return np.minimum(a, b)


def _share(g: Any, wins: Any, ties: Any) -> Any:
    """Pass `g` where an input wins, half of it where the inputs tie."""
    return np.where(wins, g, np.where(ties, g / 2, 0))


maximum.vjp(
    a=lambda g, a, b: _share(g, a > b, a == b),
    b=lambda g, a, b: _share(g, b > a, a == b),
)
minimum.vjp(
    a=lambda g, a, b: _share(g, a < b, a == b),
    b=lambda g, a, b: _share(g, b < a, a == b),
)


@operation(np.absolute, kind="piecewise", domains=NONZERO, kinks="x = 0: 0")
def absolute(x):
    """Absolute value."""
    return np.absolute(x)


absolute.vjp(x=lambda g, x: g * np.sign(x))


@operation(
    np.clip,
    kind="piecewise",
    cases=[case((3, 4), a_min=-1.5, a_max=1.25), case((), a_min=0.0, a_max=None)],
    kinks="x at a bound: the gradient passes",
)
def clip(x, a_min=None, a_max=None):
    """x limited to the interval from a_min to a_max, constants."""
    return np.clip(x, a_min, a_max)


clip.vjp(x=lambda g, x, y: np.where(x == y, g, 0))


@operation(
    np.where,
    kind="linear",
    domains=(Domain(shaped=lambda x: x > 0), REAL),
)
def where(condition, a, b):
    """a where the condition holds, b elsewhere."""
    return np.where(condition, a, b)


# The branch not taken gets exactly 0, whatever it evaluated to.
where.vjp(
    a=lambda g, condition: np.where(condition, g, 0),
    b=lambda g, condition: np.where(condition, 0, g),
)

for _reference in (
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
    np.equal,
    np.not_equal,
    np.isnan,
    np.isinf,
    np.isfinite,
    np.sign,
    np.argmax,
    np.argmin,
    np.zeros_like,
    np.ones_like,
    np.shape,
    np.ndim,
    np.size,
    np.logical_and,
    np.logical_or,
    np.logical_not,
    np.any,
    np.all,
    np.array_equal,
    np.allclose,
):
    constant(_reference)
