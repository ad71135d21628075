"""Products and quotients for gradient rules, in which zero annihilates infinity.

Where nothing flows back, as to the branch that `where` has not taken, a slope does not
matter, be it infinite or NaN; but 0 * inf and 0 * nan are NaN. Nor does an infinite
gradient, as of sqrt at 0, matter where the slope is 0: sqrt(x * x) has the gradient 0
at 0, as abs and every norm. A NaN gradient stays NaN.

These are operations of their own rather than masks on g == 0, which would cut off the
derivative in g itself: at the minimum of a sum of squares every residual is 0, its
curvature is not.
"""

import math
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from .axes import kernel


def scaled(g: Any, slope: Any) -> Any:
    """Return g * slope, 0 where g is 0 or the slope is, whatever the other."""
    if type(g) is Tensor or type(slope) is Tensor:
        return _scaled(g, slope)
    if type(slope) is float and math.isfinite(slope):
        return g * slope
    return _product(g, slope)


def divided(g: Any, divisor: Any) -> Any:
    """Return g / divisor, 0 where g is 0 whatever the divisor."""
    if type(g) is Tensor or type(divisor) is Tensor:
        return _divided(g, divisor)
    return _quotient(g, divisor)


def nothing(g: Any) -> Any:
    """Return zeros like g: the gradient of what is constant between jumps."""
    return np.where(False, g, 0)


def written(y: Any) -> Any:
    """Return an array that can be written to: one of no axes for a scalar."""
    return y if isinstance(y, np.ndarray) else np.asarray(y)


def _product(a: Any, b: Any) -> Any:
    if isinstance(a, np.generic) and not isinstance(b, np.ndarray) and a and b:
        return a * b
    with np.errstate(invalid="ignore"):
        y = written(a * b)
    # A copy under a mask that is False nearly everywhere costs next to nothing;
    # np.where would cost more than the product.
    np.copyto(y, 0, where=(y != y) & ((a == 0) | (b == 0) & (a == a)))
    return y


def _quotient(a: Any, b: Any) -> Any:
    if isinstance(a, np.generic) and not isinstance(b, np.ndarray) and a and b:
        return a / b
    with np.errstate(divide="ignore", invalid="ignore"):
        y = written(a / b)
    np.copyto(y, 0, where=(y != y) & (a == 0))
    return y


@kernel("scaled")
def _scaled(a, b):
    return _product(a, b)


@kernel("divided")
def _divided(a, b):
    return _quotient(a, b)


_scaled.vjp(a=lambda g, b: scaled(g, b), b=lambda g, a: scaled(g, a))
_divided.vjp(a=lambda g, b: divided(g, b), b=lambda g, y, b: -divided(scaled(g, y), b))
