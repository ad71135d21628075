"""Derivatives from one side of a point, and at points around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .differences import EVERY, Estimate, Lines, extrapolate, roughness, slope_rounding
from .problem import Array


class Sides(NamedTuple):
    """One-sided derivatives along lines."""

    ahead: Estimate
    behind: Estimate
    steps: Sequence[float]
    slopes: tuple[Array, Array]


def nearby(
    lines: Lines,
    around: Callable[[int, float, int], Array],
    which: Sequence[int],
    claimed: Array,
) -> tuple[Array, Array, Array]:
    """Return the least and the greatest derivative along lines at points close by, and
    where that is for a kink: there these differ as much at a tenth of the distance.

    Between them lies what is a generalised derivative in the sense of Clarke
    ("Optimization and Nonsmooth Analysis", 1983), whatever the kink.

    Parameters
    ----------
    lines : Lines
    around : callable
        From the number of a line, a step and the number of a point to the values
        there; points of odd number are ten times closer.
    which : sequence of int
        The lines.
    claimed : array
        What is looked for between the two: once it is, that is enough.
    """
    h = small_steps(lines.eps)[-1]
    rounding = lines.eps * lines.magnitude
    noise = 32 * np.maximum(roughness(lines, which, EVERY), rounding) / h
    low, high = np.full((2, 2, len(which), lines.base.size), np.nan)
    differ = np.zeros(claimed.shape, dtype=bool)
    for k in range(512):
        with np.errstate(all="ignore"):
            slopes = [(around(j, h, k) - around(j, -h, k)) / (2 * h) for j in which]
        low[k % 2] = np.fmin(low[k % 2], slopes)
        high[k % 2] = np.fmax(high[k % 2], slopes)
        if k % 32 == 31:
            far, close = high - low
            size = 1e-3 * np.fmax(np.abs(low[1]), np.abs(high[1]))
            differ = (close > 0.4 * far) & (close > size + noise)
            outside = (claimed < low[1]) | (claimed > high[1])
            if not (differ & outside).any():
                break
    return low[1], high[1], differ


def one_sided(lines: Lines, which: Sequence[int]) -> Sides:
    """Return the derivatives from either side, from small steps alone."""
    steps = small_steps(lines.eps)
    h = np.array(steps)[:, None, None]
    estimates, slopes = [], []
    with np.errstate(all="ignore"):
        noise = 2 * roughness(lines, which, EVERY) / h
        for sign in (1, -1):
            values = lines.values(which, [sign * t for t in steps])
            slope = sign * (values - lines.base) / h
            rounding = np.maximum(
                slope_rounding(lines, values, values, slope, h), noise
            )
            estimates.append(extrapolate(steps, slope, rounding, power=1))
            slopes.append(slope)
    return Sides(estimates[0], estimates[1], steps, (slopes[0], slopes[1]))


def small_steps(eps: float) -> Sequence[float]:
    """Return steps at which rounding still leaves several digits of a slope."""
    return tuple(np.geomspace(eps**0.2, eps**0.4, 6).tolist())
