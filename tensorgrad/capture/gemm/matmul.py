"""Products of matrices, compiled: where BLAS would use one thread, and be slower.

Columns of the result are computed in strips as wide as a few registers. The rows of the
second matrix that a strip needs are gathered first where they are far apart, so that
each is read from memory once. `benchmarks/products.py` prints what that is worth.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, zip_longest
from math import prod
from operator import mul
from textwrap import indent
from typing import Any

import numpy as np

from ..kernels.compile import prepared
from ..kernels.small import LONG
from ..program import Call, Result, Value
from . import sliding
from .processor import Registers as Registers
from .processor import registers
from .strips import turning

ONE_THREAD = 2**18
"""Multiplications up to which OpenBLAS takes one thread."""

NEAR = 2**17
"""Bytes of a second matrix that is read where it is."""

BLOCK = 1024
"""Terms of a long sum that are added to the others together.

So a strip of the second matrix stays in the cache, and fewer digits are lost.
"""

MUCH = 2**13
"""Elements of a second matrix that are few enough for a few rows."""

PAGE, CROWD = 4096, 128
"""Bytes apart at which elements share a few lines of the cache, and how many may."""

_PRODUCT = """\
def kernel(
    high, low, n, a_high, a_low, down, across, b_high, b_low, row, column, depth, m,
    a, b, out,
):
    gathered = {turned} or column > 1 or (n >= 32 and {most} * m * {size} > {near})
    room = empty(({most} + {lanes}) * {lanes} * 2 if gathered else 1, {dtype})
    part = empty(n * m if {deep} else 1, {dtype})
    into = 0
    for x in range(high):
        for y in range(low):
            first, second = x * a_high + y * a_low, x * b_high + y * b_low
"""
"""The stacks have two axes. What is not a size is how many elements matrices, rows and
columns are apart."""

_WHOLE = """\
            start, count, j = 0, depth, 0
"""

_BLOCKS = """\
            for k in range(n * m):
                put(out, into + k, {dtype}(0.0))
            for start in range(0, depth, {block}):
                count, j = {block} if {block} < depth - start else depth - start, 0
"""

_SUM = """\
                for k in range(n * m):
                    put(out, into + k, get(out, into + k) + get(part, k))
"""

_STRIP = """\
while m - j > {least}:
    right, step = at(b, second + start * row + j * column), row
    if gathered:
        right, step = at(room, 0), {width}
{gather}
    i = 0
"""

_ROWS = """\
    while n - i > {more} and n >= {rows}:
        top = n - {rows} if i > n - {rows} else i
        tile(
            {rows}, {vectors}, {lanes},
            at(a, first + top * down + start * across), down, across, right, step,
            at({to} + top * m + j), m, count, m - j,
        )
        i += {rows}
"""

_NEXT = """\
    j += {width}
"""

_COPY = """\
for k in range(count):
    for z in range({width} if {width} < m - j else m - j):
        there = second + (start + k) * row + (j + z) * column
        put(room, k * {width} + z, get(b, there))
"""


def source(
    turned: bool, deep: bool, dtype: np.dtype[Any], lanes: int, rows: int
) -> str:
    """Return the source of products, for so many lanes and rows in a tile.

    `turned`: the columns of the second matrix are what lies in one run of memory.
    `deep`: sums are taken in blocks, and these are added.
    """
    names = {"dtype": dtype.name, "size": dtype.itemsize, "lanes": lanes}
    most = BLOCK if deep else "depth"
    text = _PRODUCT.format(turned=turned, near=NEAR, deep=deep, most=most, **names)
    text += (_BLOCKS if deep else _WHOLE).format(block=BLOCK, **names)
    to = "part, 0" if deep else "out, into"
    for vectors in (2, 1):
        width = vectors * lanes
        gather = indent(_COPY.format(width=width), " " * 8)
        if turned:
            turn = turning("b", "second + start", "j", "column", "m - j", width, lanes)
            gather = indent(turn, " " * 8)
        strip = _STRIP.format(least=width - lanes, gather=gather.rstrip(), width=width)
        # What is left of the rows takes half a tile, where that is enough.
        for height, more in ((rows, rows // 2), (rows // 2, 0)):
            strip += _ROWS.format(
                rows=height, more=more, vectors=vectors, to=to, **names
            )
        strip += _NEXT.format(width=width)
        text += indent(strip, " " * (16 if deep else 12))
    text += _SUM if deep else ""
    return text + " " * 12 + "into += n * m\n"


def tiled(call: Call) -> Call:
    """Return a product as a call of a compiled one, where that is faster than BLAS."""
    if registers() is None or not _fits(call):
        return sliding.compiled(call)
    (out,) = call.results
    a, b = call.args
    return replace(call, function=kernel(a, b, out))


def kernel(a: Any, b: Any, out: Any) -> Any:
    """Return compiled products for matrices that lie as these do: ``f(a, b, out)``."""
    from . import tiles

    tile = registers()
    assert tile is not None
    size, (depth, m) = out.dtype.itemsize, b.shape[-2:]
    turned, lanes = b.strides[-2] == size != b.strides[-1], tile.vector // size
    text = source(turned, depth > LONG, out.dtype, lanes, tile.rows)
    counts, lefts, rights = zip(*axes(a, b), strict=True)
    steps = (*lefts, a.strides[-1], *rights[:2], *b.strides[-2:])
    integers = (*counts, *(step // size for step in steps), depth, m)
    bind = prepared(text, (a, b, out), len(integers), more=tiles.FUNCTIONS)
    return bind(*integers, name="tiled_matmul")


Axis = tuple[int, int, int]
"""How many, and how many bytes apart in the first operand and in the second."""


def axes(a: Any, b: Any) -> list[Axis]:
    """Return two axes of matrices at the least, and the rows of the first operand.

    Axes that are as one in both operands are joined; so are all rows of matrices that
    are multiplied with one.
    """
    left, right = (
        [(n, step if n > 1 else 0) for n, step in zip(x.shape, x.strides, strict=True)]
        for x in (a, b)
    )
    found = [(*left[-2], 0)]
    for (n, x), (k, y) in zip_longest(left[-3::-1], right[-3::-1], fillvalue=(1, 0)):
        size, (inner, far, apart) = max(n, k), found[0]
        if (x, y) == (inner * far, inner * apart) or (inner == 1 and y == 0):
            found[0] = size * inner, far if inner > 1 else x, apart
        elif size > 1:
            found.insert(0, (size, x, y))
    return [(1, 0, 0)] * (3 - len(found)) + found


def _fits(call: Call) -> bool:
    if call.function is not np.matmul or call.kwargs or call.writes:
        return False
    (out,) = call.results
    a, b = call.args
    if not isinstance(a, Value) or not isinstance(b, Value):
        return False
    if not isinstance(out, Result) or min(len(a.shape), len(b.shape)) < 2:
        return False
    (n, depth), m, size = a.shape[-2:], b.shape[-1], out.dtype.itemsize
    return (
        {a.dtype, b.dtype, out.dtype} in ({np.dtype("f4")}, {np.dtype("f8")})
        and min(*out.shape, depth) > 0
        and out.strides == rows_first(out.shape, size)
        and not any(step % size for step in (*a.strides, *b.strides))
        and not (depth > CROWD and a.strides[-1] % PAGE == 0)
        and len(axes(a, b)) == 3
        and _in_one_thread(n * depth * m)
        and _pays(axes(a, b)[-1][0], b)
    )


def rows_first(shape: Sequence[int], size: int) -> tuple[int, ...]:
    """Return the strides of elements of so many bytes in one run of memory."""
    return tuple(accumulate((size, *shape[:0:-1]), mul))[::-1]


def _pays(rows: int, b: Any) -> bool:
    """Whether there are so many rows that it pays to turn `b`, or to read it twice."""
    tile = registers()
    assert tile is not None
    few = tile.rows if b.strides[-1] == b.dtype.itemsize else tile.rows + 2
    least = few if prod(b.shape[-2:]) > MUCH else tile.rows // 2
    return rows >= least


def _in_one_thread(multiplications: int) -> bool:
    tile = registers()
    assert tile is not None
    return multiplications <= ONE_THREAD or (tile.vector == 64 and blas_threads() == 1)


def blas_threads() -> int:
    """Return how many threads the environment gives a BLAS."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
