"""Derivatives at points around a point."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .differences import Lines
from .problem import Array

Around = Callable[[int, float, int, float], Array]
"""From the number of a line, a step, the number of a point close by and how far off it
may be, to the values there.
"""

ASKED = tuple(range(32, 513, 32))


def nearby(
    lines: Lines,
    around: Around,
    j: int,
    claimed: Array,
    step: float,
    noise: Array,
    asked: Sequence[int] = ASKED,
) -> tuple[Array, Array, Array]:
    """Return the least and the greatest derivative along a line at points close by, and
    where that is for a kink: there these differ as much at a tenth of the distance.

    Between them lies what is a generalised derivative in the sense of Clarke
    ("Optimization and Nonsmooth Analysis", 1983), whatever the kink.

    Parameters
    ----------
    lines : Lines
    around : callable
        As :data:`Around`.
    j : int
        The line.
    claimed : array
        What is looked for between the two: once it is, that is enough.
    step : float
        The smallest with which differences tell.
    noise : array
        Of the values.
    asked : sequence of int
        After how many points it is asked whether that is enough.
    """
    low, high = np.full((2, 2, lines.base.size), np.nan)
    differ = np.zeros(lines.base.size, dtype=bool)
    for k in range(asked[-1]):
        radius = (100 if k % 2 == 0 else 10) * step
        with np.errstate(all="ignore"):
            ahead, behind = (around(j, t, k, radius) for t in (step, -step))
            slopes = (ahead - behind) / (2 * step)
        low[k % 2] = np.fmin(low[k % 2], slopes)
        high[k % 2] = np.fmax(high[k % 2], slopes)
        if k + 1 in asked:
            far, close = high - low
            size = 1e-3 * np.fmax(np.abs(low[1]), np.abs(high[1]))
            differ = (close > 0.4 * far) & (close > size + 32 * noise / step)
            outside = (claimed < low[1]) | (claimed > high[1])
            if not (differ & outside).any():
                break
    return low[1], high[1], differ
