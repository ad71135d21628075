"""Operations that rearrange elements without changing them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dispatch import implement
from ..core.primitive import primitive
from ..core.registry import case, describe
from ..core.tensor import plain, wrap
from .define import composed, operation


@operation(
    np.reshape,
    kind="linear",
    cases=[
        case((3, 4), shape=(2, 6)),
        case((), shape=(1, 1)),
        case((2, 3), shape=-1),
        case((0, 3), shape=(3, 0)),
    ],
)
def reshape(x, shape):
    """The elements in C order under another shape."""
    return x.reshape(shape)


reshape.vjp(x=lambda g, x_shape: g.reshape(x_shape))


@operation(
    np.transpose,
    kind="linear",
    cases=[case((2, 3)), case((2, 3, 4), axes=(2, 0, 1)), case((3,)), case(())],
)
def transpose(x, axes=None):
    """Axes reversed, or in the order given."""
    return x.transpose(axes)


transpose.vjp(
    x=lambda g, axes: g.transpose(None if axes is None else tuple(np.argsort(axes)))
)


@operation(np.swapaxes, kind="linear", cases=[case((2, 3, 4), axis1=0, axis2=-1)])
def swapaxes(x, axis1, axis2):
    """Two axes exchanged."""
    return x.swapaxes(axis1, axis2)


swapaxes.vjp(x=lambda g, axis1, axis2: g.swapaxes(axis1, axis2))


@operation(
    np.expand_dims,
    kind="linear",
    cases=[case((2, 3), axis=1), case((), axis=0), case((2, 3), axis=(0, -1))],
)
def expand_dims(x, axis):
    """Axes of length one inserted."""
    return np.expand_dims(x, axis)


expand_dims.vjp(x=lambda g, x_shape: g.reshape(x_shape))


@operation(np.squeeze, kind="linear", cases=[case((1, 3, 1)), case((1, 3, 1), axis=0)])
def squeeze(x, axis=None):
    """Axes of length one removed."""
    return np.squeeze(x, axis)


squeeze.vjp(x=lambda g, x_shape: g.reshape(x_shape))


@operation(
    np.broadcast_to,
    kind="linear",
    cases=[
        case((3, 1), shape=(2, 3, 4)),
        case((), shape=(2, 2)),
        case((1,), shape=(0,)),
    ],
)
def broadcast_to(x, shape):
    """x repeated along axes, as broadcasting does; the walk sums the copies back."""
    return np.broadcast_to(x, shape)


broadcast_to.vjp(x=lambda g: g)


@primitive
def join(*arrays, axis=0):
    """The arrays one after another along an existing axis."""
    return np.concatenate(arrays, axis=axis)


def _joined_part(i: int, g: Any, arrays_shape: Any, axis: int) -> Any:
    before = sum(shape[axis] for shape in arrays_shape[:i])
    index = [slice(None)] * g.ndim
    index[axis] = slice(before, before + arrays_shape[i][axis])
    return g[tuple(index)]


join.vjp(arrays=_joined_part)


@composed(
    np.concatenate,
    kind="linear",
    cases=[
        case([(2, 3), (4, 3)], axis=0),
        case([(2, 3), (2, 1), (2, 0)], axis=-1),
        case([(2, 2), (3,)], axis=None),
    ],
)
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """The arrays one after another along an existing axis, or flattened."""
    if axis is None:
        return join(*[np.reshape(a, -1) for a in arrays], axis=0)
    return join(*arrays, axis=axis)


@composed(
    np.stack,
    kind="linear",
    cases=[case([(2, 3), (2, 3)]), case([(), ()]), case([(2,), (2,)], axis=-1)],
)
def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """The arrays side by side along a new axis."""
    return join(*[np.expand_dims(a, axis) for a in arrays], axis=axis)


@primitive
def cast(x, dtype):
    """x as another floating-point type; the walk casts the gradient back."""
    return x.astype(dtype)


cast.vjp(x=lambda g: g)


def astype(x: Any, dtype: Any) -> Any:
    """x as another type; a constant where that is not floating point."""
    if np.dtype(dtype).kind == "f":
        return cast(x, dtype)
    return wrap(plain(x).astype(dtype), None)


implement("astype", astype)
describe(
    astype,
    lambda x, dtype: x.astype(dtype),
    kind="linear",
    cases=[case((2, 3), dtype=np.float64)],
)
