"""Memory on a device: arrays that are never written to, and what owns them.

Arrays of JAX are not written to. So what owns memory has a `Cell` that holds its newest
contents, a write makes new ones, and a view that was read before is read anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...core.node import root
from ..program import Array, Live, Value, View, owner
from ..recording.views import Layout, address
from .functions import jnp


@dataclass
class Cell:
    """What owns memory, and its newest contents.

    Attributes
    ----------
    shape, strides
        Where the elements lie.
    array : array of JAX
    views : dict
        The contents of views, by where they lie, until they are written over: who reads
        what was written to a part need not wait for the whole.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    array: Any
    views: dict[Any, Any] = field(default_factory=dict)

    def positions(self, view: Any) -> Any:
        """Return which elements a view has: a slice of them, or their numbers."""
        size = self.array.dtype.itemsize
        at = np.asarray(view.offset // size)
        for axis, (length, stride) in enumerate(
            zip(view.shape, view.strides, strict=True)
        ):
            steps = np.arange(length) * (stride // size)
            at = at + steps.reshape((-1, *[1] * (len(view.shape) - 1 - axis)))
        if self.strides != dense(self.shape, size):
            at = self._numbers()[at]
        flat = at.reshape(-1)
        if flat.size and np.array_equal(flat, np.arange(flat.size) + flat[0]):
            return slice(int(flat[0]), int(flat[0]) + flat.size)
        return flat

    def _numbers(self) -> Array:
        """Return which element lies at each place of memory."""
        size = self.array.dtype.itemsize
        at: Any = np.zeros(self.shape, np.intp)
        for axis, stride in enumerate(self.strides):
            steps = np.arange(self.shape[axis]) * (stride // size)
            at += steps.reshape((-1, *[1] * (len(self.shape) - 1 - axis)))
        numbers = np.zeros(at.max(initial=0) + 1, np.intp)
        numbers[at] = np.arange(at.size).reshape(at.shape)
        return numbers

    def read(self, view: Any) -> Any:
        """Return the elements of a view."""
        if view not in self.views:
            at = self.positions(view)
            self.views[view] = self.array.reshape(-1)[at].reshape(view.shape)
        return self.views[view]

    def write(self, view: Any, new: Any) -> None:
        """Put new contents in place of the elements of a view, or of all."""
        shape = self.shape if view is None else view.shape
        new = jnp.broadcast_to(jnp.asarray(new).astype(self.array.dtype), shape)
        others = {} if view is None else self.views
        self.views = {v: x for v, x in others.items() if _are_apart(v, view)}
        if view is not None:
            self.views[view] = new
            at = self.positions(view)
            new = self.array.reshape(-1).at[at].set(new.reshape(-1))
        self.array = new.reshape(self.shape)


def _are_apart(a: Layout, b: Layout) -> bool:
    """Whether one view ends before the other begins."""
    return _ends(a)[1] <= _ends(b)[0] or _ends(b)[1] <= _ends(a)[0]


def _ends(view: Layout) -> tuple[int, int]:
    steps = [(n - 1) * s for n, s in zip(view.shape, view.strides, strict=True)]
    first = view.offset + sum(min(step, 0) for step in steps)
    last = view.offset + sum(max(step, 0) for step in steps)
    return first, last + view.dtype.itemsize


def dense(shape: Sequence[int], size: int) -> tuple[int, ...]:
    """Return the strides of an array in C order."""
    ends = [1, *shape[:0:-1]]
    strides: list[int] = np.cumprod(ends, dtype=np.intp)[: len(shape)].tolist()
    return tuple(s * size for s in strides[::-1])


def outer(array: Array) -> Array:
    """Return the ndarray that owns the memory of an array, or the array itself."""
    base = root(array)
    return array if base is None or base.dtype != array.dtype else base


def cell_key(value: Value) -> Any:
    """Return under what its cell stands."""
    return id(outer(value.array)) if isinstance(value, Live) else value


def view_of(value: Value) -> Layout | None:
    """Return where a value lies in what owns its memory, None if it is all of it."""
    base, layout = owner(value), None
    if isinstance(value, View):
        assert isinstance(value.make, Layout)
        layout = value.make
    if not isinstance(base, Live):
        return layout
    array = base.array
    if layout is None and outer(array) is array:
        return None
    start = address(array) - address(outer(array))
    layout = layout or Layout.of(array, array)
    return replace(layout, offset=layout.offset + start)
