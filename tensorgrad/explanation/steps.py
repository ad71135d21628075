"""What an explanation tells: variables, the steps from them, and the way back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.node import Leaf, Node
from ..core.place import Place

Array = np.ndarray[Any, Any]


@dataclass(eq=False)
class Variable:
    """A leaf of the graph: something to differentiate in.

    Attributes
    ----------
    name : str
        What the caller calls it.
    shape, dtype
        Of its array.
    value : array or None
        None where nobody holds the tensor any more.
    gradient : array or None
        The sum of what arrives; None where nothing does.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    value: Array | None = None
    gradient: Array | None = None


@dataclass(eq=False)
class Way:
    """The way back from a step to one of its inputs.

    Attributes
    ----------
    to : Variable or Step
    argument : str
        What the operation calls that input.
    rule : str
        The gradient rule, in `g` for the incoming gradient and `y` for the output.
    gradient : array
        What the rule gave, broadcast axes summed.
    summed : tuple of int
        The axes that were summed, of the array the rule gave.
    before : tuple of int
        Shape of that array.
    """

    to: Any
    argument: str
    rule: str
    gradient: Array
    summed: tuple[int, ...] = ()
    before: tuple[int, ...] = ()


@dataclass(eq=False)
class Step:
    """One operation.

    Attributes
    ----------
    number : int
        In the order of the forward pass, from 1.
    name : str
        What the result is called: the caller's name for it, or t and the number.
    operation : str
    expression : str
        With names for the operands.
    shape, dtype
        Of the result.
    value : array or None
        The result; None where it was not kept.
    place : Place
        The line of the caller's code.
    modules : tuple of str
        The layers inside which it was computed, outermost first.
    incoming : array or None
        The gradient of the explained number in the result.
    ways : list of Way
        One for each input that needs a gradient.
    """

    number: int
    name: str
    operation: str
    expression: str
    shape: Any
    dtype: Any
    place: Place
    value: Array | None = None
    modules: tuple[str, ...] = ()
    inputs: list[Any] = field(default_factory=list)
    incoming: Array | None = None
    ways: list[Way] = field(default_factory=list)


def summed_axes(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes of an array of one shape that are summed to give another."""
    lead = len(before) - len(after)
    pairs = enumerate(zip(before[lead:], after, strict=True), lead)
    return (*range(lead), *(i for i, (n, m) in pairs if m == 1 != n))


def summary(value: Array | None) -> str:
    """Return a few words on an array: a small one itself, else its range and mean."""
    if value is None:
        return "not kept"
    a = np.asarray(value)
    if a.size == 0:
        return "empty"
    if a.size <= 4:
        return np.array2string(a, precision=4, separator=", ").replace("\n", "")
    finite = a[np.isfinite(a)]
    if not finite.size:
        return "nothing finite"
    odd = f", {a.size - finite.size} not finite" if finite.size < a.size else ""
    return (
        f"{_short(finite.min())} to {_short(finite.max())}, mean "
        f"{_short(finite.mean(dtype=np.float64))}{odd}"
    )


def _short(number: Any) -> str:
    return f"{float(number):.4g}"


def leaves_of(nodes: Iterable[Node]) -> list[Leaf]:
    """Return the leaves the nodes stand on, oldest first."""
    found = {p: None for n in nodes for p in n.parents if type(p) is Leaf}
    return sorted(found, key=lambda leaf: leaf.index)
