"""The verdict on each compared derivative: agrees, kink, too noisy, disagrees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .differences import (
    ASKED,
    COARSE,
    Estimate,
    Lines,
    check_step,
    derivatives,
    fitted,
    nearby,
    stretched,
)
from .experiment import Experiment
from .problem import EPS, Array, renamed
from .scales import Look, look, one_sided, straddles

AGREES, KINK, NOISY, DISAGREES = range(4)
Verdict = Literal["agrees", "kink", "too noisy", "disagrees", "invalid"]
SHARP, COARSEST = 1.2e-2, 0.1
"""What a bar may be of a derivative that it lets agree, and where f has few digits."""
NAMES: tuple[Verdict, ...] = ("agrees", "kink", "too noisy", "disagrees")


Tolerance = tuple[float | None, float | None]
"""`atol` and `rtol`, allowed besides the error bar; None for what rounding may do."""


def terms(size: Array, lines: Lines) -> Array:
    """Return for each row the scale of the terms of its derivatives."""
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
    """An experiment with its outcome, arrays of shape (lines, rows)."""

    experiment: Experiment
    tolerance: Tolerance
    # Derivatives from differences, and their error bars.
    numerical: Array
    error: Array

    def __post_init__(self) -> None:
        shape = self.analytic.shape
        # The one-sided derivatives where they differ.
        self.low, self.high = np.full((2, *shape), np.nan)
        self.state = np.full(shape, AGREES)
        # Of the values relative to their size, where they were measured; jumps are
        # those of rounding between which a value stays the same.
        self.noise, self.jumps = np.zeros((2, *shape))
        # Where only a large step could tell; where none told for sure; where that was
        # looked at closely.
        self.stretched, self.unsure, self.looked = np.zeros((3, *shape), dtype=bool)

    @property
    def analytic(self) -> Array:
        """The claimed derivatives."""
        return self.experiment.analytic

    @property
    def apart(self) -> Array:
        """How far the claimed derivatives are from the numerical ones."""
        return np.asarray(np.abs(self.analytic - self.numerical))

    @property
    def size(self) -> Array:
        """The larger magnitude of the two."""
        return sizes(self.analytic, self.numerical)

    @property
    def worst_state(self) -> int:
        """The state of the worst entry."""
        return int(self.state.max(initial=AGREES))

    @property
    def allowed(self) -> Array:
        """How far off each entry may be.

        Without a tolerance: what the rounding of the gradient itself may come to,
        relative to the entry, to the smaller of the largest entries of its row and its
        column, and to what rounding may leave of terms that cancel. So a Jacobian may
        hold entries of any scale.
        """
        bars, (atol, rtol) = 2 * self.error, self.tolerance
        if atol is not None or rtol is not None:
            relative = (rtol or 0) * np.abs(self.numerical)
            return np.asarray(bars + (atol or 0) + relative)
        size, eps = self.size, self.experiment.problem.rounding
        floor = 1e-12 * min(eps / EPS, 1e8) * neighbours(size)
        # A residue is not much smaller than the rounding it comes from.
        residue = eps * terms(size, self.experiment.lines)
        floor += np.where(size > 1e-4 * residue, 8 * residue, 0)
        return np.asarray(bars + max(1e-8, 64 * eps) * size + floor)


def worst_entry(comparison: Comparison, state: int = DISAGREES) -> tuple[int, int]:
    """Return line and row of the entry that is furthest off, of those in a state."""
    with np.errstate(all="ignore"):
        row = comparison.size.max(axis=0, initial=0)
        apart = np.nan_to_num(comparison.apart / np.where(row > 0, row, 1), nan=np.inf)
    apart = np.where(comparison.state == state, apart, -1)
    line, at = np.unravel_index(int(np.argmax(apart)), apart.shape)
    return int(line), int(at)


@dataclass(frozen=True)
class Entry:
    """One compared derivative.

    Attributes
    ----------
    input, output : int
        Numbers of the input and the output.
    index, output_index : tuple of int or None
        Where in them; None along a random direction.
    analytic, numerical, error : float
        The claimed derivative, that by differences, and its error bar.
    low, high : float
        The one-sided derivatives at a kink, else NaN.
    names : dict
        What inputs and outputs are called, where not by their numbers.
    """

    input: int
    output: int
    index: tuple[int, ...] | None
    output_index: tuple[int, ...] | None
    analytic: float
    numerical: float
    error: float
    low: float = math.nan
    high: float = math.nan
    names: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        above = self._place("output", self.output, self.output_index)
        return f"d {above} / d {self._place('input', self.input, self.index)}"

    def _place(self, what: str, number: int, index: tuple[int, ...] | None) -> str:
        name = renamed(f"{what} {number}", self.names)
        if index is None:
            return f"{name} (random direction)"
        return f"{name}{list(index) if index else ''}"


def entry(
    comparison: Comparison, line: int, row: int, names: Mapping[str, str]
) -> Entry:
    """Return one entry of a comparison, in the units of the input."""
    column = comparison.experiment.columns[line]
    above = comparison.experiment.rows[row]
    unit = float(comparison.experiment.units[line])

    def at(part: Array) -> float:
        return float(part[line, row] / unit) + 0.0

    return Entry(
        column.number,
        above.number,
        column.index,
        above.index,
        at(comparison.analytic),
        at(comparison.numerical),
        at(comparison.error),
        at(comparison.low),
        at(comparison.high),
        names,
    )


def compare(
    experiment: Experiment, tolerance: Tolerance, brief: bool = False
) -> Comparison:
    """Return the verdict on every entry of an experiment; `brief` where a wrong one
    need not be beyond doubt.
    """
    estimate, unsettled = derivatives(experiment.lines)
    result = Comparison(experiment, tolerance, *estimate)
    with np.errstate(all="ignore"):
        _resolve(result)
        _clear_doubts(result, unsettled, brief)
        _judge(result)
    return result


def _clear_doubts(result: Comparison, unsettled: Array, brief: bool) -> None:
    """Look closely at lines in doubt, the smooth and the worst first, until all are
    clear or one is wrong beyond doubt.
    """
    coarse = Estimate(result.numerical.copy(), result.error.copy())
    sharp = _bends(result.experiment.lines)
    doubted = ~(result.apart <= result.allowed) | sharp | unsettled[:, None]
    doubted |= (~_resolved(result) | hidden(result)) & ~result.stretched
    apart = np.nan_to_num(result.apart, nan=np.inf)
    which = np.flatnonzero(doubted.any(axis=1))
    order = -apart[which].max(axis=1, initial=0), sharp[which].any(axis=1)
    which = which[np.lexsort(order)]
    for some in _growing(which):
        looks = {j: _look_again(result, j, thin=True) for j in some.tolist()}
        _judge(result)
        if brief and (result.state[some] == DISAGREES).any():
            return
        settled = np.isin(result.state, (AGREES, KINK)) & ~_loose(result)
        left = some[~(settled[some].all(axis=1) | _plainly_wrong(result, some))]
        looks |= {j: _look_again(result, j) for j in left.tolist()}
        _judge(result)
        wrong = some[(result.state[some] == DISAGREES).any(axis=1)].tolist()
        for j in wrong:
            _look_around(result, j, looks[j])
        if wrong:
            _judge(result)
        if (result.state[some] == DISAGREES).any():
            break
    if _was_off(result, coarse):
        for j in which[~result.looked[which].any(axis=1)][:REST].tolist():
            _look_again(result, j, thin=True)
        _judge(result)


REST = 64
"""At how many more lines to look, so that the report on them is true too."""


def _was_off(result: Comparison, coarse: Estimate) -> bool:
    """Whether a closer look has found some derivatives outside their first error bars:
    the first steps were not of the scale of the function.
    """
    apart = np.abs(result.numerical - coarse.value)
    credible = apart <= 10 * (result.error + coarse.error)
    return bool((result.looked & ~credible).any())


def _loose(result: Comparison) -> Array:
    """Return which entries agree only because their error bars are wide."""
    wide = 2 * result.error > 1e-4 * np.abs(result.numerical)
    wide &= result.apart > result.error / 4
    return np.asarray((result.state == AGREES) & wide)


def _plainly_wrong(result: Comparison, which: Array) -> Array:
    """Return which lines in random directions are wrong by far more than a sharp bar:
    a closer look at those costs much, and changes nothing.
    """
    if result.experiment.entries:
        return np.zeros(len(which), dtype=bool)
    apart = result.apart[which]
    bar, size = result.error[which], np.abs(result.numerical[which])
    sharp = (bar < 1e-6 * size) & (bar < 1e-3 * apart) & np.isnan(result.low[which])
    return np.asarray((sharp & (result.state[which] == DISAGREES)).any(axis=1))


def _growing(which: Array) -> Iterator[Array]:
    """Yield one of the items first, then more and more of them at once."""
    start, size = 0, 1
    while start < len(which):
        yield which[start : start + size]
        start, size = start + size, 4 * size


def _resolve(result: Comparison) -> None:
    """Use large steps where the error bar hides the claimed derivative."""
    claimed = np.abs(result.analytic)
    unclear = (claimed > 0) & (result.error > 0.1 * claimed) & np.isfinite(result.error)
    which = np.flatnonzero(unclear.any(axis=1)).tolist()
    if which:
        large = stretched(result.experiment.lines, which)
        old = Estimate(result.numerical[which], result.error[which])
        agree = np.abs(large.value - old.value) <= large.error + old.error
        agree &= np.abs(result.analytic[which] - old.value) <= 2 * old.error
        better = unclear[which] & agree & (large.error < old.error)
        result.numerical[which] = np.where(better, large.value, old.value)
        result.error[which] = np.where(better, large.error, old.error)
        result.stretched[which] = better


def _bends(lines: Lines) -> Array:
    """Return where the slope changes at the point itself by more than the curvature of
    a function would let it.
    """
    if not lines.count or not lines.base.size or lines.exact:
        return np.zeros((lines.count, lines.base.size), dtype=bool)
    h = check_step(lines.eps)
    every = range(lines.count)
    ahead, behind = lines.values(every, [h])[0], lines.values(every, [-h])[0]
    bend = np.abs(ahead - 2 * lines.base + behind) / h
    slope = np.abs(ahead - behind) / (2 * h)
    rounding = 32 * lines.eps * (lines.magnitude + np.abs(ahead)) / h
    steepest = np.max(slope, axis=0, where=np.isfinite(slope), initial=0)
    return np.asarray(~(bend <= 1e-2 * slope + 1e-3 * steepest + rounding))


def _look_again(result: Comparison, j: int, thin: bool = False) -> Look:
    """Examine a line in doubt at every scale."""
    lines = result.experiment.lines
    view, keep = look(lines, j, thin), result.stretched[j]
    result.looked[j], result.unsure[j] = True, straddles(view, result.analytic[j])
    result.numerical[j] = np.where(keep, result.numerical[j], view.both.value)
    result.error[j] = np.where(keep, result.error[j], view.both.error)
    result.low[j], result.high[j] = one_sided(lines, view)
    largest = np.maximum(np.max(np.abs(lines.base), initial=0), lines.magnitude)
    largest = np.where(largest > 0, largest, 1)
    result.noise[j], result.jumps[j] = view.noise[-1] / largest, view.jumps / largest
    return view


def _look_around(result: Comparison, j: int, view: Look) -> None:
    """Where the derivative differs at points close by, allow all of their values."""
    lines, noise = result.experiment.lines, view.noise[-1]
    claimed, wrong = result.analytic[j], result.state[j] == DISAGREES
    apart = np.abs(claimed - result.numerical[j])
    # The smallest step over which eight digits of such a difference are seen.
    enough = 1e8 * noise[wrong] / np.where(apart > 0, apart, np.inf)[wrong]
    step = float(np.clip(np.max(enough, initial=0), 1e-10, 1e-4))
    step *= min(1.0, float(lines.sizes[j]) or 1.0)
    around = result.experiment.around
    # Along random directions single entries are looked at afterwards.
    counts = ASKED if result.experiment.entries else (12, 32)
    low, high, differ = nearby(lines, around, j, claimed, step, noise, counts)
    differ |= ~np.isnan(result.low[j])
    low = np.where(differ, low - 4 * noise / step, np.nan)
    high = np.where(differ, high + 4 * noise / step, np.nan)
    result.low[j] = np.fmin(result.low[j], low)
    result.high[j] = np.fmax(result.high[j], high)


def _judge(result: Comparison) -> None:
    allowed, apart = result.allowed, result.apart
    _enter(result, apart <= allowed, allowed)
    # What is so small beside the values may be what rounding leaves of terms that
    # cancel in the gradient; beside what is wrong for sure it changes nothing.
    scale = terms(result.size, result.experiment.lines)
    small = (apart > allowed) & (apart <= 1e-8 * scale)
    small[((result.state == DISAGREES) & ~small).any(axis=1)] = False
    which = np.flatnonzero(small.any(axis=1)).tolist()
    if which:
        allowed = allowed + np.where(small, 8 * result.experiment.unsteady, 0)
        value, error = fitted(result.experiment.lines, which)
        small[which] &= np.abs(result.analytic[which] - value) <= 2 * error
        _enter(result, (apart <= allowed) | small, allowed)


def _enter(result: Comparison, within: Array, allowed: Array) -> None:
    """Enter the state of each entry; `within` says which agree within tolerance."""
    # A large step may miss what a small one cannot show: it does not convict.
    state = np.where(
        within, AGREES, np.where(result.stretched | result.unsure, NOISY, DISAGREES)
    )
    state[within & (~_resolved(result) | _unseen(result))] = NOISY
    state[~np.isfinite(result.numerical) | ~np.isfinite(result.error)] = NOISY
    kink = ~np.isnan(result.low)
    slack = np.where(np.isfinite(allowed), allowed, 0)
    above = result.analytic >= result.low - slack
    inside = above & (result.analytic <= result.high + slack)
    result.state = np.where(kink, np.where(inside, KINK, DISAGREES), state)


def hidden(result: Comparison) -> Array:
    """Return where the error bar could hide a factor of 2 in what is claimed, and that
    is not what rounding leaves of terms that cancel.
    """
    claimed = np.abs(result.analytic)
    lines, eps = result.experiment.lines, result.experiment.problem.rounding
    residue = eps * terms(result.size, lines)
    left_over = (claimed >= 1e-4 * residue) & (claimed <= 64 * residue)
    return np.asarray((claimed > 0) & (claimed < 8 * result.error) & ~left_over)


def _unseen(result: Comparison) -> Array:
    """Return what is hidden of inputs of which nothing is seen."""
    unseen, seen = hidden(result), np.abs(result.analytic) >= 8 * result.error
    numbers = np.array([c.number for c in result.experiment.columns])
    for number in np.unique(numbers):
        of_input = numbers == number
        if (seen & (result.analytic != 0))[of_input].any():
            unseen[of_input] = False
    return unseen


def _resolved(result: Comparison) -> Array:
    """Whether the error bar is small enough for an agreement to mean something."""
    bar, size, lines = 2 * result.error, result.size, result.experiment.lines
    rounding = max(1e-6, 100 * lines.eps)
    scale = terms(size, lines)
    # Of values of three digits, as in half precision, no sharper bar can be had.
    sharp = np.clip(1000 * result.jumps, SHARP, COARSEST)
    enough = (bar <= sharp * size) | (bar <= sharp * neighbours(size))
    enough |= bar <= rounding * scale
    if not enough.all():
        # At a minimum of 0 there is no scale but that of the function around it.
        ahead = lines.values(range(lines.count), COARSE[:1])[0]
        rise = np.nan_to_num(np.abs(ahead - lines.base) / COARSE[0], posinf=0.0)
        enough |= bar <= rounding * rise
    return np.asarray(enough)
