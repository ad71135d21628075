"""One wrong entry of a Jacobian that was only compared along random directions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .block import worst_entry
from .differences import check_step
from .problem import Array, Packing, Problem
from .verdict import Comparison

Measure = Callable[[Array], tuple[float, float]]
"""From entries to how far the claim is off in their sum, and the error of that."""

STEPS = tuple(10.0**-k for k in range(1, 8))


def wrong_entry(
    comparison: Comparison, rng: np.random.Generator
) -> tuple[int, int, float, float, float] | None:
    """Return an entry that is wrong, found by halving the input, then the output.

    Parameters
    ----------
    comparison : Comparison
        Along random directions, some of which disagree.
    rng : Generator
        Of the weights with which entries are summed.

    Returns
    -------
    tuple or None
        Places in all inputs and in all outputs, the claimed derivative, that by
        differences, and its error. None where no single entry stands out.
    """
    problem = comparison.experiment.problem
    line, row = worst_entry(comparison)
    cotangent = comparison.experiment.rows[row].vector
    gradient = problem.taken_back(problem.pulled(), cotangent)
    # Of random size, so that equal faults do not cancel.
    weights = problem.unit * rng.uniform(0.5, 1.5, problem.point.size)
    weights *= rng.choice([-1.0, 1.0], problem.point.size)
    largest = check_step(problem.precision)

    def along(entries: Array) -> tuple[float, float]:
        direction = np.zeros(problem.point.size)
        direction[entries] = weights[entries]
        steps = (largest, largest / 8)
        slope, error = difference(problem, direction, steps, cotangent)
        return float(slope[0]) - float(gradient @ direction), float(error[0])

    at = halved(np.flatnonzero(comparison.experiment.columns[line].vector), along)
    if at is None:
        return None
    unit = np.zeros(problem.point.size)
    unit[at] = 1.0
    slopes, errors = difference(problem, unit * problem.unit, STEPS)
    slopes, errors = slopes / problem.unit[at], errors / problem.unit[at]
    above = _wrong_output(problem, at, cotangent, slopes, errors)
    if above is None:
        return None
    analytic = problem.taken_back(problem.pulled(), _unit(problem.out, above))[at]
    numerical, error = float(slopes[above]), float(errors[above])
    if not abs(analytic - numerical) > 4 * error + 1e-7 * abs(numerical):
        return None
    return at, above, float(analytic), numerical, error


def _wrong_output(
    problem: Problem, at: int, cotangent: Array, slopes: Array, errors: Array
) -> int | None:
    """Return an output whose derivative in one entry is wrong."""
    back = problem.pulled()

    def off(entries: Array) -> tuple[float, float]:
        part = np.zeros(problem.out.size)
        part[entries] = cotangent[entries]
        claimed = problem.taken_back(back, part)[at]
        error = float(np.abs(part[entries]) @ errors[entries])
        return float(claimed) - float(part[entries] @ slopes[entries]), error

    return halved(np.flatnonzero(cotangent), off)


def halved(entries: Array, off: Measure) -> int | None:
    """Return one of some entries, always from the half that is further off.

    One half is measured, and the other is what that leaves of the whole.
    """
    whole = off(entries)
    while len(entries) > 1 and _sure(whole) > 0:
        first, second = np.array_split(entries, 2)
        there = off(first)
        rest = whole[0] - there[0], whole[1] + there[1]
        if _sure(there) >= _sure(rest):
            entries, whole = first, there
        else:
            blurred = not rest[1] < 0.1 * abs(rest[0])
            entries, whole = second, off(second) if blurred else rest
    return int(entries[0]) if len(entries) == 1 and _sure(whole) > 0 else None


def _sure(measured: tuple[float, float]) -> float:
    """Return how far off it is at least; a claim of NaN is, whatever the error."""
    return float(np.nan_to_num(abs(measured[0]) - 2 * measured[1], nan=np.inf))


def difference(
    problem: Problem,
    direction: Array,
    steps: tuple[float, ...],
    cotangent: Array | None = None,
) -> tuple[Array, Array]:
    """Return the derivative of all outputs along a direction, or of their sum with a
    cotangent, and its error: where two steps agree best.
    """
    x, values = problem.point, np.abs(problem.value(problem.point))
    slopes = np.array(
        [
            (problem.value(x + h * direction) - problem.value(x - h * direction))
            / (2 * h)
            for h in steps
        ]
    )
    if cotangent is not None:
        slopes = (slopes @ cotangent)[:, None]
        values = (values @ np.abs(cotangent))[None]
    apart = np.abs(np.diff(slopes, axis=0))
    best = np.argmin(np.nan_to_num(apart, nan=np.inf), axis=0)
    which = np.arange(slopes.shape[1])
    rounding = problem.precision * values / np.array(steps)[best + 1]
    return slopes[best + 1, which], np.maximum(apart[best, which], rounding)


def _unit(packing: Packing, k: int) -> Array:
    unit = np.zeros(packing.size)
    unit[k] = 1.0
    return unit
