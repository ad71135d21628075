"""Operations with kinks and jumps, and selections between values."""

from functools import partial
from typing import Any

import numpy as np

from ...core.dispatch import implement
from ...core.tensor import detached
from ...core.types import Array, Operand
from ..support.axes import kernel
from ..support.define import binary, composed, operation, unary
from ..support.registry import NONZERO, REAL, Domain, case
from ..support.strong import nothing, scaled, selected

__all__ = [
    "abs", "absolute", "clip", "conj", "conjugate", "copysign", "fabs", "fmax", "fmin",
    "heaviside", "maximum", "minimum", "nan_to_num", "real", "real_if_close", "sign",
    "where",
]  # fmt: skip

_TIE = "a = b: each input gets half of the gradient; NaN: 0"
_NUMBER = "a = b: each input gets half of the gradient; both NaN: 0"


def _share(g: Any, wins: Any, ties: Any) -> Any:
    """Pass `g` where an input wins, half of it where the inputs tie."""
    return np.where(wins, g, np.where(ties, g / 2, 0))


def _alone(a: Any, b: Any) -> Any:
    """Where a is a number and b is none."""
    return np.logical_and(np.isnan(b), np.logical_not(np.isnan(a)))


_extremum = partial(binary, kind="piecewise", kinks=_TIE)
_extremum_of_numbers = partial(binary, kind="piecewise", kinks=_NUMBER)
maximum = _extremum(
    np.maximum,
    "The larger of a and b; NaN where one is.",
    a=lambda g, a, b: _share(g, a > b, a == b),
    b=lambda g, a, b: _share(g, b > a, a == b),
)
minimum = _extremum(
    np.minimum,
    "The smaller of a and b; NaN where one is.",
    a=lambda g, a, b: _share(g, a < b, a == b),
    b=lambda g, a, b: _share(g, b < a, a == b),
)
fmax = _extremum_of_numbers(
    np.fmax,
    "The larger of a and b; the other where one is NaN.",
    a=lambda g, a, b: _share(g, np.logical_or(a > b, _alone(a, b)), a == b),
    b=lambda g, a, b: _share(g, np.logical_or(b > a, _alone(b, a)), a == b),
)
fmin = _extremum_of_numbers(
    np.fmin,
    "The smaller of a and b; the other where one is NaN.",
    a=lambda g, a, b: _share(g, np.logical_or(a < b, _alone(a, b)), a == b),
    b=lambda g, a, b: _share(g, np.logical_or(b < a, _alone(b, a)), a == b),
)

_size = partial(
    unary,
    kind="piecewise",
    domains=NONZERO,
    kinks="x = 0: 0",
    x=lambda g, x: scaled(g, np.sign(x)),
)
absolute = _size(np.absolute, "Absolute value.")
fabs = _size(np.fabs, "Absolute value, of floating-point type.")
sign = unary(
    np.sign,
    "-1, 0 or 1.",
    kind="piecewise",
    domains=NONZERO,
    kinks="x = 0: 0, as everywhere",
    x=nothing,
)
heaviside = binary(
    np.heaviside,
    "0 for negative a, 1 for positive a, b for 0.",
    kind="piecewise",
    domains=(NONZERO, REAL),
    kinks="a = 0: 0 in a, as everywhere; 1 in b, which is the value there",
    a=nothing,
    b=lambda g, a: selected(g, a == 0),
)
copysign = binary(
    np.copysign,
    "a with the sign of b.",
    kind="piecewise",
    domains=NONZERO,
    kinks="a = 0: 0; b = 0: 0 in b, as everywhere",
    a=lambda g, a, b: scaled(g, np.sign(a) * np.copysign(1, b)),
    b=nothing,
)


@kernel("clip")
def _clip(a, a_min, a_max):
    return np.clip(a, a_min, a_max)


def _below(g: Any, a: Any, a_min: Any, a_max: Any) -> Any:
    """Pass `g` to the lower bound where a is below it, unless the bounds cross."""
    below = a < a_min
    if a_max is not None:
        below = np.logical_and(below, a_min <= a_max)
    return selected(g, below)


def _above(g: Any, a: Any, a_min: Any, a_max: Any) -> Any:
    """Pass `g` to the upper bound where a is above it, or wherever the bounds cross."""
    above = a > a_max
    if a_min is not None:
        crossed = np.logical_and(a_min > a_max, a != a_max)
        above = np.logical_or(above, crossed)
    return selected(g, above)


_clip.vjp(a=lambda g, a, y: selected(g, a == y), a_min=_below, a_max=_above)


_SINCE_NUMPY_2_1 = (
    [case((2, 3), min=-1.0), case((2, 3), max=1.0, min=None), case((3,))]
    if hasattr(np, "unstack")
    else []
)


@composed(
    np.clip,
    kind="piecewise",
    domains=(REAL, Domain(-2.003, -1.003), Domain(1.003, 2.003)),
    cases=[
        case((3, 4), a_min=-1.5, a_max=1.25),
        case((), a_min=0.0, a_max=None),
        case((3, 4), (4,), (3, 1)),
        *_SINCE_NUMPY_2_1,
    ],
    kinks="a at a bound: the gradient passes to a, none to the bound",
)
def clip(
    a: Operand,
    a_min: Operand = None,
    a_max: Operand = None,
    *,
    min: Operand = None,
    max: Operand = None,
) -> Array:
    """a limited to the interval from a_min to a_max, also spelled min and max.

    Bounds may be arrays; None is no bound. Where a lies outside, the gradient goes to
    the bound.
    """
    if (min is not None or max is not None) and not (a_min is None and a_max is None):
        raise ValueError("clip: pass bounds as a_min and a_max or as min and max")
    low, high = a_min if min is None else min, a_max if max is None else max
    return _clip(a, low, high)


@operation(np.where, kind="linear", domains=(Domain(shaped=lambda x: x > 0), REAL))
def where(condition: Operand, a: Operand, b: Operand) -> Operand:
    """a where the condition holds, b elsewhere."""
    return np.where(condition, a, b)


# The branch not taken gets exactly 0, whatever it evaluated to. The condition does not
# change between the jumps of what it asks.
where.vjp(
    condition=nothing,
    a=lambda g, condition: selected(g, condition),
    b=lambda g, condition: np.where(condition, 0, g),
)


def _where(condition: Any, *branches: Any) -> Any:
    """Choose between two branches; without any, say where the condition holds."""
    return where(condition, *branches) if branches else np.nonzero(detached(condition))


implement("where", _where, np.where)


@operation(
    np.nan_to_num,
    kind="piecewise",
    cases=[case((2, 3)), case((), nan=1.0, posinf=2.0, neginf=3.0)],
    kinks="NaN and infinities: 0",
)
def nan_to_num(
    x: Operand,
    copy: bool = True,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Array:
    """x with numbers in place of NaN and of the infinities."""
    if not copy:
        raise TypeError(
            "nan_to_num: copy=False would write to a Tensor, whose values backward may "
            "need; use the returned tensor"
        )
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


nan_to_num.vjp(x=lambda g, x: selected(g, np.isfinite(x)))


@composed(np.real, kind="linear", cases=[case((2, 3)), case(())])
def real(val: Operand) -> Array:
    """The real part: a Tensor is real, so itself."""
    return val


@composed(np.real_if_close, kind="linear", cases=[case((2, 3)), case(())])
def real_if_close(a: Operand, tol: float = 100) -> Array:
    """a as it is: a Tensor has no imaginary part."""
    return a


conjugate = unary(np.conjugate, "x: a Tensor is real.", kind="linear", x=lambda g: g)

abs = absolute
conj = conjugate
