"""Where the recorder of a captured step is let in: one number that hot paths look at.

While no step is recorded, in any thread, `recorders` is 0 and nothing else is asked.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import CaptureError
from .foreign import kind_among
from .place import Place, user_frame

if TYPE_CHECKING:
    from .primitive import Primitive
    from .tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])

recorders = 0
"""How many steps are being recorded now, in all threads."""

_counting = Lock()
_recorder: ContextVar[Any] = ContextVar("tensorgrad_recorder", default=None)
current = _recorder.get
"""Return the recorder of this thread or task, None where nothing is recorded."""


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
    token = _recorder.set(None)
    try:
        yield
    finally:
        _recorder.reset(token)


class Refused(CaptureError):  # noqa: N818
    """A value was asked for that only the step itself, not its replay, would have.

    Where that happens within an operation, the operation is recorded as one call.
    """


def refusal(what: str, remedy: str, kind: type[CaptureError] = Refused) -> CaptureError:
    """Return the error for what a captured step cannot do, with the user's line."""
    frame = user_frame(sys._getframe(1))
    place = Place(frame.f_code, frame.f_lasti)
    return kind(f"tg.compile: {place}: the step {what}; {remedy}")


def refuse_reading(how: str) -> None:
    """Raise where a value is asked for while a step is recorded."""
    if current() is not None:
        raise refusal(
            f"reads a value in Python, by {how}, which is not done again when it is "
            "replayed",
            "return the tensor and read it outside, or choose with np.where",
        )


def refuse_assigning() -> None:
    """Raise where the array of a tensor is replaced while a step is recorded."""
    if current() is not None:
        raise refusal(
            "assigns .data, which a replay would not do",
            "write x[...] = value inside tg.no_grad()",
            CaptureError,
        )


def check_own(tensor: Tensor) -> None:
    """Raise where a gradient of before the recorded step is about to be added to."""
    recorder, gradient = current(), tensor._grad
    if recorder is None:
        return
    if gradient is not None and type(gradient._value).__name__ != "Traced":
        raise refusal(
            "adds to gradients left over from before it, which a replay does not know",
            "call zero_grad() in the step, before backward()",
            CaptureError,
        )
    recorder.received[id(tensor)] = tensor


def entered(
    op: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Primitive, tuple[Any, ...], dict[str, Any]]:
    """Return an operation that is recorded, and arguments that stand for these."""
    recorder = current()
    if recorder is None:
        return op, args, kwargs
    found: tuple[Primitive, tuple[Any, ...], dict[str, Any]]
    found = recorder.entered(op, args, kwargs)
    return found


def adopted(value: Any) -> Any:
    """Return what stands for the array of a tensor, or for an array."""
    recorder = current()
    return value if recorder is None else recorder.adopted(value)


def adopted_array(value: Any) -> Any:
    """Return what stands for an array, or for a number the step is called with."""
    recorder = current()
    return value if recorder is None else recorder.array(value)


def adopted_rows(rows: list[list[Any]], *, scratch: bool = False) -> list[list[Any]]:
    """Return what stands for each array of some lists; `scratch` need not be kept."""
    recorder = current() if recorders else None
    if recorder is None:
        return rows
    known = [[recorder.adopted(array) for array in row] for row in rows]
    for array in (array for row in known for array in row if scratch):
        array.value.scratch = True
    return known


def concrete(value: Any) -> Any:
    """Return the array that a recorded value stands for, any other value as it is."""
    return value.array if type(value).__name__ == "Traced" else value


def part(origin: str, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function; where it is recorded, under the name of what it is part of."""
    recorder = current() if recorders else None
    if recorder is None:
        return function(*args)
    with recorder.within(origin):
        return function(*args)


def held(tensor: Tensor) -> Any:
    """Return the value of a tensor, or what stands for it while a step is recorded."""
    recorder = current()
    return tensor._value if recorder is None else recorder.held(tensor)


def whole(function: F) -> F:
    """Let a function that looks at values be recorded as one call.

    So at replay it looks at the values of then, and raises as it would in the step.
    Its arguments are arrays and constants: no tensors.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        recorder = current() if recorders else None
        if recorder is None:
            return _by_kind(function, args, kwargs)
        return recorder.whole(function, args, kwargs)

    return call  # type: ignore[return-value]


def _by_kind(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a function by the first kind of array among its arguments."""
    x = kind_among(args)
    return function(*args, **kwargs) if x is None else x.call(function, args, kwargs)


def host(function: F) -> F:
    """Let a function with an effect of its own be recorded, and called each time.

    It returns an array or numbers: random ones, the rate of a schedule.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        recorder = current() if recorders else None
        if recorder is None:
            return _by_kind(function, args, kwargs)
        return recorder.host(function, args, kwargs)

    return call  # type: ignore[return-value]
