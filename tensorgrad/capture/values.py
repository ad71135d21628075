"""What the calls of a program compute with: arrays and numbers, without contents."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ..core import tree

Array = np.ndarray[Any, Any]
Layout: TypeAlias = tuple[tuple[int, ...], np.dtype[Any], tuple[int, ...]]


@dataclass(eq=False)
class Value:
    """An array of a program; its class says where it comes from.

    ``Input`` is an array the step is called with; ``Live`` lives outside, as parameters
    and the state of optimizers do; ``Constant`` is the same in every call; ``Result``
    is made by a call; ``View`` is the memory of another value, its `base`.

    Parameters
    ----------
    shape : tuple of int
        Length along each axis.
    dtype : dtype
        Type of the elements.
    strides : tuple of int
        As in eager mode: a sum of the same numbers in another layout has other bits.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of its elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of its elements."""
        return self.dtype.itemsize * self.size

    @property
    def dense(self) -> bool:
        """Whether its elements fill one run of memory, in whatever order."""
        step = self.dtype.itemsize
        for stride, length in sorted(zip(self.strides, self.shape, strict=True)):
            if length > 1 and stride != step:
                return 0 in self.shape
            step *= length
        return True


def layout(x: Array | Value) -> Layout:
    """Return shape, dtype and strides."""
    return x.shape, x.dtype, x.strides


@dataclass(eq=False)
class Input(Value):
    """An array argument of the step, read in place: views are made in each call."""

    position: int


@dataclass(eq=False)
class Live(Value):
    """An array from outside: a parameter, state, data that the step closes over.

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
    """The result of a call, in a buffer of the program's own."""


@dataclass(eq=False)
class View(Value):
    """A view of the memory of another value: ``make(array)`` returns it.

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


def leaves(*nested: Any) -> list[Value | Number]:
    """Return the values and numbers within tuples, lists, dicts and slices."""
    found: list[Value | Number] = []
    _gather(nested, found)
    return found


def _gather(items: Iterable[Any], found: list[Value | Number]) -> None:
    for x in items:
        if isinstance(x, _LEAVES):
            found.append(x)
        elif kind := tree.container(x):
            _gather(kind.values(x), found)


_LEAVES = (Value, Number)


def filled(nested: Any, function: Callable[[Value | Number], Any]) -> Any:
    """Return the same nest with `function` applied to each value and number."""
    return tree.mapped(nested, lambda x: function(x) if isinstance(x, _LEAVES) else x)


Leaf = TypeVar("Leaf", Value, Value | Number)


def owner(value: Leaf) -> Leaf:
    """Return the value that owns the memory of `value`; a number is its own."""
    return value.base if isinstance(value, View) else value
