"""Who looks on while operations are recorded: ``debug()``, and explanations."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .node import Node

Observer = Callable[[Node, Sequence[Any], Any], None]
"""Takes a new node, the arguments of its operation and the output, all as arrays."""

observers: list[Observer] = []


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Show every operation that is recorded inside to `observer`."""
    observers.append(observer)
    try:
        yield
    finally:
        observers.remove(observer)
