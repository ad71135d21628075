"""Sorting and what follows from order; places and counts are constants."""

from typing import Any

import numpy as np

from ...core.dispatch import hint, implement
from ...core.primitive import primitive
from ...core.tensor import Tensor, detached, wrap
from ...core.types import Array, Operand, Option, Shape, on_tensors
from ..support.axes import array, constant_like
from ..support.define import composed, constant, operation, several
from ..support.registry import case, describe

__all__ = [
    "argpartition", "argsort", "argwhere", "count_nonzero", "digitize", "flatnonzero",
    "isin", "lexsort", "nanargmax", "nanargmin", "nonzero", "partition", "searchsorted",
    "sort", "union1d", "unique", "unique_values",
]  # fmt: skip

argsort = constant(np.argsort)
argpartition = constant(np.argpartition)
searchsorted = constant(np.searchsorted)
digitize = constant(np.digitize)
nonzero = several(np.nonzero)
flatnonzero = constant(np.flatnonzero)
argwhere = constant(np.argwhere)
count_nonzero = constant(np.count_nonzero)
nanargmax = constant(np.nanargmax)
nanargmin = constant(np.nanargmin)
isin = constant(np.isin)

for _name in ("histogram", "histogram2d", "histogramdd", "bincount"):
    hint(_name, "counts have no derivative; apply it to tensor.detach().numpy()")


def lexsort(keys: Operand, axis: int = -1) -> Tensor:
    """Order by the last key, then the one before it, ...; a constant."""
    return wrap(np.lexsort(detached(keys), axis), None)


implement("lexsort", lexsort, np.lexsort)


@primitive
def put_in_order(x, order, axis):
    """Put the elements of x along an axis into an order."""
    return np.take_along_axis(x, order, axis)


@primitive
def put_back(x, order, axis):
    """Undo :func:`put_in_order`."""
    before = np.empty_like(x)
    np.put_along_axis(before, order, x, axis)
    return before


put_in_order.vjp(x=lambda g, order, axis: put_back(g, order, axis))
put_back.vjp(x=lambda g, order, axis: put_in_order(g, order, axis))

_ORDER = np.array([[2, 0, 1], [0, 2, 1]])
describe(
    put_in_order,
    lambda x, order, axis: np.take_along_axis(x, order, axis),
    kind="linear",
    cases=[case((2, 3), order=_ORDER, axis=1)],
)
describe(
    put_back,
    lambda x, order, axis: np.take_along_axis(x, np.argsort(order, axis), axis),
    kind="linear",
    cases=[case((2, 3), order=_ORDER, axis=1)],
)


def _order(descending: bool) -> dict[str, Any]:
    """Return the keyword that NumPy has since 2.5, where it is needed."""
    return {"descending": True} if descending else {}


def _unsorted(g: Any, a: Any, axis: int | None, descending: bool = False) -> Any:
    """Return what belongs to sorted elements at the places they came from."""
    if axis is None:
        return _unsorted(g, a.reshape(-1), 0, descending).reshape(a.shape)
    order = np.argsort(a, axis=axis, stable=True, **_order(descending))
    return put_back(g, order, axis)


_TIES = "tied elements: as if in their first order, which stable sorting keeps"


@operation(
    np.sort,
    kind="piecewise",
    cases=[
        case((5,)),
        case((2, 3)),
        case((2, 3, 2), axis=1, kind="stable"),
        case((2, 3), axis=None),
        case((0, 3), axis=0),
    ],
    kinks=_TIES,
)
def sort(
    a: Operand,
    axis: int | None = -1,
    kind: Option = None,
    order: Option = None,
    stable: Operand = None,
    descending: bool = False,
) -> Array:
    """Sort along an axis in ascending order, or, from NumPy 2.5 on, in descending."""
    return np.sort(a, axis, kind, order, stable=stable, **_order(descending))


sort.vjp(a=lambda g, a, axis, descending: _unsorted(g, a, axis, descending))


@operation(
    np.partition,
    kind="piecewise",
    cases=[
        case((5,), kth=2),
        case((2, 5), kth=(1, 3)),
        case((4, 2), kth=1, axis=0),
        case((2, 3), kth=2, axis=None),
    ],
    kinks=_TIES,
)
def partition(
    a: Operand,
    kth: Shape,
    axis: int | None = -1,
    kind: Option = "introselect",
    order: Option = None,
) -> Array:
    """Rearrange: the k-th element in place, smaller before, larger after it."""
    return np.partition(a, kth, axis=axis, kind=kind, order=order)


def _partition_vjp(g: Any, a: Any, y: Any, axis: int | None) -> Any:
    """Return what belongs to the parted elements at the places they came from."""
    # NumPy does not tell the order it chose; sorting input and output finds it.
    at = -1 if axis is None else axis
    in_order = put_in_order(g, np.argsort(y, axis=at, kind="stable"), at)
    return _unsorted(in_order, a, axis)


partition.vjp(a=_partition_vjp)


@composed(
    np.unique,
    kind="piecewise",
    cases=[case((5,)), case((2, 3)), case((3, 2), axis=0), case((2, 3), axis=-1)],
    kinks="equal elements: the gradient goes to the first",
)
def unique(
    ar: Operand,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Operand:
    """Distinct elements in ascending order; places and counts are constants."""
    ar = array(ar)
    options: Any = {"return_inverse": return_inverse, "return_counts": return_counts}
    _, index, *rest = np.unique(
        detached(ar), return_index=True, axis=axis, equal_nan=equal_nan, **options
    )
    if axis is None:
        values = ar.reshape(-1)[index]
    else:
        values = ar.swapaxes(axis, 0)[index].swapaxes(axis, 0)
    places = [constant_like(v, ar) for v in (*([index] if return_index else ()), *rest)]
    return (values, *places) if places else values


@composed(
    np.union1d,
    kind="piecewise",
    cases=[case((3,), (2, 2))],
    kinks="equal elements: the gradient goes to the first",
)
def union1d(ar1: Operand, ar2: Operand) -> Array:
    """Distinct elements of both in ascending order."""
    return unique(np.concatenate([array(ar1), array(ar2)], axis=None))


@on_tensors
def unique_values(x: Operand) -> Operand:
    """Distinct elements in ascending order."""
    return unique(x, equal_nan=False)


implement("unique_values", unique_values, np.unique_values)
