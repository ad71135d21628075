"""Traced values: arrays and numbers of a step while it is recorded.

A `Traced` computes like the array it stands for, because it does: each call is made
on the array, and written down. What Python would look at is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.duck import DuckArray, Operand
from ...core.errors import CaptureError
from ..program import Array, Number, Value
from .refusal import refusal

if TYPE_CHECKING:
    from .recorder import Recorder

_OUTSIDE = "return the tensor and read it outside, or choose with np.where"
_IN_NUMPY = (
    "write tg.Tensor(table)[index] for table[index], np.stack for items that are set "
    "one by one, and leave out np.asarray of what is an array"
)


class _Recorded(Operand):
    """What a recorder stands for: its calls are made, and written down."""

    __slots__ = ()
    recorder: Recorder

    def call(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Make the call and write it down."""
        return self.recorder.call(function, args, kwargs)

    def unreadable(self, how: str, remedy: str = _OUTSIDE) -> Exception:
        """Return the error for a value that Python reads."""
        self.recorder.check_open()
        return refusal(
            f"reads a value in Python, by {how}, which is not done again when it is "
            "replayed",
            remedy,
        )

    def unassignable(self) -> Exception:
        """Return the error for replacing the array of a tensor."""
        return refusal(
            "assigns .data, which a replay would not do",
            "write x[...] = value inside tg.no_grad()",
            CaptureError,
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        how = "np.asarray, an array's own [] or a function that is not recorded"
        raise self.unreadable(how, _IN_NUMPY)


class Traced(_Recorded, DuckArray):
    """An array of a step that is being recorded.

    Attributes
    ----------
    recorder : Recorder
    array : ndarray
        Its contents in the call that is recorded.
    value : Value
        What it is in the program.
    scalar : bool
        Whether it stands for one of NumPy's scalars, which is never written to.
    base : Traced, ndarray or None
        What owns the memory, None if it does itself.
    """

    __slots__ = ("__weakref__", "array", "base", "recorder", "scalar", "value")

    def __init__(
        self, recorder: Recorder, array: Array, value: Value, scalar: bool, base: Any
    ) -> None:
        self.recorder = recorder
        self.array = array
        self.value = value
        self.scalar = scalar
        self.base = base

    # An array to those who ask, as the operations do.
    __class__ = property(lambda self: np.ndarray)

    @property
    def memory(self) -> Array:
        """The array itself, to ask whose memory it is."""
        return self.array

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""
        shape: tuple[int, ...] = self.array.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        dtype: np.dtype[Any] = self.array.dtype
        return dtype

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes to step along each axis."""
        return self.array.strides

    @property
    def flags(self) -> Any:
        """How the elements lie in memory."""
        return self.array.flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"an array has no attribute {name!r}")
        raise self.unreadable(f".{name}")

    def __repr__(self) -> str:
        return f"<recorded array, shape {self.shape}, {self.dtype}>"

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise self.unreadable("copying or pickling it")


class TracedNumber(_Recorded):
    """A Python number of a step that is being recorded, and differs from call to call.

    Attributes
    ----------
    recorder : Recorder
    number : float or int
        Its value in the call that is recorded.
    value : Number
        What it is in the program.
    """

    __slots__ = ("number", "recorder", "value")

    def __init__(self, recorder: Recorder, number: float, value: Number) -> None:
        self.recorder = recorder
        self.number = number
        self.value = value

    def __repr__(self) -> str:
        return "<recorded number>"

    __hash__ = object.__hash__


def _operator(name: str, function: Callable[..., Any]) -> None:
    """Record an operator of numbers, and the one for a number on its left."""

    def of_one(self: TracedNumber) -> Any:
        return self.recorder.compute(function, (self,))

    def of_two(self: TracedNumber, other: Any) -> Any:
        if isinstance(other, int | float | TracedNumber):
            return self.recorder.compute(function, (self, other))
        return NotImplemented

    def reflected(self: TracedNumber, other: Any) -> Any:
        if isinstance(other, int | float | TracedNumber):
            return self.recorder.compute(function, (other, self))
        return NotImplemented

    one = name in _OF_ONE
    setattr(TracedNumber, f"__{name}__", of_one if one else of_two)
    if not one and name not in _COMPARISONS:
        setattr(TracedNumber, f"__r{name}__", reflected)


_OF_ONE = ("neg", "pos", "invert", "abs")
_COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
_OF_TWO = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
_OF_BITS = ("and", "or", "xor", "lshift", "rshift")
for _name in (*_OF_ONE, *_OF_TWO, *_OF_BITS, *_COMPARISONS):
    _operator(_name, getattr(operator, f"__{_name}__"))
_operator("divmod", divmod)
