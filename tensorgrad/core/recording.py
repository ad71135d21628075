"""The recorder of a step, which the engine calls while one is recorded.

While no step is recorded, in any thread, `recorders` is 0 and none is looked up.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from threading import Lock
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Eager:
    """The recorder while no step is recorded: arrays stay as they are."""

    def entered(self, op: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
        """Return an operation and its arguments as they are called."""
        return op, args, kwargs

    def value(self, tensor: Any) -> Any:
        """Return the value of a tensor."""
        return tensor._value

    def array(self, x: Any) -> Any:
        """Return what stands for an array, or for a number as an array."""
        return x

    adopted = scratch = array

    def receive(self, tensor: Any) -> None:
        """Note that a tensor is about to get a gradient."""

    def within(self, origin: str) -> Any:
        """Label the calls inside with the operation that they are part of."""
        return nullcontext()

    def host(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call what has an effect of its own."""
        return function(*args, **kwargs)


EAGER = Eager()

recorders = 0
"""How many steps are being recorded now, in all threads."""

_counting = Lock()
_recorder: ContextVar[Any] = ContextVar("tensorgrad_recorder", default=EAGER)
current = _recorder.get
"""Return the recorder of this thread or task, `EAGER` where nothing is recorded."""


@contextmanager
def recorded_by(recorder: Any) -> Iterator[None]:
    """Let `recorder` see what the engine does inside, in this thread or task."""
    token = _recorder.set(recorder)
    _count(1)
    try:
        yield
    finally:
        _count(-1)
        _recorder.reset(token)


def _count(change: int) -> None:
    global recorders
    with _counting:
        recorders += change


@contextmanager
def suspended() -> Iterator[None]:
    """Record nothing inside."""
    token = _recorder.set(EAGER)
    try:
        yield
    finally:
        _recorder.reset(token)


def host(function: F) -> F:
    """Let a function with an effect of its own be recorded, and called each time.

    It returns an array or numbers: random ones, the rate of a schedule.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if recorders:
            return current().host(function, args, kwargs)
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]
