"""Arrays made wider at their edges, in every mode of ``np.pad``."""

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import numpy as np

from ...core.primitive import primitive
from ...core.tensor import Tensor, detached, wrap
from ...core.types import Operand, Option
from ..support.axes import along, turned, with_length
from ..support.define import composed
from ..support.registry import case

__all__ = ["pad"]

Pair = tuple[int, int]


@primitive
def surround(a, widths, mode, options):
    """The array within a border of constants."""
    return np.pad(a, widths or 0, mode, **options)


surround.vjp(
    a=lambda g, a_shape, widths: g[
        tuple(slice(w, w + n) for (w, _), n in zip(widths, a_shape, strict=True))
    ]
)


@primitive
def ramp(edge, end, count, axis):
    """Evenly spaced values from `end` on, before they would reach the edge."""
    edge = np.squeeze(edge, axis)
    return np.linspace(end, edge, count, False, dtype=edge.dtype, axis=axis)


def _edge_of_ramp(g: Any, count: int, axis: int) -> Any:
    """Return the sum of `g` weighted with the height of the ramp."""
    weights = np.arange(count, dtype=g.dtype) / max(count, 1)
    weights = weights.reshape(with_length(count, (1,) * g.ndim, axis))
    return np.sum(g * weights, axis=axis, keepdims=True)


ramp.vjp(edge=_edge_of_ramp)


def _piece(a: Any, axis: int, start: int | None, stop: int | None) -> Any:
    return a[along(axis, a.ndim, slice(start, stop))]


def _ramped(a: Any, axis: int, width: Pair, end_values: Any = (0, 0)) -> Any:
    first, last = _piece(a, axis, 0, 1), _piece(a, axis, -1, None)
    before = ramp(first, end_values[0], width[0], axis)
    after = ramp(last, end_values[1], width[1], axis)
    return np.concatenate([before, a, turned(after, axis)], axis)


def _selected(mode: str) -> Callable[..., Any]:
    """Return how to pad in a mode that repeats elements."""

    def padded(a: Any, axis: int, width: Pair) -> Any:
        n = a.shape[axis]
        at = np.pad(np.arange(n), width, mode)  # type: ignore[call-overload]
        before = np.take(a, at[: width[0]], axis)
        after = np.take(a, at[width[0] + n :], axis)
        return np.concatenate([before, a, after], axis)

    return padded


def _statistic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return how to pad with a statistic of the elements near an edge."""

    def padded(a: Any, axis: int, width: Pair, stat_length: Any = (None, None)) -> Any:
        n = a.shape[axis]
        first, last = (n if k is None else min(n, int(k)) for k in stat_length)
        if 0 in (first, last) and function in (np.max, np.min):
            raise ValueError("pad: a stat_length of 0 yields no value to pad with")
        near = _piece(a, axis, 0, first), _piece(a, axis, n - last, n)
        before, after = (
            np.repeat(function(part, axis=axis, keepdims=True), w, axis)
            for part, w in zip(near, width, strict=True)
        )
        return np.concatenate([before, a, after], axis)

    return padded


def _reflected(skip: int) -> Callable[..., Any]:
    """Return how to pad with the reflection, `skip` elements from the edge on."""
    even = _selected("reflect" if skip else "symmetric")

    def padded(a: Any, axis: int, width: Pair, reflect_type: str = "even") -> Any:
        if reflect_type != "odd" or a.shape[axis] == 1:
            return even(a, axis, width)
        period = a.shape[axis] - skip
        while any(width):
            most = (a.shape[axis] - skip) // period * period
            sizes = min(most, width[0]), min(most, width[1])
            a = _oddly_reflected(a, axis, sizes, skip)
            width = width[0] - sizes[0], width[1] - sizes[1]
        return a

    return padded


def _oddly_reflected(a: Any, axis: int, sizes: Pair, skip: int) -> Any:
    """Return `a` with the reflections in the points at its edges, once."""
    n = a.shape[axis]
    first, last = _piece(a, axis, 0, 1), _piece(a, axis, n - 1, n)
    before = turned(_piece(a, axis, skip, skip + sizes[0]), axis)
    after = turned(_piece(a, axis, n - skip - sizes[1], n - skip), axis)
    return np.concatenate([2 * first - before, a, 2 * last - after], axis)


_MODES: dict[str, Callable[..., Any]] = {
    "edge": _selected("edge"),
    "wrap": _selected("wrap"),
    "reflect": _reflected(1),
    "symmetric": _reflected(0),
    "linear_ramp": _ramped,
    "maximum": _statistic(np.max),
    "minimum": _statistic(np.min),
    "mean": _statistic(np.mean),
    "median": _statistic(np.median),
}


def _widths(pad_width: Any, ndim: int) -> tuple[Pair, ...]:
    """Return how wide to pad before and after each axis."""
    if isinstance(pad_width, dict):
        by_axis = {int(i) % ndim: w for i, w in pad_width.items()}
        pad_width = [np.broadcast_to(by_axis.get(i, 0), 2) for i in range(ndim)]
    widths = np.asarray(pad_width)
    if widths.dtype.kind not in "iu":
        raise TypeError(f"pad: widths are integers, got {pad_width}")
    if (widths < 0).any():
        raise ValueError(f"pad: widths are not negative, got {pad_width}")
    return tuple((int(w[0]), int(w[1])) for w in np.broadcast_to(widths, (ndim, 2)))


def _constant(value: Any) -> Any:
    """Return an option as an array; tensors that need a gradient raise there."""
    return value if value is None or isinstance(value, str) else np.asarray(value)


def _for_each_axis(options: dict[str, Any], ndim: int) -> Iterator[dict[str, Any]]:
    """Return the options for each axis: pairs of values, one for each of its ends."""
    pairs = [
        repeat(value) if isinstance(value, str) else np.broadcast_to(value, (ndim, 2))
        for value in options.values()
    ]
    for _, *values in zip(range(ndim), *pairs, strict=False):
        yield dict(zip(options, values, strict=True))


@composed(
    np.pad,
    kind="piecewise",
    cases=[
        case((2, 3), pad_width=1),
        case((3,), pad_width=(0, 2), constant_values=(1.5, -1.5)),
        case((2, 0), pad_width=((1, 0), (0, 2))),
        case((3, 2), pad_width=((2, 1), (0, 3)), mode="edge"),
        case((3, 2), pad_width=((4, 1), (1, 3)), mode="wrap"),
        case((3, 2), pad_width=((5, 1), (1, 3)), mode="reflect"),
        case((3, 1), pad_width=((1, 2), (1, 1)), mode="reflect", reflect_type="odd"),
        case((4,), pad_width=(2, 11), mode="reflect", reflect_type="odd"),
        case((3, 2), pad_width=((5, 1), (1, 3)), mode="symmetric"),
        case((3,), pad_width=(8, 2), mode="symmetric", reflect_type="odd"),
        case((2, 2), pad_width=((3, 1), (0, 2)), mode="linear_ramp", end_values=2),
        case((3, 2), pad_width=1, mode="maximum"),
        case((3, 2), pad_width=((2, 1), (1, 1)), mode="minimum", stat_length=(2, 1)),
        case((3, 2), pad_width=1, mode="mean", stat_length=((2, 3), (1, 2))),
        case((3, 2), pad_width=(1, 2), mode="median"),
    ],
    kinks="maximum, minimum, median: as the functions of those names",
)
def pad(
    array: Operand, pad_width: Operand, mode: Option = "constant", **kwargs: Operand
) -> Operand:
    """The array within a border: of constants, or made of its elements by `mode`."""
    if mode not in (*_MODES, "constant", "empty"):
        raise ValueError(
            f"pad: no mode {mode!r} with a gradient; there are constant, empty, "
            f"{', '.join(_MODES)}"
        )
    options = {name: _constant(value) for name, value in kwargs.items()}
    values = detached(array)
    widths = _widths(pad_width, np.ndim(values))
    if mode in ("constant", "empty"):
        return surround(array, widths, mode, options)
    if np.result_type(values).kind != "f":
        # Nothing to differentiate, and NumPy rounds the statistics to integers.
        padded = np.pad(values, widths or 0, mode, **options)
        return wrap(padded, None) if type(array) is Tensor else padded
    if not np.size(values):
        # NumPy raises where there should be elements to pad with.
        np.pad(values, widths, mode, **options)
        return surround(array, widths, "empty", {})
    for axis, own in enumerate(_for_each_axis(options, len(widths))):
        if any(widths[axis]):
            array = _MODES[mode](array, axis, widths[axis], **own)
    return array
