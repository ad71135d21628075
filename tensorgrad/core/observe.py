"""Observers of operations as they are recorded: ``debug()``, and explanations."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .node import Node

Observer = Callable[[Node, Sequence[Any], Any], None]
"""Takes a new node, the arguments of its operation and the output, all as arrays."""

observers: list[Observer] = []
"""Those of all threads: while it is empty, nothing else is looked up."""

_current: ContextVar[tuple[Observer, ...]] = ContextVar(
    "tensorgrad_observers", default=()
)
current_observers = _current.get
"""Return those of this thread or task."""


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Show every operation that this thread or task records inside to `observer`."""
    token = _current.set((*_current.get(), observer))
    observers.append(observer)
    try:
        yield
    finally:
        observers.remove(observer)
        _current.reset(token)
