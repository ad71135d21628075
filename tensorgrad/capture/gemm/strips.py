"""Source of products whose second matrix is windows, which is never made.

Element (k, q) of it, what tap k of window q takes, lies at ``base[k] + column[q]``. A
strip of its columns is gathered while it is needed, so that it stays in the cache, and
multiplied in tiles. Where few filters share windows, each goes along its windows alone.

The first arguments are the part that a thread computes, the sizes, and how far groups
are apart in what windows are taken of; `run` windows lie next to each other.
"""

from __future__ import annotations

from textwrap import indent
from typing import Any

import numpy as np

from .processor import Registers

BLOCK = 256
"""Windows that a tile sums up at once; ten such rows stay in the nearest cache."""

STRETCH = 1024
"""Windows that one filter takes at once."""

TAPS = 4
"""Taps of a filter that are applied together."""

_HEAD = "def kernel(first, last, groups, rows, depth, size, apart, run, {}):\n"

_PRODUCT = """\
    room = empty(depth * {width}, {dtype})
    for g in range(groups):
        j = first
        while j < last:
            left = last - j
            if left >= {width}:
{whole}
            else:
{part}
            j += {width}
"""

_GATHER = """\
start = get(column, j + {v})
if get(column, j + {v} + {count} - 1) - start == {count} - 1:
    for k in range(depth):
        p = g * apart + get(base, k) + start
        for l in range({count}):
            put(room, k * {width} + {v} + l, get(x, p + l))
else:
    for k in range(depth):
        p = g * apart + get(base, k)
        for l in range({count}):
            put(room, k * {width} + {v} + l, get(x, p + get(column, j + {v} + l)))
"""

_TILES = """\
for i in range(0, rows, {tall}):
    top = g * rows + (rows - {tall} if i > rows - {tall} else i)
    tile(
        {tall}, {vectors}, {lanes}, at(w, top * depth), depth, 1,
        at(room, {v}), {width}, at(out, top * size + j + {v}), size, depth, left - {v},
    )
"""

_ALONE = """\
    span = get(column, size - 1) + 1
    room = empty(span, {dtype})
    for g in range(groups):
        for o in range(rows):
            row = g * rows + o
            if row >= first:
                if row < last:
                    for b in range(0, span, {stretch}):
                        count = {stretch} if {stretch} < span - b else span - b
                        s = g * apart + b
                        for l in range(count):
                            put(room, b + l, {dtype}(0.0))
{taps}
                    for q in range(0, size, run):
                        s = get(column, q)
                        for l in range(run):
                            put(out, row * size + q + l, get(room, s + l))
"""
"""Also what lies between rows of windows is computed, so that all are one run."""

_FILTERS = """\
    room = empty(({block} + {lanes}) * {width}, {dtype})
    sums = empty(last * {tall} * rows, {dtype})
    low, high = first * {tall}, last * {tall}
    for g in range(groups):
        for i in range(low * rows, high * rows, 1):
            put(sums, i, {dtype}(0.0))
        for q in range(0, size, run):
            for b in range(0, run, {block}):
                count = {block} if {block} < run - b else run - b
                s = g * apart + get(column, q) + b
                j = 0
{strips}
        for i in range(low, depth if depth < high else high, 1):
            for j in range(rows):
                put(out, (g * rows + j) * depth + i, get(sums, i * rows + j))
"""

_STRIP = """\
while rows - j > {least}:
{turn}
    for i in range(low, high, {tall}):
        more(
            {tall}, {vectors}, {lanes}, at(x, s), at(base, i), 1,
            at(room, 0), {width}, at(sums, i * rows + j), rows, count, rows - j,
        )
    j += {width}
"""

_DOTS = """\
    for g in range(groups):
        for o in range(rows):
            row = g * rows + o
            for k in range(first, last, 1):
                put(out, row * depth + k, {dtype}(0.0))
            for q in range(0, size, run):
                for b in range(0, run, {stretch}):
                    count = {stretch} if {stretch} < run - b else run - b
                    s = g * apart + get(column, q) + b
                    at0 = row * size + q + b
{taps}
"""


_TURN = """\
for k in range(0, count, {lanes}):
    for z in range(0, {width}, {lanes}):
        wide, rest = {rows} - z, count - k
        source = at({matrix}, {first} + ({row} + z) * {apart} + k)
        to = at(room, k * {width} + z)
        if rest >= {lanes}:
            turn({lanes}, 0, source, {apart}, wide, to, {width}, rest)
        else:
            turn({lanes}, 1, source, {apart}, wide, to, {width}, rest)
"""


def turning(
    matrix: str, first: str, row: str, apart: str, rows: str, width: int, lanes: int
) -> str:
    """Return what turns rows of a matrix to columns of `room`.

    From `first` on `count` elements of each; from `row` on as many rows as are there,
    `rows`, at most `width`. They are `apart`.
    """
    return _TURN.format(**locals())


def products(narrow: bool, tile: Registers, dtype: np.dtype[Any]) -> str:
    """Return the source of products of filters and windows.

    `narrow`: few filters share windows.
    """
    head = _HEAD.format("base, column, w, x, out")
    names = {"dtype": dtype.name, "stretch": STRETCH}
    if narrow:
        return head + _ALONE.format(
            taps=_by_taps(_apply, dtype, "0", "depth", 24), **names
        )
    lanes = tile.vector // dtype.itemsize
    names |= {"tall": tile.rows, "lanes": lanes, "width": 2 * lanes}
    whole = "".join(_GATHER.format(v=v, count=lanes, **names) for v in (0, lanes))
    whole += _TILES.format(vectors=2, v=0, **names)
    part = ""
    for v in (0, lanes):
        one = f"count = {lanes} if {lanes} < left - {v} else left - {v}\n"
        one += _GATHER.format(v=v, count="count", **names)
        one += _TILES.format(vectors=1, v=v, **names)
        part += f"if left > {v}:\n{indent(one, ' ' * 4)}"
    both = {"whole": indent(whole, " " * 16), "part": indent(part, " " * 16)}
    return head + _PRODUCT.format(**both, **names)


def filters(narrow: bool, tile: Registers, dtype: np.dtype[Any]) -> str:
    """Return the source of products of windows and what came of them, summed."""
    head = _HEAD.format("base, column, y, x, out")
    lanes = tile.vector // dtype.itemsize
    names = {"dtype": dtype.name, "stretch": STRETCH, "block": BLOCK, "lanes": lanes}
    if narrow:
        return head + _DOTS.format(
            taps=_by_taps(_dot, dtype, "first", "last", 20), **names
        )
    names |= {"tall": tile.rows}
    strips = ""
    for vectors in (2, 1):
        width = vectors * lanes
        turn = turning("y", "q + b", "g * rows + j", "size", "rows - j", width, lanes)
        strips += _STRIP.format(
            least=width - lanes,
            turn=indent(turn, " " * 4).rstrip(),
            vectors=vectors,
            width=width,
            **names,
        )
    return head + _FILTERS.format(
        strips=indent(strips, " " * 16).rstrip(), width=2 * lanes, **names
    )


def _by_taps(body: Any, dtype: np.dtype[Any], first: str, last: str, depth: int) -> str:
    """Return loops over taps, several at a time."""
    lines = [f"k = {first}"]
    for count in (TAPS, 1):
        lines.append(f"while {last} - k >= {count}:")
        lines += ["    " + line for line in (*body(count, dtype.name), f"k += {count}")]
    return indent("\n".join(lines), " " * depth)


def _apply(count: int, dtype: str) -> list[str]:
    lines, total = [], "get(room, b + l)"
    for t in range(count):
        lines.append(f"f{t} = get(w, row * depth + k + {t})")
        lines.append(f"p{t} = s + get(base, k + {t})")
        total = f"plus({total}, times(f{t}, get(x, p{t} + l)))"
    return [*lines, "for l in range(count):", f"    put(room, b + l, {total})"]


def _dot(count: int, dtype: str) -> list[str]:
    lines, inner, end = [], [], []
    for t in range(count):
        lines.append(f"p{t}, d{t} = s + get(base, k + {t}), {dtype}(0.0)")
        inner.append(f"    d{t} = plus(d{t}, times(g0, get(x, p{t} + l)))")
        at = f"row * depth + k + {t}"
        end.append(f"put(out, {at}, get(out, {at}) + d{t})")
    head = ["for l in range(count):", "    g0 = get(y, at0 + l)"]
    return [*lines, *head, *inner, *end]
