"""Containers and objects that hold data, rebuilt with other data in them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...core.tensor import Tensor
from ...core.tree import Kind, container
from .watch import changeable, own_attributes, slots

CYCLE = object()
"""Stands for a container within itself: such a nest is not made again."""


def has_fields(x: Any) -> bool:
    """Whether an object, not a container, has attributes of its own."""
    kind = type(x)
    return kind is SimpleNamespace or (
        changeable(kind)
        and (hasattr(x, "__dict__") or hasattr(kind, "__slots__"))
        and not isinstance(x, dict | list | tuple | set | str | int)
    )


def fields(x: Any) -> dict[str, Any]:
    """Return the attributes of an object itself, slots included."""
    filled = {n: getattr(x, n) for n in slots(type(x)) if hasattr(x, n)}
    return own_attributes(x) | filled


def _refilled(x: Any, values: list[Any]) -> Any:
    clone = copy.copy(x)
    for name, value in zip(fields(x), values, strict=True):
        object.__setattr__(clone, name, value)
    return clone


_OBJECT = Kind(fields, lambda x: fields(x).values(), _refilled, ".{}")


def kind_of(x: Any, is_bundle: Callable[[Any], bool]) -> Kind | None:
    """Return the kind of a container, and of an object that is a bundle of items."""
    return container(x) or (_OBJECT if is_bundle(x) else None)


def leaves(x: Any, kinds: tuple[type, ...] = ()) -> Iterator[Any]:
    """Yield what is in a nest of containers and objects, `CYCLE` for what it is in.

    Tensors, arrays and what is of one of `kinds` are not taken apart.
    """
    return _leaves(x, (Tensor, np.ndarray, np.generic, type, *kinds), ())


def _leaves(x: Any, atoms: tuple[type, ...], around: tuple[Any, ...]) -> Iterator[Any]:
    kind = None if isinstance(x, atoms) else kind_of(x, _holds_data)
    if kind is None:
        yield x
    elif any(x is other for other in around):
        yield CYCLE
    else:
        for item in kind.values(x):
            yield from _leaves(item, atoms, (*around, x))


def _holds_data(x: Any) -> bool:
    return has_fields(x) and not callable(x)
