"""Cores: the kernel of a large nest, whose rows or columns several threads share.

Each element is computed as it would be by one thread, so the bits do not depend on how
many there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise
from math import prod
from typing import Any

from .nests import Nest

LARGE = 1 << 19
"""Operations on elements that are worth some 20 us, what it costs to wake threads."""

WIDE = 512
"""Columns that are worth to be shared: more than are written out one by one."""

LINE = 64
"""Columns in a multiple of which parts begin, so that no two write to a cache line."""


def axis(nest: Nest) -> str:
    """Return what threads can share of a nest, "rows" or "columns"; "" for neither.

    Rows where none are joined, columns where none are.
    """
    elements = [placed.element for placed in nest.placed]
    if prod(nest.shape) * len(elements) < LARGE or cores() < 2:
        return ""
    if any(element.write.picks for element in elements):
        return ""
    if nest.rows >= cores() and not any(p.down for p in nest.placed):
        return "rows"
    if nest.columns >= WIDE and all(p.inner and not p.across for p in nest.placed):
        return "columns"
    return ""


def portions(nests: Sequence[Nest]) -> Iterator[list[Nest]]:
    """Yield nests for a kernel each: those that are shared alone, runs of others."""
    others: list[Nest] = []
    for nest in nests:
        if axis(nest):
            if others:
                yield others
            yield [nest]
            others = []
        else:
            others.append(nest)
    if others:
        yield others


def bounds(nest: Nest) -> list[tuple[int, int]]:
    """Return where the part of each thread begins and ends."""
    across = axis(nest) == "columns"
    size, unit = (nest.columns, LINE) if across else (nest.rows, 1)
    count = -(-size // unit)
    ends = [min(size, unit * (count * k // cores())) for k in range(cores() + 1)]
    return [(first, last) for first, last in pairwise(ends) if first < last]


def cores() -> int:
    """Return how many threads may run: what BLAS is told too, or the processors."""
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        told = os.environ.get(name, "")
        if told.isdigit() and int(told):
            return int(told)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "tensorgrad-kernels")


if hasattr(os, "register_at_fork"):
    # A child process has none of the threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)


class Together:
    """A function that calls all parts of a kernel with its arguments, at the same time.

    Parameters
    ----------
    parts : sequence of Native
        Two or more.
    """

    into = True

    def __init__(self, parts: Sequence[Any]) -> None:
        self.own, *self.others = (part.alone for part in parts)
        self.kernel, self.group = parts[0].kernel, parts[0].group
        self.__name__ = parts[0].__name__

    def __call__(self, *args: Any) -> None:
        """Call the parts."""
        running: list[Future[None]] = []
        try:
            for part in self.others:
                try:
                    running.append(_pool(len(self.others)).submit(part, *args))
                except RuntimeError:
                    # The interpreter is about to end, and starts no threads.
                    part(*args)
            self.own(*args)
        finally:
            # No part may write on once the call has ended.
            wait(running)
        for future in running:
            future.result()
