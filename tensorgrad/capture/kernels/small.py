"""Products of matrices with a tiny side, which are loops in a kernel."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from ..program import Call
from .elements import Access, Element, Operand, Unfit, destination, place

NARROW = 4
"""Products with an inner or outer size up to that are loops; BLAS is slower there."""

LONG = 4096
"""Longer sums are NumPy's and those of BLAS, which lose fewer digits."""


def product(number: int, call: Call) -> list[Element]:
    """A product of matrices of which one size is tiny, as that many elements."""
    if set(call.kwargs) - {"out"}:
        raise Unfit
    a, b = call.args[:2]
    to = destination(call)
    if {len(a.shape), len(b.shape)} - {1, 2} or len({v.dtype for v in (a, b, to)}) > 1:
        raise Unfit
    if a.dtype.kind != "f":
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
    if inner <= NARROW:
        return [_outer(number, (n, inner, m), left, right, into)]
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


def _outer(
    number: int, sizes: tuple[int, int, int], a: Access, b: Access, into: Access
) -> Element:
    """sum_k a[i, k] b[k, j], with k written out."""
    n, inner, m = sizes
    left = [
        replace(a, offset=a.offset + k * a.strides[1], strides=(a.strides[0], 0))
        for k in range(inner)
    ]
    right = [
        replace(b, offset=b.offset + k * b.strides[0], strides=(0, b.strides[1]))
        for k in range(inner)
    ]

    def text(*names: str) -> str:
        terms = map(_times, names[:inner], names[inner:])
        return reduce(lambda total, term: f"plus({total}, {term})", terms)

    return Element(number, (n, m), (*left, *right), into, text, a.dtype)


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
