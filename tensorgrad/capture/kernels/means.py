"""Means, as what they are made of: sums, which kernels know, and quotients."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from ...facts import facts_of
from ..program import Call, Program, Result, Value


def without_means(program: Program) -> Program:
    """Return the program with a sum and a quotient, as NumPy has it, for each mean."""
    calls = [made for call in program.calls for made in _parts(call)]
    return replace(program, calls=calls)


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
