"""Which calls can write their results into buffers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...facts import facts_of
from ..program import Array, Call, Number, Result, Value


def takes_buffers(call: Call) -> bool:
    """Whether the call can write all its results into arrays passed to it."""
    results = call.results
    return bool(results) and all(map(_is_dense, results)) and _knows_out(call)


def copies(call: Call) -> bool:
    """Whether it only copies its argument, cast to the dtype of the result."""
    return facts_of(call.function).kind == "copy"


def _knows_out(call: Call) -> bool:
    if call.writes_last or copies(call):
        return True
    if isinstance(call.function, np.ufunc):
        return not call.kwargs and len(call.args) == call.function.nin
    if call.function is np.where:
        return len(call.args) == 3 and _is_mask(call.args[0])
    facts = facts_of(call.function)
    by_position = len(call.args) > facts.operands
    return facts.out and not by_position and call.kwargs.keys().isdisjoint(_OUT)


_OUT = ("out", "where")


def _is_mask(condition: Any) -> bool:
    return isinstance(condition, Value) and condition.dtype == bool


def overwrites(call: Call) -> tuple[Any, ...]:
    """Return the arguments whose memory an elementwise call may overwrite."""
    if call.function is np.where:
        return call.args[2:]
    facts = facts_of(call.function)
    free = facts.kind in ("elementwise", "copy") and not facts.rereads
    return call.args if free else ()


def _is_dense(result: Value | Number) -> bool:
    if not isinstance(result, Result):
        return False
    return result.dense and not result.dtype.hasobject


def array_in(memory: Array, value: Value) -> Array:
    """Return an array of the kind of `value` at the start of some bytes."""
    return np.ndarray(value.shape, value.dtype, memory, strides=value.strides)
