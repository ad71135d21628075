"""Where the boxes stand: layers from top to bottom, few crossings, straight chains.

The method of Sugiyama, Tagawa, Toda, "Methods for visual understanding of hierarchical
system structures", 1981: layers by the longest path, a knot on every layer that an
arrow passes, order within a layer by the mean place of the neighbours. Places are the
nearest to that mean which keep the order and the distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from .boxes import Box

LETTER, GAP, BETWEEN, KNOT = 7.3, 26.0, 38.0, 14.0
"""Width of a letter, space beside boxes and below, and of an arrow, in pixels."""

ROUNDS = 8
"""How often all layers are gone through, down and up."""


class Place(NamedTuple):
    """Centre and size of a box, in pixels."""

    x: float
    y: float
    width: float
    height: float


class Layout(NamedTuple):
    """Places of boxes, and for each arrow the points it passes."""

    places: dict[Box, Place]
    ways: dict[tuple[Box, Box], list[tuple[float, float]]]


@dataclass(eq=False)
class _Spot:
    """A box in its layer, or the knot of an arrow that passes one."""

    width: float
    x: float = 0.0
    above: list[_Spot] = field(default_factory=list)
    below: list[_Spot] = field(default_factory=list)


def layout(boxes: Sequence[Box], height: float, least: int) -> Layout:
    """Return where boxes stand, of a height and for so many letters at least.

    Each box comes after its sources.
    """
    level = _levels(boxes)
    spots = {box: _Spot(width(box, least)) for box in boxes}
    rows: list[list[_Spot]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    chains = {}
    for box in boxes:
        for source in box.sources:
            chains[source, box] = _chain(spots, level, source, box, rows)
        rows[level[box]].append(spots[box])
    _settle(rows)
    left = min((s.x - s.width / 2 for row in rows for s in row), default=0.0)
    step = height + BETWEEN
    places = {
        box: Place(
            s.x - left + GAP, GAP + height / 2 + level[box] * step, s.width, height
        )
        for box, s in spots.items()
    }
    ways = {
        (a, b): [
            (knot.x - left + GAP, GAP + height / 2 + (level[a] + i) * step)
            for i, knot in enumerate(knots, 1)
        ]
        for (a, b), knots in chains.items()
    }
    return Layout(places, ways)


def width(box: Box, least: int) -> float:
    """Return the width that the longer of the two lines of a box needs."""
    note = 0.85 * len(shortened(box.note, 52))
    return 24 + LETTER * max(rounded(box.title), note, least)


def rounded(title: str) -> int:
    """Return the letters to plan for a title, the same whatever its digits.

    So one drawing serves for all turns of a loop.
    """
    return 4 * -(-len(shortened(title)) // 4)


def shortened(text: str, most: int = 44) -> str:
    """Return a text that fits into a box."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _levels(boxes: Sequence[Box]) -> dict[Box, int]:
    """Return the layers: below all sources, and inputs next to their first use."""
    level: dict[Box, int] = {}
    first_use: dict[Box, int] = {}
    for box in boxes:
        level[box] = 1 + max((level[s] for s in box.sources), default=-1)
    for box in boxes:
        for source in box.sources:
            first_use[source] = min(first_use.get(source, level[box]), level[box])
    for box in boxes:
        if not box.sources and box in first_use:
            level[box] = first_use[box] - 1
    return level


def _chain(
    spots: dict[Box, _Spot],
    level: dict[Box, int],
    source: Box,
    box: Box,
    rows: list[list[_Spot]],
) -> list[_Spot]:
    """Return the knots between two boxes, put into their layers."""
    knots = [_Spot(KNOT) for _ in range(level[source] + 1, level[box])]
    for i, knot in enumerate(knots, level[source] + 1):
        rows[i].append(knot)
    for a, b in pairwise([spots[source], *knots, spots[box]]):
        a.below.append(b)
        b.above.append(a)
    return knots


def _settle(rows: list[list[_Spot]]) -> None:
    """Give every spot its x: by turns near what is above it and what is below."""
    for row in rows:
        _put(row, [float(i) for i in range(len(row))])
    for i in range(ROUNDS):
        last = i == ROUNDS - 1
        for row in rows:
            _towards(row, [s.above for s in row], keep=last)
        for row in reversed(rows):
            near = [s.below or (s.above if last else []) for s in row]
            _towards(row, near, keep=last)


def _towards(row: list[_Spot], near: list[list[_Spot]], keep: bool) -> None:
    """Move the spots of a row to the mean of others, in that order unless `keep`."""
    wished = [
        sum(s.x for s in around) / len(around) if around else spot.x
        for spot, around in zip(row, near, strict=True)
    ]
    if not keep:
        order = sorted(range(len(row)), key=wished.__getitem__)
        row[:] = [row[i] for i in order]
        wished = [wished[i] for i in order]
    _put(row, wished)


def _put(row: list[_Spot], wished: list[float]) -> None:
    """Place a row, in its order, nearest to where it wishes to be in least squares.

    Less the distances that must be kept, places only have to ascend; where wishes
    descend, neighbours are pooled and share their mean.
    """
    offset, offsets = 0.0, []
    for before, spot in pairwise([None, *row]):
        if before is not None and spot is not None:
            offset += (before.width + spot.width) / 2 + GAP
        offsets.append(offset)
    pools: list[tuple[float, int]] = []
    for wish, offset in zip(wished, offsets, strict=True):
        total, count = wish - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            more, others = pools.pop()
            total, count = total + more, count + others
        pools.append((total, count))
    at = [total / count for total, count in pools for _ in range(count)]
    for spot, x, offset in zip(row, at, offsets, strict=True):
        spot.x = x + offset
