"""Steps that belong together: of one call of a layer, of one turn of a loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Union

from .steps import Step, kind

FEW = 60
"""Up to so many steps each has a box of its own."""

BUNDLES = 40
"""Into so many groups at most are repetitions gathered."""

Part = Union[Step, "Group"]


@dataclass(eq=False)
class Group:
    """Steps that share a box, which opens into a drawing of their own.

    Attributes
    ----------
    title, note : str
        What they are, and what else there is to say.
    parts : list of Step or Group
        What their own drawing shows.
    turn : tuple of (int, int, int)
        First and last turn of a loop they stand for, and how often it turned; zeros
        where they are no turns of a loop.
    """

    title: str
    note: str
    parts: list[Part]
    turn: tuple[int, int, int] = (0, 0, 0)

    def steps(self) -> Iterator[Step]:
        """Yield the steps inside, oldest first."""
        for part in self.parts:
            yield from steps_of(part)

    @property
    def last(self) -> Step:
        """The step whose result is that of the group."""
        part = self.parts[-1]
        return part if isinstance(part, Step) else part.last


def steps_of(part: Part) -> Iterator[Step]:
    """Yield the steps of a part: itself, or those inside, oldest first."""
    if isinstance(part, Group):
        yield from part.steps()
    else:
        yield part


def grouped(steps: Sequence[Step]) -> list[Part]:
    """Return the steps themselves where they are few, else few groups of them.

    Steps of one call of a layer are grouped first, then turns of a loop, known by the
    line that repeats; neighbouring turns are gathered until they are few.
    """
    if len(steps) <= FEW:
        return list(steps)
    parts = _by_layer(steps)
    if len(parts) > FEW:
        parts = _by_turn(parts)
    return _gathered(parts)


def _by_layer(steps: Sequence[Step]) -> list[Part]:
    """Return the steps with those of each call of a layer as one group."""
    parts: list[Part] = []
    for modules, run in _runs(steps, lambda step: step.modules):
        if not modules or len(run) == 1:
            parts += run
            continue
        note = f"{len(run)} operations, {kind(run[-1])}"
        inner = grouped(run) if len(run) < len(steps) else _gathered(run)
        parts.append(Group(modules[-1], note, inner))
    return parts


def _by_turn(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with each turn of their longest loop as one group."""
    lines = [_line(part) for part in parts]
    line, count = Counter(lines).most_common(1)[0]
    starts = [i for i, other in enumerate(lines) if other == line]
    if count < 2 or len(parts) < 2 * count:
        return list(parts)
    # What follows the last turn is no part of it: it is as long as the one before.
    ends = [*starts[1:], 2 * starts[-1] - starts[-2]]
    turns = [
        _turn([*parts[start:end]], i, count)
        for i, (start, end) in enumerate(zip(starts, ends, strict=True), 1)
    ]
    return [*parts[: starts[0]], *turns, *parts[ends[-1] :]]


def _line(part: Part) -> Hashable:
    first = next(steps_of(part))
    return first.operation, first.line


def _turn(parts: list[Part], i: int, count: int) -> Group:
    line = next(steps_of(parts[0])).line
    inner = _gathered(parts)
    return Group(f"turn {i} of {count}", line.text, inner, (i, i, count))


def _gathered(parts: Sequence[Part]) -> list[Part]:
    """Return few parts: many neighbours are put into groups."""
    if len(parts) <= FEW:
        return list(parts)
    size = -(-len(parts) // BUNDLES)
    groups: list[Part] = []
    for _, run in _runs(parts, _is_turn):
        groups += [_bundle(run[i : i + size]) for i in range(0, len(run), size)]
    return groups


def _is_turn(part: Part) -> bool:
    return isinstance(part, Group) and part.turn[0] > 0


def _bundle(parts: list[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    first, last = parts[0], parts[-1]
    if isinstance(first, Group) and isinstance(last, Group) and _is_turn(first):
        turn = first.turn[0], last.turn[1], first.turn[2]
        title = f"turns {turn[0]} to {turn[1]} of {turn[2]}"
        return Group(title, first.note, _gathered(parts), turn)
    names = f"{next(steps_of(first)).name} to {_last(last).name}"
    return Group(names, f"{len(parts)} operations", _gathered(parts))


def _last(part: Part) -> Step:
    return part.last if isinstance(part, Group) else part


def _runs(
    items: Sequence[Any], key: Callable[[Any], Any]
) -> Iterator[tuple[Any, list[Any]]]:
    for value, run in groupby(items, key):
        yield value, list(run)
