"""Reductions along axes: sums, means and extreme elements.

Each takes the arguments of its NumPy function. The call without `dtype`, `initial` and
`where` has an operation of its own, with no more to do than it needs.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...core.dispatch import implement, implement_method
from ...core.foreign import invoke
from ...core.tensor import detached, plain, wrap
from ...core.types import Array, Axis, Operand
from ..support.axes import (
    check_dtype,
    count,
    counting,
    divisor,
    kernel,
    number,
    refuse_out,
    spread,
)
from ..support.define import composed, family
from ..support.registry import NONZERO, case
from ..support.strong import scaled, selected

__all__ = ["amax", "amin", "max", "mean", "min", "ptp", "sum"]

_CASES = [
    case(()),
    case((3, 4)),
    case((3, 4), axis=0),
    case((2, 3, 4), axis=(0, -1)),
    case((2, 3, 4), axis=1, keepdims=True),
    case((2, 3), axis=(0, 1), keepdims=True),
    case((2, 3), axis=()),
    case(
        (2, 3, 2), axis=-2, where=np.array([[True, False], [True, True], [False] * 2])
    ),
]
_INITIAL_CASES = [
    case((2, 3), initial=0.7),
    case((2, 3), axis=1, initial=0.7, where=np.array([True, False, True])),
]
_EMPTY_CASES = [case((0, 3)), case((0, 3), axis=0), case((2, 0), axis=1)]


def reduce_part(
    reduction: Any,
    a: Any,
    axis: Any,
    keepdims: bool,
    initial: Any,
    where: Any,
    **more: Any,
) -> Any:
    """Reduce what is selected, and an initial value, where there is one."""
    more |= {"axis": axis, "keepdims": keepdims, "where": where}
    more |= {} if initial is None else {"initial": initial}
    return invoke(reduction, (a,), more)


@kernel("sum")
def _sum(a, axis, keepdims):
    return np.add.reduce(a, axis=axis, keepdims=keepdims)


@kernel("sum")
def _sum_of_part(a, axis, dtype, keepdims, initial, where):
    return reduce_part(np.add.reduce, a, axis, keepdims, initial, where, dtype=dtype)


_sum.vjp(a=lambda g, a_shape, axis, keepdims: spread(g, a_shape, axis, keepdims))
_sum_of_part.vjp(
    a=lambda g, a_shape, axis, keepdims, where: selected(
        spread(g, a_shape, axis, keepdims), where
    ),
    initial=lambda g: np.sum(g),
)


@composed(np.sum, kind="linear", cases=[*_CASES, *_INITIAL_CASES, *_EMPTY_CASES])
def sum(
    a: Operand,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: object = None,
    keepdims: bool = False,
    initial: Operand = None,
    where: Operand = True,
) -> Array:
    """Sum over axes."""
    if dtype is None and out is None and initial is None and where is True:
        return _sum(a, axis, keepdims)
    refuse_out("sum", out)
    check_dtype("sum", a, dtype)
    return _sum_of_part(a, axis, dtype, keepdims, initial, where)


@kernel("mean")
def _mean(a, axis, keepdims):
    n = count(np.shape(a), axis)
    # The same bits as np.mean in a third of its time, while n is exact in float32.
    if 0 < n <= 2**24 and getattr(a, "dtype", None) in (np.float64, np.float32):
        return np.add.reduce(a, axis=axis, keepdims=keepdims) / n
    return np.mean(a, axis=axis, keepdims=keepdims)


@kernel("mean")
def _mean_of_part(a, axis, dtype, keepdims, where):
    return np.mean(a, axis=axis, dtype=dtype, keepdims=keepdims, where=where)


@kernel("mean")
def _laid_like(a, b):
    """Return a in memory of the order of b."""
    laid = np.zeros_like(b, a.dtype)
    laid[...] = a
    return laid


_laid_like.vjp(a=lambda g: g)


# What comes of samples that lie last has them last, and so have values that its
# gradient meets on the way back. With samples first here, and last there, what comes of
# both would have them first, and each product go through memory across.
def _in_order_of(g: Any, y: Any) -> Any:
    """Return `g`: in memory of the order of `y`, if that has several axes."""
    y = detached(y)
    return _laid_like(g, y) if len(y.shape) > 1 and not y.flags.c_contiguous else g


def _mean_vjp(g: Any, y: Any, a_shape: Any, axis: Any, keepdims: bool) -> Any:
    g = _in_order_of(g, y)
    n = count(a_shape, axis) or 1
    share = g / n if n < 2**15 else g / divisor(n, g.dtype)
    return spread(share, a_shape, axis, keepdims)


_mean.vjp(a=_mean_vjp)
_mean_of_part.vjp(
    a=lambda g, a_shape, axis, keepdims, where: selected(
        spread(g, a_shape, axis, keepdims) / number(where, a_shape, axis, g.dtype),
        where,
    )
)


@composed(np.mean, kind="linear", cases=_CASES)
def mean(
    a: Operand,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: object = None,
    keepdims: bool = False,
    *,
    where: Operand = True,
) -> Array:
    """Mean over axes."""
    if dtype is None and out is None and where is True:
        return _mean(a, axis, keepdims)
    refuse_out("mean", out)
    check_dtype("mean", a, dtype)
    return _mean_of_part(a, axis, dtype, keepdims, where)


def meets(a: Any, y: Any) -> Any:
    """Whether elements are the extremum `y` of theirs.

    A NaN is: NumPy's extremum of a NaN and anything is NaN.
    """
    return np.logical_or(a == y, a != a)


def _extremum_vjp(g: Any, a: Any, y: Any, axis: Any, keepdims: bool) -> Any:
    """Share `g` equally among the elements equal to the extremum `y`."""
    shape = np.shape(a)
    ties = meets(a, spread(y, shape, axis, keepdims))
    n = np.sum(ties, axis=axis, keepdims=keepdims).astype(counting(g.dtype))
    return selected(spread(g / n, shape, axis, keepdims), ties)


@kernel("max")
def _max(a, axis, keepdims):
    return np.maximum.reduce(a, axis=axis, keepdims=keepdims)


@kernel("min")
def _min(a, axis, keepdims):
    return np.minimum.reduce(a, axis=axis, keepdims=keepdims)


_max.vjp(a=_extremum_vjp)
_min.vjp(a=_extremum_vjp)


def extremum_of_part(name: str, reduction: Any, meets: Any) -> Any:
    """Return the primitive of an extremum of what is selected and an initial value.

    `meets` is whether an element is the extremum.
    """

    @kernel(name)
    def extremum(a, axis, keepdims, initial, where):
        return reduce_part(reduction, a, axis, keepdims, initial, where)

    def sharers(a, y, axis, keepdims, initial, where, dtype):
        ties = np.logical_and(where, meets(a, spread(y, np.shape(a), axis, keepdims)))
        n = np.sum(ties, axis=axis, keepdims=keepdims).astype(counting(dtype))
        n = n if initial is None else n + meets(initial, y).astype(n.dtype)
        return ties, np.maximum(n, 1)

    def rule(g, a, y, axis, keepdims, initial, where):
        """Share `g` equally among the selected elements equal to the extremum `y`."""
        ties, n = sharers(a, y, axis, keepdims, initial, where, g.dtype)
        return selected(spread(g / n, np.shape(a), axis, keepdims), ties)

    def of_initial(g, a, y, axis, keepdims, initial, where):
        """Pass `g` on where the initial value is the extremum `y`; equals share."""
        _, n = sharers(a, y, axis, keepdims, initial, where, g.dtype)
        return np.sum(selected(g / n, meets(initial, y)))

    extremum.vjp(a=rule, initial=of_initial)
    return extremum


@kernel("ptp")
def _ptp(a, axis, keepdims):
    return np.ptp(a, axis=axis, keepdims=keepdims)


def _ptp_vjp(g: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    """Return `g` times the share in the largest less that in the smallest element.

    Their difference is 0 where all are equal; one of two infinite gradients is not.
    """
    one = np.ones((), counting(g.dtype))
    tops = _extremum_vjp(one, a, np.max(a, axis, keepdims=True), axis, True)
    bottoms = _extremum_vjp(one, a, np.min(a, axis, keepdims=True), axis, True)
    return scaled(spread(g, np.shape(a), axis, keepdims), tops - bottoms)


_ptp.vjp(a=_ptp_vjp)

TIES = (
    "several extreme elements: they share the gradient equally; NaN: the gradient goes "
    "to the NaN elements"
)
_EXTREMUM_CASES = [*(c for c in _CASES if "where" not in c.kwargs), *_INITIAL_CASES]


@family
def extrema(
    ops: Any,
    a: Operand,
    axis: Axis = None,
    out: object = None,
    keepdims: bool = False,
    initial: Operand = None,
    where: Operand = True,
) -> Array:
    """Compute an extremum of all elements by the first of two ops, if there is one."""
    of_all, of_part = ops
    if of_all and out is None and initial is None and where is True:
        return of_all(a, axis, keepdims)
    refuse_out(of_part.name, out)
    return of_part(a, axis, keepdims, initial, where)


_extrema = partial(
    extrema,
    kind="piecewise",
    domains=NONZERO,
    cases=_EXTREMUM_CASES,
    kinks=TIES,
)
max = _extrema(
    np.max,
    (_max, extremum_of_part("max", np.maximum.reduce, meets)),
    "Largest element along axes.",
)
min = _extrema(
    np.min,
    (_min, extremum_of_part("min", np.minimum.reduce, meets)),
    "Smallest element along axes.",
)


@composed(np.ptp, kind="piecewise", cases=_CASES[:6], kinks=TIES)
def ptp(
    a: Operand, axis: Axis = None, out: object = None, keepdims: bool = False
) -> Array:
    """Largest minus smallest element along axes."""
    refuse_out("ptp", out)
    return _ptp(a, axis, keepdims)


# amax and amin are functions of their own in NumPy.
amax, amin = max, min
implement("max", max, np.amax)
implement("min", min, np.amin)


# The methods of ufuncs; their axis is 0 by default, which the tensor sees to.
def untyped(name: str, reduction: Any) -> Any:
    """Return a reduction that takes the `dtype` of a ufunc's method, and refuses it."""

    def method(a: Any, axis: Any = 0, dtype: Any = None, **kwargs: Any) -> Any:
        if dtype is not None:
            raise TypeError(f"{name}: dtype= is not supported; use .astype(dtype)")
        return reduction(a, axis=axis, **kwargs)

    return method


implement_method(np.add, "reduce", sum)
implement_method(np.maximum, "reduce", untyped("numpy.maximum.reduce", max))
implement_method(np.minimum, "reduce", untyped("numpy.minimum.reduce", min))


def _truth(ufunc: np.ufunc) -> Any:
    """Return a reduction whose result has no derivative."""

    def method(a: Any, **kwargs: Any) -> Any:
        options = {name: plain(value) for name, value in kwargs.items()}
        return wrap(ufunc.reduce(detached(a), **options), None)

    return method


implement_method(np.logical_and, "reduce", _truth(np.logical_and))
implement_method(np.logical_or, "reduce", _truth(np.logical_or))
