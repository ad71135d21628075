"""Writing into part of an array, as functions that return a new one."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.dispatch import hint, implement
from ...core.tensor import Tensor, as_array, plain
from ...core.types import Array, Index, Operand, on_tensors
from ..support.axes import kernel
from ..support.registry import REAL, Case, case, describe
from ..support.scatter import add_at, copied, is_last, places, repeats_nothing
from .gather import DISTINCT, WITHIN_THREE, along_axis, within
from .index import plain_index
from .joining import cast_to, operand, without_leading_ones

__all__ = ["index_add", "index_update", "put", "put_along_axis"]


@kernel("index_update")
def _update(a, values, index):
    y = copied(a, values, index)
    if repeats_nothing(index):
        y[index] = values
        return y
    # One after another, so that where several meet it is the last that stays.
    flat, at = y.reshape(-1), places(y.shape, index)
    flat[at.reshape(-1)] = np.broadcast_to(values, at.shape).reshape(-1)
    return flat.reshape(y.shape)


def _updated_by(g: Any, a_shape: Any, index: Any) -> Any:
    part = g[index]
    if repeats_nothing(index):
        return part
    return np.where(is_last(a_shape, index), part, 0)


_update.vjp(a=lambda g, index: _update(g, 0, index), values=_updated_by)


@kernel("index_add")
def _add(a, values, index):
    y = copied(a, values, index)
    add_at(y, index, np.broadcast_to(values, y[index].shape))
    return y


_add.vjp(a=lambda g: g, values=lambda g, index: g[index])


@on_tensors
def index_update(a: Operand, index: Index, values: Operand) -> Array:
    """A copy of an array with part of it replaced: ``a[index] = values``, in a copy.

    Parameters
    ----------
    a : Tensor or array_like
        Not written to.
    index : index
        Whatever NumPy takes between brackets. Where it selects a place several times,
        the last of the values stays, and only that one gets a gradient.
    values : Tensor or array_like
        Broadcast to the part.

    Returns
    -------
    Tensor or ndarray
        Of the shape and dtype of `a`.

    Raises
    ------
    TypeError
        If `a` holds integers, which would truncate values that need a gradient.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> a, v = tg.Tensor([1.0, 2.0, 3.0]), tg.Tensor(5.0, requires_grad=True)
    >>> tg.index_update(a, [0, 2], v * v)
    Tensor([25.,  2., 25.], from=index_update)
    """
    a, index, values = _prepared("index_update", a, index, values)
    return _update(a, values, index)


@on_tensors
def index_add(a: Operand, index: Index, values: Operand) -> Array:
    """A copy of an array with values added to part of it.

    What meets at one place is summed, as by ``np.add.at(a, index, values)``.

    Parameters
    ----------
    a : Tensor or array_like
        Not written to.
    index : index
        Whatever NumPy takes between brackets.
    values : Tensor or array_like
        Broadcast to the part.

    Returns
    -------
    Tensor or ndarray
        Of the shape and dtype of `a`.

    Raises
    ------
    TypeError
        If `a` holds integers, which would truncate values that need a gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.index_add(np.zeros(3), [0, 2, 2], tg.Tensor([1.0, 10.0, 100.0]))
    Tensor([  1.,   0., 110.])
    """
    a, index, values = _prepared("index_add", a, index, values)
    return _add(a, values, index)


def _prepared(name: str, a: Any, index: Any, values: Any) -> tuple[Any, Any, Any]:
    """Return the arguments as arrays, without leading axes that NumPy would drop."""
    a, index, values = operand(a), plain_index(index), operand(values)
    values = cast_to(name, values, a.dtype)
    if values.ndim > 1 and values.shape[0] == 1:
        part = as_array(np.broadcast_to(np.False_, a.shape))[index]
        values = without_leading_ones(values, part.ndim)
    return a, index, values


@on_tensors
def put(a: Operand, ind: Operand, v: Operand, mode: str = "raise") -> Array:
    """A copy of an array with values put at flat positions, as by ``np.put``.

    Parameters
    ----------
    a : Tensor or array_like
        Not written to.
    ind : array_like of int
        Positions in `a` laid out flat.
    v : Tensor or array_like
        Values run out are begun again from the first.
    mode : {"raise", "wrap", "clip"}
        What a position out of range means, as for ``np.take``.

    Returns
    -------
    Tensor or ndarray
        Of the shape and dtype of `a`.

    Raises
    ------
    IndexError
        If a position is out of range and `mode` is "raise".
    TypeError
        If `a` holds integers, which would truncate values that need a gradient.
    """
    a = operand(a)
    at = within(np.ravel(plain(ind)), a.size, mode)
    v = operand(v)
    if v.ndim and v.size != at.size:
        v = np.resize(v, at.size)
    return index_update(np.ravel(a), at, v.reshape(-1) if v.ndim else v).reshape(
        a.shape
    )


@on_tensors
def put_along_axis(
    arr: Operand, indices: Operand, values: Operand, axis: int | None
) -> Operand:
    """A copy of an array with values put along an axis, as by ``np.put_along_axis``.

    The counterpart of ``np.take_along_axis``.

    Parameters
    ----------
    arr : Tensor or array_like
        Not written to.
    indices : array_like of int
        Positions along the axis, of as many axes as `arr`.
    values : Tensor or array_like
        Broadcast to the shape of `indices`.
    axis : int or None
        None means `arr` laid out flat.

    Returns
    -------
    Tensor or ndarray
        Of the shape and dtype of `arr`.

    Raises
    ------
    IndexError
        If a position is out of range.
    TypeError
        If `arr` holds integers, which would truncate values that need a gradient.
    """
    arr = operand(arr)
    if axis is None:
        flat = put_along_axis(np.ravel(arr), indices, values, 0)
        return flat.reshape(arr.shape)
    return index_update(arr, along_axis(arr.shape, plain(indices), axis), values)


_HINT = "it would write in place; use {}, which returns a new tensor"
for _name, _remedy in {
    "put": "tg.put(a, ind, v)",
    "put_along_axis": "tg.put_along_axis(arr, indices, values, axis)",
    "place": "tg.index_update(arr, mask, values)",
    "putmask": "tg.where(mask, values, a)",
    "copyto": "tg.where(where, src, dst)",
    "fill_diagonal": "tg.index_update(a, (i, i), val), i = np.arange(min(a.shape))",
    "add.at": "tg.index_add(a, index, values)",
}.items():
    hint(_name, _HINT.format(_remedy))


def _out_of_place(function: Callable[..., Any], write: Any) -> Callable[..., Any]:
    """Return `write` on a copy of an array; for tensors, `function` itself."""

    def reference(a: Any, *args: Any, **kwargs: Any) -> Any:
        if type(a) is Tensor:
            return function(a, *args, **kwargs)
        y = a.copy()
        write(y, *args, **kwargs)
        return y

    return reference


_CASES = [case((3, 4), (2,), (4,)), case((3,), (5,), (5,)), case((3, 2), (), (1, 1))]
_REFERENCES: dict[Callable[..., Any], tuple[Any, list[Case]]] = {
    index_update: (operator.setitem, [*_CASES, case((3, 2), (5,), (5, 2))]),
    index_add: (np.add.at, [*_CASES[:2], case((3, 200), (5,), (5, 200))]),
    put: (
        np.put,
        [
            case((3,), (5,), (2,)),
            case((2, 3), (2,), ()),
            case((2, 1), (2, 2), (3, 2), mode="wrap"),
            case((2, 1), (3,), (3,), mode="clip"),
        ],
    ),
    put_along_axis: (
        np.put_along_axis,
        [
            case((2, 3), (2, 2), (2, 2), axis=-1),
            case((2, 3), (2, 1), (), axis=1),
            case((2, 3), (4,), (4,), axis=None),
        ],
    ),
}
for _function, (_write, _cases) in _REFERENCES.items():
    implement(_function.__name__, _function)
    describe(
        _function,
        _out_of_place(_function, _write),
        kind="linear",
        # Where several meet, which one NumPy keeps depends on the memory layout.
        domains=(REAL, DISTINCT if _function is put_along_axis else WITHIN_THREE, REAL),
        cases=_cases,
    )
