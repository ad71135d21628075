"""Repeats: bodies of calls that a program makes several times in a row.

`repeats` finds them by what the calls do, in n log n time for n calls; `operands` says
how each array that a body uses goes on from turn to turn, as a loop needs to know::

    r1 = multiply(x1[0], p1)    the turn's row of x1: "moving"; p1: "invariant"
    r2 = add(r1, c1)            made in this turn: "made"; c1, and r2 later: "carried"
    r3 = multiply(x1[1], p1)
    r4 = add(r3, r2)
    ...
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from .values import Array, Number, Value, View, layout, owner

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


Kind: TypeAlias = Literal[
    "invariant", "moving", "made", "carried", "stacked", "varying"
]


@dataclass(frozen=True)
class Operand:
    """How an operand of a body goes on from turn to turn.

    Attributes
    ----------
    kind : str
        "invariant": the same memory in each turn, read or written. "moving": memory of
        one array, `step` bytes further in each turn. "made": a result of the same turn,
        of call `maker` of the body. "carried": that of the turn before, and in the
        first turn `first`. "stacked": a result of call `maker` of the program in the
        first turn, and in each next one of the call `step` calls later, or earlier if
        that is negative, as where backward walks through the turns of forward from the
        last. "varying": none of these.
    first : Value or Number
        What it is in the first turn.
    maker, result : int
        Which call makes it, and which of its results it is, or is a view of.
    step : int
    """

    kind: Kind
    first: Value | Number
    maker: int = -1
    result: int = 0
    step: int = 0


def operands(calls: Sequence[Call], repeat: Repeat) -> list[list[Operand]]:
    """Return for each call of a body how what it reads, and then writes, goes on.

    Parameters
    ----------
    calls : sequence of Call
        All calls of the program.
    repeat : Repeat
    """
    makers = {
        result: (number, at)
        for number, call in enumerate(calls)
        for at, result in enumerate(call.results)
        if not isinstance(result, View)
    }
    body = range(repeat.start, repeat.start + repeat.period)
    return [
        [
            _operand(turns, makers, repeat)
            for turns in zip(
                *(
                    (*call.reads, *call.writes)
                    for call in calls[number : repeat.end : repeat.period]
                ),
                strict=True,
            )
        ]
        for number in body
    ]


Makers: TypeAlias = dict[Value | Number, tuple[int, int]]


def _operand(
    turns: Sequence[Value | Number], makers: Makers, repeat: Repeat
) -> Operand:
    """Return how an operand goes on that is each of `turns` in turn."""
    first, (owners, offsets) = turns[0], zip(*map(_memory, turns), strict=True)
    step = _step(offsets)
    if len(set(owners)) == 1:
        kind: Kind = "varying" if step is None else "moving" if step else "invariant"
        return Operand(kind, first, step=step or 0)
    made = [makers.get(value, (-1, 0)) for value in owners[1:]]
    numbers, results = zip(*made, strict=True)
    stride, start = _step(numbers), repeat.start
    if (
        stride is None
        or min(numbers) < 0
        or _step(offsets[1:]) != 0
        or len({*results}) > 1
    ):
        return Operand("varying", first)
    turn, maker = divmod(numbers[0] - start, repeat.period)
    before = makers.get(owners[0], (-1, 0))
    alike = before == (numbers[0] - stride, results[0]) and step == 0
    if stride == repeat.period and turn == 0:
        return Operand("carried", first, maker, results[0])
    if stride == repeat.period and turn == 1 and alike:
        return Operand("made", first, maker, results[0])
    if alike:
        return Operand("stacked", first, before[0], results[0], stride)
    return Operand("varying", first)


def _memory(value: Value | Number) -> tuple[Value | Number, int | None]:
    """Return what owns the memory of a value, and how many bytes in it begins."""
    offset = getattr(value.make, "offset", None) if isinstance(value, View) else 0
    return owner(value), offset


def _step(numbers: Sequence[int | None]) -> int | None:
    """Return by how much numbers increase each time, None if they do not evenly."""
    steps = {None if a is None or b is None else b - a for a, b in pairwise(numbers)}
    return steps.pop() if len(steps) == 1 else None
