"""What an explanation consists of: variables, the steps from them, and the way back."""

from __future__ import annotations

import functools
import linecache
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..core.place import Place

Array = np.ndarray[Any, Any]


class Line(NamedTuple):
    """A line of the caller's code: its file, its number and its text."""

    file: str
    number: int
    text: str


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
        The gradient rule, in `g` for the gradient that arrives at the step.
    remark : str
        What there is to say on the rule, often nothing.
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
    remark: str
    gradient: Any
    summed: tuple[int, ...] = ()
    before: tuple[int, ...] = ()

    @property
    def summing(self) -> str:
        """Which axes were summed, in words; empty where none was."""
        if not self.summed:
            return ""
        axes = ", ".join(map(str, self.summed))
        return f"summed over ax{'i' if len(self.summed) == 1 else 'e'}s {axes}"


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
        Of the result; tuples of them where there are several.
    line : Line
        Where in the caller's code it was called.
    value : array, tuple of arrays, or None
        The result; None where it was not saved.
    modules : tuple of str
        The layers inside which it was computed, outermost first.
    inputs : list of Variable or Step
    incoming : array, tuple of arrays, or None
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
    line: Line
    value: Any = None
    modules: tuple[str, ...] = ()
    inputs: list[Any] = field(default_factory=list)
    incoming: Any = None
    ways: list[Way] = field(default_factory=list)


def kind(thing: Variable | Step) -> str:
    """Return the dtype and shape of a thing, or those of several outputs."""
    if not isinstance(thing.dtype, tuple):
        return f"{thing.dtype} {thing.shape}"
    return " and ".join(map(str, thing.shape))


@functools.lru_cache(maxsize=4096)
def line_of(place: Place) -> Line:
    """Return the line of source at a place."""
    file, number = place.code.co_filename, place.line
    return Line(file, number, linecache.getline(file, number).strip())


def summed_axes(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes of an array of one shape that are summed to give another."""
    lead = len(before) - len(after)
    pairs = enumerate(zip(before[lead:], after, strict=True), lead)
    return (*range(lead), *(i for i, (n, m) in pairs if m == 1 != n))


def summary(value: Any, few: int = 4) -> str:
    """Return a few words on an array: a small one itself, else its range and mean.

    Parameters
    ----------
    value : array, tuple of arrays, or None
    few : int
        An array of up to so many elements is written out.
    """
    if isinstance(value, tuple):
        return " and ".join(summary(v, few) for v in value)
    if value is None:
        return "-"
    a = np.asarray(value)
    if a.size == 0:
        return "empty"
    return with_four_digits(a.tolist()) if a.size <= few else _range(a)


def _range(a: Array) -> str:
    finite = a if np.isfinite(a).all() else a[np.isfinite(a)]
    odd = a.size - finite.size
    if odd == a.size:
        return "nothing finite"
    mean = float(finite.mean(dtype=np.float64))
    if a.dtype.kind == "f" and abs(mean) < np.finfo(a.dtype).eps * abs(finite).max():
        mean = 0.0  # no more than rounding
    ends = f"{short(finite.min())} to {short(finite.max())}, mean {short(mean)}"
    return f"{ends}, {odd} not finite" if odd else ends


def with_four_digits(value: Any) -> str:
    """Return nested lists of numbers, each with four digits."""
    if isinstance(value, list):
        return f"[{', '.join(map(with_four_digits, value))}]"
    return short(value)


def short(number: Any) -> str:
    """Return a number with four digits, no zero with a sign."""
    return f"{float(number) + 0.0:.4g}"
