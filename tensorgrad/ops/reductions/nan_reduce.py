"""Reductions that leave out NaN; the gradient of a NaN element is exactly 0."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...core.dispatch import implement_method
from ...core.types import Array, Axis, Operand
from ..support.axes import check_dtype, kernel, number, refuse_out, spread
from ..support.define import composed, family
from ..support.registry import NONZERO, case
from ..support.strong import selected
from . import reduce, scan
from .statistics import FLAT, SPREAD_CASES, deviation, deviations, std_vjp, var_vjp

__all__ = [
    "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd",
    "nansum", "nanvar",
]  # fmt: skip

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


@family
def _totals(
    total_and_fill: Any,
    a: Operand,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: object = None,
    keepdims: bool = False,
    initial: Operand = None,
    where: Operand = True,
) -> Array:
    total, fill = total_and_fill
    return total(cleared(a, fill), axis, dtype, out, keepdims, initial, where)


nansum = _totals(
    np.nansum,
    (reduce.sum, 0),
    "Sum over axes of what is not NaN.",
    kind="linear",
    cases=_CASES,
)
nanprod = _totals(
    np.nanprod,
    (scan.prod, 1),
    "Product over axes of what is not NaN.",
    kind="multilinear",
    cases=_CASES,
)


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


_TIES = "several extreme elements: they share the gradient equally"
_EXTREMUM_CASES = [
    *_CASES[:-1],
    case((2, 3), axis=1, initial=0.7, where=np.array([True, False, True])),
]


_extrema = functools.partial(
    reduce.extrema,
    kind="piecewise",
    domains=NONZERO,
    cases=_EXTREMUM_CASES,
    kinks=_TIES,
)
nanmax = _extrema(
    np.nanmax,
    (None, reduce.extremum_of_part("nanmax", np.nanmax, np.equal)),
    "Largest element along axes of what is not NaN.",
)
nanmin = _extrema(
    np.nanmin,
    (None, reduce.extremum_of_part("nanmin", np.nanmin, np.equal)),
    "Smallest element along axes of what is not NaN.",
)


def _of_numbers(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Return the rule of a deviation for that of what is not NaN; 0 at a NaN."""

    @functools.wraps(rule)
    def of_numbers(g: Any, a: Any, *rest: Any) -> Any:
        *others, where, center = rest
        return rule(g, cleared(a, 0), *others, live(a, where), center)

    return of_numbers


nanvar = deviations(
    np.nanvar,
    deviation(np.nanvar, _of_numbers(var_vjp)),
    "Mean squared deviation from the mean of what is not NaN.",
    cases=SPREAD_CASES,
)
nanstd = deviations(
    np.nanstd,
    deviation(np.nanstd, _of_numbers(std_vjp)),
    "Root of the mean squared deviation from the mean of what is not NaN.",
    cases=SPREAD_CASES,
    kinks=FLAT,
)


implement_method(np.fmax, "reduce", reduce.untyped("numpy.fmax.reduce", nanmax))
implement_method(np.fmin, "reduce", reduce.untyped("numpy.fmin.reduce", nanmin))
