"""Repeats: bodies of calls that a program makes several times in a row.

They are found by what the calls do, in n log n time for n calls. So a listing shows the
body of a loop once, and its turns share their kernels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .values import Array, Number, Value, View, layout

if TYPE_CHECKING:
    from .program import Call

LEAST = 3
"""Turns that are a repeat."""


@dataclass(frozen=True)
class Repeat:
    """A body of calls that is made several times in a row.

    Attributes
    ----------
    start : int
        The number of its first call, from 0.
    period : int
        Calls of the body.
    count : int
        Turns.
    """

    start: int
    period: int
    count: int

    @property
    def end(self) -> int:
        """The number of the first call after the last turn."""
        return self.start + self.period * self.count

    @property
    def saved(self) -> int:
        """Calls in all turns but one."""
        return self.period * (self.count - 1)


def repeats(calls: Sequence[Call]) -> list[Repeat]:
    """Return repeats that have no call in common, in order; the longest come first.

    Two calls are alike that do the same, for the same line of the user's code, with
    operands laid out alike, whichever these are. Within a body there may be others: ask
    again with the calls of one turn.

    Parameters
    ----------
    calls : sequence of Call
    """
    numbers: dict[Any, int] = {}
    return repeats_of([numbers.setdefault(_sign(c), len(numbers)) for c in calls])


def repeats_of(symbols: Sequence[int]) -> list[Repeat]:
    """Return the repeats in a sequence of numbers, as `repeats` does of calls."""
    taken = np.zeros(len(symbols), bool)
    chosen: list[Repeat] = []
    for start, end, period in sorted(_runs(np.array(symbols, np.int64)), key=_order):
        free = np.flatnonzero(~taken[start:end])
        count = len(free) // period
        if count >= LEAST and free[-1] - free[0] + 1 == len(free):
            repeat = Repeat(start + int(free[0]), period, count)
            taken[repeat.start : repeat.end] = True
            chosen.append(repeat)
    return sorted(chosen, key=lambda repeat: repeat.start)


def _order(run: tuple[int, int, int]) -> tuple[int, int]:
    start, end, period = run
    return start - end + period, start


def _runs(symbols: Array) -> Iterator[tuple[int, int, int]]:
    """Yield start, end and period of each stretch that is at least three periods long.

    A word that is no power of a shorter one recurs in its own powers after its length
    at the earliest. So within a stretch, what stands in a window of a period or more
    stood there one period before, and not later. Windows double in length, and what
    stands in them is a pair of numbers of windows of half that length.
    """
    words = np.unique(symbols, return_inverse=True)[1]
    width = 1
    while LEAST * (width // 2 + 1) <= len(symbols):
        back = _distances(words)
        for start, end in _plateaus(back):
            period = int(back[start])
            if width < 2 * period <= 2 * width:
                first, last = start - period, end + width - 1
                if last - first >= LEAST * period:
                    yield first, last, period
        pairs = words[:-width] * (len(symbols) + 1) + words[width:]
        words = np.unique(pairs, return_inverse=True)[1]
        width *= 2


def _distances(words: Array) -> Array:
    """Return how far back each word stood last, 0 where it had not."""
    order = np.argsort(words, kind="stable")
    same = words[order[1:]] == words[order[:-1]]
    back = np.zeros_like(words)
    back[order[1:]] = np.where(same, order[1:] - order[:-1], 0)
    return back


def _plateaus(numbers: Array) -> Iterator[tuple[int, int]]:
    """Yield where runs of one number begin and end."""
    edges = np.flatnonzero(np.diff(numbers)) + 1
    bounds = [0, *edges.tolist(), len(numbers)]
    yield from pairwise(bounds)


def _sign(call: Call) -> tuple[Any, ...]:
    """Return what two calls have in common that are alike."""
    place = call.place and (id(call.place.code), call.place.offset)
    # A kernel is bound to sizes and places, which the layouts say as well.
    function = getattr(call.function, "kernel", call.function)
    # Which part of an array a view is differs from turn to turn.
    is_view = call.results and all(isinstance(r, View) for r in call.results)
    inputs = call.reads if is_view else (call.args, call.kwargs)
    signs = map(_frozen, (call.results, call.writes, inputs))
    return function, call.origin, call.quiet, place, *signs


def _frozen(x: Any) -> Any:
    """Return a nest as something to compare, with layouts in place of values."""
    if isinstance(x, Value):
        return layout(x)
    if isinstance(x, tuple | list):
        return type(x), *map(_frozen, x)
    if isinstance(x, dict):
        return dict, *((name, _frozen(item)) for name, item in x.items())
    if isinstance(x, slice):
        return slice, _frozen(x.start), _frozen(x.stop), _frozen(x.step)
    if isinstance(x, Number):
        return Number
    if isinstance(x, _LITERAL):
        # As text, because 0.0 == -0.0, and 1 == True.
        return type(x), repr(x)
    return id(x)


_LITERAL = (int, float, complex, str, np.dtype, np.generic, type(None))
