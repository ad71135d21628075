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
from .noise import noise_at
from .problem import Array

SAFETY = 5
"""How many times the noise of a value a difference of two may be off."""
WINDOWS = (1.0, 1e-1, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)


class Look(NamedTuple):
    """The measurements along one line, arrays of one row for each value.

    Attributes
    ----------
    both, ahead, behind : Estimate
        The derivative from both sides, and from one side alone.
    steps : sequence of float
        Decreasing.
    slopes : pair of arrays, (steps, values)
        Difference quotients ahead and behind.
    noise : array, (steps, values)
        Of the values.
    jumps : array
        Of the values, where they take steps by rounding, else 0.
    """

    both: Estimate
    ahead: Estimate
    behind: Estimate
    steps: Sequence[float]
    slopes: tuple[Array, Array]
    noise: Array
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
