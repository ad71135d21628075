"""Products of matrices with a tiny side, which are loops in a kernel."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from ..program import Call, Value
from .elements import Access, Element, Operand, Unfit, destination, place

NARROW = 4
"""Products with an inner or outer size up to that are loops; BLAS is slower there."""

TERMS = 8
"""So long sums are written out for many products at once; BLAS does one at a time."""

FEW = 1024
"""Elements of each of these products; larger ones are worth a call of BLAS."""

LONG = 4096
"""Longer sums are NumPy's and those of BLAS, which lose fewer digits."""


def product(number: int, call: Call) -> list[Element]:
    """A product of matrices of which one size is tiny, as that many elements.

    Of many matrices at once, sums are what must be short.
    """
    if set(call.kwargs) - {"out"}:
        raise Unfit
    a, b = call.args[:2]
    to = destination(call)
    if len({v.dtype for v in (a, b, to)}) > 1 or a.dtype.kind != "f":
        raise Unfit
    several = max(len(a.shape), len(b.shape)) > 2
    rows, columns = prod(a.shape[-2:-1]), prod(b.shape[1:][-1:])
    # Of more columns than a vector has, tiles are computed sooner.
    wide = rows >= NARROW and columns > TERMS
    if several and (wide or rows * columns > FEW):
        raise Unfit
    if 0 < a.shape[-1] <= (TERMS if several else NARROW):
        return [_outer(number, a, b, to)]
    if several:
        raise Unfit
    (n, inner), m = (1, *a.shape)[-2:], (*b.shape, 1)[1]
    left, right, into = place(a), place(b), place(to)
    # A vector is a matrix of one row, or of one column.
    if len(b.shape) == 1:
        right = replace(right, strides=(*right.strides, 0))
        into = replace(into, strides=(*into.strides, 0))
    if len(a.shape) == 1:
        left = replace(left, strides=(0, *left.strides))
        into = replace(into, strides=(0, *into.strides))
    if inner > LONG:
        raise Unfit
    if n <= NARROW:
        return [
            _inner(number, (inner, m), _row(left, r), right, _row(into, r))
            for r in range(n)
        ]
    if m <= NARROW:
        return [_columns(number, (inner, n), left, right, into, c) for c in range(m)]
    raise Unfit


def _outer(number: int, a: Value, b: Value, to: Value) -> Element:
    """sum_k a[..., i, k] b[..., k, j], with k written out."""
    left, right, inner = place(a), place(b), a.shape[-1]
    # A vector has no axis in the result.
    i, j = (len(x.shape) > 1 for x in (a, b))
    rank = len(to.shape) - i - j
    below, across = left.strides[-2:-1], right.strides[-1:] if j else ()
    step = right.strides[-2] if j else right.strides[-1]
    lefts = _repeated(a, left, rank) + below + (0,) * j
    rights = _repeated(b, right, rank) + (0,) * i + across
    reads = [
        replace(left, offset=left.offset + k * left.strides[-1], strides=lefts)
        for k in range(inner)
    ]
    reads += [
        replace(right, offset=right.offset + k * step, strides=rights)
        for k in range(inner)
    ]

    def text(*names: str) -> str:
        terms = map(_times, names[:inner], names[inner:])
        return reduce(lambda total, term: f"plus({total}, {term})", terms)

    return Element(number, to.shape, (*reads,), place(to), text, a.dtype)


def _repeated(matrices: Value, access: Access, rank: int) -> tuple[int, ...]:
    """Return strides along the axes before those of matrices, broadcast to `rank`."""
    sizes = zip(matrices.shape[:-2], access.strides[:-2], strict=True)
    strides = tuple(0 if size == 1 else stride for size, stride in sizes)
    return (0,) * (rank - len(strides)) + strides


def _row(access: Access, row: int) -> Access:
    """Return a row of a matrix, along columns only."""
    offset = access.offset + row * access.strides[0]
    return replace(access, offset=offset, strides=(access.strides[1],))


def _inner(
    number: int, space: tuple[int, int], a: Access, b: Access, into: Access
) -> Element:
    """sum_k a[k] b[k, j]: a row of the product."""
    left = replace(a, strides=(a.strides[0], 0))
    write = replace(into, strides=(0, into.strides[0]))
    return _dot(number, space, left, b, write, b.dtype)


def _columns(
    number: int,
    space: tuple[int, int],
    a: Access,
    b: Access,
    into: Access,
    column: int,
) -> Element:
    """sum_k a[i, k] b[k]: a column of the product."""
    left = replace(a, strides=(a.strides[1], a.strides[0]))
    start = b.offset + column * b.strides[1]
    right = replace(b, offset=start, strides=(b.strides[0], 0))
    start = into.offset + column * into.strides[1]
    write = replace(into, offset=start, strides=(0, into.strides[0]))
    return _dot(number, space, left, right, write, a.dtype)


def _dot(
    number: int,
    space: tuple[int, int],
    a: Operand,
    b: Operand,
    write: Access,
    kind: np.dtype[Any],
) -> Element:
    flags = (True, False)
    return Element(number, space, (a, b), write, _times, kind, flags, "plus")


def _times(x: str, y: str) -> str:
    return f"times({x}, {y})"
