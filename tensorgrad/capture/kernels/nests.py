"""Nests: elements that share a loop over rows, and within it loops over columns.

Where arrays have more axes there are several blocks of rows, one after the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, KeysView, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from math import prod
from typing import Any

from ..program import Value
from .elements import Access, Element

BLOCKS, ROWS, COLUMNS = 0, 1, 2

Shape = tuple[int, int, int]
"""Blocks, rows in each, columns."""

LARGE = 1 << 17
"""Elements from which on a nest is left for threads to share."""

SHORT = 512
"""Elements up to which a loop costs more than what its arrays do to the cache."""

FEW = 8
"""Places that a loop may touch at once, whatever they are: half of what a cache holds
at one distance."""


@dataclass(frozen=True, eq=False)
class Placed:
    """An element in a nest: its strides are those along blocks, rows and columns.

    Attributes
    ----------
    element : Element
        Over (blocks, rows, columns).
    inner : bool
        Whether it is computed for each column, or once for a row.
    plain : Element
        The same over its own axes.
    """

    element: Element
    inner: bool
    plain: Element

    @property
    def down(self) -> bool:
        """Whether it joins rows."""
        return self.element.reduced[ROWS]

    @property
    def across(self) -> bool:
        """Whether it joins columns, for each row."""
        return self.element.reduced[COLUMNS] and not self.down


@dataclass
class Nest:
    """Elements that go into one loop over rows, in the order of the program.

    Attributes
    ----------
    shape : tuple of int
        A nest over vectors has one column.
    placed : list of Placed
    """

    shape: Shape
    placed: list[Placed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._access = defaultdict[Value, list[int]](list)
        self._write = defaultdict[Value, list[int]](list)
        self._places = set[tuple[Value, int]]()

    @property
    def blocks(self) -> int:
        """How many blocks of rows there are."""
        return self.shape[BLOCKS]

    @property
    def rows(self) -> int:
        """How many rows there are in each block."""
        return self.shape[ROWS]

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return self.shape[COLUMNS]

    def add(self, placed: Placed) -> None:
        """Append an element."""
        for owner in placed.element.owners:
            self._access[owner].append(len(self.placed))
        self._write[placed.element.write.owner].append(len(self.placed))
        self._places.update(_places(placed.element))
        self.placed.append(placed)

    def gains(self, element: Element) -> bool:
        """Whether a loop with one more element is better than another loop.

        Where none of its memory is met again, as when many arrays are joined, all that
        it adds is a place that the cache must hold. It has room for a few.
        """
        if prod(self.shape) <= SHORT or len(self._places) < FEW:
            return True
        return not self._places.isdisjoint(_places(element))

    def owners(self) -> KeysView[Value]:
        """Return the values whose memory it accesses."""
        return self._access.keys()

    def meeting(self, element: Element) -> set[int]:
        """Return which elements write what another touches, or touch what it writes."""
        numbers = {*self._access.get(element.write.owner, ())}
        return numbers.union(*(self._write.get(owner, ()) for owner in element.owners))

    def phases(self) -> list[int]:
        """Return for each element which of the loops over columns it is in.

        What is computed once for a row is computed before the loop of its phase.
        """
        phases: list[int] = []
        for i, new in enumerate(self.placed):
            before = [k for k in self.meeting(new.element) if k < i]
            ends = (
                phases[k] + _must_end(self.placed[k], new)
                for k in before
                if self.placed[k].element.call != new.element.call
            )
            phases.append(max(ends, default=0))
        return phases


def _must_end(old: Placed, new: Placed) -> bool:
    """Whether the loop over columns that `old` is in must have ended for `new`."""
    return old.inner and (old.across or not new.inner)


def _places(element: Element) -> Iterator[tuple[Value, int]]:
    return ((access.owner, access.offset) for access in element.accesses)


def nested(elements: Sequence[Element]) -> list[Nest]:
    """Return elements in nests, to be run one after the other."""
    nests: list[Nest] = []
    for element in elements:
        start = max(
            (i for i, nest in enumerate(nests) if _depends(element, nest)), default=0
        )
        here = sorted(
            range(start, len(nests)), key=lambda i: _kinship(nests[i], element)
        )
        for i in reversed(here):
            grown = nests[i].gains(element) and _grown(nests[i], element)
            if grown:
                nests[i] = grown
                break
        else:
            nests.append(_alone(element))
    return nests


def _kinship(nest: Nest, element: Element) -> int:
    """Return how much memory an element and the nest both access."""
    return len(nest.owners() & element.owners)


def _depends(element: Element, nest: Nest) -> bool:
    """Whether one writes what the other touches; parts of one call never do."""
    meeting = (nest.placed[k].element for k in nest.meeting(element))
    return any(other.call != element.call for other in meeting)


def _alone(element: Element) -> Nest:
    rank = len(element.space)
    shape = (*[1] * (rank < 3), *element.space, *[1] * (2 - rank))
    nest = _arranged([element], shape)  # type: ignore[arg-type]
    assert nest is not None
    return nest


def _grown(nest: Nest, element: Element) -> Nest | None:
    """Return the nest with one more element, or None where it does not fit."""
    for shape in _shapes(nest, element):
        if shape == nest.shape:
            if _fits(element, nest):
                return nest
        else:
            grown = _arranged([*(p.plain for p in nest.placed), element], shape)
            if grown is not None:
                return grown
    return None


def _shapes(nest: Nest, element: Element) -> Iterator[Shape]:
    """Yield the shapes to try: that of the nest, or one with more axes."""
    yield nest.shape
    rank, size = len(element.space), nest.rows * nest.columns
    if nest.columns == 1 and rank == 2:
        a, b = element.space
        if nest.blocks == 1 and nest.rows in (a * b, a):
            yield 1, a, b
    if nest.blocks == 1 and rank == 3:
        a, b, c = element.space
        if size in (a * b * c, a * b):
            yield a, b, c


def _arranged(elements: Sequence[Element], shape: Shape) -> Nest | None:
    nest = Nest(shape)
    return nest if all(_fits(element, nest) for element in elements) else None


def _fits(element: Element, nest: Nest) -> bool:
    """Add an element to a nest, if it fits."""
    others = [nest.placed[k] for k in nest.meeting(element)]
    for placed in _ways(element, nest.shape):
        several = nest.blocks > 1 and placed.element.reduced[BLOCKS]
        if _joins_late(placed, nest):
            continue
        if not several and all(_agree(other, placed) for other in others):
            nest.add(placed)
            return True
    return False


def _joins_late(placed: Placed, nest: Nest) -> bool:
    """Whether it joins what is one number for each of a large nest's rows.

    A loop of its own costs next to nothing, and threads can share the rows then.
    """
    late = placed.down and not placed.inner and any(p.inner for p in nest.placed)
    return late and nest.rows * nest.columns >= LARGE


def _ways(element: Element, shape: Shape) -> Iterator[Placed]:
    """Yield the ways in which the axes of an element can be those of a nest."""
    for order in permutations(range(len(element.space))):
        for inner in (True, False):
            # A nest over vectors has no loop over columns.
            taken = shape if inner else shape[:COLUMNS]
            axes = _axes([element.space[i] for i in order], taken)
            if axes is not None and (not inner or shape[COLUMNS] > 1):
                placed = _placed(element, order, axes, shape, inner)
                if not inner or _is_near(placed):
                    yield placed


def _is_near(placed: Placed) -> bool:
    """Whether columns are the axis along which most of its memory is contiguous.

    Of few elements all are near.
    """
    plain = placed.plain
    if prod(plain.space) <= SHORT:
        return True
    here, there = (
        sum(access.strides[-1] == 1 for access in element.accesses)
        for element in (placed.element, plain)
    )
    return here >= there


def _axes(space: Sequence[int], shape: Sequence[int]) -> list[range] | None:
    """Return over which axes of a nest each of a space goes, together over all."""
    axes, at = [], 0
    for size in space:
        start, product = at, 1
        while product < size and at < len(shape):
            product *= shape[at]
            at += 1
        if product != size:
            return None
        axes.append(range(start, at))
    return axes if prod(shape[at:]) == 1 else None


def _placed(
    element: Element,
    order: Sequence[int],
    axes: Sequence[range],
    shape: Shape,
    inner: bool,
) -> Placed:
    def along(old: Sequence[Any]) -> tuple[Any, ...]:
        new: list[Any] = [0, 0, 0]
        for i, group in zip(order, axes, strict=True):
            step = 1
            for axis in reversed(group):
                if shape[axis] > 1:
                    flag = isinstance(old[i], bool)
                    new[axis] = old[i] if flag else old[i] * step
                    step *= shape[axis]
        return tuple(new)

    return Placed(element.along(shape, along), inner, element)


def _agree(old: Placed, new: Placed) -> bool:
    """Whether both can be in one nest: they access shared memory at the same place."""
    if old.element.call == new.element.call:
        return True
    pairs = [(old, a, b) for a in [old.element.write] for b in new.element.accesses]
    pairs += [(new, b, a) for b in [new.element.write] for a in old.element.accesses]
    return all(
        a.owner is not b.owner or (_same(a, b) and not writer.down)
        for writer, a, b in pairs
    )


def _same(a: Access, b: Access) -> bool:
    return not a.picks and a == b
