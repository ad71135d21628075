"""Where the boxes stand: layers from top to bottom, few crossings, straight chains.

The method of Sugiyama, Tagawa, Toda, "Methods for visual understanding of hierarchical
system structures", 1981: layers by the longest path, order within a layer by the mean
place of the neighbours, places that keep that order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .boxes import Box

LETTER, HEIGHT, GAP, BETWEEN = 7.3, 42.0, 26.0, 40.0
"""Width of a letter, height of a box, space beside and below it, in pixels."""


class Place(NamedTuple):
    """Centre and size of a box, in pixels."""

    x: float
    y: float
    width: float
    height: float


def layout(boxes: Sequence[Box]) -> dict[Box, Place]:
    """Return the place of each box; boxes come after their sources."""
    level = _levels(boxes)
    rows: list[list[Box]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for box in boxes:
        rows[level[box]].append(box)
    targets: dict[Box, list[Box]] = {box: [] for box in boxes}
    for box in boxes:
        for source in box.sources:
            targets[source].append(box)
    x = {box: 0.0 for box in boxes}
    for row in rows:
        _spread(row, x)
    for _ in range(6):
        for row in rows:
            _settle(row, x, lambda box: list(box.sources))
        for row in reversed(rows):
            _settle(row, x, lambda box: targets[box])
    left = min((x[b] - width(b) / 2 for b in boxes), default=0.0)
    return {
        b: Place(
            x[b] - left + GAP,
            GAP + HEIGHT / 2 + level[b] * (HEIGHT + BETWEEN),
            width(b),
            HEIGHT,
        )
        for b in boxes
    }


def width(box: Box) -> float:
    """Return the width that the longer of the two lines needs."""
    return 24 + LETTER * max(len(shortened(box.title)), 0.85 * len(box.note), 6)


def shortened(text: str, most: int = 44) -> str:
    """Return a text that fits into a box."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _levels(boxes: Sequence[Box]) -> dict[Box, int]:
    """Return the layers: as deep as the sources ask, variables next to their use."""
    level: dict[Box, int] = {}
    for box in boxes:
        level[box] = 1 + max((level[s] for s in box.sources), default=-1)
    for box in reversed(boxes):
        for source in box.sources:
            if source.kind == "variable":
                used = [level[b] for b in boxes if source in b.sources]
                level[source] = min(used) - 1
    lowest = min(level.values(), default=0)
    return {box: n - lowest for box, n in level.items()}


def _settle(
    row: list[Box], x: dict[Box, float], neighbours: Callable[[Box], list[Box]]
) -> None:
    """Move the boxes of a row to the mean of their neighbours, in that order."""
    wished = {}
    for box in row:
        around = [x[n] for n in neighbours(box)]
        wished[box] = sum(around) / len(around) if around else x[box]
    row.sort(key=lambda box: wished[box])
    _spread(row, x)
    shift = [wished[b] - x[b] for b in row]
    mean = sum(shift) / len(shift)
    for box in row:
        x[box] += mean
    if len(row) == 1:
        x[row[0]] = wished[row[0]]


def _spread(row: list[Box], x: dict[Box, float]) -> None:
    """Put the boxes of a row side by side, centred at 0."""
    total = sum(width(b) for b in row) + GAP * (len(row) - 1)
    at = -total / 2
    for box in row:
        x[box] = at + width(box) / 2
        at += width(box) + GAP
