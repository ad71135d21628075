"""Numbers among the arguments of a call, and the dtype NumPy gives them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ...facts import facts_of, is_elementwise
from ..program import Array, Call, Number, Value

_ROW, _BLOCK = 512, 1 << 16
"""Elements from which a row is long, and up to which numbers are written out."""


def weak_dtypes(call: Call) -> dict[int, np.dtype[Any]]:
    """Return the positions of numbers, with the floating dtype each is cast to.

    Only where an array of that dtype gives the same result, bit for bit.
    """
    if not is_elementwise(call.function) or call.kwargs.keys() - {"out"}:
        return {}
    if all(isinstance(a, Value) for a in call.args):
        return {}
    loops = {_resolved(call, kind) for kind in (int, float)}
    if len(loops) > 1 or None in loops:
        return {}
    (dtypes,) = loops
    assert dtypes is not None
    return {
        i: dtype
        for i, (a, dtype) in enumerate(zip(call.args, dtypes, strict=False))
        if not isinstance(a, Value) and dtype.kind == "f" and _fits(a, dtype)
    }


def _resolved(call: Call, number: type) -> tuple[np.dtype[Any], ...] | None:
    """Return the dtypes of the loop NumPy takes; None where numbers change it."""
    ufunc: Any = call.function
    kinds = tuple(_kind(a, number) for a in call.args)
    # Not "None in kinds": the dtype float64 equals None.
    return _loop(ufunc, kinds) if all(k is not None for k in kinds) else None


@lru_cache(maxsize=1024)
def _loop(ufunc: Any, kinds: tuple[Any, ...]) -> tuple[np.dtype[Any], ...] | None:
    if len(kinds) != ufunc.nin:
        return None
    free = (None,) * ufunc.nout
    try:
        dtypes: tuple[np.dtype[Any], ...] = ufunc.resolve_dtypes((*kinds, *free))
    except TypeError:
        # A function of whole numbers alone, as invert, of a number that may be another.
        return None
    weak = [d if k in (int, float) else k for k, d in zip(kinds, dtypes, strict=False)]
    same = ufunc.resolve_dtypes((*weak, *free)) == dtypes
    return dtypes if same else None


def _kind(argument: Any, number: type) -> Any:
    """Return the argument for NumPy's resolution: a dtype, or the type of a number."""
    if isinstance(argument, Value | np.floating):
        return argument.dtype
    if isinstance(argument, Number):
        return number
    return type(argument) if type(argument) in (int, float) else None


def _fits(argument: Any, dtype: np.dtype[Any]) -> bool:
    """Whether a number is not too large for `dtype`: a cast would warn only once."""
    if isinstance(argument, Number):
        return True
    return dtype.itemsize <= 8 and bool(abs(argument) <= float(np.finfo(dtype).max))


def as_array(call: Call, number: float | None, dtype: np.dtype[Any]) -> Array:
    """Return an array to pass in place of a number, None if it is as good as any.

    It is repeated along rows where NumPy has a loop over vectors for two arrays only.
    """
    if number is None:
        return np.empty((), dtype)
    repeats = facts_of(call.function).rows
    shape = (
        _block(call)
        if repeats and _same_in_rows(call.function, repr(number), dtype)
        else ()
    )
    return np.full(shape, number, dtype)


def _block(call: Call) -> tuple[int, ...]:
    """Return the shape of the shortest long rows of the array the call is made on."""
    arrays = [a for a in call.args if isinstance(a, Value)]
    if len(arrays) != 1:
        return ()
    (x,) = arrays
    shape, size = x.shape, x.nbytes // x.dtype.itemsize
    if not size or not in_order(x):
        return ()
    while len(shape) > 1 and size // shape[0] >= _ROW:
        size //= shape[0]
        shape = shape[1:]
    return shape if size <= _BLOCK else ()


def in_order(x: Value) -> bool:
    """Whether the elements lie one after the other, the last axis fastest."""
    step = x.dtype.itemsize
    for stride, length in zip(x.strides[::-1], x.shape[::-1], strict=True):
        if length > 1 and stride != step:
            return False
        step *= length
    return True


@lru_cache(maxsize=64)
def _same_in_rows(ufunc: Any, written: str, dtype: np.dtype[Any]) -> bool:
    """Whether both loops give the same bits, for zeros of both signs and NaN too."""
    # Written out, because 0.0 == -0.0 is one key of the cache.
    number = float(written)
    tiny = np.finfo(dtype).smallest_subnormal
    special = [0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, tiny, -tiny, number, 1]
    x = np.tile(np.array(special, dtype), 13)
    one, many = np.array(number, dtype), np.full(x.shape, number, dtype)
    ways = (ufunc(x, one), ufunc(x, many)), (ufunc(one, x), ufunc(many, x))
    return all(a.tobytes() == b.tobytes() for a, b in ways)
