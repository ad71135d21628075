"""Groups: the calls of a program in an order that brings fusible ones together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..program import Call, Live, Number, Program, Value, View, layout
from ..repeats import repeats
from .elements import Element, Unfit
from .fusible import elements
from .scratch import shared

LARGEST = 150
"""Operations in one kernel at most: the time to compile grows with them."""

TURN = 60
"""Operations from which a group ends before a call like its first.

There a loop of the step begins again, whose turns are the same kernel then.
"""

LOOP = 4 * LARGEST
"""Calls of a loop from which on its turns are groups of their own."""


def fusible(program: Program) -> dict[int, list[Element]]:
    """Return the elements of each call that can be fused, by its number."""
    fused: dict[int, list[Element]] = {}
    twice = shared(program).keys()
    for i, call in enumerate(program.calls):
        try:
            fused[i] = elements(i, call)
        except Unfit:
            continue
        if any(a.owner in twice for element in fused[i] for a in element.accesses):
            del fused[i]
    return fused


def grouped(program: Program, fit: dict[int, list[Element]]) -> list[list[int]]:
    """Return the numbers of the calls in a valid order, fusible ones together.

    A call that cannot be fused is made as soon as what it needs is there, so that as
    many as possible of the others are ready together. Those wait until they are needed,
    so that what they compute need not be kept: the mask of a relu, a decayed mean.
    """
    after = followers(program)
    groups: list[list[int]] = []
    for part in _parts(program.calls):
        order = _Order(program, fit, after, part)
        while order.ready:
            alone = next((i for i in order.ready if i not in fit), None)
            group = order.drained() if alone is None else [alone]
            order.make(group)
            groups.append(group)
    return groups


def _parts(calls: Sequence[Call]) -> Iterator[range]:
    """Yield parts of a program to be ordered by themselves: turns of long loops.

    What is alike in all turns is grouped alike, and each kernel compiled once.
    """
    start = 0
    for repeat in repeats(calls):
        if repeat.period * repeat.count > LOOP:
            size = repeat.period * max(1, TURN // repeat.period)
            yield range(start, repeat.start)
            for start in range(repeat.start, repeat.end, size):
                yield range(start, min(start + size, repeat.end))
            start = repeat.end
    yield range(start, len(calls))


class _Order:
    """The calls of a part still to be made, and those that are ready.

    Attributes
    ----------
    ready : list of int
        Calls for which nothing is missing, in the order of the program.
    """

    def __init__(
        self,
        program: Program,
        fit: dict[int, list[Element]],
        after: dict[int, set[int]],
        part: range,
    ) -> None:
        self.calls = program.calls
        self.fit = fit
        self.after = {i: after.get(i, set()) for i in part}
        self.waits = dict.fromkeys(part, 0)
        for later in self.after.values():
            for i in later:
                if i in part:
                    self.waits[i] += 1
        self.ready = [i for i, count in self.waits.items() if not count]

    def make(self, group: list[int]) -> None:
        """Mark calls as made."""
        done = set(group)
        self.ready = [i for i in self.ready if i not in done]
        freed = _released(group, self.after, self.waits)
        self.ready = sorted({*self.ready, *freed} - done)

    def drained(self) -> list[int]:
        """Return fusible calls that are ready, or are if others of them are made."""
        waits, ready, group = {**self.waits}, [*self.ready], list[int]()
        count = 0
        while ready := [i for i in sorted(ready) if i in self.fit]:
            count += len(self.fit[ready[0]])
            turn = count > TURN and self._is_like(group[0], ready[0])
            if group and (turn or count > LARGEST):
                return group
            group.append(ready.pop(0))
            ready += _released(group[-1:], self.after, waits)
        return self._as_late_as_can_be(self._needed(group))

    def _is_like(self, one: int, other: int) -> bool:
        """Whether two calls do the same for the same line of the user's."""
        a, b = self.calls[one], self.calls[other]
        alike = (a.function, a.origin, a.place) == (b.function, b.origin, b.place)
        return alike and [*map(_layout, a.reads)] == [*map(_layout, b.reads)]

    def _needed(self, group: list[int]) -> list[int]:
        """Return the calls of a group that some other call waits for."""
        needed: set[int] = set()
        for i in sorted(group, reverse=True):
            later = self.after[i]
            if not later or any(
                k in needed or k not in self.fit or k not in self.waits for k in later
            ):
                needed.add(i)
        return [i for i in group if i in needed]

    def _as_late_as_can_be(self, group: list[int]) -> list[int]:
        order: list[int] = []
        for i in reversed(group):
            later = self.after[i]
            at = next((at for at, k in enumerate(order) if k in later), 0)
            order.insert(at, i)
        return order


def _layout(value: Value | Number) -> object:
    return layout(value) if isinstance(value, Value) else Number


def _released(
    done: list[int], after: dict[int, set[int]], waits: dict[int, int]
) -> list[int]:
    """Return the calls that wait for nothing any more; `waits` is counted down."""
    freed: list[int] = []
    for i in done:
        for later in after[i] & waits.keys():
            waits[later] -= 1
            if not waits[later]:
                freed.append(later)
    return freed


def followers(program: Program) -> dict[int, set[int]]:
    """Return for each call the later ones that must follow it."""
    same: dict[object, object] = dict(shared(program).items())
    after: dict[int, set[int]] = {}
    writer: dict[object, int] = {}
    readers: dict[object, list[int]] = {}
    for i, call in enumerate(program.calls):
        reads, writes = ({same.get(x, x) for x in some} for some in touched(call))
        before = [writer[x] for x in reads | writes if x in writer]
        before += [r for x in writes for r in readers.get(x, ())]
        for earlier in before:
            if earlier != i:
                after.setdefault(earlier, set()).add(i)
        for x in writes:
            writer[x], readers[x] = i, []
        for x in reads:
            readers.setdefault(x, []).append(i)
    return after


_EFFECTS = object()
"""What calls with effects of their own read and write: they keep their order."""

_CHECKED = object()
"""What checks write, and whoever writes to memory that outlives the step reads.

So what a check refuses is refused before anything has changed.
"""


def touched(call: Call) -> tuple[set[object], set[object]]:
    """Return the memory and numbers that a call reads, and that it writes."""
    reads, writes = _roots(call.reads), _roots((*call.results, *call.writes))
    if any(isinstance(value, Live) for value in writes):
        reads.add(_CHECKED)
    if not writes:
        writes.add(_CHECKED)
    return reads, writes if call.pure else {*writes, _EFFECTS}


def _roots(values: Iterable[Value | Number]) -> set[object]:
    return {v.base if isinstance(v, View) else v for v in values}
