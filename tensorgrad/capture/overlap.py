"""Memory that a step writes to, and arrays that may lie in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.lib.array_utils import byte_bounds

from ..core.node import root
from .program import Array


class WrittenMemory:
    """Memory that a step writes to.

    Parameters
    ----------
    arrays : sequence of ndarray
        What it writes to; they are kept alive, and where they are.
    """

    def __init__(self, arrays: Sequence[Array]) -> None:
        self._arrays = arrays
        roots: list[Any] = [root(a) for a in arrays]
        self._roots = frozenset(map(id, roots))
        self._owned = all(r.flags.owndata for r in roots)
        self._ranges = [byte_bounds(a) for a in arrays if a.size]

    def meets(self, x: Array) -> bool:
        """Whether an array may lie in it, however both came to their memory."""
        owner: Any = x if x.base is None else root(x)
        # NumPy gives no memory to two owners, but views come without one as well:
        # of buffers, of other libraries, of `as_strided`.
        if self._owned and id(owner) not in self._roots and owner.flags.owndata:
            return False
        low, high = byte_bounds(x)
        return x.size > 0 and any(a < high and low < b for a, b in self._ranges)
