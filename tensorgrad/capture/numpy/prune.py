"""Removal of calls whose results are not read, or are the same in every call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..program import (
    Call,
    Constant,
    Number,
    Program,
    Result,
    Value,
    View,
    filled,
    layout,
    owner,
)


class Eliminated(NamedTuple):
    """A call of the step that its replay does not make."""

    what: str
    why: str


def pruned(program: Program) -> tuple[Program, list[Eliminated]]:
    """Return the program without the calls it does not need, and those calls.

    A call is made once and for all where everything it reads is constant; multiplying
    by one copies; a pure call is left out if nothing reads what it gives.
    """
    gone: list[Eliminated] = []
    program = _Folding(program, gone).program()
    calls = _needed(program, gone)
    return replace(program, calls=calls), gone


def _needed(program: Program, gone: list[Eliminated]) -> list[Call]:
    """Return the calls whose results or writes matter after them."""
    needed: set[Value | Number] = {*program.returned, *map(owner, program.returned)}
    calls: list[Call] = []
    for call in reversed(program.calls):
        if _matters(call, needed):
            calls.append(call)
            touched = (*call.reads, *call.writes)
            needed.update(touched, map(owner, touched))
        elif not call.results or not isinstance(call.results[0], View):
            gone.append(Eliminated(call.label, "nothing reads its result"))
    return calls[::-1]


def _matters(call: Call, needed: set[Value | Number]) -> bool:
    written = [owner(w) for w in call.writes]
    if not call.pure or any(not isinstance(w, Result) for w in written):
        return True
    return not needed.isdisjoint((*call.results, *written))


class _Folding:
    """One pass through a program in which what is constant is computed."""

    def __init__(self, program: Program, gone: list[Eliminated]) -> None:
        self.before = program
        self.gone = gone
        self.written = {owner(w) for call in program.calls for w in call.writes}
        self.hosts = {r for c in program.calls if not c.pure for r in c.results}
        self.known: dict[Value | Number, Value | Number] = {}

    def program(self) -> Program:
        """Return the program with constants in place of the calls that made them."""
        calls = [new for call in self.before.calls if (new := self._folded(call))]
        returned: Any = [_whole(self._now(v)) for v in self.before.returned]
        return replace(self.before, calls=calls, returned=returned)

    def _folded(self, call: Call) -> Call | None:
        if any(v in self.known for v in map(owner, call.reads)):
            views = tuple(self._now(r) for r in call.results)
            args, kwargs = filled((call.args, call.kwargs), self._now)
            call = replace(call, args=args, kwargs=kwargs, results=views)
        if self._is_constant(call):
            self._fold(call)
            return None
        factor = _times_one(call)
        if factor is not None:
            if call.writes:
                self.gone.append(Eliminated(call.label, "it multiplies by 1"))
                return None
            call = replace(call, function=np.copy, args=(factor,))
        if self._is_needless(call):
            self.known[call.results[0]] = call.args[0]
            self.gone.append(Eliminated(call.label, "nothing writes to it, or to that"))
            return None
        return call

    def _is_needless(self, call: Call) -> bool:
        """Whether it copies a result, and neither is ever written to.

        What is returned twice a replay copies.
        """
        if call.name != "copy" or len(call.args) != 1 or call.kwargs:
            return False
        (x,), (y,) = call.args, call.results
        if not isinstance(x, Result) or not isinstance(y, Result):
            return False
        once = not {x, y} & (self.written | self.hosts)
        return once and layout(x) == layout(y)

    def _now(self, value: Value | Number) -> Value | Number:
        """Return a value, or the constant that has replaced it."""
        if value not in self.known and isinstance(value, View):
            base = self._now(value.base)
            if base is not value.base:
                assert isinstance(base, Value)
                self.known[value] = replace(value, base=base)
        return self.known.get(value, value)

    def _is_constant(self, call: Call) -> bool:
        reads = [] if _is_ones(call) else call.reads
        return (
            call.pure
            and not call.writes
            and bool(call.results)
            and all(isinstance(owner(v), Constant) for v in reads)
            and all(isinstance(r, Result) for r in call.results)
            and self.written.isdisjoint((*call.results, *map(owner, reads)))
        )

    def _fold(self, call: Call) -> None:
        results: Any
        if _is_ones(call):
            (one,) = call.results
            assert isinstance(one, Result)
            results = np.ones(one.shape, one.dtype)
        else:
            args, kwargs = filled((call.args, call.kwargs), array_of)
            with np.errstate(all="ignore"):
                results = call.function(*args, **kwargs)
        results = results if isinstance(results, tuple | list) else (results,)
        for result, array in zip(call.results, map(np.asarray, results), strict=False):
            self.known[result] = Constant(*layout(array), array)
        self.gone.append(Eliminated(call.label, "the same in every call, made once"))


def _whole(value: Value | Number) -> Value | Number:
    """Return a result in place of a view that is all of it, to be given away."""
    if isinstance(value, View) and isinstance(value.base, Result):
        return value.base if layout(value) == layout(value.base) else value
    return value


def _is_ones(call: Call) -> bool:
    """Whether it makes ones like a value, a seed: it reads only how that lies."""
    if call.function is not np.ones_like or len(call.results) != 1:
        return False
    (one,) = call.results
    if not isinstance(one, Result):
        return False
    return layout(np.empty(one.shape, one.dtype)) == layout(one)


def array_of(value: Any) -> Any:
    """Return the array of a constant or live value, or of a view of one."""
    if isinstance(value, View):
        return value.make(array_of(value.base))
    return value.array


def _times_one(call: Call) -> Value | None:
    """Return x if the call is x * 1 and that equals x; also if it writes to x."""
    if call.name not in _PRODUCTS or len(call.args) < 2:
        return None
    target = [*call.results, *call.writes]
    for x, one in (call.args[:2], call.args[1::-1]):
        if len(target) == 1 and isinstance(x, Value) and _is_one(one):
            y = target[0]
            alike = isinstance(y, Value) and layout(y) == layout(x)
            if y is x or (not call.writes and alike):
                return x
    return None


_PRODUCTS = ("multiply", "scaled", "hushed")


def _is_one(x: Any) -> bool:
    if isinstance(x, Value):
        return isinstance(owner(x), Constant) and bool((array_of(x) == 1).all())
    return isinstance(x, int | float | np.generic) and bool(x == 1)
