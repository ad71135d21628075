"""Products, and sums, products and extrema of the elements so far."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...core.dispatch import implement_method
from ...core.primitive import primitive
from ...core.types import Array, Axis, Operand
from ..support.axes import (
    array,
    as_dtype,
    counting,
    gathered,
    kernel,
    reduced_shape,
    refuse_out,
    scattered,
    shifted,
    spread,
    turned,
)
from ..support.define import composed, family, ufunc_method
from ..support.registry import case
from ..support.strong import hushed, scaled, selected
from . import reduce

__all__ = ["cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "prod"]

# Sums.


@kernel("cumsum")
def _cumsum(a, axis):
    return np.add.accumulate(a, axis=axis)


_cumsum.vjp(a=lambda g, axis: turned(np.cumsum(turned(g, axis), axis=axis), axis))

_SCAN_CASES = [
    case(()),
    case((2, 3)),
    case((2, 3), axis=0),
    case((2, 3, 2), axis=-2),
    case((0, 2), axis=1),
    case((0,)),
]


def _line(name: str, a: Any, axis: int | None, dtype: Any, out: Any) -> tuple[Any, int]:
    """Return what a scan goes along: the array flattened where no axis is given."""
    refuse_out(name, out)
    a = as_dtype(name, array(a), dtype)
    return (a.reshape(-1), 0) if axis is None or not a.shape else (a, axis)


@composed(np.cumsum, kind="linear", cases=_SCAN_CASES)
def cumsum(
    a: Operand,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: object = None,
) -> Array:
    """Cumulative sum, y_i = a_0 + ... + a_i."""
    return _cumsum(*_line("cumsum", a, axis, dtype, out))


# Products. Their gradients divide by nothing, so zeros are like any other number.


@primitive
def recurrence(a, b):
    """y_0 = b_0, y_i = a_i y_(i-1) + b_i along the first axis.

    One step after another: joining steps in pairs, as parallel scans do, multiplies
    elements that overflow where the recurrence itself does not.
    """
    y = np.copy(b)
    for i in range(1, len(y)):
        y[i] += scaled(y[i - 1], a[i])
    return y


def backwards(g: Any, a: Any) -> Any:
    """Return s_i = g_i + a_(i+1) s_(i+1), what reaches element i through all later."""
    return turned(recurrence(shifted(turned(a, 0), 0, 0), turned(g, 0)), 0)


recurrence.vjp(
    a=lambda g, y, a: hushed(backwards(g, a), shifted(y, 0, 0)),
    b=lambda g, a: backwards(g, a),
)


@kernel("cumprod")
def _cumprod(a, axis):
    return np.multiply.accumulate(a, axis=axis)


def _cumprod_vjp(g: Any, a: Any, y: Any, axis: int) -> Any:
    """Return the sum over k >= i of g_k times the product of a_j, j <= k, j not i."""
    later = backwards(g.swapaxes(axis, 0), a.swapaxes(axis, 0)).swapaxes(axis, 0)
    return scaled(later, shifted(y, axis, 1))


_cumprod.vjp(a=_cumprod_vjp)


@composed(np.cumprod, kind="multilinear", cases=_SCAN_CASES)
def cumprod(
    a: Operand,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: object = None,
) -> Array:
    """Cumulative product, y_i = a_0 * ... * a_i."""
    return _cumprod(*_line("cumprod", a, axis, dtype, out))


def _others(a: Any, axis: Any) -> Any:
    """Return for each element the product of all others over the axes."""
    line = gathered(a, axis)
    if 0 in a.shape:
        return a
    before = shifted(np.cumprod(line, axis=-1), -1, 1)
    after = turned(shifted(np.cumprod(turned(line, -1), axis=-1), -1, 1), -1)
    return scattered(scaled(before, after), a.shape, axis)


@kernel("prod")
def _prod(a, axis, keepdims, initial, where):
    return reduce.reduce_part(np.multiply.reduce, a, axis, keepdims, initial, where)


def _chosen(a: Any, where: Any) -> Any:
    return a if where is True else np.where(where, a, 1)


def _prod_vjp(g, a, axis, keepdims, initial, where):
    """Return `g` times the product of the other elements."""
    rest = _others(_chosen(a, where), axis)
    rest = rest if initial is None else scaled(rest, initial)
    dx = scaled(spread(g, a.shape, axis, keepdims), rest)
    return dx if where is True else selected(dx, where)


_prod.vjp(
    a=_prod_vjp,
    initial=lambda g, a, axis, keepdims, where: np.sum(
        scaled(g, np.prod(_chosen(a, where), axis=axis, keepdims=keepdims))
    ),
)


@composed(
    np.prod,
    kind="multilinear",
    cases=[
        case(()),
        case((4,)),
        case((2, 3)),
        case((2, 3), axis=0),
        case((2, 3, 2), axis=(0, -1), keepdims=True),
        case((2, 3), axis=()),
        case((0, 3), axis=0),
        case((0, 3)),
        case((2, 3), axis=1, initial=0.5, where=np.array([True, False, True])),
    ],
)
def prod(
    a: Operand,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: object = None,
    keepdims: bool = False,
    initial: Operand = None,
    where: Operand = True,
) -> Array:
    """Product over axes."""
    refuse_out("prod", out)
    return _prod(as_dtype("prod", a, dtype), axis, keepdims, initial, where)


# The same as the array API spells it.


def _since_2_1(name: str, scan: Any, first: int) -> Any:
    """Return NumPy's function, or what it is in the versions before 2.1."""

    def reference(x, /, *, axis=None, include_initial=False):
        y = scan(x, axis or 0)
        return _after(first, y, axis or 0) if include_initial else y

    reference.__name__ = name
    return getattr(np, name, reference)


def _after(first: int, y: Any, axis: int) -> Any:
    start = np.full(reduced_shape(y.shape, axis), first, dtype=y.dtype)
    return np.concatenate([start, y], axis=axis)


@family
def _cumulative(
    scan_and_first: Any,
    x: Operand,
    /,
    *,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: object = None,
    include_initial: bool = False,
) -> Array:
    name, scan, first = scan_and_first
    refuse_out(name, out)
    x = as_dtype(name, x, dtype)
    if axis is None and np.ndim(x) > 1:
        raise ValueError(f"{name}: an axis is needed for an array of {np.ndim(x)} axes")
    axis = 0 if axis is None else axis
    y = scan(x, axis)
    return _after(first, y, axis) if include_initial else y


_CUMULATIVE_CASES = [
    case((3,)),
    case((2, 3), axis=1, include_initial=True),
    case((2, 0), axis=-1, include_initial=True),
]

cumulative_sum = _cumulative(
    _since_2_1("cumulative_sum", np.cumsum, 0),
    ("cumulative_sum", cumsum, 0),
    "Cumulative sum, after a 0 where `include_initial` is set.",
    kind="linear",
    cases=_CUMULATIVE_CASES,
)
cumulative_prod = _cumulative(
    _since_2_1("cumulative_prod", np.cumprod, 1),
    ("cumulative_prod", cumprod, 1),
    "Cumulative product, after a 1 where `include_initial` is set.",
    kind="multilinear",
    cases=_CUMULATIVE_CASES,
)


# Extrema.


def shares(a: Any, y: Any) -> tuple[Any, Any]:
    """Return which elements are the extremum so far, and which extrema are the last's.

    The elements equal to it share in a run of equal extrema.
    """
    last = shifted(y, 0, 0)
    both_nan = np.logical_and(y != y, last != last)
    return reduce.meets(a, y), np.logical_or(y == last, both_nan)


def _running_vjp(g: Any, a: Any, y: Any, axis: int) -> Any:
    """Share each g_k equally among the elements up to k equal to the extremum y_k."""
    g, a, y = (v.swapaxes(axis, 0) for v in (g, a, y))
    ties, same = shares(a, y)
    same = same.astype(counting(g.dtype))
    shared = backwards(g / recurrence(same, ties.astype(same.dtype)), same)
    return selected(shared, ties).swapaxes(axis, 0)


def _running(ufunc: np.ufunc, summary: str) -> Any:
    """Return the operation for ``maximum.accumulate`` or ``minimum.accumulate``."""
    name = ufunc.__name__

    @kernel(f"{name}_accumulate")
    def extrema(a, axis):
        return ufunc.accumulate(a, axis=axis)

    def accumulate(a: Any, axis: int = 0, dtype: Any = None) -> Any:
        return extrema(as_dtype(f"{name}.accumulate", a, dtype), axis)

    extrema.vjp(a=_running_vjp)
    accumulate.__name__, accumulate.__doc__ = extrema.name, summary
    return ufunc_method(
        ufunc,
        "accumulate",
        kind="piecewise",
        cases=[case((5,)), case((2, 3)), case((2, 3, 2), axis=-2), case((0, 2))],
        kinks="several extreme elements so far: they share the gradient equally",
    )(accumulate)


maximum_accumulate = _running(np.maximum, "Largest of the elements so far.")
minimum_accumulate = _running(np.minimum, "Smallest of the elements so far.")

implement_method(np.add, "accumulate", cumsum)
implement_method(np.multiply, "accumulate", cumprod)
implement_method(np.multiply, "reduce", prod)
