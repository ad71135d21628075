"""Arrays taken apart along an axis.

All pieces come from one operation, so their gradients are put together once, however
many they are.
"""

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np

from ...core.dispatch import implement
from ...core.primitive import primitive
from ...core.types import Operand, as_declared
from ..support.axes import along, kernel
from ..support.define import composed
from ..support.registry import case, describe

__all__ = ["array_split", "dsplit", "hsplit", "split", "unstack", "vsplit"]


@kernel("split", multiple=True)
def cut(a, points, axis):
    """The pieces between some points along an axis."""
    return tuple(np.split(a, points, axis))


cut.vjp(a=lambda g, axis: np.concatenate(g, axis=axis))


@primitive(multiple=True)
def unstack(x, axis=0):
    """The parts along an axis, one for each place, without that axis."""
    if not np.ndim(x):
        raise ValueError("unstack: expected an array with an axis, got one of shape ()")
    return tuple(np.moveaxis(x, axis, 0))


unstack.vjp(x=lambda g, axis: np.stack(g, axis=axis))
implement("unstack", unstack, "numpy.unstack")
describe(
    unstack,
    lambda x, axis=0: tuple(np.moveaxis(x, axis, 0)),
    kind="linear",
    cases=[case((3, 2)), case((2, 3), axis=-1), case((3,)), case((2, 0))],
)


def _split(
    split: Callable[..., Any], ary: Any, indices_or_sections: Any, axis: int
) -> list[Any]:
    """Return the pieces `split`, one of NumPy's functions, would make of `ary`."""
    n = np.shape(ary)[axis]
    # Only lengths matter, so one number is repeated, without memory for it.
    *ends, end = accumulate(map(len, split(np.broadcast_to(0, n), indices_or_sections)))
    if end == n:
        return list(cut(ary, ends, axis))
    # Points that are not in order make pieces overlap, which are then too long.
    pieces = split(np.arange(n), indices_or_sections)
    bounds = [slice(p[0], p[-1] + 1) if len(p) else slice(0, 0) for p in pieces]
    return [ary[along(axis, np.ndim(ary), part)] for part in bounds]


@as_declared
@composed(
    np.array_split,
    kind="linear",
    cases=[
        case((5,), indices_or_sections=3),
        case((2, 5), indices_or_sections=[1, 1, 4], axis=1),
        case((4,), indices_or_sections=[3, 1, -1]),
        case((3, 2), indices_or_sections=5, axis=-2),
    ],
)
def array_split(
    ary: Operand, indices_or_sections: Operand, axis: int = 0
) -> list[Operand]:
    """The pieces of an array, as nearly equal as can be or between given points."""
    return _split(np.array_split, ary, indices_or_sections, axis)


@as_declared
@composed(
    np.split,
    kind="linear",
    cases=[
        case((4, 3), indices_or_sections=2),
        case((2, 5), indices_or_sections=(2, 3), axis=-1),
    ],
)
def split(ary: Operand, indices_or_sections: Operand, axis: int = 0) -> list[Operand]:
    """The pieces of an array, of equal length or between given points."""
    return _split(np.split, ary, indices_or_sections, axis)


def _require_axes(name: str, ary: Any, least: int) -> None:
    if np.ndim(ary) < least:
        raise ValueError(
            f"{name}: expected an array of {least} or more axes, got shape "
            f"{np.shape(ary)}"
        )


@as_declared
@composed(
    np.hsplit,
    kind="linear",
    cases=[case((4,), indices_or_sections=2), case((2, 4), indices_or_sections=[1])],
)
def hsplit(ary: Operand, indices_or_sections: Operand) -> list[Operand]:
    """Pieces beside one another: along the second axis where there are two."""
    _require_axes("hsplit", ary, 1)
    return _split(np.split, ary, indices_or_sections, 1 if np.ndim(ary) > 1 else 0)


@as_declared
@composed(np.vsplit, kind="linear", cases=[case((4, 2), indices_or_sections=2)])
def vsplit(ary: Operand, indices_or_sections: Operand) -> list[Operand]:
    """Pieces below one another: along the first axis."""
    _require_axes("vsplit", ary, 2)
    return _split(np.split, ary, indices_or_sections, 0)


@as_declared
@composed(np.dsplit, kind="linear", cases=[case((2, 1, 4), indices_or_sections=[1, 3])])
def dsplit(ary: Operand, indices_or_sections: Operand) -> list[Operand]:
    """Pieces behind one another: along the third axis."""
    _require_axes("dsplit", ary, 3)
    return _split(np.split, ary, indices_or_sections, 2)
