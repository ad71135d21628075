"""What a step is called with: what of it tells one plan from another, and the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.tensor import Tensor, wrap
from .recorder import Recorder

Given = tuple[Any, list[Any], list[float]]
"""Arguments, taken apart: a key, the arrays and the floats.

In the key are structure, shapes and types, and the values of all else.
"""


_STATIC = (int, bool, str, bytes, type(None))
"""Types whose values are part of the key."""


class _Same:
    """Stands in a key for an object that is only equal to itself."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return type(other) is _Same and other.thing is self.thing


def taken_apart(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Given:
    """Return the arguments of a call, taken apart."""
    arrays: list[Any] = []
    numbers: list[float] = []
    key: Any = tuple([_key(a, arrays, numbers) for a in args]) if args else ()
    if kwargs:
        named = {name: kwargs[name] for name in sorted(kwargs)}
        key = key, _key(named, arrays, numbers)
    return key, arrays, numbers


def _key(x: Any, arrays: list[Any], numbers: list[float]) -> Any:
    kind = type(x)
    if kind is np.ndarray:
        arrays.append(x)
        return x.shape, x.dtype, None if x.flags.c_contiguous else x.strides
    if kind is float:
        numbers.append(x)
        return float
    if kind is Tensor:
        array = np.asarray(x._value)
        return Tensor, _key(array, arrays, numbers), x.requires_grad
    if isinstance(x, np.ndarray | np.generic):
        return kind, _key(np.asarray(x), arrays, numbers)
    if kind in (tuple, list):
        return kind, tuple([_key(item, arrays, numbers) for item in x])
    if kind is dict:
        return dict, tuple((n, _key(item, arrays, numbers)) for n, item in x.items())
    return (kind, x) if kind in _STATIC else _Same(x)


def recorded(x: Any, recorder: Recorder) -> Any:
    """Return what stands for an argument while the step is recorded."""
    kind = type(x)
    if kind is float:
        return recorder.number(x)
    if kind is Tensor:
        tensor = wrap(recorder.input(x._value), None)
        tensor.requires_grad = x.requires_grad
        return tensor
    if isinstance(x, np.ndarray | np.generic):
        return recorder.input(x)
    if kind in (tuple, list):
        return kind(recorded(item, recorder) for item in x)
    if kind is dict:
        return {name: recorded(item, recorder) for name, item in x.items()}
    return x
