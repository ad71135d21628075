"""The same elements under another shape, or with their axes in another order."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...core.dispatch import implement
from ...core.tensor import as_array, detached
from ...core.types import Array, Axis, Operand, Shape, as_declared, on_tensors
from ..support.axes import kernel
from ..support.define import composed, operation
from ..support.registry import case, describe
from .joining import operand

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "broadcast_to",
    "expand_dims", "matrix_transpose", "meshgrid", "moveaxis", "permute_dims", "ravel",
    "reshape", "rollaxis", "squeeze", "swapaxes", "transpose",
]  # fmt: skip


@kernel("reshape")
def _reshape(a, shape, order):
    return a.reshape(shape, order=order)


def _shaped_back(g: Any, a_shape: tuple[int, ...], order: str) -> Any:
    return g.reshape(a_shape) if order == "C" else reshape(g, a_shape, order)


_reshape.vjp(a=_shaped_back)


@on_tensors
def reshape(
    a: Operand, shape: Shape, order: str = "C", *, copy: bool | None = None
) -> Array:
    """The elements, read and written in an order, under another shape.

    Parameters
    ----------
    a : array_like or Tensor
        Of as many elements as `shape` has.
    shape : int or tuple of int
        One length may be -1: it follows from the others.
    order : {"C", "F", "A"}
        As in ``numpy.reshape``: last axis fastest, first axis fastest, or as `a` lies
        in memory.
    copy : bool or None
        As in ``numpy.reshape``.

    Returns
    -------
    Tensor or ndarray
        Of the new shape; a Tensor where `a` is one.
    """
    if copy:
        a = np.copy(a)
    elif copy is not None:
        # NumPy raises where it could not do without a copy.
        values: Any = as_array(detached(a))
        values.reshape(shape, order=order, copy=False)
    return _reshape(a, shape, _fixed_order(a, order))


def _fixed_order(a: Any, order: str) -> str:
    """Return the order that "A" means for `a`, other orders as they are."""
    if order != "A":
        return order
    return "F" if as_array(detached(a)).flags.fnc else "C"


implement("reshape", reshape, np.reshape)
describe(
    reshape,
    lambda a, shape, order="C": np.reshape(a, shape, order),
    kind="linear",
    cases=[
        case((3, 4), shape=(2, 6)),
        case((), shape=(1, 1)),
        case((2, 3), shape=-1),
        case((0, 3), shape=(3, 0)),
        case((2, 3, 4), shape=(4, -1), order="F"),
        case((2, 3), shape=(3, 2), order="A"),
    ],
)


@composed(
    np.ravel,
    kind="linear",
    cases=[case((2, 3)), case(()), *(case((2, 3, 2), order=order) for order in "CFAK")],
)
def ravel(a: Operand, order: str = "C") -> Operand:
    """The elements along one axis, read in an order ("K": as they lie in memory)."""
    if order == "K":
        a, order = np.transpose(a, _as_in_memory(as_array(detached(a)))), "C"
    return reshape(a, -1, order)


def _as_in_memory(a: Any) -> tuple[int, ...]:
    """Return the axes from the one with the largest steps in memory to the smallest.

    As NumPy's iterator sorts them: axes without steps, broadcast or of length one, are
    not compared, and stay where they are.
    """
    inner_first: list[int] = []
    steps = [abs(s) if n > 1 else 0 for s, n in zip(a.strides, a.shape, strict=True)]
    for axis in reversed(range(a.ndim)):
        place = len(inner_first)
        for i in reversed(range(place)):
            if steps[axis] and steps[inner_first[i]]:
                if steps[inner_first[i]] <= steps[axis]:
                    break
                place = i
        inner_first.insert(place, axis)
    return tuple(reversed(inner_first))


def flatten(a: Any, order: str = "C") -> Any:
    """A copy of the elements along one axis, as ``ndarray.flatten`` gives."""
    return np.copy(ravel(a, order))


implement("flatten", flatten)
describe(
    flatten,
    lambda a, order="C": np.copy(np.ravel(a, order)),
    kind="linear",
    cases=[case((2, 3)), case((2, 3), order="F")],
)


@operation(
    np.transpose,
    kind="linear",
    cases=[
        case((2, 3)),
        case((2, 3, 4), axes=(2, 0, 1)),
        case((2, 3, 4), axes=(-1, 0, -2)),
        case((3,)),
        case(()),
    ],
)
def transpose(a: Operand, axes: Sequence[int] | None = None) -> Array:
    """Axes reversed, or in the order given."""
    return a.transpose(axes)


def _transposed_back(g: Any, axes: Any) -> Any:
    if axes is None:
        return g.transpose()
    return g.transpose(tuple(np.argsort(np.asarray(axes, dtype=int) % g.ndim)))


transpose.vjp(a=_transposed_back)


@operation(np.swapaxes, kind="linear", cases=[case((2, 3, 4), axis1=0, axis2=-1)])
def swapaxes(a: Operand, axis1: int, axis2: int) -> Array:
    """Two axes exchanged."""
    return a.swapaxes(axis1, axis2)


swapaxes.vjp(a=lambda g, axis1, axis2: g.swapaxes(axis1, axis2))


@composed(np.matrix_transpose, kind="linear", cases=[case((2, 3)), case((2, 3, 4))])
def matrix_transpose(x: Operand) -> Array:
    """The last two axes exchanged."""
    if np.ndim(x) < 2:
        raise ValueError(
            f"matrix_transpose: expected two axes or more, got shape {np.shape(x)}"
        )
    return np.swapaxes(x, -1, -2)


@operation(
    np.moveaxis,
    kind="linear",
    cases=[
        case((2, 3, 4), source=0, destination=-1),
        case((2, 3, 4), source=(0, -1), destination=(1, 0)),
    ],
)
def moveaxis(a: Operand, source: Shape, destination: Shape) -> Array:
    """Some axes at other places, the rest in their order."""
    return np.moveaxis(a, source, destination)


moveaxis.vjp(a=lambda g, source, destination: np.moveaxis(g, destination, source))


@composed(
    np.rollaxis,
    kind="linear",
    cases=[case((2, 3, 4), axis=2), case((2, 3, 4), axis=0, start=-1)],
)
def rollaxis(a: Operand, axis: int, start: int = 0) -> Array:
    """One axis moved to before another."""
    # Axes of length 0, 1, 2, ... tell where each one went.
    labelled = np.empty(tuple(range(np.ndim(a))), dtype=bool)
    return np.transpose(a, np.rollaxis(labelled, axis, start).shape)


@operation(
    np.expand_dims,
    kind="linear",
    cases=[case((2, 3), axis=1), case((), axis=0), case((2, 3), axis=(0, -1))],
)
def expand_dims(a: Operand, axis: Shape) -> Array:
    """Axes of length one inserted."""
    return np.expand_dims(a, axis)


expand_dims.vjp(a=lambda g, a_shape: g.reshape(a_shape))


@operation(
    np.squeeze,
    kind="linear",
    cases=[case((1, 3, 1)), case((1, 3, 1), axis=0), case((1, 3, 1), axis=(0, -1))],
)
def squeeze(a: Operand, axis: Axis = None) -> Array:
    """Axes of length one removed."""
    return np.squeeze(a, axis)


squeeze.vjp(a=lambda g, a_shape: g.reshape(a_shape))


@operation(
    np.broadcast_to,
    kind="linear",
    cases=[
        case((3, 1), shape=(2, 3, 4)),
        case((), shape=(2, 2)),
        case((1,), shape=(0,)),
    ],
)
def broadcast_to(array: Operand, shape: Shape) -> Array:
    """The array repeated along axes, as broadcasting does; the walk sums it back."""
    return np.broadcast_to(array, shape)


broadcast_to.vjp(array=lambda g: g)


@as_declared
@composed(
    np.broadcast_arrays, kind="linear", cases=[case((3, 1), (4,)), case((), (2,))]
)
def broadcast_arrays(*args: Operand) -> tuple[Operand, ...]:
    """All broadcast to the shape they have together."""
    arrays = [operand(a) for a in args]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return tuple(a if a.shape == shape else np.broadcast_to(a, shape) for a in arrays)


@composed(np.atleast_1d, kind="linear", cases=[case(()), case((2, 3)), case((), (2,))])
def atleast_1d(*arys: Operand) -> Operand:
    """The arrays, those without an axis given one."""
    return _each_shaped(arys, lambda shape: shape or (1,))


@composed(
    np.atleast_2d, kind="linear", cases=[case(()), case((3,)), case((1,), (2, 1))]
)
def atleast_2d(*arys: Operand) -> Operand:
    """The arrays with at least two axes, new ones in front."""
    return _each_shaped(arys, lambda shape: (1,) * (2 - len(shape)) + shape)


@composed(
    np.atleast_3d, kind="linear", cases=[case(()), case((3,)), case((2, 3), (1, 2, 1))]
)
def atleast_3d(*arys: Operand) -> Operand:
    """The arrays with at least three axes, an axis of the array in the middle."""
    return _each_shaped(arys, _three_axes)


def _three_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    front = (1,) * (len(shape) < 2)
    return front + shape + (1,) * (3 - len(front) - len(shape))


def _each_shaped(arys: Any, new: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Any:
    arrays = [operand(a) for a in arys]
    reshaped = [a.reshape(n) if (n := new(a.shape)) != a.shape else a for a in arrays]
    return reshaped[0] if len(reshaped) == 1 else tuple(reshaped)


@as_declared
@composed(
    np.meshgrid,
    kind="linear",
    cases=[
        case((2,), (3,)),
        case((2,), (3,), (2,), indexing="ij"),
        case((2,), (3,), sparse=True, copy=False),
        case((), (2,)),
    ],
)
def meshgrid(
    *xi: Operand, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[Operand, ...]:
    """Coordinates along each axis as arrays over the grid of all of them."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is 'xy' or 'ij', got {indexing!r}")
    at = list(range(len(xi)))
    if indexing == "xy":
        at[:2] = at[:2][::-1]
    grids: Any = [
        np.reshape(operand(x), (1,) * i + (-1,) + (1,) * (len(xi) - 1 - i))
        for x, i in zip(xi, at, strict=True)
    ]
    if not sparse:
        grids = np.broadcast_arrays(*grids)
    return tuple(np.copy(grid) for grid in grids) if copy else tuple(grids)


permute_dims = transpose
