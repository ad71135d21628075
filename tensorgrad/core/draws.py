"""Whether random numbers are drawn past the engine."""

from __future__ import annotations

import inspect
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any

import numpy as np


class Draws:
    """Generators of random numbers that only the engine may draw from meanwhile.

    Parameters
    ----------
    generators : list
        NumPy's, or of Python's module random.

    Attributes
    ----------
    drawn : object or None
        One that somebody else has drawn from.
    """

    def __init__(self, generators: Sequence[Any] = ()) -> None:
        self.generators = generators
        self.drawn: Any = None
        self.mark()

    def mark(self) -> None:
        """Take the states as they are now: the engine has drawn."""
        self._states = [*map(_state, self.generators)]

    def look(self) -> None:
        """Note a generator whose state has changed since."""
        for generator, state in zip(self.generators, self._states, strict=True):
            if _state(generator) != state:
                self.drawn = generator


def _state(generator: Any) -> bytes:
    if hasattr(generator, "bit_generator"):
        return pickle.dumps(generator.bit_generator.state)
    read = getattr(generator, "getstate", None) or generator.get_state
    return pickle.dumps(read())


def generators_of(function: Callable[..., Any]) -> list[Any]:
    """Return those that a function names: global, of a closure, of a module `random`.

    What it calls may name others.
    """
    function = inspect.unwrap(function)
    if not isinstance(function, FunctionType):
        return []
    names = function.__code__.co_names
    named = [function.__globals__.get(name) for name in names]
    for cell in function.__closure__ or ():
        try:
            named.append(cell.cell_contents)
        except ValueError:  # It is empty.
            continue
    if "random" in names:
        import random

        named += [_owner(random.random), _owner(np.random.get_state)]
    kinds = tuple(_kinds())
    return [x for x in named if isinstance(x, kinds)]


def _owner(method: Any) -> Any:
    return getattr(method, "__self__", None)


def _kinds() -> Iterator[type]:
    """Yield the kinds of generators there are: loading them takes long."""
    for module, kind in _KINDS:
        if module in sys.modules:
            yield getattr(sys.modules[module], kind)


_KINDS = (
    ("random", "Random"),
    ("numpy.random", "Generator"),
    ("numpy.random", "RandomState"),
)
