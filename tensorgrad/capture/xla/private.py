"""Which memory nobody outside of the package refers to.

The references to an object are counted, all of them and those of the package, which a
walk from captured steps finds. What that misses counts as somebody's: never stale.
"""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Iterable
from types import FunctionType
from typing import Any

import numpy as np

from ...core.node import root
from ..program import Array, Call, Program
from ..recording.watch import Watched
from .split import Split

CAPTURES: weakref.WeakSet[Any] = weakref.WeakSet()
"""Captured steps, from which the walk begins."""

RECORDED = threading.Event()
"""Set where a recording may be garbage that refers to memory still."""

_CONTAINERS = (list, tuple, dict)
_ROOMS = ("tensorgrad.capture.", "tensorgrad.optim.joined")
_CLOSED = (Call, Split)
"""Classes that lead to nothing that is not found elsewhere."""


class Walk:
    """What the package refers to, and how often.

    Parameters
    ----------
    shown : iterable of ndarray
        What tensors hold that ask before somebody looks.
    kept : iterable
        What optimizers hold, which ask too.
    """

    def __init__(self, shown: Iterable[Array], kept: Iterable[Any]) -> None:
        self._counts: Counter[int] = Counter()
        self._open: list[Any] = [*CAPTURES]
        self._found: dict[int, Any] = {id(x): x for x in self._open}
        # To this nobody else refers.
        self._found[0] = object()
        self._refer(shown)
        self._refer(kept)
        while self._open:
            x = self._open.pop()
            self._refer(_parts(x), x)

    def _refer(self, parts: Iterable[Any], holder: Any = None) -> None:
        for x in parts:
            self._counts[id(x)] += 1
            if id(x) not in self._found and _is_followed(x, holder):
                self._found[id(x)] = x
                self._open.append(x)

    def _shared(self, *kinds: type) -> list[Any]:
        """Return what was found of some kinds and others refer to as well."""
        things = [x for x in self._found.values() if type(x) in kinds]
        things.append(self._found[0])
        more = [sys.getrefcount(x) - self._counts[id(x)] for x in things]
        return [x for x, n in zip(things, more, strict=True) if n != more[-1]]

    def private(self) -> set[int]:
        """Return the ids of what owns memory and only the package refers to."""
        while shared := self._shared(*_CONTAINERS):
            # What others can take out of a container is theirs.
            for x in shared:
                del self._found[id(x)]
            self._counts.subtract(id(y) for x in shared for y in _parts(x))
            del x
        arrays = [x for x in self._found.values() if type(x) is np.ndarray]
        homes = {id(x) for x in arrays if x.flags.owndata}
        del arrays
        return homes - {id(root(x)) for x in self._shared(np.ndarray)}


def _parts(x: Any) -> list[Any]:
    """Return what an object refers to."""
    if type(x) is np.ndarray:
        return [x.base]
    if type(x) is Program:
        return [*x.lives]
    return gc.get_referents(x)


def _is_followed(x: Any, holder: Any) -> bool:
    """Whether the walk goes on from a part of some holder."""
    kind = type(x)
    if kind in _CONTAINERS:
        # What is watched has a holder of its own; a check names it once more.
        is_watched = type(holder) is Watched and x is holder.holder
        return not (is_watched or (type(holder) is dict and kind is dict))
    if kind is FunctionType:
        return x.__module__ is None and type(holder) not in _CONTAINERS
    ours = kind.__module__.startswith(_ROOMS) and kind not in _CLOSED
    return ours or kind is np.ndarray
