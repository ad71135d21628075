"""Means and long sums, as what they are made of: short sums, which kernels know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, takewhile
from math import prod
from operator import mul
from typing import Any

import numpy as np

from ...facts import facts_of
from ..program import Call, Program, Result, Value
from .small import LONG


def without_means(program: Program) -> Program:
    """Return the program with sums and a quotient, as NumPy has it, for each mean."""
    calls = [made for call in program.calls for made in _parts(call)]
    return replace(program, calls=[made for call in calls for made in _in_two(call)])


def _parts(call: Call) -> list[Call]:
    known = facts_of(call.function)
    if known.name != "mean" or not call.pure or len(call.results) != 1:
        return [call]
    given = known.bound(call.args, call.kwargs)
    x, (mean,) = given.pop("a", None), call.results
    if given.keys() - {"axis", "keepdims"}:
        return [call]
    if not isinstance(x, Value) or not isinstance(mean, Result):
        return [call]
    # A sum of 16 bits is taken in 32, one of integers in floats.
    if x.dtype.char not in "fd" or mean.dtype != x.dtype or not mean.size:
        return [call]
    count = prod(x.shape) // mean.size
    total = Result(mean.shape, mean.dtype, mean.strides)
    summed: dict[str, Any] = {
        "args": (x,),
        "kwargs": {"axis": None, **given},
        "results": (total,),
    }
    return [
        replace(call, function=np.add.reduce, **summed),
        replace(call, function=np.true_divide, args=(total, count), kwargs={}),
    ]


def _in_two(call: Call) -> list[Call]:
    """Return a long sum over several axes as a sum of sums that are short.

    So few digits are lost, and both go into kernels.
    """
    known = facts_of(call.function)
    if known.name != "sum" or not call.pure or len(call.results) != 1 or call.writes:
        return [call]
    given = known.bound(call.args, call.kwargs)
    x, axes, (total,) = given["a"], given["axis"], call.results
    if not isinstance(x, Value) or not isinstance(total, Value) or not total.size:
        return [call]
    rank, more = len(x.shape), any(given.get(name) is not None for name in _MORE)
    axes = tuple(range(rank)) if axes is None else axes
    if more or not isinstance(axes, tuple) or x.dtype.char not in "fd":
        return [call]
    taken = {a % rank for a in axes}
    near = sorted(range(rank), key=lambda a: (abs(x.strides[a]), a not in taken))
    # Those in one run of memory.
    run = [*takewhile(taken.__contains__, near)]
    sizes = [*accumulate((x.shape[a] for a in run), mul)]
    first = [a for a, size in zip(run, sizes, strict=True) if size <= LONG]
    count = prod(x.shape[a] for a in taken)
    if not first or count <= LONG or count > LONG * sizes[len(first) - 1]:
        return [call]
    shape = tuple(1 if i in first else n for i, n in enumerate(x.shape))
    part = Result(shape, x.dtype, dense(shape, x.strides, x.dtype.itemsize))
    keep = {"axis": tuple(first), "keepdims": True}
    given = {"axis": axes, "keepdims": given["keepdims"]}
    return [
        replace(call, function=np.add.reduce, args=(x,), kwargs=keep, results=(part,)),
        replace(call, function=np.add.reduce, args=(part,), kwargs=given),
    ]


_MORE = ("out", "dtype", "where", "initial")
"""Arguments with which a sum is left as it is."""


def dense(shape: Sequence[int], like: Sequence[int], size: int) -> tuple[int, ...]:
    """Return strides of elements of that size without gaps, in the order of others."""
    strides = [0] * len(shape)
    for axis in sorted(range(len(shape)), key=lambda a: abs(like[a])):
        strides[axis] = size
        size *= shape[axis]
    return tuple(strides)
