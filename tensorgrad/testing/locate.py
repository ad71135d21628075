"""Where a fault shows: a wrong entry of a Jacobian, the smallest input that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .differences import check_step
from .experiment import unit
from .problem import Array, Problem
from .verdict import Comparison, Entry, worst_entry

Measure = Callable[[Array], tuple[float, float]]
"""From entries to how far the claim is off in their sum, and how far it may be."""

STEPS = tuple(10.0**-k for k in range(1, 8))


class Slopes(NamedTuple):
    """The derivative of each output along a line, its error, and by how much that
    ahead and that behind differ from it, where they do.
    """

    value: Array
    error: Array
    jump: Array

    @property
    def allowed(self) -> Array:
        """How far off a claim may be."""
        return np.asarray(2 * self.error + self.jump)


def wrong_entry(comparison: Comparison, rng: np.random.Generator) -> Entry | None:
    """Return a wrong entry, by halving the input, then the output.

    The comparison is along random directions, some of which disagree.
    """
    problem = comparison.experiment.problem
    line, row = worst_entry(comparison)
    cotangent = comparison.experiment.rows[row].vector
    gradient = problem.pull_back(problem.pulled(), cotangent)
    which = np.flatnonzero(comparison.experiment.columns[line].vector)
    # Of random size, so that equal faults do not cancel; and as the claims are, which
    # stand out of many kinks then.
    sizes = problem.unit * rng.uniform(0.5, 1.5, problem.point.size)
    random = rng.choice([-1.0, 1.0], problem.point.size)
    for signs in (random, np.nan_to_num(np.sign(gradient))):
        among = which if signs is random else np.flatnonzero(signs)
        at = halved(among, _along(problem, sizes * signs, cotangent, gradient))
        wrong = None if at is None else _of_input(problem, at, cotangent, gradient)
        if wrong is not None:
            return wrong
    return None


def _along(
    problem: Problem, weights: Array, cotangent: Array, gradient: Array
) -> Measure:
    """Return how far off the claim is along a direction, of some of its entries."""
    largest = check_step(problem.precision)

    def off(entries: Array) -> tuple[float, float]:
        direction = np.zeros(problem.point.size)
        direction[entries] = weights[entries]
        slope = slopes(problem, direction, (largest, largest / 8), cotangent)
        claimed = float(gradient[entries] @ weights[entries])
        return claimed - float(slope.value[0]), float(slope.allowed[0])

    return off


def _of_input(
    problem: Problem, at: int, cotangent: Array, gradient: Array
) -> Entry | None:
    """Return a wrong derivative of some output in one entry of the inputs."""
    size = problem.unit[at]
    slope = slopes(problem, unit(problem.packing.size, at, size), STEPS)
    slope = Slopes(*(part / size for part in slope))
    above: int | None = int(np.argmax(np.abs(slope.value * cotangent)))
    if np.isfinite(gradient[at]):
        above = _wrong_output(problem, at, cotangent, slope)
    if above is None:
        return None
    back = problem.pulled()
    analytic = problem.pull_back(back, unit(problem.out.size, above))[at]
    numerical, error = float(slope.value[above]), float(slope.error[above])
    allowed = 4 * error + slope.jump[above] + 1e-7 * abs(numerical)
    if abs(analytic - numerical) <= allowed:
        return None
    (number, index), (output, output_index) = (
        problem.packing.entry(at),
        problem.out.entry(above),
    )
    places = number, output, index, output_index
    return Entry(*places, float(analytic), numerical, error)


def _wrong_output(
    problem: Problem, at: int, cotangent: Array, slope: Slopes
) -> int | None:
    """Return an output whose derivative in one entry is wrong."""
    back = problem.pulled()

    def off(entries: Array) -> tuple[float, float]:
        part = np.zeros(problem.out.size)
        part[entries] = cotangent[entries]
        claimed = float(problem.pull_back(back, part)[at])
        allowed = 2 * np.linalg.norm(part * slope.error) + np.abs(part) @ slope.jump
        return claimed - float(part @ slope.value), float(allowed)

    return halved(np.flatnonzero(cotangent), off)


def halved(entries: Array, off: Measure) -> int | None:
    """Return one of some entries, always from the half that is further off.

    One half is measured, and the other is what that leaves of the whole.
    """
    total = off(entries)
    while len(entries) > 1 and _sure(total) > 0:
        first, second = np.array_split(entries, 2)
        there = off(first)
        rest = total[0] - there[0], total[1] + there[1]
        if not rest[1] < 0.1 * abs(rest[0]):
            rest = off(second)
        if _sure(there) >= _sure(rest):
            entries, total = first, there
        else:
            entries, total = second, rest
    return int(entries[0]) if len(entries) == 1 and _sure(total) > 0 else None


def _sure(measured: tuple[float, float]) -> float:
    """Return how far off it is at least; a claim of NaN is, whatever the error."""
    return float(np.nan_to_num(abs(measured[0]) - measured[1], nan=np.inf))


def slopes(
    problem: Problem,
    direction: Array,
    steps: Sequence[float],
    cotangent: Array | None = None,
) -> Slopes:
    """Return the derivative of all outputs along a direction, or of their sum with a
    cotangent, from the two steps that agree best.
    """
    x, base, h = problem.point, problem.value(problem.point), np.array(steps)[:, None]
    ahead = np.array([problem.value(x + t * direction) for t in steps])
    behind = np.array([problem.value(x - t * direction) for t in steps])
    central, bend = (ahead - behind) / (2 * h), np.abs(ahead - 2 * base + behind) / h
    rounding = 4 * problem.precision * np.abs(base) / h[1:]
    # What a bend of curvature has at a step is in proportion to it.
    ratio = h[:-1] / h[1:]
    jump = np.maximum(ratio * (bend[1:] - rounding) - bend[:-1], 0) / (2 * (ratio - 1))
    if cotangent is not None:
        central = (central @ cotangent)[:, None]
        jump = (jump @ np.abs(cotangent))[:, None]
        rounding = np.linalg.norm(rounding * cotangent, axis=1)[:, None]
    apart = np.maximum(np.abs(np.diff(central, axis=0)), rounding)
    best = np.argmin(np.nan_to_num(apart, nan=np.inf), axis=0)[None]
    parts = (central[1:], apart, jump)
    return Slopes(*(np.take_along_axis(part, best, 0)[0] for part in parts))


Fails = Callable[[list[Array]], bool]

MOST = 60
"""Inputs that are tried."""


def shrink(inputs: list[Array], fails: Fails, most: int = MOST) -> list[Array]:
    """Return inputs no larger than `inputs`, for which `fails` still holds.

    All axes of one length are shortened together, because they are likely to belong
    together.
    """
    tries = iter(range(most))
    for simpler in (_shorter, _rounder):
        inputs = _while_failing(inputs, simpler, fails, tries)
    return inputs


def _while_failing(
    inputs: list[Array],
    simpler: Callable[[list[Array]], Iterator[list[Array]]],
    fails: Fails,
    tries: Iterator[int],
) -> list[Array]:
    """Take the first simpler inputs that fail, again and again."""
    while True:
        for candidate in simpler(inputs):
            if next(tries, None) is None:
                return inputs
            if fails(candidate):
                inputs = candidate
                break
        else:
            return inputs


def _shorter(inputs: list[Array]) -> Iterator[list[Array]]:
    lengths = sorted({n for x in inputs for n in x.shape if n > 1}, reverse=True)
    for length in lengths:
        for n in sorted({1, 2, 3, length // 2, length - 1} - {0}):
            if n < length:
                yield [_cut(x, length, n) for x in inputs]


def _cut(x: Array, length: int, n: int) -> Array:
    index = tuple(slice(0, n) if m == length else slice(None) for m in x.shape)
    return x[index].copy()


def _rounder(inputs: list[Array]) -> Iterator[list[Array]]:
    for number, x in enumerate(inputs):
        for rounded in (np.round(x, digits) for digits in (0, 1, 2)):
            if (rounded != x).any() and _alike(rounded, x):
                yield [rounded if k == number else y for k, y in enumerate(inputs)]


def _alike(rounded: Array, x: Array) -> bool:
    """Whether no more numbers are zero or equal: that might be another fault."""
    zeros = np.array_equal(rounded == 0, x == 0)
    return zeros and len(np.unique(rounded)) == len(np.unique(x))
