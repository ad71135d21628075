"""Whether libraries that started alike arrive alike."""

from collections.abc import Mapping

import numpy as np

PREFERRED = ("hand", "eager")
TOLERANCE = float(np.finfo(np.float32).eps) ** 0.5
"""Half the digits of float32: far above rounding, far below another algorithm."""


def reference(
    found: Mapping[str, list[float] | None],
) -> tuple[str, list[float]] | None:
    """Return whose numbers the others are held to: those by hand where there are."""
    for peer in (*PREFERRED, *found):
        numbers = found.get(peer)
        if numbers:
            return peer, numbers
    return None


def disagreement(numbers: list[float], peer: str, expected: list[float]) -> str | None:
    """Return how numbers differ from those of a peer; None where they agree."""
    if len(numbers) != len(expected):
        return f"gives {len(numbers)} numbers where {peer} gives {len(expected)}"
    a, b = np.asarray(numbers), np.asarray(expected)
    wrong = ~(np.abs(a - b) <= TOLERANCE * np.abs(b).max())
    if not wrong.any():
        return None
    i = int(wrong.argmax())
    return f"does not agree: number {i + 1} is {a[i]:.6g}, {b[i]:.6g} by {peer}"
