"""The noise of the values along a line, which no small step makes smaller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .differences import WIDE, Lines
from .problem import Array

# Drawn once: a regular sequence can run in step with the rounding.
_UNEVEN = np.array(
    [
        0.037496,
        0.057999,
        0.069855,
        0.072436,
        0.090713,
        0.150849,
        0.323833,
        0.365689,
        0.424519,
        0.433646,
        0.507436,
        0.535882,
        0.650934,
        0.826852,
    ]
)


CANCELLED = 4096
"""How many units in the last place of the largest value rounding may leave of terms
that cancel.
"""


class Window(NamedTuple):
    """The values in a window next to the point: their noise, whether it is the same all
    over, how far they range, whether they stay the same, and how far they are at most
    from the value at the point.
    """

    noise: Array
    even: Array
    range: Array
    still: Array
    far: Array


def window(lines: Lines, j: int, width: float) -> Window:
    """Look at the values in a window.

    Their noise is what cubics through five neighbours of unevenly spaced points leave
    of them (after Hamming, and Moré and Wild, "Estimating computational noise", 2011).
    What a function does itself goes with the width of the window, noise does not; and
    a kink or a jump is not the same all over.
    """
    steps = np.array([lines.snap(j, t) for t in (width * _UNEVEN).tolist()])
    values = lines.values([j], steps.tolist())[:, 0]
    five = np.arange(len(steps) - 4)[:, None] + np.arange(5)
    at = steps[five] / width
    apart = at[:, :, None] - at[:, None] + np.eye(5)
    weights = 1 / apart.prod(axis=2)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    left = np.abs(np.einsum("sk,skm->sm", weights, values[five]))
    noise = np.sqrt(np.mean(left**2, axis=0))
    even = noise < 4 * np.median(left, axis=0)
    span = np.ptp(values, axis=0)
    flat = np.mean(np.diff(values, axis=0) == 0, axis=0) >= 0.6
    # Where a function has saturated its values tell nothing of those at the point.
    apart = np.abs(values - lines.base)
    away, far = np.min(apart, axis=0) > span, np.max(apart, axis=0)
    return Window(np.where(away, np.inf, noise), even, span, flat & ~away, far)


def noise_at(
    lines: Lines, j: int, steps: Sequence[float], widths: Sequence[float]
) -> tuple[Array, Array]:
    """Return the noise of the values at each of some steps, (steps, outputs), and how
    far each value moves at once by rounding where it stays the same in between, else 0.

    For a step it is the least of the windows that are no smaller. A window in which the
    values are not smooth tells of no less noise than a larger one. Where two windows of
    different width have the same noise, small beside what the function does in them,
    that is rounding: in still smaller ones some of it may stand still. So is what moves
    nearly as far in any window, and no farther than terms that cancel may.
    """
    least = np.full((len(widths), lines.base.size), np.inf)
    settled, stairs, jumped, still = np.zeros((4, lines.base.size), dtype=bool)
    jumps = np.zeros(lines.base.size)
    windows: list[Window] = []
    size = lines.sizes[j] if 0 < lines.sizes[j] < 0.1 else np.inf
    for k, width in enumerate(widths):
        here = window(lines, j, width)
        new = here.still & ~jumped & ~settled
        if new.any():
            jumped |= new
            jumps = np.maximum(jumps, first_jump(lines, j, width, new))
            stairs[new] = bool(jumps[new].any())
        smooth = (here.noise < 0.03 * here.range) | (not windows)
        noise = np.where(smooth, here.noise, np.inf)
        noise = np.where(here.still, np.where(stairs, np.inf, 0.0), noise)
        before = least[k - 1] if k else least[k]
        least[k] = np.where(settled, before, np.fmin(before, noise))
        # What oscillates looks like noise over far more than the size of the point.
        if windows and width <= size:
            settled |= _is_rounding(here, windows[-1], width / widths[k - 1])
        windows.append(here)
        still = still | here.still
        if settled.all():
            least[k + 1 :] = least[k]
            if (least[k] > 1e-6 * np.abs(lines.base)).any():
                still = still | window(lines, j, widths[-1]).still
            break
    least = np.maximum(np.where(np.isfinite(least), least, 0), 0.3 * jumps)
    least = np.maximum(
        least, _flicker(lines, np.array([w.far for w in windows]), widths)
    )
    stair = _stairs(lines, j, widths[-1], still, np.maximum(least[-1], jumps))
    # Widths decrease: the last that is wide enough holds the least of those.
    wide = [sum(w >= 0.5 * h for w in widths) - 1 for h in steps]
    return np.asarray(least[np.maximum(wide, 0)]), stair


def _is_rounding(here: Window, last: Window, narrower: float) -> Array:
    """Whether two windows, one so much narrower, have the same noise."""
    trend = (last.noise < 3e-3 * last.range) & (here.range < last.range / 5)
    # Many kinks look like noise too, but that goes with the width.
    stays = here.noise > last.noise * narrower**0.3
    return np.asarray(trend & last.even & here.even & stays)


def _flicker(lines: Lines, far: Array, widths: Sequence[float]) -> Array:
    """Return how far values move that move nearly as far in any window, and no farther
    than terms that cancel may; 0 for others.
    """
    narrower = (np.array(widths[: len(far)]) / widths[0])[:, None]
    farthest = np.maximum.accumulate(far)
    largest = np.max(np.abs(lines.base), initial=0)
    flickers = (far >= farthest * narrower**0.3).all(axis=0)
    flickers &= farthest[-1] <= CANCELLED * lines.eps * largest
    return np.asarray(np.where(flickers, farthest[-1], 0))


def _stairs(lines: Lines, j: int, width: float, still: Array, noise: Array) -> Array:
    """Return how far values that stay the same in a window move at once."""
    stair: Array = np.where(still, noise, 0)
    if (stair > 1e-6 * np.abs(lines.base)).any():
        stair = np.maximum(stair, first_jump(lines, j, width, still))
    return stair


def first_jump(lines: Lines, j: int, width: float, rows: Array) -> Array:
    """Return how far values that stay the same in a window jump behind it, as rounding
    makes them do; 0 where they move on from where they were, as behind a kink.
    """
    low, high = 0.0, width
    moves = _moves(lines, j, high, rows)
    while not moves.any() and high < 1:
        low, high = high, 4 * high
        moves = _moves(lines, j, high, rows)
    if not moves.any():
        return moves
    row, first = int(np.argmax(moves)), float(np.max(moves))
    for _ in range(16):
        middle = (low + high) / 2
        moved = _moves(lines, j, middle, rows)[row] > 0
        low, high = (low, middle) if moved else (middle, high)
    moves = _moves(lines, j, high, rows)
    # What jumps as far as all it moves is a step of the function itself.
    size = WIDE[0] * (float(lines.sizes[j]) or 1.0)
    far = np.maximum(_moves(lines, j, size, rows), _moves(lines, j, -size, rows))
    if moves[row] <= 1e-3 * first or moves[row] > 0.1 * far[row]:
        return np.zeros(len(moves))
    return moves


def _moves(lines: Lines, j: int, step: float, rows: Array) -> Array:
    """Return how far some of the values have moved at a step, 0 for the others."""
    moves = np.abs(lines.at(j, step) - lines.base)
    return np.asarray(np.where(rows & np.isfinite(moves), moves, 0))
