"""Which calls can be told where to write their results, so that a buffer holds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..program import Array, Call, Number, Result, Value

COPIES = {np.copy, np.ndarray.copy, np.ndarray.astype, np.ascontiguousarray}
"""Functions that only copy their first argument, cast to the dtype of the result."""

WITH_OUT = {
    *(np.concatenate, np.stack, np.clip, np.cumsum, np.cumprod),
    *(np.ndarray.clip, np.ndarray.cumsum, np.ndarray.cumprod),
}
"""Other functions with a keyword ``out`` that leaves the bits as they are."""


def takes_buffers(call: Call) -> bool:
    """Whether the call can write all its results into arrays it is given."""
    results = call.results
    return bool(results) and all(map(_is_dense, results)) and _knows_out(call)


def writes_last(call: Call) -> bool:
    """Whether the function takes the arrays to write to as its last arguments."""
    return getattr(call.function, "into", False)


def _knows_out(call: Call) -> bool:
    function = call.function
    if writes_last(call) or function in COPIES:
        return True
    if isinstance(function, np.ufunc):
        return not call.kwargs and len(call.args) == function.nin
    if function is np.where:
        return len(call.args) == 3 and _is_mask(call.args[0])
    return not {"out", "where"} & call.kwargs.keys() and (
        function in WITH_OUT or _is_reduction(function, call)
    )


def _is_reduction(function: Callable[..., Any], call: Call) -> bool:
    """Whether it is np.add.reduce or the like, with ``out`` not given by position."""
    of = getattr(function, "__self__", None)
    allowed = {"reduce": 3, "accumulate": 3}.get(getattr(function, "__name__", ""), 0)
    return isinstance(of, np.ufunc) and len(call.args) <= allowed


def _is_mask(condition: Any) -> bool:
    return isinstance(condition, Value) and condition.dtype == bool


def overwrites(call: Call) -> tuple[Any, ...]:
    """Return the arguments in whose memory the result may be written, elementwise."""
    if call.function is np.where:
        return call.args[2:]
    if is_elementwise(call.function) or call.function in COPIES:
        return call.args
    return ()


def is_elementwise(function: Callable[..., Any]) -> bool:
    """Whether it is a ufunc of elements: not a matrix product."""
    return isinstance(function, np.ufunc) and function.signature is None


def _is_dense(result: Value | Number) -> bool:
    """Whether the elements of a result fill its memory, in whatever order."""
    if not isinstance(result, Result) or result.dtype.hasobject:
        return False
    step = result.dtype.itemsize
    for stride, length in sorted(zip(result.strides, result.shape, strict=True)):
        if length == 0:
            return True
        if length > 1:
            if stride != step:
                return False
            step *= length
    return True


def array_in(memory: Array, value: Value) -> Array:
    """Return an array of the kind of `value` at the start of some bytes."""
    return np.ndarray(value.shape, value.dtype, memory, strides=value.strides)
