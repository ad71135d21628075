"""Taking parts of an array by an index, and the way back."""

import operator
from typing import Any

import numpy as np

from ...core.backward import adds
from ...core.dispatch import implement
from ...core.primitive import primitive
from ...core.tensor import Tensor, as_array
from ..support.axes import counting, kernel
from ..support.registry import case, describe
from ..support.scatter import add_at, part, repeats_nothing, zeros

__all__: list[str] = []  # its functions answer to methods alone


@kernel("getitem")
def _getitem(a, index):
    return a[index] if type(index) in _BASIC else part(a, index)


@primitive
def put_part(x, index, shape):
    """Zeros of a shape with x added at an index; what meets at one place is summed."""
    if repeats_nothing(index):
        array = zeros(shape, x.dtype, x, index)
        array[index] = x
        return array
    # In float16 a sum of many small terms comes to a stop.
    array = zeros(shape, counting(x.dtype), x, index)
    add_at(array, index, x)
    return array if array.dtype == x.dtype else array.astype(x.dtype)


def _add_part(total: Any, g: Any, index: Any, a_shape: Any) -> bool:
    items = index if type(index) is tuple else (index,)
    if not all(type(item) in _BASIC for item in items):
        return False
    # With an ellipsis even a single element is a view.
    view = total[items if Ellipsis in items else (*items, ...)]
    np.add(view, g, out=view)
    return True


@adds(_add_part)
def _in_place(g: Any, index: Any, a_shape: Any) -> Any:
    return put_part(g, index, a_shape)


_getitem.vjp(a=_in_place)
put_part.vjp(x=lambda g, index: part(g, index))


def getitem(a: Any, index: Any) -> Any:
    """a[index], for every index NumPy takes."""
    return _getitem(a, plain_index(index))


def plain_index(index: Any) -> Any:
    """Return an index of numbers, slices and arrays: no tensors, no lists."""
    if isinstance(index, tuple):
        return tuple(_plain_item(item) for item in index)
    return _plain_item(index)


_BASIC = (int, slice, type(None), type(Ellipsis))


def _plain_item(item: Any) -> Any:
    if type(item) in _BASIC or (type(item) is np.ndarray and item.ndim):
        return item
    array = as_array(item)
    if array.dtype == object and hasattr(item, "__index__"):
        return operator.index(item)
    if not array.ndim:
        # Not the number in it, with which NumPy makes a view: a replay, whose numbers
        # change, makes a copy.
        return array
    # NumPy takes an empty list for a list of integers.
    listed = not isinstance(item, np.ndarray | Tensor)
    return array.astype(np.intp) if listed and not array.size else array


implement("getitem", getitem)
describe(
    getitem,
    lambda a, index: a[index],
    kind="linear",
    cases=[
        case((3, 4), index=1),
        case((3, 4), index=(slice(None, None, -2), slice(1, 3))),
        case((3, 4), index=(Ellipsis, None, 2)),
        case((3, 4), index=[0, 2, 2]),
        case((3, 4), index=(np.array([0, 0, 2]), np.array([1, 1, 3]))),
        case((3, 4), index=(slice(None), np.array([[0, 1], [1, 1]]))),
        case((3,), index=np.array([True, False, True])),
        case((2, 3), index=np.zeros((2, 3), dtype=bool)),
        case((), index=()),
        case((3,), index=slice(0, 0)),
    ],
)
