"""Picks: where the entries lie that an index of arrays, slices and numbers selects."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..program import Value
from .elements import Access, Pick, Unfit, place, spread


def lookup(source: Any, index: Any) -> tuple[Access, tuple[int, ...]]:
    """Return the access to what an index selects of an array, and its shape.

    Raises
    ------
    Unfit
        If there is in the index what is no array of integers, slice or number.
    """
    items = _items(index, len(source.shape))
    told = [k for k, item in enumerate(items) if not _is_basic(item)]
    arrays = [items[k] for k in told if isinstance(items[k], Value)]
    if not all(a.dtype.kind in "iu" for a in arrays):
        raise Unfit
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    access, taken, axis = place(source), _Taken(shape), 0
    for k, item in enumerate(items):
        if told and k == told[0] == told[-1] - len(told) + 1:
            # Arrays that stand together put their axes there, others put them first.
            taken.first = len(taken.sizes)
        if item is None:
            taken.keep(1, 0)
        else:
            taken.take(item, source.shape[axis], access.strides[axis])
            axis += 1
    return taken.access(access), taken.shape()


@dataclass
class _Taken:
    """What is taken along the axes of an array so far.

    Attributes
    ----------
    picked : tuple of int
        The shape of the arrays in the index together.
    first : int
        How many axes come before theirs.
    """

    picked: tuple[int, ...]
    first: int = 0
    offset: int = 0
    sizes: list[int] = field(default_factory=list)
    strides: list[int] = field(default_factory=list)
    picks: list[Pick] = field(default_factory=list)

    def keep(self, size: int, stride: int) -> None:
        """Add an axis to what is selected."""
        self.sizes.append(size)
        self.strides.append(stride)

    def take(self, item: Any, size: int, stride: int) -> None:
        """Take an item along an axis of the array."""
        if isinstance(item, slice):
            along = range(size)[item]
            self.keep(len(along), stride * along.step)
            self.offset += stride * along.start
        elif isinstance(item, Value):
            entry = spread(item, self.picked)
            assert isinstance(entry, Access)
            self.picks.append(Pick(entry, stride, size))
        else:
            # One that is out of range is NumPy's to refuse.
            self.offset += stride * range(size)[operator.index(item)]

    def access(self, whole: Access) -> Access:
        """Return the access to what is selected of an array."""
        none = (0,) * self.first, (0,) * (len(self.sizes) - self.first)

        def among(index: Access) -> Access:
            return replace(index, strides=(*none[0], *index.strides, *none[1]))

        return replace(
            whole,
            offset=whole.offset + self.offset,
            strides=self._joined(self.strides, (0,) * len(self.picked)),
            picks=tuple(replace(p, index=among(p.index)) for p in self.picks),
        )

    def shape(self) -> tuple[int, ...]:
        """Return the shape of what is selected."""
        return self._joined(self.sizes, self.picked)

    def _joined(self, kept: list[int], picked: tuple[int, ...]) -> tuple[int, ...]:
        return (*kept[: self.first], *picked, *kept[self.first :])


def _items(index: Any, rank: int) -> list[Any]:
    """Return the items of an index, with a slice for each axis that has none."""
    items = list(index) if isinstance(index, tuple) else [index]
    at = next((k for k, item in enumerate(items) if item is Ellipsis), len(items))
    rest = items[at + 1 :]
    count = sum(item is not None for item in (*items[:at], *rest))
    return [*items[:at], *[slice(None)] * (rank - count), *rest]


def _is_basic(item: Any) -> bool:
    if isinstance(item, bool | np.bool_):
        raise Unfit
    return item is None or isinstance(item, slice)
