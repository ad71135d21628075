"""What NumPy does before a step on a device: count, draw random numbers, check labels.

Python has to do it in each step, and a device cannot ask it to.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.errors import CaptureError
from ...facts import facts_of
from ..program import Call, Live, Number, Program, Value, View, owner
from ..program import leaves as values_in
from ..recording.structure import Steady

Leaf = Value | Number


class Split:
    """Which calls NumPy makes before XLA's, and what it hands over.

    Parameters
    ----------
    program : Program

    Attributes
    ----------
    before, calls : list of Call
        Those that NumPy makes, and those that XLA does.
    handed : list of Value or Number
        What XLA's need of what NumPy has computed.

    Raises
    ------
    CaptureError
        Where NumPy needs what is only computed by XLA.
    """

    def __init__(self, program: Program) -> None:
        self._makers: dict[Leaf, list[Call]] = {}
        for call in program.calls:
            new = (r for r in call.results if not isinstance(r, View))
            for value in dict.fromkeys([*new, *map(owner, call.writes)]):
                self._makers.setdefault(value, []).append(call)
        chosen: set[int] = set()
        checks = {id(c): check for c in program.calls if (check := self._check(c))}
        for call in program.calls:
            for host in (call if _is_hosts(call) else None, checks.get(id(call))):
                if host is not None:
                    self._choose(host, host, chosen)
        self.before: list[Call] = []
        self.calls: list[Call] = []
        for call in program.calls:
            self.before += [checks[id(call)]] if id(call) in checks else []
            (self.before if id(call) in chosen else self.calls).append(call)
        made = {owner(r) for c in self.before for r in c.results}
        read = [v for c in self.calls for v in c.reads] + program.returned
        self.handed = [v for v in dict.fromkeys(map(owner, read)) if v in made]
        self._check_order(program)

    def _choose(self, call: Call, why: Call, chosen: set[int]) -> None:
        """Choose a call for NumPy, and those that compute what it reads."""
        if id(call) in chosen:
            return
        chosen.add(id(call))
        for value in map(owner, call.reads):
            makers = self._makers.get(value, [])
            if makers and isinstance(value, Live):
                raise _refusal(why, "reads an array that the step writes to")
            for maker in makers:
                self._choose(maker, why, chosen)

    def _check(self, call: Call) -> Call | None:
        """Return a check of an index that is known before XLA is called.

        XLA raises no errors: outside an array it finds NaN.
        """
        if call.name not in _INDEXING:
            return None
        array, index, *_ = call.args
        axis = call.arguments["axis"] if call.name == "take" else _NO_AXIS
        arrays = [v for v in values_in(index) if isinstance(v, Value)]
        moved = call.kwargs.get("mode", "raise") != "raise"
        counted = isinstance(call.function, Steady)
        if not arrays or moved or not all(map(self._is_early, arrays)):
            if counted and arrays:
                raise _refusal(call, "selects by values that the step computes")
            return None
        shape = getattr(call.results[0], "shape", None) if counted else None
        args = (array.shape, index, axis, shape)
        return Call(check_index, args, pure=False, place=call.place)

    def _is_early(self, value: Leaf) -> bool:
        """Whether a value is computed from what the step is called with alone."""
        left, known = [owner(value)], {owner(value)}
        while left:
            value = left.pop()
            makers = self._makers.get(value, [])
            if makers and isinstance(value, Live):
                return False
            # What is written in place reads itself.
            read = {owner(v) for call in makers for v in call.reads}
            left += read - known
            known |= read
        return True

    def _check_order(self, program: Program) -> None:
        """Raise where XLA needs what NumPy hands over before it was written to."""
        at = {id(call): i for i, call in enumerate(program.calls)}
        for value in self.handed:
            writers = [c for c in self.before if value in [*map(owner, c.writes)]]
            readers = [c for c in self.calls if value in [*map(owner, c.reads)]]
            last = max((at[id(c)] for c in writers), default=-1)
            if any(at[id(c)] < last for c in readers):
                raise _refusal(writers[-1], "writes to an array that is read before")


_INDEXING = ("getitem", "setitem", "add_at", "take")
_NO_AXIS = "none"


def check_index(shape: tuple[int, ...], index: Any, axis: Any, selected: Any) -> None:
    """Raise where an index is outside an array, or selects another shape of it."""
    nothing = np.broadcast_to(np.int8(0), shape)
    part = nothing[index] if axis is _NO_AXIS else nothing.take(index, axis)
    if selected is not None and part.shape != selected:
        raise CaptureError(
            f"tg.compile: an index selected shape {selected} when the step was "
            f"captured, and selects {part.shape} now; choose elements with np.where, "
            "which keeps the shape"
        )


def _is_hosts(call: Call) -> bool:
    """Whether a call is made by Python: it has an effect, or gives a number."""
    numbers = any(isinstance(r, Number) for r in call.results)
    return numbers or not call.pure or facts_of(call.function).name == "_checked_rows"


def _refusal(call: Call, why: str) -> CaptureError:
    return CaptureError(
        f'tg.compile(target="xla"): {call.place}: {call.label} is called by Python and '
        f"{why}, in the middle of the step; do it before the step, or compile without "
        "a target"
    )
