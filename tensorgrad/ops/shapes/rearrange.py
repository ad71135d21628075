"""Elements turned round, rolled, and repeated."""

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ...core.tensor import plain
from ...core.types import Array, Axis, Operand, Shape
from ..support.axes import kernel
from ..support.define import composed, operation
from ..support.registry import case

__all__ = ["flip", "fliplr", "flipud", "repeat", "roll", "rot90", "tile"]


@operation(
    np.flip,
    kind="linear",
    cases=[
        case((2, 3)),
        case((2, 3), axis=-1),
        case((2, 3, 2), axis=(0, 2)),
        case((2, 3), axis=()),
    ],
)
def flip(m: Operand, axis: Axis = None) -> Array:
    """The order of the elements reversed along axes, all of them by default."""
    return np.flip(m, axis)


flip.vjp(m=lambda g, axis: np.flip(g, axis))


@composed(np.fliplr, kind="linear", cases=[case((2, 3))])
def fliplr(m: Operand) -> Array:
    """Columns in reverse order."""
    if np.ndim(m) < 2:
        raise ValueError(f"fliplr: expected two axes or more, got shape {np.shape(m)}")
    return np.flip(m, 1)


@composed(np.flipud, kind="linear", cases=[case((2, 3)), case((3,))])
def flipud(m: Operand) -> Array:
    """Rows in reverse order."""
    if np.ndim(m) < 1:
        raise ValueError("flipud: expected an axis or more, got shape ()")
    return np.flip(m, 0)


@operation(
    np.rot90,
    kind="linear",
    cases=[case((2, 3), k=k) for k in (0, 1, 2, 3, -5)]
    + [case((2, 3, 4), axes=(2, 0))],
)
def rot90(m: Operand, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """Turned by k quarters of a circle, from the first of the axes to the second."""
    return np.rot90(m, k, axes)


rot90.vjp(m=lambda g, k, axes: np.rot90(g, -k, axes))


@operation(
    np.roll,
    kind="linear",
    cases=[
        case((5,), shift=2),
        case((2, 3), shift=-1),
        case((2, 3), shift=4, axis=-1),
        case((3, 4), shift=(1, -2), axis=(0, 1)),
        case((3, 4), shift=1, axis=(0, 1)),
    ],
)
def roll(a: Operand, shift: Shape, axis: Axis = None) -> Array:
    """Moved along axes; what leaves at one end comes in at the other."""
    return np.roll(a, shift, axis)


roll.vjp(a=lambda g, shift, axis: np.roll(g, np.negative(shift), axis))


@operation(
    np.tile,
    kind="linear",
    cases=[
        case((3,), reps=2),
        case((2, 3), reps=(2, 1, 3)),
        case((2, 3), reps=2),
        case((), reps=(2, 2)),
        case((2,), reps=0),
    ],
)
def tile(A: Operand, reps: Shape) -> Array:  # noqa: N803, the name NumPy gave it
    """Copies side by side, as many along each axis as `reps` says."""
    return np.tile(A, reps)


def _untiled(g: Any, A_shape: Any, reps: Any) -> Any:  # noqa: N803
    """Return the sum of `g` over the copies."""
    reps = tuple(np.atleast_1d(reps).tolist())
    ndim = max(len(A_shape), len(reps))
    sizes = (1,) * (ndim - len(A_shape)) + tuple(A_shape)
    copies = (1,) * (ndim - len(reps)) + reps
    pairs = tuple(n for pair in zip(copies, sizes, strict=True) for n in pair)
    return np.sum(g.reshape(pairs), axis=tuple(range(0, 2 * ndim, 2))).reshape(A_shape)


tile.vjp(A=_untiled)


@kernel("repeat")
def _repeat(a, times, axis):
    return np.repeat(a, times, axis)


def _unrepeated(g: Any, a_shape: Any, times: int, axis: int) -> Any:
    """Return the sum of `g` over the repetitions."""
    return np.sum(
        g.reshape((*a_shape[: axis + 1], times, *a_shape[axis + 1 :])), axis + 1
    )


_repeat.vjp(a=_unrepeated)


@composed(
    np.repeat,
    kind="linear",
    cases=[
        case((3,), repeats=2),
        case((2, 3), repeats=2),
        case((2, 3), repeats=3, axis=-1),
        case((), repeats=3),
        case((), repeats=3, axis=0),
        case((), repeats=2, axis=-1),
        case((2, 3), repeats=[2, 0, 1], axis=1),
        case((3,), repeats=[2, 0, 1]),
        case((2, 3), repeats=[2], axis=0),
        case((2,), repeats=0),
    ],
)
def repeat(a: Operand, repeats: Operand, axis: int | None = None) -> Array:
    """Each element several times in a row, all as often or each as `repeats` says."""
    if axis is None or not np.ndim(a):
        a, axis = np.ravel(a), axis or 0
    axis = normalize_axis_index(axis, np.ndim(a))
    times = plain(repeats)
    if np.size(times) == 1:
        return _repeat(a, int(np.asarray(times).item()), axis)
    return np.take(a, np.repeat(np.arange(np.shape(a)[axis]), times), axis)
