"""Convolutions and their gradients, compiled: where their windows lie in memory.

The gradient in the samples is a product of filters and windows too, one for each place
that a stride skips to: there windows of what came out slide in single steps.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..kernels import cores
from ..kernels.compile import prepared
from ..program import Call, Result, Value
from . import strips
from .processor import registers

FEW, NARROW = 4, 8
"""Filters of a group below which they are not multiplied in tiles; their gradients."""

SPARSE = 4
"""So many times as much within its padding, an array is not looked at in windows."""

COUNT, TAPS = 32, 1024
"""Windows that are fewer do not fill tiles, which costs much where taps are more."""

LARGE = 1 << 20
"""Multiplications that are worth waking threads."""


class Axis(NamedTuple):
    """Windows along an axis: tap k of window q lies at ``step * q + shifts[k]``."""

    length: int
    windows: int
    step: int
    shifts: tuple[int, ...]


class Side(NamedTuple):
    """How an axis of an array lies in a room for its windows.

    What windows that slide in steps take lies in parts, so that it is one run of
    memory: element ``step * i + parts[p] - before`` at place i of part p.

    Attributes
    ----------
    before : int
        The padding.
    step : int
    parts : tuple of int
        Those that windows take.
    size : int
        Of a part.
    """

    before: int
    step: int
    parts: tuple[int, ...]
    size: int

    def copies(self, length: int) -> Iterator[tuple[int, slice, slice]]:
        """Yield each part, with what is written there and what it is in the array."""
        for number, part in enumerate(self.parts):
            first = max(0, -((part - self.before) // self.step))
            start = self.step * first + part - self.before
            count = min(self.size - first, len(range(start, length, self.step)))
            stop = start + self.step * count
            here = slice(start, max(start, stop), self.step)
            yield number, slice(first, first + max(count, 0)), here


def _side(axes: Sequence[Axis]) -> Side:
    """Return how an axis lies in the room for windows that all have the same step."""
    shifts = [shift for axis in axes for shift in axis.shifts]
    step, before = axes[0].step, max(0, -min(shifts))
    ends = (max(a.shifts) + before + step * a.windows for a in axes)
    size = max(ends) // step
    if step == 1:
        size = max(size, before + axes[0].length)
    parts = sorted({(shift + before) % step for shift in shifts})
    return Side(before, step, tuple(parts), size)


class Windows:
    """Where windows lie in a room (channels, *(parts, size), n).

    Attributes
    ----------
    base, column : ndarray
        Where a tap of the first window lies in a group, and the first tap of a window.
    run : int
        So many windows in turn lie next to each other.
    apart : int
        Elements of a group of channels.
    """

    def __init__(
        self, axes: Sequence[Axis], sides: Sequence[Side], channels: int, n: int
    ) -> None:
        step = n
        self.base, self.column, self.run = np.zeros(1, int), np.arange(n), n
        for axis, side in reversed([*zip(axes, sides, strict=True)]):
            taps = []
            for shift in axis.shifts:
                at, part = divmod(shift + side.before, side.step)
                taps.append(step * (side.parts.index(part) * side.size + at))
            starts = step * np.arange(axis.windows)
            if self.run == step:
                self.run *= axis.windows
            self.base = np.add.outer(taps, self.base).reshape(-1)
            self.column = np.add.outer(starts, self.column).reshape(-1)
            step *= side.size * len(side.parts)
        self.apart = channels * step
        self.base = np.add.outer(np.arange(channels) * step, self.base).reshape(-1)


def compiled(call: Call) -> Call:
    """Return a convolution, or a gradient of one, as a call of a compiled one."""
    make = _MAKERS.get(call.name)
    if make is None or not _fits(call):
        return call
    function: Any = partial(make(*call.args, call.results[0]))
    function.into, function.__name__, function.kernel = True, call.name, make
    return replace(call, function=function, args=call.args[:2])


def _fits(call: Call) -> bool:
    arrays = [x for x in (*call.args[:2], *call.results) if isinstance(x, Value)]
    kinds = {x.dtype for x in arrays}
    return (
        registers() is not None
        and len(arrays) == 3
        and all(x.size for x in arrays)
        and kinds in ({np.dtype("f4")}, {np.dtype("f8")})
        and isinstance(arrays[2], Result)
        and _lies_as_made(call.name, arrays[2])
        and not _is_better_as_products(call.name, arrays, call.args[3])
    )


def _is_better_as_products(name: str, arrays: Sequence[Value], window: Any) -> bool:
    """Whether windows are mostly padding, or few with many taps."""
    if name == "convolved_back":
        return _is_sparse(arrays[0], window)
    weight, z = arrays[1:] if name == "convolved" else arrays[:0:-1]
    count, taps = z.size // z.shape[1], weight.size // weight.shape[0]
    return count < COUNT and taps > TAPS


def _is_sparse(z: Value, window: Any) -> bool:
    """Whether most of what windows of `z` take is padding."""
    counts = z.shape[2:]
    taken = [n + (k - 1) // s for n, k, s in zip(counts, *window[:2], strict=True)]
    return bool(math.prod(taken) > SPARSE * math.prod(counts))


def _lies_as_made(name: str, out: Value) -> bool:
    """Whether elements lie as kernels write them, samples last but for filters."""
    order = [*range(len(out.shape))]
    if name != "convolved_filters":
        order = [*order[1:], 0]
    step = out.dtype.itemsize
    for axis in reversed(order):
        if out.shape[axis] > 1 and out.strides[axis] != step:
            return False
        step *= out.shape[axis]
    return True


def _convolved(x: Value, weight: Value, window: Any, groups: int, out: Value) -> Any:
    axes = _sliding(window, x.shape[2:], out.shape[2:])
    sides = [_side([axis]) for axis in axes]
    at = Windows(axes, sides, weight.shape[1], x.shape[0])
    multiply = _product(at, weight.shape[0] // groups, groups, out.dtype)

    def call(x: Any, weight: Any, out: Any) -> None:
        multiply(np.ascontiguousarray(weight), _within(x, sides), out)

    return call


def _convolved_back(
    z: Value,
    weight: Value,
    lengths: tuple[int, ...],
    window: Any,
    groups: int,
    out: Value,
) -> Any:
    n, outputs, *counts = z.shape
    rows, outputs = weight.shape[1], outputs // groups
    phases = [_phases(window, i, counts[i], lengths[i]) for i in range(len(counts))]
    sides = [_side([axis for _, _, axis in some]) for some in phases if some]
    parts: list[Any] = []
    for some in product(*phases):
        targets, taps, axes = zip(*some, strict=True)
        at = Windows(axes, sides, outputs, n)
        multiply = _product(at, rows, groups, out.dtype)
        shape = (groups * rows, *(axis.windows for axis in axes), n)
        parts.append((multiply, (..., *taps), (slice(None), *targets), shape))
    alone = all(s == 1 for s in window.stride)
    split = (groups, outputs, rows, *weight.shape[2:])

    def call(z: Any, weight: Any, out: Any) -> None:
        if not alone:
            out[...] = 0
        if not parts:
            return
        z, filters = _within(z, sides), weight.reshape(split).swapaxes(1, 2)
        if alone:
            parts[0][0](np.ascontiguousarray(filters), z, out)
            return
        out = _as_blocks(_last(out))
        for multiply, taps, target, shape in parts:
            room = np.empty(shape, z.dtype)
            multiply(np.ascontiguousarray(filters[taps]), z, room)
            out[target] = _as_blocks(room)

    return call


def _convolved_filters(x: Value, z: Value, window: Any, groups: int, out: Value) -> Any:
    axes = _sliding(window, x.shape[2:], z.shape[2:])
    sides = [_side([axis]) for axis in axes]
    at = Windows(axes, sides, out.shape[1], x.shape[0])
    multiply = _sums(at, z.shape[1] // groups, groups, out.dtype)

    def call(x: Any, z: Any, out: Any) -> None:
        multiply(np.ascontiguousarray(_last(z)), _within(x, sides), out)

    return call


_MAKERS: dict[str, Callable[..., Any]] = {
    "convolved": _convolved,
    "convolved_back": _convolved_back,
    "convolved_filters": _convolved_filters,
}


def _sliding(window: Any, lengths: Sequence[int], counts: Sequence[int]) -> list[Axis]:
    """Return the axes of a convolution."""
    return [
        Axis(length, count, step, tuple(d * i - before for i in range(k)))
        for length, count, k, step, (before, _), d in zip(
            lengths, counts, *window, strict=True
        )
    ]


def _phases(
    window: Any, i: int, count: int, length: int
) -> list[tuple[slice, slice, Axis]]:
    """Return the places that a stride skips to: of the samples, of the taps, and how
    windows of what came out slide to them.
    """
    kernel, step, (before, _), dilation = (numbers[i] for numbers in window)
    phases = []
    for first in range(min(step, length)):
        taps = [k for k in range(kernel) if (first + before - k * dilation) % step == 0]
        if taps:
            shifts = tuple((first + before - k * dilation) // step for k in taps)
            skipped = slice(taps[0], None, step // math.gcd(step, dilation))
            axis = Axis(count, len(range(first, length, step)), 1, shifts)
            phases.append((slice(first, None, step), skipped, axis))
    return phases


def _last(x: Any) -> Any:
    """Return a view with samples last."""
    return x.transpose((*range(1, x.ndim), 0))


def _within(x: Any, sides: Sequence[Side]) -> Any:
    """Return the room of an array, samples last."""
    x = _last(x)
    whole = ((0, 1, (0,), n) for n in x.shape[1:-1])
    if x.flags.c_contiguous and all(map(operator.eq, sides, whole)):
        return x
    sizes = [n for side in sides for n in (len(side.parts), side.size)]
    room = np.zeros((len(x), *sizes, x.shape[-1]), x.dtype)
    copies = map(Side.copies, sides, x.shape[1:-1])
    into, x = (_as_blocks(a) if x.strides[-1] == x.itemsize else a for a in (room, x))
    for some in product(*copies):
        there = (index for number, to, _ in some for index in (number, to))
        into[(slice(None), *there)] = x[(slice(None), *(here for *_, here in some))]
    return room


def _as_blocks(x: Any) -> Any:
    """Return an array with its last axis, one run of memory, as one element.

    NumPy copies such elements several times faster than short rows.
    """
    n = x.shape[-1]
    return x.view(f"V{n * x.itemsize}")[..., 0] if n > 1 else x


def _product(at: Windows, rows: int, groups: int, dtype: np.dtype[Any]) -> Any:
    """Return a compiled product of filters and windows: ``f(filters, x, out)``."""
    narrow, tile, size = rows < FEW, registers(), len(at.column)
    assert tile is not None
    tile = tile._replace(rows=min(tile.rows, rows))
    text = strips.products(narrow, tile, dtype)
    unit = 1 if narrow else 2 * tile.vector // dtype.itemsize
    count = groups * rows if narrow else size
    return _bound(text, at, at.base, (groups, rows, count, unit), dtype)


def _sums(at: Windows, rows: int, groups: int, dtype: np.dtype[Any]) -> Any:
    """Return a compiled gradient of filters: ``f(z, x, out)``."""
    narrow, tile, depth = rows < NARROW, registers(), len(at.base)
    assert tile is not None
    text = strips.filters(narrow, tile, dtype)
    if narrow:
        return _bound(text, at, at.base, (groups, rows, depth, 1), dtype)
    # Tiles are whole: what else is in them is not used.
    count = -(-depth // tile.rows)
    base = np.append(at.base, np.zeros(count * tile.rows - depth, int))
    return _bound(text, at, base, (groups, rows, count, 1), dtype)


def _bound(
    text: str,
    at: Windows,
    base: Any,
    sizes: tuple[int, int, int, int],
    dtype: np.dtype[Any],
) -> Callable[..., None]:
    """Return a kernel bound to where windows lie, several threads sharing its units."""
    from . import tiles

    groups, rows, count, unit = sizes
    depth, size = len(at.base), len(at.column)
    integers = (groups, rows, depth, size, at.apart, at.run)
    arrays = [base, at.column, *[np.empty(0, dtype)] * 3]
    bind = prepared(text, arrays, 2 + len(integers), more=tiles.FUNCTIONS)
    large = groups * rows * depth * size >= LARGE
    share = -(-count // unit // (cores.cores() if large else 1)) * unit
    starts = range(0, count, max(share, unit))
    parts = [bind(i, min(i + share, count), *integers, name="part") for i in starts]
    whole = parts[0].alone if len(parts) == 1 else cores.Together(parts)
    return partial(whole, base, at.column)
