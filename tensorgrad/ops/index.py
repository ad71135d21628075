"""Taking parts of an array, and putting parts into one."""

from typing import Any

import numpy as np

from ..core.dispatch import implement
from ..core.primitive import primitive
from ..core.registry import case, describe
from ..core.tensor import plain


@primitive
def take_part(x, index):
    """The part of x that NumPy's indexing selects."""
    return x[index]


@primitive
def put_part(x, index, shape):
    """Zeros of a shape with x added at an index; repeated places add up."""
    whole = np.zeros(shape, dtype=x.dtype)
    if is_basic(index):
        whole[index] = x
    else:
        np.add.at(whole, index, x)
    return whole


take_part.vjp(x=lambda g, index, x_shape: put_part(g, index, x_shape))
put_part.vjp(x=lambda g, index: g[index])


def is_basic(index: Any) -> bool:
    """Whether NumPy selects a view, in which no place is repeated."""
    items = index if type(index) is tuple else (index,)
    return all(
        i is None or i is Ellipsis or isinstance(i, int | slice | np.integer)
        for i in items
    ) and not any(isinstance(i, bool) for i in items)


def getitem(x: Any, index: Any) -> Any:
    """x[index], for every index NumPy takes."""
    return take_part(x, _index(index))


def _index(index: Any) -> Any:
    """Return an index without tensors or lists, none of which NumPy would write to."""
    if type(index) is tuple:
        return tuple(_index(i) for i in index)
    if type(index) is list:
        array = np.asarray(plain(index))
        return array if array.size else array.astype(np.intp)
    return plain(index)


implement("getitem", getitem)
describe(
    getitem,
    lambda x, index: x[index],
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
