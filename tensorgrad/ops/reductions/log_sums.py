"""Sums of numbers given by their logarithms: logaddexp over axes, and so far."""

from typing import Any

import numpy as np

from ..support.axes import as_dtype, counting, kernel, number, shifted, spread
from ..support.define import ufunc_method
from ..support.registry import case
from ..support.strong import scaled
from . import reduce
from .scan import backwards, recurrence, shares

__all__: list[str] = []  # its functions answer to methods alone

_INFINITE = "an infinite sum: the elements equal to it share the gradient equally"


@kernel("logaddexp_reduce")
def _log_sum(a, axis, keepdims, initial, where):
    return reduce.reduce_part(np.logaddexp.reduce, a, axis, keepdims, initial, where)


def _exp_of_difference(p: Any, q: Any) -> Any:
    """Return exp(p - q), 1 where both are the same infinity."""
    same = np.logical_and(p == q, np.isinf(p))
    return np.exp(np.where(same, 0, p - np.where(same, 0, q)))


def _log_sum_vjp(g, a, y, axis, keepdims, where):
    """Return `g * exp(a - y)`: the part that an element has in the sum."""
    shape = np.shape(a)
    log_total = spread(y, shape, axis, keepdims)
    a = a if where is True else np.where(where, a, log_total)
    infinite = np.isinf(log_total)
    ties = np.logical_and(np.logical_and(a == log_total, infinite), where)
    n = np.where(infinite, number(ties, shape, axis, g.dtype), 1)
    part = np.where(where, _exp_of_difference(a, log_total) / np.maximum(n, 1), 0)
    return scaled(spread(g, shape, axis, keepdims), part)


_log_sum.vjp(
    a=_log_sum_vjp,
    initial=lambda g, y, initial: scaled(g, _exp_of_difference(initial, y)),
)


@ufunc_method(
    np.logaddexp,
    "reduce",
    cases=[
        case((4,)),
        case((2, 3)),
        case((2, 3, 2), axis=1, keepdims=True),
        case((2, 3), axis=1, initial=0.5, where=np.array([True, False, True])),
    ],
    kinks=_INFINITE,
)
def logaddexp_reduce(
    a: Any,
    axis: Any = 0,
    dtype: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    """Logarithm of the sum of exponentials over axes, log(sum(exp(a)))."""
    a = as_dtype("logaddexp.reduce", a, dtype)
    return _log_sum(a, axis, keepdims, initial, where)


@kernel("logaddexp_accumulate")
def _log_sums(a, axis):
    return np.logaddexp.accumulate(a, axis=axis)


def _log_sums_vjp(g: Any, a: Any, y: Any, axis: int) -> Any:
    """Return the sum over k >= i of g_k exp(a_i - y_k).

    As exp(a_i - y_i) s_i with s_i = g_i + exp(y_i - y_(i+1)) s_(i+1), where no
    exponential exceeds 1.
    """
    g, a, y = (v.swapaxes(axis, 0) for v in (g, a, y))
    dtype = counting(g.dtype)
    ties, same = (m.astype(dtype) for m in shares(a, y))
    n = np.where(np.isinf(y), np.maximum(recurrence(same, ties), 1), 1)
    fall = _exp_of_difference(shifted(y, 0, 0), y)
    later = backwards(g / n, fall)
    return scaled(later, _exp_of_difference(a, y)).swapaxes(axis, 0)


_log_sums.vjp(a=_log_sums_vjp)


@ufunc_method(
    np.logaddexp,
    "accumulate",
    cases=[case((4,)), case((2, 3)), case((2, 3, 2), axis=-2), case((0, 2))],
    kinks=_INFINITE,
)
def logaddexp_accumulate(a: Any, axis: int = 0, dtype: Any = None) -> Any:
    """Logarithms of the sums of exponentials so far."""
    return _log_sums(as_dtype("logaddexp.accumulate", a, dtype), axis)
