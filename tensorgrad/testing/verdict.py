"""The verdict on each compared derivative: agrees, kink, too noisy, disagrees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .differences import (
    COARSE,
    EVERY,
    Estimate,
    Lines,
    again,
    check_step,
    derivatives,
    fitted,
    roughness,
    stretched,
)
from .experiment import Experiment
from .problem import EPS, Array
from .sides import Sides, nearby, one_sided

AGREES, KINK, NOISY, DISAGREES = range(4)
Verdict = Literal["agrees", "kink", "too noisy", "disagrees", "invalid"]
NAMES: tuple[Verdict, ...] = ("agrees", "kink", "too noisy", "disagrees")


@dataclass(frozen=True)
class Tolerance:
    """What is allowed besides the error bar.

    Without `atol` and `rtol`: what the rounding of the gradient itself may come to,
    relative to the entry, to the smaller of the largest entries of its row and its
    column, and to what rounding may leave of terms that cancel. So a Jacobian may hold
    entries of any scale.
    """

    atol: float | None = None
    rtol: float | None = None

    def __call__(
        self, analytic: Array, found: Estimate, experiment: Experiment
    ) -> Array:
        """Return how far off each entry may be."""
        bars = 2 * found.error
        if self.atol is not None or self.rtol is not None:
            numerical = np.abs(found.value)
            return np.asarray(bars + (self.atol or 0) + (self.rtol or 0) * numerical)
        size, eps = sizes(analytic, found.value), experiment.problem.rounding
        floor = 1e-12 * min(eps / EPS, 1e8) * neighbours(size)
        # A residue is not much smaller than the rounding it comes from.
        residue = eps * terms(size, experiment.lines)
        floor += np.where(size > 1e-4 * residue, 8 * residue, 0)
        return np.asarray(bars + max(1e-8, 64 * eps) * size + floor)


def terms(size: Array, lines: Lines) -> Array:
    """Return for each row the scale of what its derivatives are made of."""
    return np.asarray(np.maximum(size.max(axis=0, initial=0), lines.magnitude))


def sizes(analytic: Array, numerical: Array) -> Array:
    """Return the larger magnitude of the two, of what is finite of them."""
    both = np.abs(np.array([analytic, numerical]))
    return np.asarray(np.max(both, axis=0, where=np.isfinite(both), initial=0))


def neighbours(size: Array) -> Array:
    """Return for each entry the largest of its row or of its column, the smaller."""
    line, row = size.max(axis=1, initial=0), size.max(axis=0, initial=0)
    return np.asarray(np.minimum(line[:, None], row))


@dataclass
class Comparison:
    """An experiment with its outcome, arrays of shape (lines, rows).

    Attributes
    ----------
    numerical, error : arrays
        Derivatives from differences, and their error bars.
    low, high : arrays
        The one-sided derivatives where they differ, else NaN.
    state : array of int
        AGREES, KINK, NOISY or DISAGREES.
    stretched : array of bool
        Where only a large step could tell.
    """

    experiment: Experiment
    numerical: Array
    error: Array
    low: Array
    high: Array
    state: Array
    stretched: Array

    @property
    def analytic(self) -> Array:
        """The claimed derivatives."""
        return self.experiment.analytic

    @property
    def worst_state(self) -> int:
        """The state of the worst entry."""
        return int(self.state.max(initial=AGREES))


def compare(experiment: Experiment, tolerance: Tolerance) -> Comparison:
    """Return the verdict on every entry of an experiment."""
    shape = experiment.analytic.shape
    found = derivatives(experiment.lines)
    left, right = np.full((2, *shape), np.nan)
    result = Comparison(
        experiment,
        *found,
        left,
        right,
        np.zeros(shape, dtype=int),
        np.zeros(shape, dtype=bool),
    )
    with np.errstate(all="ignore"):
        _resolve(result)
        _clear_doubts(result, tolerance)
        _judge(result, tolerance)
    return result


def _clear_doubts(result: Comparison, tolerance: Tolerance) -> None:
    """Look again at lines in doubt, the worst first, until all are clear or one is
    wrong beyond doubt.
    """
    bend, sharp = _bends(result.experiment.lines)
    doubted = ~_within(result, tolerance) | sharp
    apart = np.nan_to_num(np.abs(result.analytic - result.numerical), nan=np.inf)
    which = np.flatnonzero(doubted.any(axis=1))
    which = which[np.argsort(-apart[which].max(axis=1, initial=0), kind="stable")]
    # A kink can explain no more than the slope changes by.
    sided = (sharp | ~(bend < 0.2 * apart)).any(axis=1)
    for some in _growing(which):
        _look_again(result, some.tolist())
        if sided[some].any():
            _look_at_sides(result, some[sided[some]].tolist())
        _judge(result, tolerance)
        wrong = some[(result.state[some] == DISAGREES).any(axis=1)].tolist()
        if wrong:
            _look_around(result, wrong)
            _judge(result, tolerance)
        if (result.state[some] == DISAGREES).any():
            return


def _growing(which: Array) -> Iterator[Array]:
    """Yield one of the items first, then more and more of them at once."""
    start, size = 0, 1
    while start < len(which):
        yield which[start : start + size]
        start, size = start + size, 4 * size


def _within(result: Comparison, tolerance: Tolerance) -> Array:
    found = Estimate(result.numerical, result.error)
    allowed = tolerance(result.analytic, found, result.experiment)
    return np.asarray(np.abs(result.analytic - result.numerical) <= allowed)


def _resolve(result: Comparison) -> None:
    """Use large steps where the error bar hides the claimed derivative."""
    claimed = np.abs(result.analytic)
    unclear = (claimed > 0) & (result.error > 0.1 * claimed) & np.isfinite(result.error)
    which = np.flatnonzero(unclear.any(axis=1)).tolist()
    if which:
        found = stretched(result.experiment.lines, which)
        old = Estimate(result.numerical[which], result.error[which])
        agree = np.abs(found.value - old.value) <= found.error + old.error
        agree &= np.abs(result.analytic[which] - old.value) <= 2 * old.error
        better = unclear[which] & agree & (found.error < old.error)
        result.numerical[which] = np.where(better, found.value, old.value)
        result.error[which] = np.where(better, found.error, old.error)
        result.stretched[which] = better


def _bends(lines: Lines) -> tuple[Array, Array]:
    """Return how much the slope changes at the point itself, about, and whether that
    is more than the curvature of a function.
    """
    shape = (lines.count, lines.base.size)
    if not lines.count or not lines.base.size or lines.exact:
        return np.zeros(shape), np.zeros(shape, dtype=bool)
    h = check_step(lines.eps)
    every = range(lines.count)
    ahead, behind = lines.values(every, [h])[0], lines.values(every, [-h])[0]
    bend = np.abs(ahead - 2 * lines.base + behind) / h
    slope = np.abs(ahead - behind) / (2 * h)
    rounding = 32 * lines.eps * (lines.magnitude + np.abs(ahead)) / h
    steepest = np.max(slope, axis=0, where=np.isfinite(slope), initial=0)
    return bend, ~(bend <= 1e-2 * slope + 1e-3 * steepest + rounding)


def _look_again(result: Comparison, which: list[int]) -> None:
    """Take every means to the lines in doubt."""
    value, error = again(result.experiment.lines, which)
    keep = result.stretched[which]
    result.numerical[which] = np.where(keep, result.numerical[which], value)
    result.error[which] = np.where(keep, result.error[which], error)


def _look_at_sides(result: Comparison, which: list[int]) -> None:
    """Compare the slopes on both sides of the point."""
    lines = result.experiment.lines
    low, high = _between(lines, which, one_sided(lines, which))
    result.low[which], result.high[which] = low, high


def _look_around(result: Comparison, which: list[int]) -> None:
    """Where the derivative is another at points close by, allow all that they have."""
    experiment = result.experiment
    claimed = result.analytic[which]
    low, high, differ = nearby(experiment.lines, experiment.around, which, claimed)
    differ |= ~np.isnan(result.low[which])
    low, high = np.where(differ, low, np.nan), np.where(differ, high, np.nan)
    result.low[which] = np.fmin(result.low[which], low)
    result.high[which] = np.fmax(result.high[which], high)


def _between(lines: Lines, which: list[int], sides: Sides) -> tuple[Array, Array]:
    """Return the one-sided derivatives where they differ, NaN elsewhere."""
    (p, p_bar), (q, q_bar) = sides.ahead, sides.behind
    p_slope, q_slope = sides.slopes
    noise = roughness(lines, which, EVERY)
    noise = np.maximum(noise, lines.eps * lines.magnitude)
    p_steep = _grows(p_slope, sides.steps, noise)
    q_steep = _grows(q_slope, sides.steps, noise)
    p, p_bar = _at_infinity(p, p_bar, p_slope, p_steep)
    q, q_bar = _at_infinity(q, q_bar, q_slope, q_steep)
    # At the edge of where the function is defined there is one side only.
    p_none, q_none = np.isnan(p_slope).all(axis=0), np.isnan(q_slope).all(axis=0)
    p, p_bar = np.where(p_none, q, p), np.where(p_none, q_bar, p_bar)
    q, q_bar = np.where(q_none, p, q), np.where(q_none, p_bar, q_bar)
    differ = np.abs(p - q) > 5 * (p_bar + q_bar) + 1e-6 * np.fmax(np.abs(p), np.abs(q))
    kink = np.isfinite(lines.base) & (differ | p_steep | q_steep | (p_none ^ q_none))
    low, high = np.minimum(p - p_bar, q - q_bar), np.maximum(p + p_bar, q + q_bar)
    return np.where(kink, low, np.nan), np.where(kink, high, np.nan)


def _grows(slopes: Array, steps: object, noise: Array) -> Array:
    """Whether a one-sided slope grows without end as the step gets smaller."""
    size = np.abs(slopes)
    rise = np.asarray(steps)[:, None, None] * size
    steadily = (np.diff(size, axis=0) > 0).all(axis=0) & (size[-1] > 2 * size[0])
    return np.asarray(steadily & (rise[-1] > 20 * noise))


def _at_infinity(
    value: Array, error: Array, slopes: Array, steep: Array
) -> tuple[Array, Array]:
    infinite = np.copysign(np.inf, slopes[-1])
    return np.where(steep, infinite, value), np.where(steep, 0, error)


def _judge(result: Comparison, tolerance: Tolerance) -> None:
    found = Estimate(result.numerical, result.error)
    allowed = tolerance(result.analytic, found, result.experiment)
    apart = np.abs(result.analytic - result.numerical)
    small = _small(result, apart > allowed, apart)
    if small.any():
        allowed = allowed + 8 * result.experiment.unsteady
        value, error = fitted(result.experiment.lines)
        small &= np.abs(result.analytic - value) <= 2 * error
    within = (apart <= allowed) | small
    # A large step may miss what a small one cannot show: it does not convict.
    state = np.where(within, AGREES, np.where(result.stretched, NOISY, DISAGREES))
    state[within & (~_resolved(result) | _unseen(result))] = NOISY
    state[~np.isfinite(result.numerical) | ~np.isfinite(result.error)] = NOISY
    kink = ~np.isnan(result.low)
    slack = np.where(np.isfinite(allowed), allowed, 0)
    above = result.analytic >= result.low - slack
    inside = above & (result.analytic <= result.high + slack)
    result.state = np.where(kink, np.where(inside, KINK, DISAGREES), state)


def _small(result: Comparison, wrong: Array, apart: Array) -> Array:
    """Where a difference is so small beside the values that it may be what rounding
    leaves of terms that cancel in the gradient.
    """
    size = sizes(result.analytic, result.numerical)
    scale = terms(size, result.experiment.lines)
    return np.asarray(wrong & (apart <= 1e-8 * scale))


def hidden(result: Comparison) -> Array:
    """Return where the error bar could hide a factor of 2 in what is claimed, and that
    is not what rounding leaves of terms that cancel.
    """
    claimed = np.abs(result.analytic)
    lines, eps = result.experiment.lines, result.experiment.problem.rounding
    residue = eps * terms(sizes(result.analytic, result.numerical), lines)
    left_over = (claimed >= 1e-4 * residue) & (claimed <= 64 * residue)
    return np.asarray((claimed > 0) & (claimed < 8 * result.error) & ~left_over)


def _unseen(result: Comparison) -> Array:
    """Return what is hidden of inputs of which nothing is seen."""
    found, seen = hidden(result), np.abs(result.analytic) >= 8 * result.error
    numbers = np.array([c.number for c in result.experiment.columns])
    for number in np.unique(numbers):
        of_input = numbers == number
        if (seen & (result.analytic != 0))[of_input].any():
            found[of_input] = False
    return found


def _resolved(result: Comparison) -> Array:
    """Whether the error bar is small enough for an agreement to mean something."""
    bar = 2 * result.error
    size = sizes(result.analytic, result.numerical)
    lines = result.experiment.lines
    rounding = max(1e-6, 100 * lines.eps)
    scale = terms(size, lines)
    enough = (bar <= 1e-2 * size) | (bar <= 1e-2 * neighbours(size))
    enough |= bar <= rounding * scale
    if not enough.all():
        # At a minimum of 0 there is no scale but that of the function around it.
        ahead = lines.values(range(lines.count), COARSE[:1])[0]
        rise = np.nan_to_num(np.abs(ahead - lines.base) / COARSE[0], posinf=0.0)
        enough |= bar <= rounding * rise
    return np.asarray(enough)
