"""Derivatives along one line at every scale: over steps from the size of the point down
to its last digits, with the noise of the values measured beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .differences import (
    COARSE,
    FINE,
    NEAR,
    TINY,
    WIDE,
    Estimate,
    Lines,
    by_imaginary_step,
    central_slopes,
    extrapolate,
)
from .problem import Array

SAFETY = 5
"""How many times the noise of a value a difference of two may be off."""
WINDOWS = (1.0, 1e-1, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)


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


class Look(NamedTuple):
    """The measurements along one line, arrays of one row for each value."""

    # The derivative from both sides, and from one side alone.
    both: Estimate
    ahead: Estimate
    behind: Estimate
    steps: Sequence[float]
    # Difference quotients ahead and behind, and the noise of the values, by steps.
    slopes: tuple[Array, Array]
    noise: Array
    # How far values move that take steps by rounding, else 0.
    jumps: Array


def ladder(lines: Lines, j: int) -> tuple[list[float], list[float]]:
    """Return steps along a line that meet structure of any scale, and the widths of
    windows in which to look for noise, both decreasing.
    """
    steps, size = [*WIDE, *COARSE, *FINE, *TINY], float(lines.sizes[j])
    windows = list(WINDOWS)
    if size == 0:
        # Nothing is rounded away beside 0.
        steps += [steps[-1] * 0.2417**k for k in range(1, 5)]
        windows += [1e-14, 1e-16]
    elif size < 0.1:
        near = [size * t for t in NEAR]
        while near[-1] > 4 * steps[-1]:
            near.append(0.3071 * near[-1])
        steps = [t for t in steps if t > 2 * near[0]] + near
        windows = [w for w in windows if w > 2 * size]
        windows += [size * 10.0**-k for k in range(0, 14, 2) if k < 5 or size > 1e-12]
    if lines.snaps:
        steps = [lines.snap(j, t) for t in steps]
    return list(dict.fromkeys(steps)), windows


def look(lines: Lines, j: int, thin: bool = False) -> Look:
    """Return the derivatives along a line at every scale; `thin` from fewer steps, of
    the same scales.
    """
    steps, windows = ladder(lines, j)
    if thin and not 0 < lines.sizes[j] < 0.1:
        steps, windows = steps[3::3], windows[1::3]
    with np.errstate(all="ignore"):
        noise, jumps = noise_at(lines, j, steps, windows)
        rounding = SAFETY * noise[:, None] / np.array(steps)[:, None, None]
        slopes, bars = central_slopes(lines, [j], steps, lines.snaps)
        bars = np.maximum(bars, rounding)
        both = extrapolate(steps, slopes, bars, power=2, wary=True)
        ahead, p_slope = _side(lines, j, steps, 1, rounding)
        behind, q_slope = _side(lines, j, steps, -1, rounding)
        value, error = _consistent(both, ahead, behind)
        if lines.imaginary is not None:
            by_imaginary_step(lines, [j], value, error)
    noise = np.maximum(noise, lines.eps * lines.magnitude)
    sides = (p_slope[:, 0], q_slope[:, 0])
    both = Estimate(value, error)
    return Look(_row(both), _row(ahead), _row(behind), steps, sides, noise, jumps)


def _side(
    lines: Lines, j: int, steps: list[float], sign: int, rounding: Array
) -> tuple[Estimate, Array]:
    """Return the derivative from one side, and the difference quotients."""
    h = np.array(steps)[:, None, None]
    values = lines.values([j], [sign * t for t in steps])
    slopes = sign * (values - lines.base) / h
    bars = lines.eps * (lines.magnitude + 2 * np.abs(values)) / h
    bars = np.maximum(bars, rounding)
    return extrapolate(steps, slopes, bars, power=1, wary=True), slopes


def _row(estimate: Estimate) -> Estimate:
    return Estimate(estimate.value[0], estimate.error[0])


def _consistent(
    both: Estimate, ahead: Estimate, behind: Estimate
) -> tuple[Array, Array]:
    """Return what both sides allow: where the curvature jumps at the point, the error
    of a central difference goes with the step, not with its square.
    """
    middle, bar = (ahead.value + behind.value) / 2, (ahead.error + behind.error) / 2
    odd = np.abs(middle - both.value) > bar + both.error
    odd |= ~np.isfinite(both.error)
    return np.where(odd, middle, both.value), np.where(odd, bar, both.error)


def one_sided(lines: Lines, view: Look) -> tuple[Array, Array]:
    """Return the one-sided derivatives where they differ at every scale, NaN elsewhere.

    Where the values move by more than rounding, a function that is smooth has the same
    derivative on both sides, once the steps are small enough.
    """
    (p, p_bar), (q, q_bar) = view.ahead, view.behind
    p_slope, q_slope = view.slopes
    p_steep = _grows(p_slope, view.ahead, view)
    q_steep = _grows(q_slope, view.behind, view)
    p, p_bar = _at_infinity(p, p_bar, p_slope, p_steep)
    q, q_bar = _at_infinity(q, q_bar, q_slope, q_steep)
    # At the edge of where the function is defined there is one side only.
    p_none, q_none = (np.isnan(s[-3:]).all(axis=0) for s in view.slopes)
    p, p_bar = np.where(p_none, q, p), np.where(p_none, q_bar, p_bar)
    q, q_bar = np.where(q_none, p, q), np.where(q_none, p_bar, q_bar)
    # A function that is flat here has slopes farther on, and rounding leaves of them.
    steepest = np.nanmax(np.abs([p, q, *p_slope, *q_slope]), axis=0, initial=0)
    differ = np.abs(p - q) > 5 * (p_bar + q_bar) + 1e-6 * steepest
    kink = np.isfinite(lines.base) & (differ | p_steep | q_steep | (p_none ^ q_none))
    low, high = np.minimum(p - p_bar, q - q_bar), np.maximum(p + p_bar, q + q_bar)
    return np.where(kink, low, np.nan), np.where(kink, high, np.nan)


def straddles(view: Look, claimed: Array) -> Array:
    """Return where a claimed derivative lies between the slopes ahead and behind, over
    the smallest step that would show it to be wrong.
    """
    apart = np.abs(claimed - view.both.value)
    h = np.array(view.steps)[:, None]
    shows = SAFETY * view.noise / h <= 0.3 * np.nan_to_num(apart, nan=np.inf)
    last = len(h) - 1 - np.argmax(shows[::-1], axis=0)
    sides = np.array([np.take_along_axis(s, last[None], 0)[0] for s in view.slopes])
    low, high = sides.min(axis=0), sides.max(axis=0)
    between = (claimed >= low) & (claimed <= high)
    return np.asarray(between | ~shows.any(axis=0))


def _grows(slopes: Array, limit: Estimate, view: Look) -> Array:
    """Whether a one-sided slope grows without end as the step gets smaller."""
    size, h = np.abs(slopes), np.array(view.steps)[:, None]
    visible = (h < 1e-3) & (h * size > 20 * view.noise)
    steadily = (np.diff(size, axis=0) > 0) | ~(visible[1:] & visible[:-1])
    least = np.min(np.where(visible, size, np.inf), axis=0)
    most = np.max(np.where(visible, size, 0), axis=0)
    enough = (most > 2 * least) & (visible.sum(axis=0) > 5)
    # A slope that has a limit settles at it, one that is that of a jump stops before.
    settled = (limit.error < 0.1 * most) & (np.abs(limit.value) > 0.5 * most)
    settled |= size[-1] + view.noise[-1] / h[-1] < 0.1 * most
    return np.asarray(steadily.all(axis=0) & enough & ~settled)


def _at_infinity(
    value: Array, error: Array, slopes: Array, steep: Array
) -> tuple[Array, Array]:
    infinite = np.copysign(np.inf, np.nansum(slopes, axis=0))
    return np.where(steep, infinite, value), np.where(steep, 0, error)
