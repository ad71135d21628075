"""Reductions that leave out NaN; the gradient of a NaN element is exactly 0."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...core.dispatch import implement_method
from ...core.types import Array, Axis, Operand
from ..support.axes import (
    array,
    check_dtype,
    counting,
    kernel,
    number,
    refuse_out,
    spread,
)
from ..support.define import composed
from ..support.registry import NONZERO, case
from ..support.strong import selected
from . import reduce, scan
from .statistics import FLAT, SPREAD_CASES, delta_degrees, std_vjp, var_vjp

_CASES = [
    case(()),
    case((3, 4)),
    case((2, 3, 4), axis=(0, -1)),
    case((2, 3, 4), axis=1, keepdims=True),
    case((2, 3), axis=1, where=np.array([True, False, True])),
]


def live(a: Any, where: Any) -> Any:
    """Whether elements count: selected, and not NaN."""
    return np.logical_and(where, a == a)


def cleared(a: Any, fill: float) -> Any:
    """Return `a` with `fill` for NaN."""
    return np.where(a != a, fill, a)


@composed(np.nansum, kind="linear", cases=_CASES)
def nansum(
    a: Operand,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: object = None,
    keepdims: bool = False,
    initial: Operand = None,
    where: Operand = True,
) -> Array:
    """Sum over axes of what is not NaN."""
    return reduce.sum(cleared(a, 0), axis, dtype, out, keepdims, initial, where)


@composed(np.nanprod, kind="multilinear", cases=_CASES)
def nanprod(
    a: Operand,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: object = None,
    keepdims: bool = False,
    initial: Operand = None,
    where: Operand = True,
) -> Array:
    """Product over axes of what is not NaN."""
    return scan.prod(cleared(a, 1), axis, dtype, out, keepdims, initial, where)


@composed(np.nancumsum, kind="linear", cases=[case((2, 3)), case((2, 3), axis=0)])
def nancumsum(
    a: Operand,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: object = None,
) -> Array:
    """Cumulative sum, NaN counted as 0."""
    return scan.cumsum(cleared(a, 0), axis, dtype, out)


@composed(np.nancumprod, kind="multilinear", cases=[case((2, 3)), case((2, 3), axis=0)])
def nancumprod(
    a: Operand,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: object = None,
) -> Array:
    """Cumulative product, NaN counted as 1."""
    return scan.cumprod(cleared(a, 1), axis, dtype, out)


@kernel("nanmean")
def _nanmean(a, axis, dtype, keepdims, where):
    return np.nanmean(a, axis, dtype, None, keepdims, where=where)


def _nanmean_vjp(g, a, axis, keepdims, where):
    """Return `g` over the number of elements that are no NaN, 0 where they are."""
    shape, chosen = np.shape(a), live(a, where)
    n = np.maximum(number(chosen, shape, axis, g.dtype), 1)
    return selected(spread(g, shape, axis, keepdims) / n, chosen)


_nanmean.vjp(a=_nanmean_vjp)


@composed(np.nanmean, kind="linear", cases=_CASES)
def nanmean(
    a: Operand,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: object = None,
    keepdims: bool = False,
    *,
    where: Operand = True,
) -> Array:
    """Mean over axes of what is not NaN."""
    refuse_out("nanmean", out)
    check_dtype("nanmean", a, dtype)
    return _nanmean(a, axis, dtype, keepdims, where)


@kernel("nanmax")
def _nanmax(a, axis, keepdims, initial, where):
    return np.nanmax(
        a, axis, None, keepdims, where=where, **reduce.initial_keyword(initial)
    )


@kernel("nanmin")
def _nanmin(a, axis, keepdims, initial, where):
    return np.nanmin(
        a, axis, None, keepdims, where=where, **reduce.initial_keyword(initial)
    )


def _sharers(a, y, axis, keepdims, initial, where, dtype):
    """Return which elements are the extremum, and how many, the initial value too."""
    shape = np.shape(a)
    ties = np.logical_and(where, a == spread(y, shape, axis, keepdims))
    dtype = counting(dtype)
    n = np.sum(ties, axis=axis, keepdims=keepdims).astype(dtype)
    n = n if initial is None else n + (y == initial).astype(dtype)
    return ties, np.maximum(n, 1)


def _nan_extremum_vjp(g, a, y, axis, keepdims, initial, where):
    """Share `g` equally among the elements equal to the extremum `y`."""
    ties, n = _sharers(a, y, axis, keepdims, initial, where, g.dtype)
    return selected(spread(g / n, np.shape(a), axis, keepdims), ties)


def _nan_extremum_by_initial(g, a, y, axis, keepdims, initial, where):
    """Pass `g` on where the initial value is the extremum `y`; equals share."""
    _, n = _sharers(a, y, axis, keepdims, initial, where, g.dtype)
    return np.sum(selected(g / n, y == initial))


_nanmax.vjp(a=_nan_extremum_vjp, initial=_nan_extremum_by_initial)
_nanmin.vjp(a=_nan_extremum_vjp, initial=_nan_extremum_by_initial)

_TIES = "several extreme elements: they share the gradient equally"
_EXTREMUM_CASES = [
    *_CASES[:-1],
    case((2, 3), axis=1, initial=0.7, where=np.array([True, False, True])),
]


@composed(
    np.nanmax, kind="piecewise", domains=NONZERO, cases=_EXTREMUM_CASES, kinks=_TIES
)
def nanmax(
    a: Operand,
    axis: Axis = None,
    out: object = None,
    keepdims: bool = False,
    initial: Operand = None,
    where: Operand = True,
) -> Array:
    """Largest element along axes of what is not NaN."""
    refuse_out("nanmax", out)
    return _nanmax(a, axis, keepdims, initial, where)


@composed(
    np.nanmin, kind="piecewise", domains=NONZERO, cases=_EXTREMUM_CASES, kinks=_TIES
)
def nanmin(
    a: Operand,
    axis: Axis = None,
    out: object = None,
    keepdims: bool = False,
    initial: Operand = None,
    where: Operand = True,
) -> Array:
    """Smallest element along axes of what is not NaN."""
    refuse_out("nanmin", out)
    return _nanmin(a, axis, keepdims, initial, where)


def _centered_on(center: Any) -> dict[str, Any]:
    return {} if center is None else {"mean": center}


@kernel("nanvar")
def _nanvar(a, axis, dtype, ddof, keepdims, where, center):
    options = _centered_on(center)
    return np.nanvar(a, axis, dtype, None, ddof, keepdims, where=where, **options)


@kernel("nanstd")
def _nanstd(a, axis, dtype, ddof, keepdims, where, center):
    options = _centered_on(center)
    return np.nanstd(a, axis, dtype, None, ddof, keepdims, where=where, **options)


def _nanvar_vjp(g, a, axis, ddof, keepdims, where, center):
    """Return `g * 2 * (a - mean(a)) / (n - ddof)`, 0 at a NaN."""
    chosen = live(a, where)
    return var_vjp(g, cleared(a, 0), axis, ddof, keepdims, chosen, center)


def _nanstd_vjp(g, a, y, axis, ddof, keepdims, where, center):
    """Return `g * (a - mean(a)) / ((n - ddof) * y)`, 0 at a NaN."""
    chosen = live(a, where)
    return std_vjp(g, cleared(a, 0), y, axis, ddof, keepdims, chosen, center)


def _nanvar_by_center(g, a, axis, ddof, keepdims, where, center):
    """Return the negative of the gradient in the elements."""
    return -_nanvar_vjp(g, a, axis, ddof, keepdims, where, center)


def _nanstd_by_center(g, a, y, axis, ddof, keepdims, where, center):
    """Return the negative of the gradient in the elements."""
    return -_nanstd_vjp(g, a, y, axis, ddof, keepdims, where, center)


_nanvar.vjp(a=_nanvar_vjp, center=_nanvar_by_center)
_nanstd.vjp(a=_nanstd_vjp, center=_nanstd_by_center)


@composed(np.nanvar, kind="smooth", cases=SPREAD_CASES)
def nanvar(
    a: Operand,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: object = None,
    ddof: Operand = 0,
    keepdims: bool = False,
    *,
    where: Operand = True,
    mean: Operand = None,
    correction: Operand = None,
) -> Array:
    """Mean squared deviation from the mean of what is not NaN."""
    refuse_out("nanvar", out)
    check_dtype("nanvar", a, dtype)
    ddof = delta_degrees("nanvar", ddof, correction)
    return _nanvar(array(a), axis, dtype, ddof, keepdims, where, mean)


@composed(np.nanstd, kind="smooth", cases=SPREAD_CASES, kinks=FLAT)
def nanstd(
    a: Operand,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: object = None,
    ddof: Operand = 0,
    keepdims: bool = False,
    *,
    where: Operand = True,
    mean: Operand = None,
    correction: Operand = None,
) -> Array:
    """Root of the mean squared deviation from the mean of what is not NaN."""
    refuse_out("nanstd", out)
    check_dtype("nanstd", a, dtype)
    ddof = delta_degrees("nanstd", ddof, correction)
    return _nanstd(array(a), axis, dtype, ddof, keepdims, where, mean)


def _without_dtype(name: str, reduction: Any) -> Any:
    return reduce.untyped(f"numpy.{name}.reduce", reduction)


implement_method(np.fmax, "reduce", _without_dtype("fmax", nanmax))
implement_method(np.fmin, "reduce", _without_dtype("fmin", nanmin))
