"""Reductions along axes."""

from typing import Any

import numpy as np

from ..core.dispatch import implement_method
from ..core.registry import case
from .define import operation

_CASES = [
    case(()),
    case((3, 4)),
    case((3, 4), axis=0),
    case((2, 3, 4), axis=(0, -1)),
    case((2, 3, 4), axis=1, keepdims=True),
    case((2, 3), axis=(0, 1), keepdims=True),
]
_EMPTY_CASES = [case((0, 3)), case((0, 3), axis=0), case((2, 0), axis=1)]


def spread(g: Any, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Any:
    """Broadcast what belongs to a reduced array back over the reduced axes."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, shape)


def count(shape: tuple[int, ...], axis: Any) -> int:
    """Return how many elements a reduction over `axis` takes together."""
    if axis is None:
        return int(np.prod(shape, dtype=int))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return int(np.prod([shape[i] for i in axes], dtype=int))


@operation(np.sum, kind="linear", cases=[*_CASES, *_EMPTY_CASES])
def sum(x, axis=None, keepdims=False):
    """Sum over axes."""
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


sum.vjp(x=lambda g, x_shape, axis, keepdims: spread(g, x_shape, axis, keepdims))


@operation(np.mean, kind="linear", cases=_CASES)
def mean(x, axis=None, keepdims=False):
    """Mean over axes."""
    return np.mean(x, axis=axis, keepdims=keepdims)


mean.vjp(
    x=lambda g, x_shape, axis, keepdims: spread(
        g / count(x_shape, axis), x_shape, axis, keepdims
    )
)


def _extremum(g: Any, x: Any, y: Any, axis: Any, keepdims: bool) -> Any:
    """Share `g` equally among the elements equal to the extremum `y`."""
    shape = np.shape(x)
    ties = x == spread(y, shape, axis, keepdims)
    n = np.sum(ties, axis=axis, keepdims=keepdims).astype(g.dtype)
    return np.where(ties, spread(g / n, shape, axis, keepdims), 0)


_TIES = "several extreme elements: they share the gradient equally"


@operation(np.max, kind="piecewise", cases=_CASES, kinks=_TIES)
def max(x, axis=None, keepdims=False):
    """Largest element along axes."""
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims)


@operation(np.min, kind="piecewise", cases=_CASES, kinks=_TIES)
def min(x, axis=None, keepdims=False):
    """Smallest element along axes."""
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims)


max.vjp(x=_extremum)
min.vjp(x=_extremum)

# The methods of ufuncs; their axis is 0 where not given, which the tensor sees to.
implement_method(np.add, "reduce", sum)
implement_method(np.maximum, "reduce", max)
implement_method(np.minimum, "reduce", min)
