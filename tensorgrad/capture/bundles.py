"""Containers and objects that hold data, made again with other data in them."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from .recording.watch import changeable, own_attributes

SEQUENCES = (tuple, list, deque)
DICTS = (dict, OrderedDict, defaultdict, Counter)
CYCLE = object()
"""Stands for a container within itself: such a nest is not made again."""


def is_sequence(kind: type) -> bool:
    """Whether a class is known to hold nothing but items."""
    return kind in SEQUENCES or (issubclass(kind, tuple) and hasattr(kind, "_fields"))


def has_fields(x: Any) -> bool:
    """Whether an object, and no container, has attributes of its own."""
    kind = type(x)
    return kind is SimpleNamespace or (
        changeable(kind)
        and (hasattr(x, "__dict__") or hasattr(kind, "__slots__"))
        and not isinstance(x, dict | list | tuple | set | str | int)
    )


def fields(x: Any) -> dict[str, Any]:
    """Return the attributes that an object has of its own."""
    found = dict(own_attributes(x))
    for base in type(x).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(x, name):
                found[name] = getattr(x, name)
    return found


def leaves(x: Any, kinds: tuple[type, ...] = ()) -> Iterator[Any]:
    """Yield what is in a nest of containers and objects, `CYCLE` for what it is in.

    Tensors, arrays and what is of one of `kinds` are not taken apart.
    """
    return _leaves(x, (Tensor, np.ndarray, np.generic, type, *kinds), ())


def _leaves(x: Any, whole: tuple[type, ...], around: tuple[Any, ...]) -> Iterator[Any]:
    inner = None if isinstance(x, whole) else _inner(x)
    if inner is None:
        yield x
    elif any(x is other for other in around):
        yield CYCLE
    else:
        for item in inner:
            yield from _leaves(item, whole, (*around, x))


def _inner(x: Any) -> Collection[Any] | None:
    if type(x) in DICTS:
        return [*x.values()]
    if is_sequence(type(x)):
        return [*x]
    return [*fields(x).values()] if has_fields(x) and not callable(x) else None


def rebuilt(
    x: Any, change: Callable[[Any], Any], is_bundle: Callable[[Any], bool]
) -> Any:
    """Return a container or object as `x`, with what `change` makes of its items.

    Anything else, and an object that is no bundle, is returned as it is.
    """
    kind = type(x)
    if issubclass(kind, tuple) and is_sequence(kind):
        return tuple.__new__(kind, map(change, x))
    if kind is deque:
        return deque(map(change, x), x.maxlen)
    if kind is list:
        return [change(item) for item in x]
    if kind not in DICTS and not is_bundle(x):
        return x
    made = copy.copy(x)
    if kind in DICTS:
        dict.update(made, {name: change(item) for name, item in x.items()})
        return made
    for name, item in fields(x).items():
        object.__setattr__(made, name, change(item))
    return made
