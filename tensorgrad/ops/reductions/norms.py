"""Norms of vectors and matrices, and condition numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ...core.types import Array, Axis, Operand
from ..linalg.decompositions import SEPARATED
from ..support.axes import array, kernel
from ..support.define import composed
from ..support.limits import per_length
from ..support.registry import Domain, case
from ..support.strong import scaled

__all__ = ["cond", "matrix_norm", "norm", "vector_norm"]


def _uneven(x: Any) -> Any:
    """Return samples of which no sizes and no sums of sizes tie."""
    return x * (1 + np.sqrt(np.arange(2, x.size + 2)).reshape(x.shape) / 20)


_UNTIED = Domain(-2.3, 3.0, away_from=(0.0,), margin=0.3, shaped=_uneven)


@kernel("norm")
def euclidean_norm(x, axis=None, keepdims=False):
    """Square root of the sum of squares."""
    return np.linalg.norm(x, axis=axis, keepdims=keepdims)


def _widened(v: Any, axis: Any, keepdims: bool) -> Any:
    """Return what belongs to a norm with the axes it was taken along."""
    return v if axis is None or keepdims else np.expand_dims(v, axis)


def _euclidean_vjp(g: Any, x: Any, y: Any, axis: Any, keepdims: bool) -> Any:
    """Return `g * x / y`, 0 where the norm is."""
    return scaled(_widened(per_length(g, y), axis, keepdims), x)


euclidean_norm.vjp(x=_euclidean_vjp)


@kernel("norm")
def power_norm(x, ord, axis, keepdims=False):
    """The sum of abs(x)**p, to the power 1 / p."""
    return np.linalg.norm(x, ord, axis, keepdims)


def _power_vjp(g: Any, x: Any, y: Any, ord: Any, axis: Any, keepdims: bool) -> Any:
    """Return `g * sign(x) * (abs(x) / y) ** (ord - 1)`: no power overflows."""
    # sign(x) * (abs(x) / y)**(p - 1), whose base cannot overflow.
    g, y = _widened(g, axis, keepdims), _widened(y, axis, keepdims)
    zero = np.logical_or(x == 0, y == 0)
    base = np.where(zero, 1, np.abs(x) / np.where(y == 0, 1, y))
    slope = np.sign(x) * base ** (float(ord) - 1)
    return np.where(zero, 0, scaled(g, slope))


power_norm.vjp(x=_power_vjp)


def _largest(x: Any, axis: Any, keepdims: bool = False) -> Any:
    """Return the maximum, 0 over nothing."""
    start: dict[str, Any] = {} if np.size(x) else {"initial": 0}
    return np.max(x, axis=axis, keepdims=keepdims, **start)


_VECTOR: dict[Any, Callable[..., Any]] = {np.inf: _largest, -np.inf: np.min, 1: np.sum}
_OVER_SINGULAR: dict[Any, Callable[..., Any]] = {2: _largest, -2: np.min, "nuc": np.sum}
_OVER_SUMS: dict[Any, Callable[..., Any]] = {
    1: _largest,
    -1: np.min,
    np.inf: _largest,
    -np.inf: np.min,
}
_WHOLE = ((2, 1), ("fro", 2), ("f", 2))
"""Orders, with the axes of an array, that are the norm of all its elements."""


def _vector_norm(x: Any, ord: Any, axis: int, keepdims: bool) -> Any:
    if ord is None or ord == 2:
        return euclidean_norm(x, axis, keepdims)
    if ord == 0:
        return np.sum((x != 0).astype(x.dtype), axis=axis, keepdims=keepdims)
    if ord in _VECTOR:
        return _VECTOR[ord](np.abs(x), axis=axis, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"norm: {ord!r} is no order of a vector norm")
    return power_norm(x, ord, axis, keepdims)


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    row, column = axes
    if ord in (None, "fro", "f"):
        return euclidean_norm(x, axes, keepdims)
    if ord in _OVER_SINGULAR:
        s = np.linalg.svdvals(np.moveaxis(x, axes, (-2, -1)))
        y = _OVER_SINGULAR[ord](s, axis=-1)
        return np.expand_dims(y, axes) if keepdims else y
    if ord not in _OVER_SUMS:
        raise ValueError(f"norm: {ord!r} is no order of a matrix norm")
    first, second = (row, column) if abs(ord) == 1 else (column, row)
    sums = np.sum(np.abs(x), axis=first, keepdims=True)
    y = _OVER_SUMS[ord](sums, axis=second, keepdims=True)
    return y if keepdims else np.squeeze(y, axes)


@composed(
    np.linalg.norm,
    kind="piecewise",
    domains=_UNTIED,
    cases=[
        case((3,)),
        case((2, 3)),
        case((2, 3, 2), keepdims=True),
        case((2, 3), axis=-1),
        case((2, 3, 2), axis=(0, 2)),
        case((2, 3), axis=0, keepdims=True),
        case((3,), ord=2),
        case((2, 3), ord=1.5, axis=-1),
        case((2, 3), ord=-2, axis=0, keepdims=True),
        case((3,), ord=0.5),
        case((3,), ord=np.inf),
        case((2, 3), ord=-np.inf, axis=1),
        case((2, 3), ord=1, axis=0, keepdims=True),
        case((3,), ord=4),
        case((3, 2), ord="fro"),
        case((2, 3), ord=1),
        case((2, 3), ord=-1, keepdims=True),
        case((3, 2, 2), ord=np.inf, axis=(2, 0)),
        case((2, 3), ord=-np.inf),
        case((3, 2), ord="nuc"),
        case((2, 3, 2), ord=2, axis=(0, 1)),
        case((2, 3), ord=-2, keepdims=True),
        case(()),
    ],
    kinks="all zeros: 0, and for order 2 the curvature of what is smooth there, as "
    "norm(x)**2; zero elements, columns or singular values: 0; several largest or "
    "smallest: they share the gradient equally",
)
def norm(
    x: Operand, ord: Operand = None, axis: Axis = None, keepdims: bool = False
) -> Array:
    """Norm of vectors along an axis, or of matrices in two axes, of every order."""
    x = array(x)
    if axis is None and (ord is None or (ord, x.ndim) in _WHOLE):
        return euclidean_norm(x, None, keepdims)
    axes = normalize_axis_tuple(tuple(range(x.ndim)) if axis is None else axis, x.ndim)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, axes, keepdims)
    raise ValueError(f"norm: expected one or two axes, got {axes}; pass axis=")


@composed(
    np.linalg.matrix_norm,
    kind="piecewise",
    domains=_UNTIED,
    cases=[
        case((2, 3)),
        case((2, 3, 2), ord="nuc"),
        case((2, 3), ord=1, keepdims=True),
    ],
    kinks="as norm",
)
def matrix_norm(x: Operand, *, keepdims: bool = False, ord: Operand = "fro") -> Operand:
    """Norm of the matrices in the last two axes."""
    return norm(x, ord, (-2, -1), keepdims)


@composed(
    np.linalg.vector_norm,
    kind="piecewise",
    domains=_UNTIED,
    cases=[
        case((2, 3)),
        case((2, 3), axis=-1, ord=1),
        case((2, 3, 2), axis=(0, 2), ord=3, keepdims=True),
        case((2, 3, 2), axis=(2, 0), ord=np.inf),
        case((2, 3), ord=-1, keepdims=True),
    ],
    kinks="as norm",
)
def vector_norm(
    x: Operand, *, axis: Axis = None, keepdims: bool = False, ord: Operand = 2
) -> Array:
    """Norm of all elements along one axis, several, or all, as of one vector."""
    x = array(x)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    rest = [i for i in range(x.ndim) if i not in axes]
    joined = np.transpose(x, (*axes, *rest)).reshape((-1, *(x.shape[i] for i in rest)))
    y = _vector_norm(joined, ord, 0, False)
    return np.expand_dims(y, axes) if keepdims else y


@composed(
    np.linalg.cond,
    domains=SEPARATED,
    cases=[
        case((3, 3)),
        case((3, 2), p=-2),
        case((2, 3, 3), p="fro"),
        case((3, 3), p=1),
        case((3, 3), p=-np.inf),
        case((3, 3), p="nuc"),
    ],
    kinks="as norm",
)
def cond(x: Operand, p: Operand = None) -> Operand:
    """Condition number, norm(x, p) * norm(inv(x), p); of singular values for p = 2."""
    if p in (None, 2, -2):
        s = np.linalg.svdvals(x)
        top, bottom = (s[..., -1], s[..., 0]) if p == -2 else (s[..., 0], s[..., -1])
        with np.errstate(all="ignore"):
            ratio = top / bottom
        return np.where(np.isnan(ratio), np.inf, ratio)
    return norm(x, p, (-2, -1)) * norm(np.linalg.inv(x), p, (-2, -1))
