"""Nests: elements that share a loop over rows, and within it loops over columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, KeysView, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..program import Value
from .elements import Access, Element

ROWS, COLUMNS = 0, 1

SHORT = 512
"""Elements up to which a loop costs more than what its arrays do to the cache."""


@dataclass(frozen=True, eq=False)
class Placed:
    """An element in a nest: its strides are those along rows and columns.

    Attributes
    ----------
    element : Element
        Over (rows, columns).
    inner : bool
        Whether it is computed for each column, or once for a row.
    """

    element: Element
    inner: bool

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
    rows, columns : int
        A nest over vectors has one column.
    placed : list of Placed
    """

    rows: int
    columns: int
    placed: list[Placed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._access = defaultdict[Value, list[int]](list)
        self._write = defaultdict[Value, list[int]](list)
        self._places = set[tuple[Value, int]]()

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
        it adds is a place that the cache must hold.
        """
        if self.rows * self.columns <= SHORT:
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
    rows, columns = (*element.space, 1, 1)[:2]
    nest = _arranged([element], rows, columns)
    assert nest is not None
    return nest


def _grown(nest: Nest, element: Element) -> Nest | None:
    """Return the nest with one more element, or None where it does not fit."""
    elements = [p.element for p in nest.placed]
    for rows, columns in _shapes(nest, element):
        if (rows, columns) == (nest.rows, nest.columns):
            if _fits(element, nest):
                return nest
        else:
            grown = _arranged([*map(_plain, elements), element], rows, columns)
            if grown is not None:
                return grown
    return None


def _shapes(nest: Nest, element: Element) -> Iterator[tuple[int, int]]:
    """Yield the shapes to try: that of the nest, or one with columns for a vector."""
    yield nest.rows, nest.columns
    if nest.columns == 1 and len(element.space) == 2:
        a, b = element.space
        if nest.rows in (a * b, a):
            yield a, b


def _plain(element: Element) -> Element:
    """Return an element of a nest over vectors over its one axis again."""
    if element.space == (1, 1):
        return element.along((), lambda old: ())
    return element.along(element.space[:1], lambda old: (old[ROWS],))


def _arranged(elements: Sequence[Element], rows: int, columns: int) -> Nest | None:
    nest = Nest(rows, columns)
    return nest if all(_fits(element, nest) for element in elements) else None


def _fits(element: Element, nest: Nest) -> bool:
    """Add an element to a nest, if it fits."""
    others = [nest.placed[k] for k in nest.meeting(element)]
    for placed in _ways(element, nest.rows, nest.columns):
        if all(_agree(other, placed) for other in others):
            nest.add(placed)
            return True
    return False


def _ways(element: Element, rows: int, columns: int) -> Iterator[Placed]:
    """Yield the ways in which the axes of an element can be those of a nest."""
    space = (rows, columns)
    if element.space == () and space == (1, 1):
        yield Placed(element.along(space, lambda old: (0, 0)), False)
    elif len(element.space) == 1:
        (size,) = element.space
        if columns > 1 and size == rows * columns:
            split = element.along(space, lambda old: _split(old[0], columns))
            yield Placed(split, True)
        if size == rows:
            yield Placed(element.along(space, lambda old: (old[0], 0)), False)
    elif element.space == space:
        yield Placed(element, True)
    elif element.space == space[::-1]:
        yield Placed(element.along(space, lambda old: (old[1], old[0])), True)


def _split(old: Any, columns: int) -> tuple[Any, Any]:
    return (old, old) if isinstance(old, bool) else (old * columns, old)


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
