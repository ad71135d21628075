"""Products of matrices, compiled: where BLAS would use one thread, and be slower.

Columns of the result are computed in strips as wide as a few registers. The rows of the
second matrix that a strip needs are gathered first where they are far apart, so that
each is read from memory once. `benchmarks/products.py` prints what that is worth.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import replace
from textwrap import indent
from typing import Any, NamedTuple

import numpy as np

from ..kernels.compile import installed, prepared
from ..kernels.small import LONG
from ..program import Call, Result, Value

ONE_THREAD = 2**18
"""Multiplications up to which OpenBLAS takes one thread."""

NEAR = 2**17
"""Bytes of a second matrix that is read where it is."""

BLOCK = 1024
"""Terms of a long sum that are added to the others together.

So a strip of the second matrix stays in the cache, and fewer digits are lost.
"""

PAGE, CROWD = 4096, 128
"""Bytes apart at which elements share a few lines of the cache, and how many may."""

_PRODUCT = """\
def kernel(n, depth, m, row, column, down, across, below, a, b, out):
    gathered = {turned} or (n >= 32 and depth * m * {size} > {near})
    room = empty((depth + {lanes}) * {lanes} * 2 if gathered else 1, {dtype})
    first, count = 0, depth
    j = 0
"""

_DEEP = """\
def kernel(n, depth, m, row, column, down, across, below, a, b, out):
    gathered = {turned} or (n >= 32 and {block} * m * {size} > {near})
    room = empty(({block} + {lanes}) * {lanes} * 2 if gathered else 1, {dtype})
    part = empty(n * m, {dtype})
    for i in range(n):
        for j in range(m):
            put(out, i * below + j, {dtype}(0.0))
    for first in range(0, depth, {block}):
        count = {block} if {block} < depth - first else depth - first
        j = 0
"""

_SUM = """\
        for i in range(n):
            for j in range(m):
                put(out, i * below + j, get(out, i * below + j) + get(part, i * m + j))
"""

_STRIP = """\
    while m - j >= {least}:
        start, step = at(b, first * row + j * column), row
        if gathered:
            start, step = at(room, 0), {width}
{gather}
        for i in range(0, n, {rows}):
            top = n - {rows} if i > n - {rows} else i
            tile(
                {rows}, {vectors}, {lanes}, {part},
                at(a, top * down + first * across), down, across, start, step,
                at({into}, top * {apart} + j), {apart}, count, m - j,
            )
        j += {width}
"""

_COPY = """\
            for k in range(count):
                for x in range({width} if {width} < m - j else m - j):
                    put(room, k * {width} + x, get(b, (first + k) * row + j + x))
"""

_TURN = """\
            for k in range(0, count, {lanes}):
                for x in range(0, {width}, {lanes}):
                    there, left = m - j - x, count - k
                    source = at(b, (j + x) * column + first + k)
                    to = at(room, k * {width} + x)
                    if left >= {lanes}:
                        turn({lanes}, 0, source, column, there, to, {width}, left)
                    else:
                        turn({lanes}, 1, source, column, there, to, {width}, left)
"""


def source(
    turned: bool, deep: bool, dtype: np.dtype[Any], lanes: int, rows: int
) -> str:
    """Return the source of a product, for so many lanes and rows in a tile.

    `turned`: the columns of the second matrix are what lies in one run of memory.
    `deep`: sums are taken in blocks, and these are added. The first arguments are the
    sizes n, depth, m, and how many elements the rows and columns of the second matrix,
    those of the first and the rows of `out` are apart.
    """
    names = {"dtype": dtype.name, "size": dtype.itemsize, "lanes": lanes}
    head = _DEEP if deep else _PRODUCT
    text = head.format(turned=turned, near=NEAR, block=BLOCK, **names)
    into, apart = ("part", "m") if deep else ("out", "below")
    for vectors, part in ((2, 0), (1, 1)):
        width = vectors * lanes
        strip = _STRIP.format(
            least=1 if part else width,
            gather=(_TURN if turned else _COPY)
            .format(width=width, lanes=lanes)
            .rstrip(),
            width=width,
            lanes=lanes,
            rows=rows,
            vectors=vectors,
            part=part,
            into=into,
            apart=apart,
        )
        text += indent(strip, "    ") if deep else strip
    return text + _SUM if deep else text


class Registers(NamedTuple):
    """How a tile fills the registers of a processor: rows, and bytes of a vector."""

    rows: int
    vector: int


@functools.cache
def registers() -> Registers | None:
    """Return the tile for this processor, None where none is faster than BLAS."""
    if not installed():
        return None
    from ..kernels.machine import features

    has = features()
    if has.get("avx512f"):
        return Registers(8, 64)
    if has.get("avx2") and has.get("fma"):
        return Registers(6, 32)
    return None


def tiled(call: Call) -> Call:
    """Return a product as a call of a compiled one, where that is faster than BLAS."""
    if not _fits(call):
        return call
    (out,) = call.results
    a, b = call.args
    product: Any = functools.partial(kernel(a, b, out))
    product.into, product.__name__ = True, "tiled_matmul"
    product.kernel = kernel
    return replace(call, function=product)


def kernel(a: Any, b: Any, out: Any) -> Callable[..., None]:
    """Return a compiled product for matrices that lie as these do: ``f(a, b, out)``."""
    from . import tiles

    tile = registers()
    assert tile is not None
    size, deep = out.dtype.itemsize, a.shape[1] > LONG
    turned, lanes = b.strides[1] != size, tile.vector // size
    text = source(turned, deep, out.dtype, lanes, tile.rows)
    steps = (*b.strides, *a.strides, out.strides[0])
    integers = (*a.shape, b.shape[1], *(step // size for step in steps))
    bind = prepared(text, (a, b, out), len(integers), more=tiles.FUNCTIONS)
    return bind(*integers)


def _fits(call: Call) -> bool:
    if call.function is not np.matmul or call.kwargs or call.writes:
        return False
    (out,) = call.results
    a, b = call.args
    if not isinstance(a, Value) or not isinstance(b, Value):
        return False
    if not isinstance(out, Result) or len(a.shape) != 2 or len(b.shape) != 2:
        return False
    (n, depth), m, size = a.shape, b.shape[1], out.dtype.itemsize
    return (
        {a.dtype, b.dtype, out.dtype} in ({np.dtype("f4")}, {np.dtype("f8")})
        and out.strides == (m * size, size)
        and size in b.strides
        and not any(step % size for step in (*a.strides, *b.strides))
        and min(n, depth, m) > 0
        and not (depth > CROWD and a.strides[1] % PAGE == 0)
        and _is_ours(n, n * depth * m)
    )


def _is_ours(rows: int, multiplications: int) -> bool:
    tile = registers()
    if tile is None or rows < tile.rows:
        return False
    return multiplications <= ONE_THREAD or (tile.vector == 64 and blas_threads() == 1)


def blas_threads() -> int:
    """Return how many threads the environment gives a BLAS."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
