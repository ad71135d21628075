"""What operations along axes share: their counts, their order, and the way back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.foreign import operand
from ...core.primitive import Primitive, Residuals
from ...core.tensor import Tensor, as_array, wrap
from ...core.types import Q, R


def kernel(
    name: str, *, residuals: Residuals | None = None, multiple: bool = False
) -> Callable[[Callable[Q, R]], Primitive[Q]]:
    """Make a primitive under the name of the function it is the core of."""

    def make(forward: Callable[Q, R]) -> Primitive[Q]:
        forward.__name__ = name
        return Primitive(forward, residuals or {}, multiple)

    return make


def array(x: Any) -> Any:
    """Return a tensor as it is, and anything else as an array."""
    return x if type(x) is Tensor else as_array(operand(x))


def constant_like(value: Any, example: Any) -> Any:
    """Return a value as a tensor, if `example` is one."""
    is_constant = type(value) is Tensor or type(example) is not Tensor
    return value if is_constant else wrap(value, None)


def refuse_out(name: str, out: object) -> None:
    """Raise TypeError where an output array was given."""
    if out is not None:
        raise TypeError(
            f"{name}: out= is not supported with Tensors, whose values backward may "
            "need; use the returned tensor"
        )


def check_dtype(name: str, a: Any, dtype: Any) -> None:
    """Raise TypeError where the result of `dtype` could not carry a gradient."""
    kind = "f" if dtype is None else np.dtype(dtype).kind
    if kind == "c" or (kind != "f" and type(a) is Tensor and a.requires_grad):
        raise TypeError(
            f"{name}: a {np.dtype(dtype)} result has no gradient; pass a real "
            "floating-point dtype, or .detach() the tensor"
        )


def as_dtype(name: str, a: Any, dtype: Any) -> Any:
    """Return `a` cast to `dtype`, as it is where that is None."""
    if dtype is None:
        return a
    check_dtype(name, a, dtype)
    return array(a).astype(dtype)


def normal(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes, counted from 0: all of them for None."""
    if axis is None or ndim == 0:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(i + ndim if i < 0 else int(i) for i in axes)


def count(shape: tuple[int, ...], axis: Any) -> int:
    """Return how many elements a reduction over `axis` takes together."""
    if axis is None:
        return math.prod(shape)
    if isinstance(axis, tuple):
        return math.prod([shape[i] for i in axis])
    return shape[axis] if shape else 1


def reduced_shape(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """Return the shape after a reduction with keepdims=True."""
    axes = normal(axis, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def with_length(n: int, shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Return a shape with another length along an axis."""
    lengths = list(shape)
    lengths[axis] = n
    return tuple(lengths)


def spread(g: Any, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Any:
    """Broadcast what belongs to a reduced array back over the reduced axes."""
    if axis is not None and not keepdims and shape:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, shape)


def counting(dtype: Any) -> Any:
    """Return the type in which to count and divide: float16 ends at 65504."""
    return np.promote_types(dtype, np.float32)


def divisor(n: int, dtype: Any) -> Any:
    """Return a count by which numbers of a type can be divided."""
    return np.float32(n) if dtype == np.float16 else n


def summing(dtype: Any) -> dict[str, Any]:
    """Return the keyword for a sum that float16 may not hold."""
    return {"dtype": np.float32} if dtype == np.float16 else {}


def number(where: Any, shape: tuple[int, ...], axis: Any, dtype: Any) -> Any:
    """Return how many elements `where` selects, over axes that are kept."""
    chosen = np.broadcast_to(where, shape)
    return np.sum(chosen, axis=axis, keepdims=True).astype(counting(dtype))


def gathered(x: Any, axis: Any) -> Any:
    """Move the given axes to the end and make one axis of them."""
    axes = normal(axis, np.ndim(x))
    rest = [i for i in range(np.ndim(x)) if i not in axes]
    shape = [x.shape[i] for i in rest]
    return x.transpose((*rest, *axes)).reshape((*shape, count(x.shape, axes)))


def scattered(x: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """Undo :func:`gathered` for an array that was of `shape`."""
    axes = normal(axis, len(shape))
    order = (*(i for i in range(len(shape)) if i not in axes), *axes)
    back = tuple(int(i) for i in np.argsort(order))
    return x.reshape(tuple(shape[i] for i in order)).transpose(back)


def along(axis: int, ndim: int, part: Any) -> tuple[Any, ...]:
    """Return the index that takes `part` along one axis and all along the others."""
    index = [slice(None)] * ndim
    index[axis] = part
    return tuple(index)


def turned(x: Any, axis: int) -> Any:
    """Return `x` with the order along an axis reversed."""
    return x[along(axis, np.ndim(x), slice(None, None, -1))]


def shifted(x: Any, axis: int, fill: Any) -> Any:
    """Return `x` moved one on along an axis, without its last; `fill` comes first."""
    first = np.full(reduced_shape(x.shape, axis), fill, dtype=x.dtype)
    head = x[along(axis, np.ndim(x), slice(None, -1))]
    return np.concatenate([first, head], axis=axis) if x.shape[axis] else x
