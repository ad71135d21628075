"""The smallest input that still fails: shorter axes first, then simpler numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .problem import Array

Fails = Callable[[list[Array]], bool]

MOST = 60
"""Inputs that are tried."""


def shrink(inputs: list[Array], fails: Fails, most: int = MOST) -> list[Array]:
    """Return inputs no larger than `inputs`, for which `fails` still holds.

    All axes of one length are shortened together, because they are likely to belong
    together.
    """
    tries = iter(range(most))
    for simpler in (_shorter, _rounder):
        inputs = _while_failing(inputs, simpler, fails, tries)
    return inputs


def _while_failing(
    inputs: list[Array],
    simpler: Callable[[list[Array]], Iterator[list[Array]]],
    fails: Fails,
    tries: Iterator[int],
) -> list[Array]:
    """Take the first simpler inputs that fail, again and again."""
    while True:
        for candidate in simpler(inputs):
            if next(tries, None) is None:
                return inputs
            if fails(candidate):
                inputs = candidate
                break
        else:
            return inputs


def _shorter(inputs: list[Array]) -> Iterator[list[Array]]:
    lengths = sorted({n for x in inputs for n in x.shape if n > 1}, reverse=True)
    for length in lengths:
        for n in sorted({1, 2, 3, length // 2, length - 1} - {0}):
            if n < length:
                yield [_cut(x, length, n) for x in inputs]


def _cut(x: Array, length: int, n: int) -> Array:
    index = tuple(slice(0, n) if m == length else slice(None) for m in x.shape)
    return x[index].copy()


def _rounder(inputs: list[Array]) -> Iterator[list[Array]]:
    for number, x in enumerate(inputs):
        for rounded in (np.round(x, digits) for digits in (0, 1, 2)):
            if (rounded != x).any() and _alike(rounded, x):
                yield [rounded if k == number else y for k, y in enumerate(inputs)]


def _alike(rounded: Array, x: Array) -> bool:
    """Whether no more numbers are zero or equal: that might be another fault."""
    zeros = np.array_equal(rounded == 0, x == 0)
    return zeros and len(np.unique(rounded)) == len(np.unique(x))
