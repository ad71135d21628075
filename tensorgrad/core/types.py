"""What operations take and return, as type checkers see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Protocol, cast, overload

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, TypeVar

    from .tensor import Tensor

    # An operation of which no more is known: Python before 3.13 has no such defaults.
    P = ParamSpec("P", default=...)
    T_co = TypeVar("T_co", covariant=True, default=Any)
    R_co = TypeVar("R_co", covariant=True, default=Any)
else:
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    T_co = TypeVar("T_co", covariant=True)
    R_co = TypeVar("R_co", covariant=True)

Q = ParamSpec("Q")
R = TypeVar("R")

# The dtype and the number of axes are known when the program runs. With none it may be
# a number of NumPy, which has the methods of an array.
Array = np.ndarray[Any, Any]
Shape = int | Sequence[int]
Axis = int | tuple[int, ...] | None

# What NumPy takes between brackets: numbers, slices, arrays, tensors, tuples of these.
Index = Any

# One of a few words, which NumPy checks: it has a type of its own for each function.
Option = Any

# What a forward computes with: to itself an array or a number, to its caller a tensor
# or nested lists too. No other type has NumPy's arithmetic for all of these.
Operand = Any

# Numbers, arrays and tensors, in tuples, lists, dicts and dataclasses: these are of
# any class, so no type can say of what they consist.
Nest = Any


class Operation(Generic[P, T_co, R_co]):
    """What is called on tensors, arrays and numbers.

    It returns a T where a tensor is among the first three arguments, which hold the
    operands, and otherwise an R, as the NumPy forward does.
    """

    if TYPE_CHECKING:
        __name__: str

        @overload
        def __call__(
            self: Operation[Concatenate[Any, Q], T_co, R_co],
            a: Tensor | Sequence[Tensor],
            /,
            *args: Q.args,
            **kwargs: Q.kwargs,
        ) -> T_co: ...

        @overload
        def __call__(
            self: Operation[Concatenate[Any, Any, Q], T_co, R_co],
            a: Operand,
            b: Tensor,
            /,
            *args: Q.args,
            **kwargs: Q.kwargs,
        ) -> T_co: ...

        @overload
        def __call__(
            self: Operation[Concatenate[Any, Any, Any, Q], T_co, R_co],
            a: Operand,
            b: Operand,
            c: Tensor,
            /,
            *args: Q.args,
            **kwargs: Q.kwargs,
        ) -> T_co: ...

        @overload
        def __call__(
            self: Operation[Concatenate[Any, Q], T_co, R_co],
            a: Operand,
            /,
            *args: Q.args,
            **kwargs: Q.kwargs,
        ) -> R_co: ...

        @overload
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co | R_co: ...

        # It takes all that any of them takes; the checker cannot tell of a ParamSpec.
        def __call__(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]
            """Compute the output."""


def on_tensors(function: Callable[Q, R]) -> Operation[Q, Tensor, R]:
    """Let a function made of operations say that of tensors it returns a tensor."""
    return cast("Operation[Q, Tensor, R]", function)


def as_declared(function: Operation[Q, Any, R]) -> Callable[Q, R]:
    """Let an operation say that of tensors, too, it returns what it declares."""
    return cast("Callable[Q, R]", function)


class Forward(Protocol[Q, T_co]):
    """A module, which is called as its `forward` is declared."""

    def forward(self, *args: Q.args, **kwargs: Q.kwargs) -> T_co:
        """Compute the output."""
