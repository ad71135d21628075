"""Buffers for the results of a program, shared by results of disjoint lifetimes."""

from __future__ import annotations

import sys
from bisect import bisect, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import groupby
from operator import attrgetter

import numpy as np

from ..program import Array, Call, Number, Program, Result, Value, View, layout, owner
from .into import overwrites, takes_buffers
from .scalars import in_order

_ALIGNMENT = 64


@dataclass(eq=False)
class Slot:
    """Results that take turns in the same memory, each written onto the one before.

    Attributes
    ----------
    first, last : int
        Calls between which the memory is in use, both included.
    """

    holds: list[Result]
    first: int
    last: int

    @property
    def nbytes(self) -> int:
        """Bytes of each of them."""
        return self.holds[0].nbytes


@dataclass(eq=False)
class Buffer:
    """Memory for slots that are in use at different times, in that order."""

    nbytes: int
    slots: list[Slot] = field(default_factory=list)

    @property
    def holds(self) -> list[Result]:
        """Return the results it holds, one after the other."""
        return [result for slot in self.slots for result in slot.holds]

    def neighbours(self, slot: Slot) -> tuple[int, int]:
        """Return when it was used last before `slot` begins, and when it is next."""
        at = bisect(self.slots, slot.first, key=_first)
        before = self.slots[at - 1].last if at else -1
        after = self.slots[at].first if at < len(self.slots) else sys.maxsize
        return before, after

    def free_for(self, slot: Slot) -> bool:
        """Whether none of its slots is in use while `slot` is."""
        before, after = self.neighbours(slot)
        return before < slot.first and slot.last < after

    def take(self, slot: Slot) -> None:
        """Hold the results of `slot` too."""
        insort(self.slots, slot, key=_first)

    def allocate(self) -> Array:
        """Return its memory, aligned for the widest instructions."""
        room = np.empty(self.nbytes + _ALIGNMENT, np.uint8)
        start = -room.ctypes.data % _ALIGNMENT
        return room[start : start + self.nbytes]


_first = attrgetter("first")


@dataclass
class Memory:
    """The buffers of a program.

    Attributes
    ----------
    buffers : list of Buffer
    at : dict
        The buffer of each result that is kept in one; the others are made anew by
        their calls, which cannot be told where to write.
    onto : dict
        For results written onto a value that is not read any more, that value.
    last : dict
        The number of the last call that touches the memory of each value.
    returned : set
        Large results that the step returns as they are: they are written to new memory
        in each run, which saves a copy.
    """

    buffers: list[Buffer]
    at: dict[Result, Buffer]
    onto: dict[Result, Result]
    last: dict[Value | Number, int]
    returned: set[Result]


def assigned(program: Program) -> Memory:
    """Assign a buffer to every result that can have one, greedily, in few bytes.

    The largest come first; each goes to the smallest buffer that is free all the
    while it is in use, and of those to the one used last, still in the cache.
    """
    last = last_uses(program)
    returned = _given_away(program)
    slots, onto = _slots(program, last, returned)
    buffers: list[Buffer] = []
    slots.sort(key=lambda slot: (-slot.nbytes, slot.first))
    for _, group in groupby(slots, attrgetter("nbytes")):
        buffers += _assign(group, buffers[-_NEAR:])
    at = {result: b for b in buffers for slot in b.slots for result in slot.holds}
    return Memory(buffers, at, onto, last, returned)


_LARGE = 1 << 16


def _given_away(program: Program) -> set[Result]:
    """Return results of calls that nobody else has once the step has returned them."""
    times = Counter(map(owner, program.returned))
    alone = {r for r in program.returned if times[r] == 1}
    return {
        r
        for call in program.calls
        if not alone.isdisjoint(call.results) and takes_buffers(call)
        for r in call.results
        if r in alone and isinstance(r, Result) and in_order(r) and r.nbytes >= _LARGE
    }


_NEAR = 100
"""Of so many larger buffers gaps are used: a program may have thousands of them."""


def _assign(slots: Iterable[Slot], larger: Sequence[Buffer]) -> list[Buffer]:
    """Assign buffers to slots of one size, in order; return those that are new.

    Of these it is known which are free, without asking each.
    """
    new: list[Buffer] = []
    free: list[tuple[int, int]] = []
    busy: list[tuple[int, int]] = []
    for slot in slots:
        while busy and busy[0][0] < slot.first:
            free.append(heappop(busy))
        gaps = [] if free else [b for b in larger if b.free_for(slot)]
        if gaps:
            min(gaps, key=lambda b: (b.nbytes, -b.neighbours(slot)[0])).take(slot)
            continue
        if not free:
            new.append(Buffer(slot.nbytes))
        at = -free.pop()[1] if free else len(new) - 1
        new[at].take(slot)
        heappush(busy, (slot.last, -at))
    return new


def _slots(
    program: Program, last: dict[Value | Number, int], returned: set[Result]
) -> tuple[list[Slot], dict[Result, Result]]:
    slots: dict[Result, Slot] = {}
    onto: dict[Result, Result] = {}
    for i, call in enumerate(program.calls):
        if not takes_buffers(call):
            continue
        dying = _overwritable(call, i, last, slots)
        for result in call.results:
            assert isinstance(result, Result)
            if result in returned:
                continue
            end = last.get(result, i)
            source = next((x for x in dying if layout(x) == layout(result)), None)
            if source is None:
                slots[result] = Slot([result], i, end)
            else:
                dying.remove(source)
                onto[result], slots[result] = source, slots[source]
                slots[source].holds.append(result)
                slots[source].last = end
    return list(dict.fromkeys(slots.values())), onto


def last_uses(program: Program) -> dict[Value | Number, int]:
    """Return the number of the last call that touches the memory of each owner."""
    last: dict[Value | Number, int] = {}
    for i, call in enumerate(program.calls):
        for value in (*call.reads, *call.writes):
            last[owner(value)] = i
    last.update((owner(v), len(program.calls)) for v in program.returned)
    return last


def _overwritable(
    call: Call, i: int, last: dict[Value | Number, int], slots: dict[Result, Slot]
) -> list[Result]:
    """Return arguments nobody reads after an elementwise call, which it may overwrite.

    One read twice, once as a view, is not among them: elements would be overwritten
    before they are read.
    """
    viewed = {owner(v) for v in call.reads if isinstance(v, View)}
    results = [v for v in overwrites(call) if isinstance(v, Result) and v in slots]
    return [v for v in dict.fromkeys(results) if last[v] == i and v not in viewed]
