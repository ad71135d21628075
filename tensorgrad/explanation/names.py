"""What the caller calls things: names read from its variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..nn import Module

Names = dict[Any, str]
"""Names by node or leaf, and of layers and arrays by their id."""


def names_in(frame: FrameType | None, extra: Mapping[str, Any]) -> Names:
    """Return the names in `extra`, then those of the variables of a frame.

    Parameters
    ----------
    frame : frame or None
        Whose local and global variables are looked through.
    extra : mapping of str to Tensor, array or Module

    Returns
    -------
    dict
    """
    names: Names = {}
    for name, value in extra.items():
        _add(names, name, value)
    if frame is not None:
        for variables in (frame.f_locals, frame.f_globals):
            for name, value in list(variables.items()):
                if not name.startswith("_"):
                    _add(names, name, value)
    return names


def _add(names: Names, name: str, value: Any) -> None:
    if isinstance(value, Module):
        for path, part in _walk_module(name, value):
            names.setdefault(_key(part), path)
    elif type(value) is Tensor:
        names.setdefault(_key(value), name)
        # An operation on a constant tensor receives its array.
        names.setdefault(id(value._value), name)
    elif isinstance(value, np.ndarray):
        names.setdefault(id(value), name)
    elif isinstance(value, list | tuple):
        for place, item in _places(name, value):
            if type(item) is Tensor or isinstance(item, Module):
                _add(names, place, item)


def _places(name: str, items: Any) -> Iterator[tuple[str, Any]]:
    """Yield the items of a list or tuple, each with the way to it."""
    fields = getattr(items, "_fields", None)
    for i, item in enumerate(items):
        yield f"{name}.{fields[i]}" if fields else f"{name}[{i}]", item


def _key(value: Any) -> Any:
    return value.node if type(value) is Tensor and value.node is not None else id(value)


def _walk_module(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a layer, the layers inside and their parameters, each with its path."""
    yield path, value
    if not isinstance(value, Module):
        return
    for name, part in vars(value).items():
        if isinstance(part, Module | Tensor):
            yield from _walk_module(f"{path}.{name}", part)
        elif isinstance(part, list | tuple):
            for place, item in _places(f"{path}.{name}", part):
                if isinstance(item, Module | Tensor):
                    yield from _walk_module(place, item)
