"""Variance, standard deviation, weighted averages and covariance."""

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...core.foreign import dispatched, invoke
from ...core.tensor import detached
from ...core.types import Array, Axis, Operand
from ..support.axes import (
    array,
    check_dtype,
    constant_like,
    count,
    counting,
    kernel,
    normal,
    number,
    refuse_out,
    spread,
)
from ..support.define import composed, family
from ..support.limits import per_length
from ..support.registry import case
from ..support.strong import scaled, selected
from . import reduce

__all__ = ["average", "corrcoef", "cov", "std", "var"]


def _as(dtype: Any, x: Any) -> Any:
    return x if x.dtype == dtype else x.astype(dtype)


def centered(x: Any, axis: Any, where: Any) -> Any:
    """Return deviations from the mean, of the elements selected by `where`."""
    if where is True:
        return x - reduce.mean(x, axis, keepdims=True)
    n = np.maximum(number(where, np.shape(x), axis, x.dtype), 1)
    return x - reduce.sum(x, axis, keepdims=True, where=where) / n


def _freedom(shape: Any, axis: Any, ddof: Any, where: Any, dtype: Any) -> Any:
    """Return the degrees of freedom, NaN where there are none, as the result is."""
    if where is True:
        n = count(shape, axis) - ddof
        return n if n > 0 else math.nan
    free = number(where, shape, axis, dtype) - ddof
    return np.where(free > 0, free, np.nan)


def _selected(x: Any, where: Any) -> Any:
    """Return `x` with 0 for elements that do not count, even NaN."""
    return x if where is True else selected(x, where)


def var_vjp(g, a, axis, ddof, keepdims, where, center):
    """Return `g * 2 * (a - mean(a)) / (n - ddof)`, n being the elements averaged."""
    x = _as(counting(g.dtype), a)
    deviation = centered(x, axis, where) if center is None else x - center
    slope = deviation * (2 / _freedom(x.shape, axis, ddof, where, g.dtype))
    return _selected(scaled(spread(g, x.shape, axis, keepdims), slope), where)


def std_vjp(g, a, y, axis, ddof, keepdims, where, center):
    """Return `g * (a - mean(a)) / ((n - ddof) * y)`, 0 where the deviation is 0."""
    x = _as(counting(g.dtype), a)
    if center is None:
        # Twice, because the mean of equal elements may differ from them by a rounding
        # error, and the deviations are nothing but that then.
        deviation = centered(centered(x, axis, where), axis, where)
    else:
        deviation = x - center
    h = spread(per_length(g, y), x.shape, axis, keepdims)
    free = _freedom(x.shape, axis, ddof, where, g.dtype)
    if where is True and free == free:
        return scaled(h, deviation) * (1 / free)
    idle = np.logical_and(free != free, spread(g, x.shape, axis, keepdims) == 0)
    return _selected(scaled(h, deviation) * np.where(idle, 0, 1 / free), where)


def _of_center(rule: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(rule)
    def negative(*args: Any) -> Any:
        return -rule(*args)

    negative.__doc__ = "Return the negative of the gradient in the elements."
    return negative


def deviation(reference: Any, rule: Callable[..., Any]) -> Any:
    """Return the primitive of one of NumPy's functions for variances."""

    @kernel(reference.__name__)
    def from_center(a, axis, dtype, ddof, keepdims, where, center):
        more = {"where": where} | ({} if center is None else {"mean": center})
        return invoke(reference, (a, axis, dtype, None, ddof, keepdims), more)

    from_center.vjp(a=rule, center=_of_center(rule))
    return from_center


def delta_degrees(name: str, ddof: Any, correction: Any) -> Any:
    """Return `ddof` or `correction`, two names for the same number."""
    if correction is None:
        return ddof
    if ddof:
        raise ValueError(f"{name}: give ddof or correction, not both")
    return correction


_MASK = np.array([[True, True, False], [True, True, True]])
_CENTER = np.array([[0.3], [-0.4]])
FLAT = "all elements equal: 0, and the curvature of what is smooth there, as std(x)**2"
SPREAD_CASES = [
    case((5,)),
    case((3, 4), axis=0),
    case((3, 4), axis=-1, ddof=1, keepdims=True),
    case((2, 3, 4), axis=(0, 2), correction=1),
    case((2, 3), where=_MASK),
    case((2, 3), axis=1, where=_MASK, ddof=1),
    case((2, 3), axis=1, mean=_CENTER),
]
"""Calls of a variance or a standard deviation."""


@family
def deviations(
    op: Any,
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
    """Refuse what no deviation takes, and compute one."""
    refuse_out(op.name, out)
    check_dtype(op.name, a, dtype)
    ddof = delta_degrees(op.name, ddof, correction)
    return op(array(a), axis, dtype, ddof, keepdims, where, mean)


var = deviations(
    np.var,
    deviation(np.var, var_vjp),
    "Mean squared deviation from the mean, sum((a - mean)^2) / (n - ddof).",
    cases=SPREAD_CASES,
)
std = deviations(
    np.std,
    deviation(np.std, std_vjp),
    "Root of the mean squared deviation, sqrt(sum((a - mean)^2) / (n - ddof)).",
    cases=SPREAD_CASES,
    kinks=FLAT,
)


def _fitted(weights: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """Return weights in a shape that broadcasts with `shape`."""
    w = array(weights)
    if w.shape == shape:
        return w
    if axis is None:
        raise TypeError(
            f"average: weights of shape {w.shape} for an array of shape {shape} need "
            "an axis"
        )
    axes = normal(axis, len(shape))
    if w.shape != tuple(shape[i] for i in axes):
        raise ValueError(
            f"average: weights of shape {w.shape} do not match the axes {axes} of an "
            f"array of shape {shape}"
        )
    w = w.transpose(tuple(int(i) for i in np.argsort(axes)))
    return w.reshape(tuple(n if i in axes else 1 for i, n in enumerate(shape)))


@dispatched
def _check_total(total: Any) -> None:
    if np.any(total == 0):
        raise ZeroDivisionError("average: the weights sum to zero")


def _weighted(a: Any, axis: Any, weights: Any, keepdims: bool) -> tuple[Any, Any]:
    w = _fitted(weights, a.shape, axis)
    dtype = np.result_type(a.dtype, w.dtype, *("d" if a.dtype.kind in "iub" else ""))
    total = reduce.sum(w, axis, None if w.dtype == dtype else dtype, keepdims=keepdims)
    _check_total(detached(total))
    a = a if a.dtype.kind == "f" else a.astype(dtype)
    return reduce.sum(a * w, axis, keepdims=keepdims) / total, total


@composed(
    np.average,
    kind="linear",
    cases=[
        case((2, 3)),
        case((2, 3), axis=1, keepdims=True, returned=True),
        case((2, 3), weights=np.array([[1.0, 2.0, 0.5], [0.0, 3.0, 1.0]])),
        case((2, 3), axis=1, weights=np.array([1.0, 2.0, 0.5]), returned=True),
        case((2, 3, 2), axis=(2, 0), weights=np.array([[1.0, 2.0], [0.5, 0.0]])),
    ],
)
def average(
    a: Operand,
    axis: Axis = None,
    weights: Operand = None,
    returned: bool = False,
    *,
    keepdims: bool = False,
) -> Operand:
    """Weighted mean over axes, sum(weights * a) / sum(weights)."""
    a = array(a)
    if weights is None:
        mean = reduce.mean(a, axis, keepdims=keepdims)
        total = mean.dtype.type(a.size / mean.size)
    else:
        mean, total = _weighted(a, axis, weights, keepdims)
    if not returned:
        return mean
    return mean, np.broadcast_to(constant_like(total, mean), mean.shape)


def _rows(m: Any, rowvar: bool, dtype: Any) -> Any:
    """Return observations with one variable in each row; a vector is one variable."""
    if m.ndim > 2:
        raise ValueError(f"cov: expected at most 2 axes, got shape {m.shape}")
    rows = m.astype(dtype).reshape(m.shape if m.ndim == 2 else (1, m.size))
    return rows if rowvar or m.ndim < 2 else rows.T


@dispatched
def _check_weights(w: Any, n: int) -> None:
    if w.shape != (n,) or np.any(w < 0):
        raise ValueError(
            f"cov: weights must be {n} numbers of at least 0, one for each "
            f"observation, got {w}"
        )


@dispatched
def _check_counts(w: Any) -> None:
    if np.any(w != np.around(w)):
        raise TypeError(f"cov: fweights must be integers, got {w}")


def _observation_weights(fweights: Any, aweights: Any, n: int) -> Any:
    """Return the product of repeat counts and weights of observations."""
    weights = [array(w) for w in (fweights, aweights) if w is not None]
    for w in weights:
        _check_weights(detached(w), n)
    if fweights is not None:
        _check_counts(detached(weights[0]))
    return functools.reduce(np.multiply, weights) if weights else None


def _factor(n: int, ddof: int, w: Any, w_sum: Any, aweights: Any) -> Any:
    """Return what the products of deviations are divided by."""
    if w is None:
        fact = n - ddof
    elif ddof == 0:
        fact = w_sum
    elif aweights is None:
        fact = w_sum - ddof
    else:
        fact = w_sum - ddof * np.sum(w * aweights) / w_sum
    _warn_of_few(detached(fact))
    if w is None:
        return max(fact, 0.0)
    return np.where(fact <= 0, 0.0, fact)


@dispatched
def _warn_of_few(fact: Any) -> None:
    if fact <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=5)


@composed(
    np.cov,
    cases=[
        case((3, 5)),
        case((4,)),
        case((5, 2), rowvar=False, bias=True),
        case((2, 4), (3, 4)),
        case((2, 4), ddof=0, aweights=np.array([0.5, 1.0, 2.0, 0.25])),
        case((2, 4), aweights=np.array([0.5, 1.0, 2.0, 0.25])),
        case((2, 4), fweights=np.array([1, 3, 2, 1])),
    ],
)
def cov(
    m: Operand,
    y: Operand = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Operand = None,
    aweights: Operand = None,
    *,
    dtype: DTypeLike | None = None,
) -> Array:
    """Covariance matrix of variables in rows, (x - mean) (x - mean)^T / (n - ddof)."""
    if ddof is not None and ddof != int(ddof):
        raise ValueError(f"cov: ddof must be an integer, got {ddof}")
    parts = [array(m)] if y is None else [array(m), array(y)]
    dtype = dtype or np.result_type(*(p.dtype for p in parts), np.float64)
    x = np.concatenate([_rows(p, rowvar, dtype) for p in parts], axis=0)
    if x.shape[0] == 0:
        return x.reshape((0, 0))
    fweights, aweights = (w if w is None else array(w) for w in (fweights, aweights))
    w = _observation_weights(fweights, aweights, x.shape[1])
    mean, w_sum = average(x, axis=1, weights=w, returned=True)
    ddof = (0 if bias else 1) if ddof is None else ddof
    fact = _factor(x.shape[1], ddof, w, w_sum[0], aweights)
    x = _as(dtype, x - mean[:, None])
    product = np.matmul(x, (x if w is None else x * w).T)
    return np.squeeze(_as(product.dtype, product * np.true_divide(1, fact)))


@composed(
    np.corrcoef,
    cases=[case((3, 5)), case((5, 2), rowvar=False), case((2, 4), (1, 4))],
    kinks="correlation of exactly 1 or -1: the gradient of the quotient passes",
)
def corrcoef(
    x: Operand,
    y: Operand = None,
    rowvar: bool = True,
    *,
    dtype: DTypeLike | None = None,
) -> Operand:
    """Correlation matrix of variables in rows, c_ij / sqrt(c_ii c_jj)."""
    c = cov(x, y, rowvar, dtype=dtype)
    if np.ndim(c) == 0:
        return c / c
    at = np.arange(c.shape[0])
    deviation = np.sqrt(c[at, at])
    return np.clip(c / deviation[:, None] / deviation[None, :], -1, 1)
