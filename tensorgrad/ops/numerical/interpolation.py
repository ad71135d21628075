"""Linear interpolation between points."""

from typing import Any

import numpy as np

from ...core.dispatch import implement
from ...core.types import Operand, on_tensors
from ..shapes.index import put_part
from ..support.axes import array, kernel
from ..support.registry import REAL, Domain, case, describe
from ..support.scatter import part
from ..support.strong import scaled

__all__ = ["interp"]


@kernel("interp")
def _interp(x, xp, fp, left, right):
    return np.interp(x, xp, fp, left, right)


def _segment(x: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Return the points left and right of x, and how far x is between them, 0 to 1."""
    last = len(xp) - 1
    i = np.clip(np.searchsorted(xp, x, "right") - 1, 0, max(last - 1, 0))
    j = np.minimum(i + 1, last)
    width = part(xp, j) - part(xp, i)
    return i, j, np.clip((x - part(xp, i)) / np.where(width == 0, 1, width), 0, 1)


def _slope(x: Any, xp: Any, fp: Any) -> Any:
    """Return the slope of the segment around x, 0 outside of the points."""
    i, j, _ = _segment(x, xp)
    width = part(xp, j) - part(xp, i)
    rise = (part(fp, j) - part(fp, i)) / np.where(width == 0, 1, width)
    flat = np.logical_or(np.logical_or(x < xp[0], x > xp[-1]), width == 0)
    return np.where(flat, 0, rise)


def _values_vjp(g: Any, x: Any, xp: Any, fp_shape: Any, left: Any, right: Any) -> Any:
    if left is not None:
        g = np.where(x < xp[0], 0, g)
    if right is not None:
        g = np.where(x > xp[-1], 0, g)
    return _dealt(g, x, xp, fp_shape)


def _dealt(g: Any, x: Any, xp: Any, shape: Any) -> Any:
    """Deal g out to the points on either side of x, the nearer one getting more."""
    i, j, w = _segment(x, xp)
    return put_part(scaled(g, 1 - w), i, shape) + put_part(scaled(g, w), j, shape)


_interp.vjp(
    x=lambda g, x, xp, fp: scaled(g, _slope(x, xp, fp)),
    xp=lambda g, x, xp, fp, xp_shape: _dealt(
        -scaled(g, _slope(x, xp, fp)), x, xp, xp_shape
    ),
    fp=_values_vjp,
    left=lambda g, x, xp: np.where(x < xp[0], g, 0),
    right=lambda g, x, xp: np.where(x > xp[-1], g, 0),
)


def _points(p: Any) -> Any:
    """Return coordinates of points as floating-point numbers along an axis."""
    p = np.atleast_1d(array(p))
    return p if p.dtype.kind == "f" else p.astype(np.float64)


@on_tensors
def interp(
    x: Operand,
    xp: Operand,
    fp: Operand,
    left: float | None = None,
    right: float | None = None,
    period: float | None = None,
) -> Operand:
    """Value at x of the broken line through the points (xp, fp), xp increasing.

    Differentiable in all of them; computed in float64, as NumPy does.
    """
    xp, fp = _points(xp), _points(fp)
    if period is None:
        return _interp(x, xp, fp, left, right)
    if period == 0:
        raise ValueError("interp: the period must not be 0")
    period = np.abs(period)
    x, xp = np.remainder(x, period), np.remainder(xp, period)
    order = np.argsort(xp)
    xp = xp[order]
    fp = fp[order]
    xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return _interp(x, xp, np.concatenate([fp[-1:], fp, fp[:1]]), None, None)


_POINTS = ((4,), (5,), (5,))

implement("interp", interp, np.interp)
describe(
    interp,
    np.interp,
    kind="piecewise",
    domains=(REAL, Domain(shaped=np.sort), REAL),
    cases=[
        case(*_POINTS),
        case((2, 3), (4,), (4,), left=0.5),
        case((), (3,), (3,), right=-1.0),
        case(*_POINTS, period=2.5),
        case((3,), (1,), (1,)),
        case((0,), (2,), (2,)),
    ],
    kinks="x at a point: the slope on its right, at the last point that on its left",
)
