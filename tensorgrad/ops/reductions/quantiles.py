"""Median, percentiles and quantiles, with and without NaN.

A quantile is a weighted sum of one or two elements chosen by rank (R. J. Hyndman and
Y. Fan, "Sample Quantiles in Statistical Packages", The American Statistician, 1996).
Which ones and how much of each, NumPy itself is asked: the same quantile of the ranks
is the position, and an element's weight falls linearly with its rank's distance to it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...core.types import Array, Axis, Operand
from ..support.axes import count, gathered, kernel, reduced_shape, refuse_out, scattered
from ..support.define import family
from ..support.registry import case
from ..support.strong import scaled

__all__ = [
    "median",
    "nanmedian",
    "nanpercentile",
    "nanquantile",
    "percentile",
    "quantile",
]


def ranks(a: Any, axis: Any) -> Any:
    """Return the place of each element in the order over the axes, NaN last."""
    order = np.argsort(gathered(a, axis), axis=-1, kind="stable")
    return scattered(np.argsort(order, axis=-1), np.shape(a), axis).astype(np.float64)


def _position(rank: Any, missing: Any, axis: Any, locate: Any, skip: bool) -> Any:
    """Return where in the order the quantiles are, one row for each, axes kept."""
    if skip:
        # Where all are NaN the position does not matter, but NumPy would warn.
        missing = np.logical_and(missing, np.logical_not(_all(missing, axis)))
    position = locate(np.where(missing, np.nan, rank))
    # With NaN in it a quantile is the last element in order, a NaN.
    position = np.where(np.isnan(position), count(rank.shape, axis) - 1, position)
    return position.reshape((-1, *reduced_shape(rank.shape, axis)))


def _all(mask: Any, axis: Any) -> Any:
    return np.all(mask, axis=axis, keepdims=True)


def _ranked_vjp(
    g: Any, a: Any, axis: Any, locate: Callable[[Any], Any], skip: bool = False
) -> Any:
    """Return the sum over quantiles of g times the weight of each element."""
    dx = np.zeros_like(a)
    if 0 in dx.shape:
        return dx
    rank, missing = ranks(a, axis), a != a
    positions = _position(rank, missing, axis, locate, skip)
    for h, position in zip(g.reshape(positions.shape), positions, strict=True):
        weight = np.maximum(0, 1 - np.absolute(rank - position))
        dx = dx + scaled(h, weight.astype(g.dtype))
    return np.where(missing, 0, dx) if skip else dx


_KINKS = (
    "elements tied with the quantile: those that stable sorting puts at its rank; "
    "NaN: the last NaN"
)
_NAN_KINKS = "elements tied with the quantile: those stable sorting puts at its rank"
_MEDIAN_CASES = [
    case(()),
    case((5,)),
    case((2, 4)),
    case((3, 4), axis=0),
    case((2, 3, 4), axis=(0, -1), keepdims=True),
]


def _middle(reference: Any, skip: bool) -> Any:
    """Return the primitive of one of NumPy's two functions for medians."""

    @kernel(reference.__name__)
    def median(a, axis, keepdims):
        return reference(a, axis, keepdims=keepdims)

    def rule(g, a, axis):
        """Pass `g` to the elements in the middle."""

        def locate(rank):
            return reference(rank, axis, keepdims=True)

        return _ranked_vjp(g, a, axis, locate, skip)

    median.vjp(a=rule)
    return median


# In all of these `overwrite_input` is a permission, of which no use is made: backward
# needs the input.


@family
def _medians(
    middle: Any,
    a: Operand,
    axis: Axis = None,
    out: object = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Array:
    refuse_out(middle.name, out)
    return middle(a, axis, keepdims)


median = _medians(
    np.median,
    _middle(np.median, skip=False),
    "Middle element in order, or mean of the two in the middle.",
    kind="piecewise",
    cases=_MEDIAN_CASES,
    kinks=_KINKS,
)
nanmedian = _medians(
    np.nanmedian,
    _middle(np.nanmedian, skip=True),
    "Median of what is not NaN; the gradient of a NaN is 0.",
    kind="piecewise",
    cases=_MEDIAN_CASES,
    kinks=_NAN_KINKS,
)


def _ranked(reference: Any, skip: bool) -> Any:
    """Return the primitive of one of NumPy's four functions for quantiles."""

    @kernel(reference.__name__)
    def quantiles(a, q, axis, method, keepdims, weights):
        return reference(a, q, axis, method=method, keepdims=keepdims, weights=weights)

    def rule(g, a, q, axis, method, weights):
        """Pass `g` to the elements on either side, the nearer getting more."""

        def locate(rank):
            return quantiles(rank, q, axis, method, True, weights)

        return _ranked_vjp(g, a, axis, locate, skip)

    quantiles.vjp(a=rule)
    return quantiles


METHODS = (
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    "interpolated_inverted_cdf",
    "hazen",
    "weibull",
    "linear",
    "median_unbiased",
    "normal_unbiased",
    "lower",
    "higher",
    "midpoint",
    "nearest",
)


def _cases(scale: float) -> list[Any]:
    """Return the same calls with `q` from 0 to `scale`."""
    q = scale * np.array([0.05, 0.6, 1.0])
    return [
        case((), q=0.3 * scale),
        case((2, 3), q=0.3 * scale),
        case((5, 2), q=q, axis=0),
        case((2, 3, 2), q=q[:2], axis=(0, -1), keepdims=True),
        case((4,), q=q[:2, None]),
        *(case((5,), q=0.37 * scale, method=method) for method in METHODS),
        case(
            (2, 3),
            q=q,
            axis=1,
            method="inverted_cdf",
            weights=np.array([[0.2, 0.5, 0.3], [2.0, 0.0, 1.0]]),
        ),
    ]


@family
def _quantiles(
    ranked: Any,
    a: Operand,
    q: Operand,
    axis: Axis = None,
    out: object = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Operand = None,
) -> Array:
    refuse_out(ranked.name, out)
    return ranked(a, q, axis, method, keepdims, weights)


_of_all = partial(_quantiles, kind="piecewise", kinks=_KINKS)
_of_numbers = partial(_quantiles, kind="piecewise", kinks=_NAN_KINKS)
quantile = _of_all(
    np.quantile,
    _ranked(np.quantile, skip=False),
    "Value below which the part q of the elements lies; q and weights constant.",
    cases=_cases(1.0),
)
percentile = _of_all(
    np.percentile,
    _ranked(np.percentile, skip=False),
    "Value below which q percent of the elements lie; q and weights constant.",
    cases=_cases(100.0),
)
nanquantile = _of_numbers(
    np.nanquantile,
    _ranked(np.nanquantile, skip=True),
    "Quantile of what is not NaN; the gradient of a NaN is 0.",
    cases=_cases(1.0),
)
nanpercentile = _of_numbers(
    np.nanpercentile,
    _ranked(np.nanpercentile, skip=True),
    "Percentile of what is not NaN; the gradient of a NaN is 0.",
    cases=_cases(100.0),
)
