"""Scratch memory and memory of several arrays, which a kernel must not meet twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...facts import is_elementwise
from ..program import (
    Call,
    Constant,
    Live,
    Number,
    Program,
    Result,
    Value,
    filled,
    owner,
)


def without_scratch(program: Program) -> Program:
    """Return the program with results of its own in place of scratch arrays.

    What one call leaves in scratch memory for the next can be a variable then.
    """
    now: dict[Value, Result] = {}

    def replaced(value: Value | Number) -> Any:
        return now.get(value, value) if isinstance(value, Value) else value

    calls: list[Call] = []
    for call in program.calls:
        target = _filled_scratch(call)
        args = filled(call.args, replaced)
        if target is not None:
            new = now[target] = Result(target.shape, target.dtype, target.strides)
            calls.append(replace(call, args=args, kwargs={}, results=(new,), writes=()))
        else:
            kwargs, writes = filled((call.kwargs, call.writes), replaced)
            calls.append(replace(call, args=args, kwargs=kwargs, writes=writes))
    return replace(program, calls=calls)


def _filled_scratch(call: Call) -> Live | None:
    """Return the scratch array that a call writes all of without having read it."""
    if not is_elementwise(call.function) or set(call.kwargs) != {"out"}:
        return None
    for value in call.writes:
        if isinstance(value, Live) and value.scratch and len(call.writes) == 1:
            return value if value not in call.args else None
    return None


def shared(program: Program) -> dict[Value, Value]:
    """Return arrays of which parts are others too, if written to; one stands for all.

    What a kernel is given must share no memory.
    """
    stand_ins: dict[Value, Value] = {}
    one: Value | None = None
    end = -1
    for low, high, value in sorted(_ranges(program), key=lambda known: known[:2]):
        if one is not None and low < end:
            stand_ins[one] = stand_ins[value] = one
        else:
            one = value
        end = max(end, high)
    written = {owner(w) for call in program.calls for w in call.writes}
    touched = {stand_ins[value] for value in written if value in stand_ins}
    return {value: first for value, first in stand_ins.items() if first in touched}


def _ranges(program: Program) -> list[tuple[int, int, Value]]:
    values = {
        owner(value)
        for call in program.calls
        for value in (*call.reads, *call.writes)
        if isinstance(value, Value)
    }
    return [
        (*np.lib.array_utils.byte_bounds(value.array), value)
        for value in values
        if isinstance(value, Live | Constant)
    ]
