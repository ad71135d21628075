"""The program: the NumPy calls of one step, in order, and the values between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ..core import tree
from ..core.place import Place

Array = np.ndarray[Any, Any]


@dataclass(eq=False)
class Value:
    """An array of the program; what it is tells its class.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    strides : tuple of int
        As in eager mode: a sum of the same numbers in another layout has other bits.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of its elements."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))


@dataclass(eq=False)
class Input(Value):
    """An array the step is called with, read where it is: views are made each time."""

    position: int


@dataclass(eq=False)
class Live(Value):
    """An array that lives outside: a parameter, state, data the step closes over.

    It is read, and written in place, where it is.

    Attributes
    ----------
    scratch : bool
        What it holds does not matter after the step, and before it.
    """

    array: Array
    scratch: bool = False


@dataclass(eq=False)
class Constant(Value):
    """An array that is the same in every call."""

    array: Array


@dataclass(eq=False)
class Result(Value):
    """What a call returns: a buffer of the program's own."""


@dataclass(eq=False)
class View(Value):
    """Memory of another value, seen otherwise: ``make(array)`` gives the view.

    `base` is never a View itself but what owns the memory.
    """

    base: Value
    make: Callable[[Array], Array]


@dataclass(eq=False)
class Number:
    """A Python number that is computed anew in each call, as a learning rate is.

    Weak in promotion, as Python's numbers are: it stays a ``float`` at replay.
    """

    name: str = ""


@dataclass(eq=False)
class Call:
    """One call of the program.

    Attributes
    ----------
    function : callable
        A ufunc, a bound method of one (``np.add.reduce``), a function of NumPy's, or
        any function of arrays and numbers: called with the arrays at replay. One with
        a true attribute ``into`` takes arrays to write its results to as its last
        arguments; they share no memory with the others.
    args, kwargs
        What it is called with; values and numbers stand anywhere within tuples, lists
        and dicts, all else is the same in every call.
    results : tuple of Value or Number
        What comes back: Results, new with this call, or Numbers; empty where nothing
        is used of it. Several where the function returns a tuple.
    writes : tuple of Value
        What the call writes in place; ``out=`` of a ufunc is among the kwargs then.
    pure : bool
        Nothing happens besides: without use of its results it need not be made. Host
        calls (the count of steps, a draw of random numbers) are not pure.
    origin : str
        For the reader: "matmul", "gradient of relu", "SGD.step".
    quiet : bool
        Overflow and invalid values are no news in it, as in the walk of eager mode.
    place : Place, optional
        The line of the user's code it came from.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    results: tuple[Value | Number, ...] = ()
    writes: tuple[Value, ...] = ()
    pure: bool = True
    origin: str = ""
    quiet: bool = False
    place: Place | None = None

    @property
    def reads(self) -> list[Value | Number]:
        """The values and numbers among the arguments, each time they stand there."""
        return leaves((self.args, self.kwargs))


@dataclass
class Program:
    """The calls of a step, and what of their results it returns.

    Attributes
    ----------
    inputs : list of Input
    numbers : list of Number
        Numbers the step is called with.
    calls : list of Call
    returned : list of Value or Number
    """

    inputs: list[Input]
    numbers: list[Number]
    calls: list[Call]
    returned: list[Value | Number]


def leaves(nested: Any) -> list[Value | Number]:
    """Return the values and numbers within tuples, lists, dicts and slices."""
    return [x for x in tree.leaves(nested) if isinstance(x, _LEAVES)]


_LEAVES = (Value, Number)


def filled(nested: Any, given: Callable[[Value | Number], Any]) -> Any:
    """Return the same nest with what `given` returns for each value and number."""
    return tree.mapped(nested, lambda x: given(x) if isinstance(x, _LEAVES) else x)


Leaf = TypeVar("Leaf", Value, Value | Number)


def owner(value: Leaf) -> Leaf:
    """Return the value that owns the memory of `value`; a number is its own."""
    return value.base if isinstance(value, View) else value


def written_by(program: Program) -> list[Live]:
    """Return the arrays outside that a program writes to."""
    owners = (owner(w) for call in program.calls for w in call.writes)
    return [v for v in dict.fromkeys(owners) if isinstance(v, Live)]
