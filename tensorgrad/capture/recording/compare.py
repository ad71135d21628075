"""Comparison of two recordings of a step: the same program, or where they differ."""

from __future__ import annotations

from functools import partial
from itertools import zip_longest
from types import FunctionType
from typing import Any

from ...core.errors import CaptureError
from ...core.tree import pairs
from ..program import Call, Number, Value, layout
from .bundles import fields, has_fields
from .recording import Recording
from .structure import Plainly, Steady


class Comparison:
    """Two recordings, value by value.

    Parameters
    ----------
    first, second : Recording
    """

    def __init__(self, first: Recording, second: Recording) -> None:
        self.first, self.second = first.recorder, second.recorder
        self.returned = first.returned, second.returned
        self.pairs: dict[Any, Any] = {}

    def check(self) -> None:
        """Raise CaptureError where the recordings differ, with the user's line."""
        one, other = self.first.program, self.second.program
        self._pair(one.inputs, other.inputs)
        self._pair(one.numbers, other.numbers)
        for x, y in zip(self.first.outside, self.second.outside, strict=False):
            self.pairs[x.traced.value] = y.traced.value
        for i, (a, b) in enumerate(zip_longest(one.calls, other.calls)):
            self._check_call(i, a, b)
        if not self.same(*self.returned):
            raise CaptureError(
                "tg.compile: the step returns other values in the second call than in "
                "the first; let it return the same ones each time"
            )

    def _pair(self, ours: Any, theirs: Any) -> None:
        self.pairs.update(zip(ours, theirs, strict=True))

    def _check_call(self, i: int, a: Call | None, b: Call | None) -> None:
        if a is None or b is None or not self._same_kind(a, b):
            raise self._parted(i)
        ours, theirs = (a.args, a.kwargs), (b.args, b.kwargs)
        if not self.same(ours, theirs):
            raise self._changed(i, ours, theirs)
        self._pair(a.results, b.results)
        if not self.same(a.writes, b.writes):
            raise self._parted(i)

    def _same_kind(self, a: Call, b: Call) -> bool:
        return (
            (a.function is b.function or self.same(a.function, b.function))
            and a.pure == b.pure
            and len(a.results) == len(b.results)
            and all(map(_alike, a.results, b.results))
        )

    def _parted(self, i: int) -> CaptureError:
        calls = self.second.program.calls or self.first.program.calls
        place = calls[min(i, len(calls) - 1)].place
        return CaptureError(
            f"tg.compile: {place}: from here on the step computes otherwise in the "
            "second call than in the first, so no replay could do what it does; let "
            "it compute the same each time, or pass what it decides by as an argument"
        )

    def _changed(self, i: int, ours: Any, theirs: Any) -> CaptureError:
        place = self.second.program.calls[i].place
        for a, b in pairs(ours, theirs):
            if isinstance(a, int | float) and isinstance(b, int | float) and a != b:
                return CaptureError(
                    f"tg.compile: {place}: a Python number was {a} in the first call "
                    f"and is {b} in the second, and would stay so when the step is "
                    "replayed; pass it as an argument of type float"
                )
        return self._parted(i)

    def same(self, a: Any, b: Any) -> bool:
        """Whether two items of calls are the same, values by their place."""
        if isinstance(a, _PLACED):
            return self.pairs.get(a) is b
        if type(a) is tuple is type(b):
            return len(a) == len(b) and all(map(self.same, a, b))
        return all(self._same_item(x, y) for x, y in pairs(a, b))

    def _same_item(self, a: Any, b: Any) -> bool:
        if isinstance(a, _PLACED):
            return self.pairs.get(a) is b
        if type(a) is not type(b):
            return False
        if isinstance(a, FunctionType):
            return a is b or (
                a.__code__ is b.__code__ and self.same(_free(a), _free(b))
            )
        if isinstance(a, partial):
            return self.same((a.func, a.args, a.keywords), (b.func, b.args, b.keywords))
        if isinstance(a, Steady):
            return self.same(a.function, b.function)
        if isinstance(a, Plainly):
            return a.form is b.form and self.same(a.function, b.function)
        if has_fields(a) and not callable(a):
            return a is b or self.same(fields(a), fields(b))
        return a is b or bool(a == b) or bool(a != a and b != b)


_PLACED = (Value, Number)


def _alike(a: Value | Number, b: Value | Number) -> bool:
    if isinstance(a, Number) or isinstance(b, Number):
        return type(a) is type(b)
    return layout(a) == layout(b)


def _free(function: FunctionType) -> tuple[Any, ...]:
    """Return the defaults of a function, and the variables around it."""
    cells = tuple(c.cell_contents for c in function.__closure__ or ())
    return function.__defaults__, cells
