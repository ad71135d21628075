"""Who takes part in operations: observers are shown them, a recorder takes them over.

Each belongs to a thread or task. While there is none in any, `observers` is empty, and
nothing else is looked up.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from .node import Node

F = TypeVar("F", bound=Callable[..., Any])

Observer = Callable[[Node, Sequence[Any], Any], None]
"""Takes a new node, the arguments of its operation and the output, all as arrays."""


class Recorder(Protocol):
    """What the engine asks for while a step is recorded, or a function mapped."""

    @property
    def writer(self) -> Any:
        """The recorder that writes calls down, itself or one beyond it, or None."""

    def entered(self, op: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
        """Return an operation and its arguments as they are called."""

    def array(self, x: Any) -> Any:
        """Return what stands for the array of a tensor, for an array, or a number."""

    def receive(self, tensor: Any) -> None:
        """Note that a tensor is about to get a gradient."""

    def host(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call what has an effect of its own."""

    def scratch(self, x: Any) -> Any:
        """Return what stands for an array whose contents need not survive."""

    def within(self, origin: str) -> AbstractContextManager[None]:
        """Label the calls inside with the operation that they are part of."""


observers: list[Any] = []
"""Observers and recorders of all threads."""

_observers: ContextVar[tuple[Observer, ...]] = ContextVar(
    "tensorgrad_observers", default=()
)
current_observers = _observers.get
"""Return those of this thread or task."""

_recorder: ContextVar[Recorder | None] = ContextVar("tensorgrad_recorder", default=None)
current_recorder = _recorder.get
"""Return that of this thread or task, None where nothing is recorded."""


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Show every operation that this thread or task records inside to `observer`."""
    token = _observers.set((*_observers.get(), observer))
    observers.append(observer)
    try:
        yield
    finally:
        observers.remove(observer)
        _observers.reset(token)


@contextmanager
def recorded_by(recorder: Recorder | None) -> Iterator[None]:
    """Let `recorder` take over what this thread or task does inside, or nobody."""
    token = _recorder.set(recorder)
    observers.append(recorder)
    try:
        yield
    finally:
        observers.remove(recorder)
        _recorder.reset(token)


def host(function: F) -> F:
    """Let a function with an effect of its own be recorded, and called each time.

    It returns an array or numbers: random ones, the rate of a schedule.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if observers and (recorder := current_recorder()):
            return recorder.host(function, args, kwargs)
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]
