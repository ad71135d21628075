"""Nested tuples, lists, dicts and dataclasses of arrays."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return the same nesting with `function` of each leaf, in order."""
    if isinstance(tree, dict):
        # A copy first: a defaultdict keeps its factory, any subclass its attributes.
        found = copy.copy(tree)
        found.update({key: mapped(function, value) for key, value in tree.items()})
        return found
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(mapped(function, value) for value in tree))
    if isinstance(tree, tuple | list):
        return type(tree)(mapped(function, value) for value in tree)
    if _is_dataclass(tree):
        values = {f.name: mapped(function, getattr(tree, f.name)) for f in _given(tree)}
        return dataclasses.replace(tree, **values)
    return function(tree)


def leaves(tree: Any) -> list[Any]:
    """Return the leaves in order."""
    if not is_nest(tree):
        return [tree]
    return [leaf for value in _values(tree) for leaf in leaves(value)]


def rebuilt(tree: Any, values: Iterable[Any]) -> Any:
    """Return the nesting of `tree` with `values` for its leaves, in order."""
    remaining = iter(values)
    return mapped(lambda _: next(remaining), tree)


def is_nest(tree: Any) -> bool:
    """Whether `tree` holds leaves, rather than being one."""
    return isinstance(tree, dict | tuple | list) or _is_dataclass(tree)


def items(tree: Any) -> list[tuple[str, Any]]:
    """Return the values that stand directly in a nest, each with how it is reached
    there: ``['w']``, ``[0]`` or ``.w``.
    """
    if isinstance(tree, dict):
        steps = [f"[{key!r}]" for key in tree]
    elif hasattr(tree, "_fields"):
        steps = [f".{name}" for name in tree._fields]
    elif isinstance(tree, tuple | list):
        steps = [f"[{k}]" for k in range(len(tree))]
    else:
        steps = [f".{f.name}" for f in _given(tree)]
    return list(zip(steps, _values(tree), strict=True))


def named_leaves(name: str, tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield the leaves in order, each with its path from `name`: ``x['w'][0]``."""
    if not is_nest(tree):
        yield name, tree
        return
    for step, value in items(tree):
        yield from named_leaves(name + step, value)


def _values(tree: Any) -> Iterable[Any]:
    if isinstance(tree, dict):
        return tree.values()
    if isinstance(tree, tuple | list):
        return tree
    return [getattr(tree, f.name) for f in _given(tree)]


def _is_dataclass(tree: Any) -> bool:
    return hasattr(type(tree), "__dataclass_fields__")


def _given(tree: Any) -> list[dataclasses.Field[Any]]:
    """Return the fields that are given; the others are computed from them."""
    return [f for f in dataclasses.fields(tree) if f.init]
