"""What a corpus is made of: functions with gradients, wrong and right."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Function = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """A wrong gradient with the right one beside it, at a point where it shows.

    Attributes
    ----------
    name : str
        What is wrong.
    source : str
        The tracker and number of the report, as "pytorch #2421", or "no report" for a
        class of faults that every project has had.
    f : callable
        From arrays to an array, or a tuple of them.
    wrong, right : callable
        ``vjp(g, *point)``, the gradient as it was computed and as it should be.
    point : tuple of arrays
        Where.
    faults : frozenset of str
        What the checker may call it; empty where no word fits.
    """

    name: str
    source: str
    f: Function
    wrong: Function
    right: Function
    point: tuple[Any, ...]
    faults: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Map:
    """A function with its right gradient.

    Attributes
    ----------
    name : str
        Of the function, with its library.
    f, vjp : callable
        As of :class:`Case`.
    point : tuple of arrays
        Where.
    smooth : bool
        Whether the function has a derivative at the point; then a kink is an error.
    """

    name: str
    f: Function
    vjp: Function
    point: tuple[Any, ...]
    smooth: bool = field(default=True)


def normal(*shape: int, seed: int = 0) -> Any:
    """Return normal numbers."""
    return np.random.default_rng(seed).normal(size=shape)


def uniform(low: float, high: float, *shape: int, seed: int = 0) -> Any:
    """Return numbers between two bounds."""
    return np.random.default_rng(seed).uniform(low, high, size=shape)


def words(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()


class Cases:
    """A list of cases that is filled by calls."""

    def __init__(self) -> None:
        self.all: list[Case] = []

    def __call__(
        self,
        name: str,
        source: str,
        f: Function,
        wrong: Function,
        right: Function,
        *point: Any,
        faults: str = "",
    ) -> None:
        """Enter a case; `faults` are words separated by commas."""
        words = frozenset(w.strip() for w in faults.split(",") if w.strip())
        arrays = tuple(np.asarray(x, dtype=np.float64) for x in point)
        self.all.append(Case(name, source, f, wrong, right, arrays, words))
