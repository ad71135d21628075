"""Elements picked by position, by condition, or among several arrays."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ...core.tensor import Tensor, as_array, detached, plain
from ...core.types import Array, Operand
from ..support.axes import kernel, refuse_out
from ..support.define import composed, constant, several
from ..support.registry import REAL, Domain, case
from .index import put_part
from .joining import operand
from .splitting import unstack

__all__ = [
    "choose", "compress", "extract", "ix_", "ravel_multi_index", "select", "take",
    "take_along_axis", "unravel_index",
]  # fmt: skip

WITHIN_THREE = Domain(-3, 3, shaped=lambda x: np.floor(x).astype(np.intp))
"""Positions along an axis of three places or more."""

DISTINCT = Domain(shaped=lambda x: np.argsort(x, axis=-1))
"""Different positions along the last axis."""

_CHOSEN = Domain(0, 2, shaped=lambda x: np.floor(x).astype(np.intp))
_TRUE_OR_FALSE = Domain(shaped=lambda x: x > 0)


def within(indices: Any, n: int, mode: str) -> Any:
    """Return positions brought into range as `mode` of ``np.take`` says."""
    if mode == "clip":
        return np.clip(indices, 0, n - 1)
    return np.remainder(indices, n) if mode == "wrap" else indices


@kernel("take")
def _take(a, indices, axis, mode):
    return np.take(a, indices, axis, mode=mode)


def _put_back(g: Any, a_shape: Any, indices: Any, axis: Any, mode: str) -> Any:
    """Return `g` added to zeros at `indices`, where it was taken."""
    if axis is None:
        size = math.prod(a_shape)
        return put_part(g, within(indices, size, mode), (size,)).reshape(a_shape)
    axis %= len(a_shape)
    at = within(indices, a_shape[axis], mode)
    return put_part(g, (*[slice(None)] * axis, at), a_shape)


_take.vjp(a=_put_back)


@composed(
    np.take,
    kind="linear",
    domains=(REAL, WITHIN_THREE),
    cases=[
        case((5,), (3,)),
        case((3, 4), (2, 2), axis=1),
        case((3, 4), (), axis=-2),
        case((2, 1), (4,), axis=0, mode="wrap"),
        case((2, 1), (4,), mode="clip"),
        case((3, 200), (5,), axis=0),
        case((3, 2), (0,), axis=0),
    ],
)
def take(
    a: Operand,
    indices: Operand,
    axis: int | None = None,
    out: None = None,
    mode: str = "raise",
) -> Array:
    """The elements, or the parts along an axis, at given positions."""
    refuse_out("take", out)
    return _take(a, as_array(indices), axis, mode)


def along_axis(shape: tuple[int, ...], indices: Any, axis: int) -> tuple[Any, ...]:
    """Return the index of the elements at `indices` along an axis, aligned with it."""
    index = list(np.indices(shape, sparse=True))
    index[axis] = indices
    return tuple(index)


@kernel("take_along_axis")
def _take_along_axis(arr, indices, axis):
    return np.take_along_axis(arr, indices, axis)


_take_along_axis.vjp(
    arr=lambda g, arr_shape, indices, axis: put_part(
        g, along_axis(arr_shape, indices, axis), arr_shape
    )
)


@composed(
    np.take_along_axis,
    kind="linear",
    domains=(REAL, WITHIN_THREE),
    cases=[
        case((3, 4), (2, 4), axis=0),
        case((2, 3), (2, 5), axis=-1),
        case((2, 3), (1, 1), axis=1),
        case((2, 3), (4,), axis=None),
    ],
)
def take_along_axis(arr: Operand, indices: Operand, axis: int | None = -1) -> Array:
    """The elements at given positions along an axis, for each place of the others."""
    if axis is None:
        arr, axis = np.ravel(arr), 0
    return _take_along_axis(arr, plain(indices), axis)


@composed(
    np.compress,
    kind="linear",
    domains=(_TRUE_OR_FALSE, REAL),
    cases=[case((3,), (3, 2), axis=0), case((4,), (2, 3)), case((2,), (2, 3), axis=-1)],
)
def compress(condition: Operand, a: Operand, axis: int | None = None) -> Array:
    """The parts along an axis where a condition holds."""
    shape = np.shape(a)
    n = np.size(a) if axis is None else shape[normalize_axis_index(axis, len(shape))]
    return np.take(a, np.compress(detached(condition), np.arange(n)), axis)


@composed(
    np.extract,
    kind="linear",
    domains=(_TRUE_OR_FALSE, REAL),
    cases=[case((2, 3), (2, 3)), case((3,), (2, 2))],
)
def extract(condition: Operand, arr: Operand) -> Array:
    """The elements where a condition holds."""
    return np.take(arr, np.flatnonzero(detached(condition)))


def _among(choices: Any) -> Any:
    """Return the arrays to choose from, tensors made of nested lists of tensors."""
    if type(choices) is Tensor:
        return unstack(choices)
    return [operand(c) if isinstance(c, list | tuple) else c for c in choices]


@kernel("choose")
def _choose(*choices, number):
    return np.choose(number, choices)


_choose.vjp(choices=lambda i, g, number: np.where(number == i, g, 0))


@composed(
    np.choose,
    kind="linear",
    domains=(_CHOSEN, REAL),
    cases=[
        case((2, 3), [(2, 3), (3,)]),
        case((), [(2,), ()]),
        case((4,), [(4,)], mode="clip"),
        case((3,), [(), (3,), (1,)], mode="wrap"),
    ],
)
def choose(
    a: Operand, choices: Operand, out: None = None, mode: str = "raise"
) -> Operand:
    """Of several arrays, each element from the one whose number stands in `a`."""
    refuse_out("choose", out)
    choices = _among(choices)
    number = within(as_array(a), len(choices), mode)
    return _choose(*choices, number=number)


@kernel("select")
def _select(*choices, conditions, number):
    return np.select(conditions, choices[:-1], choices[-1])


_select.vjp(choices=lambda i, g, number: np.where(number == i, g, 0))


@composed(
    np.select,
    kind="linear",
    domains=(_TRUE_OR_FALSE, _TRUE_OR_FALSE, REAL),
    cases=[
        case([(2, 3), (3,)], [(2, 3), ()]),
        case([(2,), (2,)], [(2,), (1,)], default=1.5),
    ],
)
def select(
    condlist: Sequence[Operand], choicelist: Sequence[Operand], default: Operand = 0
) -> Operand:
    """Each element from the choice whose condition holds first, or the default."""
    conditions = list(detached(condlist))
    number = np.select(conditions, list(range(len(conditions))), len(conditions))
    choices = _among([*choicelist, default])
    return _select(*choices, conditions=conditions, number=number)


ix_ = several(np.ix_, plain)
ravel_multi_index = constant(np.ravel_multi_index, plain)
unravel_index = several(np.unravel_index, plain)
