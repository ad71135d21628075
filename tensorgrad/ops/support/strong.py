"""Products and quotients for gradient rules, in which zero annihilates infinity.

Where nothing flows back, as to the branch that `where` has not taken, a slope does not
matter, be it infinite or NaN; but 0 * inf and 0 * nan are NaN. Nor does an infinite
gradient, as of sqrt at 0, matter where the slope is 0: sqrt(x * x) has the gradient 0
at 0, as abs and every norm. A NaN gradient stays NaN, but where it was not selected.

These are operations of their own rather than masks on g == 0, which would cut off the
derivative in g itself: at the minimum of a sum of squares every residual is 0, its
curvature is not.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.foreign import KINDS, dispatched
from ...core.tensor import Tensor
from .axes import kernel


def selected(g: Any, mask: Any) -> Any:
    """Return g where the mask holds, 0 elsewhere, even in place of NaN."""
    if type(g) is np.ndarray and type(mask) is np.ndarray and mask.dtype is _BOOL:
        # The bits of a number times 1 or 0 are what np.where would choose, in a third
        # to a tenth of its time.
        bits = _INTEGERS.get(g.itemsize)
        if bits is not None:
            return np.multiply(g.view(bits), mask).view(g.dtype)
    elif isinstance(g, np.generic) and isinstance(mask, np.bool):
        return g if mask else g.dtype.type(0)
    return np.where(mask, g, 0)


_BOOL = np.dtype(bool)
_INTEGERS = {n: np.dtype(f"i{n}") for n in (2, 4, 8)}


def scaled(g: Any, slope: Any) -> Any:
    """Return g * slope, 0 where g is 0 or the slope is, whatever the other."""
    if type(g) is Tensor or type(slope) is Tensor:
        return _scaled(g, slope)
    if type(slope) is float and math.isfinite(slope):
        return g * slope
    return _product(g, slope)


def divided(g: Any, divisor: Any) -> Any:
    """Return g / divisor, 0 where g is 0 or 1 / divisor is, whatever the other."""
    if type(g) is Tensor or type(divisor) is Tensor:
        return _divided(g, divisor)
    return _quotient(g, divisor)


def hushed(a: Any, b: Any) -> Any:
    """Return a * b, 0 where either is 0, even if the other is NaN."""
    if type(a) is Tensor or type(b) is Tensor:
        return _hushed(a, b)
    return _silence(a, b)


def nothing(g: Any) -> Any:
    """Return zeros like g: the gradient of what is constant between jumps."""
    return np.where(False, g, 0)


def zeroed(y: Any, places: Any) -> Any:
    """Return y, an array nobody else has, with 0 where `places` is true."""
    if not y.shape and type(y) is not np.ndarray:
        return np.where(places, 0, y)
    np.copyto(y, 0, where=places)
    return y


def visible(y: Any) -> bool:
    """Whether Python can look at the values of an array."""
    return type(y) is np.ndarray or isinstance(y, np.generic)


def _holds_nan(y: Any, *factors: Any) -> bool:
    if type(y) is not np.ndarray:
        return bool(y != y)
    # A sum of squares is the quickest to tell: BLAS computes it, with one thread for
    # so few elements. It is no number only if one of them is none.
    # Of finite factors it does not, and smaller ones are quicker to read.
    much = y.size > _FEW and y.size > 4 * sum(map(np.size, factors)) > 0
    if much and np.isfinite([np.add.reduce(x, axis=None) for x in factors]).all():
        return False
    few = y.size <= _FEW and y.flags.c_contiguous
    total = np.vdot(y, y) if few else np.add.reduce(y, axis=None)
    return bool(total != total)


_FEW = 4096


def _call(name: str) -> Callable[[Callable[..., Any]], Callable[[Any, Any], Any]]:
    """Make one call of a function that looks at values, whatever kind of array comes.

    As several calls of NumPy, a recording would hold the masks as well, which are
    needed only where there is a NaN, and take many times as long as the product.
    """

    def register(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
        shared = dispatched(function, element=name)

        def call(a: Any, b: Any) -> Any:
            if type(a) in KINDS or type(b) in KINDS:
                return shared(a, b)
            return function(a, b)

        return call

    return register


@_call("scaled")
def _product(a: Any, b: Any, out: Any = None) -> Any:
    y = a * b if out is None else np.multiply(a, b, out=out)
    if _holds_nan(y, a, b):
        return zeroed(y, (y != y) & ((a == 0) | (b == 0) & (a == a)))
    return y


@_call("divided")
def _quotient(a: Any, b: Any, out: Any = None) -> Any:
    y = a / b if out is None else np.divide(a, b, out=out)
    if _holds_nan(y):
        return zeroed(y, (y != y) & ((a == 0) | np.isinf(b) & (a == a)))
    return y


@_call("hushed")
def _silence(a: Any, b: Any, out: Any = None) -> Any:
    y = a * b if out is None else np.multiply(a, b, out=out)
    if _holds_nan(y, a, b):
        return zeroed(y, (y != y) & ((a == 0) | (b == 0)))
    return y


@kernel("scaled")
def _scaled(a, b):
    return _product(a, b)


@kernel("divided")
def _divided(a, b):
    return _quotient(a, b)


@kernel("scaled")
def _hushed(a, b):
    return _silence(a, b)


# How a gradient of 0 depends on a slope does not matter, be NaN what flows back to it:
# the slope of log at -1, say.
_scaled.vjp(a=lambda g, b: scaled(g, b), b=lambda g, a: _hushed(g, a))
_divided.vjp(a=lambda g, b: divided(g, b), b=lambda g, y, b: -divided(_hushed(g, y), b))
_hushed.vjp(a=lambda g, b: _hushed(g, b), b=lambda g, a: _hushed(g, a))
