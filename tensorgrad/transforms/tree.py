"""Nested tuples, lists and dicts of arrays."""

from collections.abc import Callable, Iterable
from typing import Any


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return the same nesting with `function` of each leaf, in order."""
    if isinstance(tree, dict):
        return type(tree)((key, mapped(function, value)) for key, value in tree.items())
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(mapped(function, value) for value in tree))
    if isinstance(tree, tuple | list):
        return type(tree)(mapped(function, value) for value in tree)
    return function(tree)


def leaves(tree: Any) -> list[Any]:
    """Return the leaves in order."""
    found: list[Any] = []
    mapped(found.append, tree)
    return found


def rebuilt(tree: Any, values: Iterable[Any]) -> Any:
    """Return the nesting of `tree` with `values` for its leaves, in order."""
    remaining = iter(values)
    return mapped(lambda _: next(remaining), tree)
