"""Differences of neighbours, slopes, and the area below points."""

from typing import Any

import numpy as np

from ...core.tensor import Tensor, detached
from ...core.types import Array, Axis, Operand
from ..support.axes import along, array, kernel, normal, spread, with_length
from ..support.define import composed
from ..support.registry import case

__all__ = ["diff", "ediff1d", "gradient", "trapezoid"]


@kernel("diff")
def _diff(a, n, axis):
    return np.diff(a, n, axis)


def _diff_vjp(g: Any, a_shape: tuple[int, ...], n: int, axis: int) -> Any:
    """Return (-1)^n times the n-th differences of `g` between zeros."""
    if g.shape[axis] == 0:
        return spread(np.sum(g, axis=axis), a_shape, axis, False)
    zeros = np.zeros(with_length(n, g.shape, axis), dtype=g.dtype)
    d = np.diff(np.concatenate([zeros, g, zeros], axis=axis), n, axis)
    return -d if n % 2 else d


_diff.vjp(a=_diff_vjp)


def _border(value: Any, a: Any, axis: int) -> Any:
    value = array(value)
    return (
        value if value.ndim else np.broadcast_to(value, with_length(1, a.shape, axis))
    )


@composed(
    np.diff,
    kind="linear",
    cases=[
        case((5,)),
        case((2, 4), n=2),
        case((3, 2), axis=0, n=3),
        case((2, 3, 2), axis=1),
        case((3,), n=0),
        case((2, 3), prepend=0.5, append=np.ones((2, 2)), n=2),
    ],
)
def diff(
    a: Operand,
    n: int = 1,
    axis: int = -1,
    prepend: Operand = None,
    append: Operand = None,
) -> Array:
    """Differences of neighbours along an axis, a_(i+1) - a_i, taken n times."""
    if n == 0:
        return a
    a = array(a)
    if n < 0 or a.ndim == 0:
        raise ValueError(
            "diff: expected n >= 0 and an array of at least 1 axis, got "
            f"n={n} and shape {a.shape}"
        )
    ends = [None if v is None else _border(v, a, axis) for v in (prepend, append)]
    parts = [v for v in (ends[0], a, ends[1]) if v is not None]
    joined = a if len(parts) == 1 else np.concatenate(parts, axis=axis)
    return _diff(joined, n, axis)


def _flat(x: Any, like: Any) -> list[Any]:
    if x is None:
        return []
    x = array(x)
    if not np.can_cast(x.dtype, like.dtype, casting="same_kind"):
        raise TypeError(
            f"ediff1d: to_begin and to_end must be castable to {like.dtype}, got "
            f"{x.dtype}"
        )
    return [x.astype(like.dtype).reshape(-1)]


@composed(
    np.ediff1d,
    kind="linear",
    cases=[
        case((5,)),
        case((2, 3), to_end=np.array([1.0, 2.0]), to_begin=0.5),
        case((1,)),
    ],
)
def ediff1d(ary: Operand, to_end: Operand = None, to_begin: Operand = None) -> Array:
    """Differences of neighbours of the flattened array, between given ends."""
    a = array(ary).reshape(-1)
    d = a[1:] - a[:-1]
    parts = [*_flat(to_begin, a), d, *_flat(to_end, a)]
    return d if len(parts) == 1 else np.concatenate(parts)


@composed(
    np.trapezoid,
    kind="linear",
    cases=[
        case((5,)),
        case((2, 3), dx=0.5, axis=0),
        case((2, 4), x=np.array([0.0, 0.5, 0.7, 2.0])),
        case((2, 3), x=np.array([[0.0, 1.0, 1.5], [0.0, 0.2, 3.0]])),
    ],
)
def trapezoid(
    y: Operand, x: Operand = None, dx: Operand = 1.0, axis: int = -1
) -> Array:
    """Area below points, sum((x_(i+1) - x_i) (y_i + y_(i+1)) / 2)."""
    y = array(y)
    if x is not None:
        x = array(x)
        dx = diff(x) if x.ndim == 1 else diff(x, axis=axis)
        if x.ndim == 1:
            dx = _standing(dx, axis, y.ndim)
    right = y[along(axis, y.ndim, slice(1, None))]
    left = y[along(axis, y.ndim, slice(None, -1))]
    return np.sum(dx * (right + left) / 2.0, axis=axis)


def _standing(h: Any, axis: int, ndim: int) -> Any:
    """Return a vector as an array of `ndim` axes that extends along one of them."""
    return h.reshape(with_length(-1, (1,) * ndim, axis))


# Slopes.


def _spacings(spacings: tuple[Any, ...], shape: Any, axes: Any) -> list[Any]:
    """Return for each axis the step, or the steps between its points."""
    if not spacings:
        return [1.0] * len(axes)
    if len(spacings) == 1 and np.ndim(spacings[0]) == 0:
        return [spacings[0]] * len(axes)
    if len(spacings) != len(axes):
        raise TypeError(
            f"gradient: expected one spacing or one for each of {len(axes)} axes, got "
            f"{len(spacings)}"
        )
    return [_steps(d, shape[i]) for d, i in zip(spacings, axes, strict=True)]


def _steps(distances: Any, n: int) -> Any:
    points = array(distances)
    if points.ndim == 0:
        return distances
    if points.shape != (n,):
        raise ValueError(
            f"gradient: expected a number or {n} points along the axis, got shape "
            f"{points.shape}"
        )
    steps = diff(points if points.dtype.kind == "f" else points.astype(np.float64))
    constant = type(points) is not Tensor or not points.requires_grad
    even = constant and np.all(detached(steps) == detached(steps)[0])
    return steps[0] if even else steps


def _weighted(f: Any, axis: int, weights: Any, at: Any) -> Any:
    """Return the sum of parts of f along an axis, each with its weight."""
    a, b, c = weights
    left, middle, right = (f[along(axis, f.ndim, part)] for part in at)
    return a * left + b * middle + c * right


_INSIDE = (slice(None, -2), slice(1, -1), slice(2, None))
_FIRST = (slice(0, 1), slice(1, 2), slice(2, 3))
_LAST = (slice(-3, -2), slice(-2, -1), slice(-1, None))


def _inside(f: Any, h: Any, axis: int) -> Any:
    """Return slopes of second order at the points between the ends."""
    if np.ndim(h) == 0:
        left, _, right = (f[along(axis, f.ndim, part)] for part in _INSIDE)
        return (right - left) / (2.0 * h)
    h1, h2 = h[:-1], h[1:]
    a = -h2 / (h1 * (h1 + h2))
    b = (h2 - h1) / (h1 * h2)
    c = h1 / (h2 * (h1 + h2))
    weights = [_standing(w, axis, f.ndim) for w in (a, b, c)]
    return _weighted(f, axis, weights, _INSIDE)


def _secants(f: Any, h: Any, axis: int) -> tuple[Any, Any]:
    """Return slopes of first order at the two ends."""
    y0, y1, y2, y3 = (
        f[along(axis, f.ndim, part)] for part in (*_FIRST[:2], *_LAST[1:])
    )
    h1, h2 = (h, h) if np.ndim(h) == 0 else (h[0], h[-1])
    return (y1 - y0) / h1, (y3 - y2) / h2


def _parabolas(f: Any, h: Any, axis: int) -> tuple[Any, Any]:
    """Return slopes of second order at the two ends."""
    if np.ndim(h) == 0:
        first = -1.5 / h, 2.0 / h, -0.5 / h
        last = 0.5 / h, -2.0 / h, 1.5 / h
        return _weighted(f, axis, first, _FIRST), _weighted(f, axis, last, _LAST)
    h1, h2 = h[0], h[1]
    a = -(2.0 * h1 + h2) / (h1 * (h1 + h2))
    first = a, (h1 + h2) / (h1 * h2), -h1 / (h2 * (h1 + h2))
    h1, h2 = h[-2], h[-1]
    c = (2.0 * h2 + h1) / (h2 * (h1 + h2))
    last = h2 / (h1 * (h1 + h2)), -(h2 + h1) / (h1 * h2), c
    return _weighted(f, axis, first, _FIRST), _weighted(f, axis, last, _LAST)


def _slope(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    if f.shape[axis] < edge_order + 1:
        raise ValueError(
            f"gradient: with edge_order={edge_order} at least {edge_order + 1} points "
            f"are needed along axis {axis}, got shape {f.shape}"
        )
    ends = _secants if edge_order == 1 else _parabolas
    first, last = ends(f, h, axis)
    slopes = np.concatenate([first, _inside(f, h, axis), last], axis=axis)
    return slopes if slopes.dtype == f.dtype else slopes.astype(f.dtype)


@composed(
    np.gradient,
    kind="linear",
    cases=[
        case((5,)),
        case((2, 3)),
        case((3, 4), axis=1, edge_order=2),
        case((2, 3, 4), axis=(0, -1)),
        case((2,), axis=0),
    ],
)
def gradient(
    f: Operand, *varargs: Operand, axis: Axis = None, edge_order: int = 1
) -> Operand:
    """Slopes along axes, second order inside: (f_(i+1) - f_(i-1)) / (2 h)."""
    f = array(f)
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    axes = normal(axis, f.ndim)
    spacings = _spacings(varargs, f.shape, axes)
    f = f if f.dtype.kind == "f" else f.astype(np.float64)
    slopes = [_slope(f, h, i, edge_order) for i, h in zip(axes, spacings, strict=True)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)
