"""What a step is called with: what of it tells one plan from another, and the rest."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..core.errors import CaptureError
from ..core.tensor import Tensor, wrap
from .recorder import Recorder
from .watch import changeable, same

Given = tuple[Any, list[Any], list[float]]
"""Arguments, taken apart: a key, the arrays and the floats.

In the key are structure, shapes and types, and the values of all else.
"""


_STATIC = (int, bool, str, bytes, complex, range, type(None))
"""Types whose values are part of the key."""

_SEQUENCES = (tuple, list, deque)
_DICTS = (dict, OrderedDict, defaultdict, Counter)


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
    if kind in _STATIC:
        return kind, x
    return _key_of_many(x, arrays, numbers)


def _key_of_many(x: Any, arrays: list[Any], numbers: list[float]) -> Any:
    kind = type(x)
    if _is_sequence(kind):
        return kind, tuple([_key(item, arrays, numbers) for item in x])
    if kind in _DICTS:
        named = _key_of_dict(x, arrays, numbers)
        return kind, getattr(x, "default_factory", None), named
    if _is_bundle(x):
        return kind, _key_of_dict(_fields(x), arrays, numbers)
    if kind in (set, frozenset) and all(type(item) in _STATIC for item in x):
        return kind, frozenset((type(item), item) for item in x)
    return _Same(x)


def _key_of_dict(x: Any, arrays: list[Any], numbers: list[float]) -> Any:
    return tuple([(name, _key(item, arrays, numbers)) for name, item in x.items()])


def _is_sequence(kind: type) -> bool:
    return kind in _SEQUENCES or (issubclass(kind, tuple) and hasattr(kind, "_fields"))


def _is_bundle(x: Any) -> bool:
    """Whether an object only holds data, arrays among them, as a batch does.

    One that holds parameters is not taken apart: the step may write to them.
    """
    if isinstance(x, type) or callable(x) or not _has_fields(x):
        return False
    leaves = [*_leaves(_fields(x))]
    return any(map(_is_data, leaves)) and all(
        _is_data(leaf) or type(leaf) in (float, *_STATIC) for leaf in leaves
    )


def _has_fields(x: Any) -> bool:
    kind = type(x)
    return kind is SimpleNamespace or (
        changeable(kind)
        and (hasattr(x, "__dict__") or hasattr(kind, "__slots__"))
        and not isinstance(x, dict | list | tuple | set | str | int)
    )


def _fields(x: Any) -> dict[str, Any]:
    """Return the attributes that an object has of its own."""
    found = {} if not hasattr(x, "__dict__") else dict(vars(x))
    for base in type(x).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(x, name):
                found[name] = getattr(x, name)
    return found


def _leaves(x: Any) -> Iterator[Any]:
    if type(x) in _DICTS:
        for item in x.values():
            yield from _leaves(item)
    elif _is_sequence(type(x)):
        for item in x:
            yield from _leaves(item)
    elif not isinstance(x, np.generic) and _has_fields(x) and not callable(x):
        yield from _leaves(_fields(x))
    else:
        yield x


def _is_data(x: Any) -> bool:
    if type(x) is Tensor:
        return x.node is None
    return isinstance(x, np.ndarray | np.generic)


class Arguments:
    """What stands for the arguments of a call while it is recorded.

    Parameters
    ----------
    recorder : Recorder
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._made: list[tuple[Any, list[Any]]] = []

    def standing_for(self, x: Any) -> Any:
        """Return what stands for an argument."""
        kind = type(x)
        if kind is float:
            return self._recorder.number(x)
        if kind is Tensor:
            tensor = wrap(self._recorder.input(x._value), None)
            tensor.requires_grad = x.requires_grad
            return tensor
        if isinstance(x, np.ndarray | np.generic):
            return self._recorder.input(x)
        if kind in _STATIC:
            return x
        made = self._standing_for_many(x)
        if made is not x:
            self._made.append((made, _items(made)))
        return made

    def _standing_for_many(self, x: Any) -> Any:
        kind = type(x)
        if issubclass(kind, tuple) and _is_sequence(kind):
            return tuple.__new__(kind, map(self.standing_for, x))
        if kind is deque:
            return deque(map(self.standing_for, x), x.maxlen)
        if kind is list:
            return [self.standing_for(item) for item in x]
        if kind in _DICTS:
            made = copy.copy(x)
            made.update((name, self.standing_for(item)) for name, item in x.items())
            return made
        if not _is_bundle(x):
            return x
        made = copy.copy(x)
        for name, item in _fields(x).items():
            object.__setattr__(made, name, self.standing_for(item))
        return made

    def check_unwritten(self) -> None:
        """Raise CaptureError where the step has written to what holds its arguments."""
        for made, items in self._made:
            now = _items(made)
            if len(now) != len(items) or not all(map(same, now, items)):
                raise CaptureError(
                    f"tg.compile: the step changes its argument, a "
                    f"{type(made).__name__}, which a replay does not do; return what "
                    "is new from the step"
                )


def _items(x: Any) -> list[Any]:
    if isinstance(x, dict):
        return [*x, *x.values()]
    return [*x] if _is_sequence(type(x)) else [*_fields(x).values()]
