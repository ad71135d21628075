"""Arrays made longer or shorter: append, insert, delete, resize, trim_zeros."""

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ...core.tensor import detached, plain
from ...core.types import Array, Axis, Operand
from ..support.axes import along, with_length
from ..support.define import composed
from ..support.registry import NONZERO, REAL, case
from .gather import WITHIN_THREE
from .joining import cast_to, operand, without_leading_ones

__all__ = ["append", "delete", "insert", "resize", "trim_zeros"]


@composed(
    np.append,
    kind="linear",
    cases=[case((2, 3), (2,)), case((3,), ()), case((2, 3), (1, 3), axis=0)],
)
def append(arr: Operand, values: Operand, axis: int | None = None) -> Array:
    """The values after the array: along an axis, or both flattened."""
    parts = [operand(arr), operand(values)]
    if axis is None:
        return np.concatenate([np.ravel(a) for a in parts])
    return np.concatenate(parts, axis)


def _flat_or_along(arr: Any, axis: int | None) -> tuple[Any, int]:
    """Return the array and the axis meant: flattened and 0 where there is none."""
    arr = operand(arr)
    if axis is None:
        return np.ravel(arr), 0
    return arr, normalize_axis_index(axis, arr.ndim)


@composed(
    np.delete,
    kind="linear",
    cases=[
        case((5,), obj=1),
        case((2, 3), obj=[0, -1], axis=1),
        case((2, 3), obj=slice(1, None, 2)),
        case((3, 2), obj=np.array([True, False, True]), axis=0),
    ],
)
def delete(arr: Operand, obj: Operand, axis: int | None = None) -> Array:
    """The array without some places along an axis, or without some elements."""
    arr, axis = _flat_or_along(arr, axis)
    return np.take(arr, np.delete(np.arange(arr.shape[axis]), plain(obj)), axis)


@composed(
    np.insert,
    kind="linear",
    domains=(REAL, WITHIN_THREE, REAL),
    cases=[
        case((3,), (), ()),
        case((3,), (), (2,)),
        case((3, 2), (3,), (3,)),
        case((2, 3), (), (2,), axis=1),
        case((3, 2), (1,), (2,), axis=0),
        case((2, 3), (2,), (2, 1), axis=-1),
        case((2, 3), (0,), (0,)),
    ],
)
def insert(
    arr: Operand, obj: Operand, values: Operand, axis: int | None = None
) -> Array:
    """The array with values put in before some places along an axis."""
    arr, axis = _flat_or_along(arr, axis)
    n, obj = arr.shape[axis], plain(obj)
    count = np.insert(np.arange(n), obj, 0).size - n
    values = cast_to("insert", operand(values), arr.dtype)
    if count == 1:
        a_number = not isinstance(obj, slice) and np.ndim(obj) == 0
        values = _for_one_place(values, arr.ndim, axis, a_number)
        count = values.shape[axis]
    values = without_leading_ones(values, arr.ndim)
    values = np.broadcast_to(values, with_length(count, arr.shape, axis))
    order = np.insert(np.arange(n), obj, np.arange(n, n + count))
    return np.take(np.concatenate([arr, values], axis), order, axis)


def _for_one_place(values: Any, ndim: int, axis: int, a_number: bool) -> Any:
    """Return values that all go in at one place, with as many axes as the array."""
    values = values.reshape((1,) * (ndim - values.ndim) + values.shape)
    # If a number says the place, it is the first axis of the values that runs along.
    return np.moveaxis(values, 0, axis) if a_number else values


@composed(
    np.resize,
    kind="linear",
    cases=[
        case((3,), new_shape=5),
        case((2, 3), new_shape=(2, 2)),
        case((2,), new_shape=(3, 3)),
        case((2,), new_shape=0),
        case((0,), new_shape=(2,)),
    ],
)
def resize(a: Operand, new_shape: Operand) -> Array:
    """The elements over and over again, until another shape is full."""
    shape = (new_shape,) if isinstance(new_shape, int | np.integer) else new_shape
    size, flat = math.prod(shape), np.ravel(operand(a))
    if min(shape, default=0) < 0:
        raise ValueError(f"resize: lengths are not negative, got {new_shape}")
    if not flat.size:
        flat = np.append(flat, np.zeros(1, dtype=flat.dtype))
    return np.tile(flat, -(-size // flat.size))[:size].reshape(shape)


@composed(
    np.trim_zeros,
    kind="piecewise",
    domains=NONZERO,
    cases=[case((4,)), case((3,), trim="f")],
    kinks="an outer element is 0: it is left out, and its gradient is 0",
)
def trim_zeros(filt: Operand, trim: str = "fb", axis: Axis = None) -> Array:
    """The array without the zeros at its ends."""
    filt = operand(filt)
    ends = trim.lower()
    if not ends or set(ends) - {"f", "b"}:
        raise ValueError(f"trim_zeros: trim is made of 'f' and 'b', got {trim!r}")
    axes = range(filt.ndim) if axis is None else np.atleast_1d(axis)
    for i in axes:
        span = _outer_nonzero(detached(filt), int(i), ends)
        filt = filt[along(int(i), filt.ndim, span)]
    return filt


def _outer_nonzero(x: Any, axis: int, ends: str) -> slice:
    """Return the part along an axis between the outermost elements that are not 0."""
    others = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    places = np.flatnonzero(np.any(x != 0, axis=others))
    if not places.size:
        return slice(0, 0)
    return slice(
        places[0] if "f" in ends else None, places[-1] + 1 if "b" in ends else None
    )
