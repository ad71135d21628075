"""Functions of the caller's applied to parts of an array."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ...core.dispatch import implement
from ...core.tensor import detached
from ...core.types import Array, Operand, Shape
from ..shapes.joining import operand
from ..shapes.splitting import unstack
from ..shapes.update import index_update
from ..support.define import composed
from ..support.registry import POSITIVE, Domain, case, describe

__all__ = ["apply_along_axis", "apply_over_axes", "piecewise"]


# What else `func1d` takes is of any kind.
def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Operand, *args: Any, **kwargs: Any
) -> Operand:
    """Apply a function of vectors to each part along an axis."""
    arr = operand(arr)
    axis = normalize_axis_index(axis, arr.ndim)
    rows = np.moveaxis(arr, axis, -1)
    lead = rows.shape[:-1]
    if 0 in lead:
        raise ValueError(
            f"apply_along_axis: there is nothing along axis {axis} of shape {arr.shape}"
        )
    parts = unstack(rows.reshape((-1, rows.shape[-1])))
    results = np.stack([operand(func1d(part, *args, **kwargs)) for part in parts])
    joined = results.reshape(lead + results.shape[1:])
    new = range(len(lead), joined.ndim)
    return np.moveaxis(joined, new, range(axis, axis + len(new)))


def apply_over_axes(func: Callable[..., Any], a: Operand, axes: Shape) -> Operand:
    """Apply a function of an array and an axis to one axis after another."""
    y = operand(a)
    for axis in np.atleast_1d(axes).tolist():
        place = normalize_axis_index(axis, y.ndim)
        result = func(y, place)
        y = result if result.ndim == y.ndim else np.expand_dims(result, place)
    return y


def _by_keyword(function: Callable[..., Any], first: str) -> Callable[..., Any]:
    """Return the function with the argument `first` as its first."""

    def wrapper(x: Any, **kwargs: Any) -> Any:
        return function(**{first: x}, **kwargs)

    wrapper.__name__ = function.__name__
    return wrapper


def _outer(row: Any) -> Any:
    return np.multiply.outer(row, row)


for _function, _reference, _first, _cases in (
    (
        apply_along_axis,
        np.apply_along_axis,
        "arr",
        [
            case((2, 3), func1d=np.sum, axis=1),
            case((2, 3, 2), func1d=np.square, axis=-2),
            case((2, 3), func1d=_outer, axis=0),
        ],
    ),
    (
        apply_over_axes,
        np.apply_over_axes,
        "a",
        [case((2, 3, 2), func=np.sum, axes=(0, -1)), case((3,), func=np.max, axes=0)],
    ),
):
    implement(_function.__name__, _function, _reference)
    describe(
        _by_keyword(_function, _first), _by_keyword(_reference, _first), cases=_cases
    )


@composed(
    np.piecewise,
    domains=(POSITIVE, Domain(shaped=lambda x: x > x.min())),
    cases=[
        case((5,), [(5,), (5,)], funclist=[np.exp, np.log]),
        case((5,), [(5,)], funclist=[np.sqrt, 2.5]),
        case((3,), (3,), funclist=[np.square]),
    ],
)
def piecewise(
    x: Operand,
    condlist: Operand,
    funclist: Sequence[Operand],
    *args: Operand,
    **kw: Operand,
) -> Array:
    """One function of x where a condition holds, another one elsewhere.

    The last condition that holds decides; where there is one function more than
    conditions, it is for where none holds. Elsewhere the value is 0.
    """
    x = operand(x)
    conditions = _conditions(detached(condlist), x.ndim)
    if len(funclist) == len(conditions) + 1:
        conditions = [*conditions, ~np.logical_or.reduce(conditions)]
    if len(funclist) != len(conditions):
        raise ValueError(
            f"piecewise: with {len(conditions)} conditions, expected as many functions "
            f"or one more, got {len(funclist)}"
        )
    y = np.zeros_like(x)
    for where, function in zip(conditions, funclist, strict=True):
        if callable(function):
            part = x[where]
            y = index_update(y, where, function(part, *args, **kw)) if part.size else y
        else:
            y = index_update(y, where, function)
    return y


def _conditions(condlist: Any, ndim: int) -> list[Any]:
    """Return the conditions as a list, also a single one."""
    alone = np.ndim(condlist) == 0 or (ndim and np.ndim(condlist[0]) == 0)
    return list(np.asarray([condlist] if alone else condlist, dtype=bool))
