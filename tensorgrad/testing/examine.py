"""The examination of one problem at one order: every comparison and every identity."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from .experiment import LARGEST, blend, fits, full, projected
from .identities import differ, linear_in_cotangent, repeatable, same_bits
from .locate import wrong_entry
from .problem import Array, Back, Finding, Problem, UnusableError
from .verdict import (
    AGREES,
    DISAGREES,
    KINK,
    NAMES,
    SHARP,
    Comparison,
    Entry,
    Tolerance,
    Verdict,
    compare,
    hidden,
)


@dataclass(frozen=True)
class Settings:
    """The settings of a check, as the parameters of the functions that check."""

    tolerance: Tolerance = (None, None)
    directions: int = 8
    largest: int = LARGEST
    explain: bool = True


INVALID = ("mutates", "nondeterministic", "no tensor", "integers", "raises", "dtype")
"""Faults with which no number means anything."""


@dataclass
class Examination:
    """What comparisons and identities say of a problem at one order; the first
    comparison is the main one.
    """

    problem: Problem
    settings: Settings = Settings()
    order: int = 1
    comparisons: list[Comparison] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    error: UnusableError | None = None
    located: Entry | None = None

    @property
    def fatal(self) -> list[Finding]:
        """The findings for which the check fails."""
        return [f for f in self.findings if f.fatal]

    @property
    def numbers(self) -> Verdict:
        """The verdict of the comparisons alone."""
        return NAMES[max((c.worst_state for c in self.comparisons), default=0)]

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        if any(f.fault in INVALID for f in self.fatal):
            return "invalid"
        return "disagrees" if self.fatal else self.numbers

    def run(self, rng: np.random.Generator) -> None:
        """Go through all comparisons and identities."""
        try:
            with np.errstate(all="ignore"):
                self.findings += self.problem.inspect()
                if not self.fatal:
                    self._run(rng)
        except UnusableError as error:
            self.error = error
            self.findings.append(Finding(error.fault, error.sentence))

    def _run(self, rng: np.random.Generator) -> None:
        back = self.problem.pulled()
        self.findings += repeatable(self.problem, back, rng)
        self.comparisons.append(main(self.problem, back, self.settings, rng))
        self._locate(rng)
        self.findings += _out_of_sight(self.comparisons[0])
        for part in (self._at_kinks, self._linear, self._second_point, self._far_point):
            if self.settings.explain or self.verdict in ("agrees", "kink"):
                part(back, rng)

    def _locate(self, rng: np.random.Generator) -> None:
        """Find a wrong entry, where random directions were compared.

        Many kinks at once leave what lies between the slopes along a direction too
        narrow: there only a single entry convicts.
        """
        first = self.comparisons[0]
        wrong = first.state == DISAGREES
        if first.experiment.entries or not wrong.any():
            return
        kinks = not np.isnan(first.low[wrong & first.looked]).any()
        if self.settings.explain or kinks:
            with suppress(UnusableError):
                self.located = wrong_entry(first, rng)
        if kinks and self.located is None:
            low, high = np.sort([first.analytic[wrong], first.numerical[wrong]], axis=0)
            first.state[wrong] = KINK
            first.low[wrong] = np.fmin(first.low[wrong], low)
            first.high[wrong] = np.fmax(first.high[wrong], high)

    def _at_kinks(self, back: Back, rng: np.random.Generator) -> None:
        """Compare along combinations of the lines that have a kink."""
        first = self.comparisons[0]
        which = np.flatnonzero((first.state == KINK).any(axis=1))
        if which.size and first.experiment.entries:
            mixed = blend(first.experiment, which, rng)
            self.comparisons.append(beside(compare(mixed, self.settings.tolerance)))

    def _linear(self, back: Back, rng: np.random.Generator) -> None:
        self.findings += linear_in_cotangent(self.problem, back, rng)

    def _second_point(self, back: Back, rng: np.random.Generator) -> None:
        """Compare at a second point."""
        moved = close_by(self.problem, rng)
        if moved is None:
            return
        there = self._in_turn(back, moved, rng)
        experiment = projected(moved, there, rng, 2, "a second point")
        first = self.comparisons[0]
        brief = first.worst_state == DISAGREES and not first.experiment.entries
        second = compare(experiment, self.settings.tolerance, brief)
        self.comparisons.append(beside(second))
        self.problem.evaluations += moved.evaluations

    def _in_turn(self, back: Back, moved: Problem, rng: np.random.Generator) -> Back:
        """Return the pullback of another point, after calls at both points in turn."""
        problem = self.problem
        v = rng.normal(size=problem.out.size)
        before = problem.pull_back(back, v)
        there, again = moved.pulled(), problem.pulled()
        moved.pull_back(there, v)
        after = problem.pull_back(again, v)
        scale = np.max(np.abs(before), initial=0) or 1.0
        if not same_bits(before, after) and differ(before, after, scale) > 1e-12:
            sentence = (
                "the gradient at a point changes once another point has been asked "
                "for: it is computed from stale values, kept from an earlier call"
            )
            self.findings.append(Finding("stale", sentence))
        return there

    def _far_point(self, back: Back, rng: np.random.Generator) -> None:
        """See whether the gradient is the same far away, where it should not be.

        The function may mean something else there, so this alone is looked for.
        """
        problem, first = self.problem, self.comparisons[0]
        if not first.experiment.entries or first.worst_state != AGREES:
            return
        unmoved = set(range(len(problem.inputs)))
        for moved in far_away(problem):
            there = self._in_turn(back, moved, rng)
            v = rng.normal(size=problem.out.size)
            here = problem.pull_back(back, v)
            unmoved -= _moving(problem, here, moved.pull_back(there, v))
            if not unmoved:
                return
            if _straight(problem, moved, v, here):
                continue
            experiment = projected(moved, there, rng, 2, "far away")
            second = beside(compare(experiment, self.settings.tolerance))
            problem.evaluations += moved.evaluations
            if stays(first, second):
                self.findings.append(Finding("stale", FROZEN))
                return


def main(
    problem: Problem, back: Back, settings: Settings, rng: np.random.Generator
) -> Comparison:
    """Return the comparison at the point itself, entry by entry or projected."""
    if fits(problem, settings.largest):
        experiment = full(problem, back, rng)
    else:
        experiment = projected(problem, back, rng, settings.directions)
    return compare(experiment, settings.tolerance)


def _out_of_sight(comparison: Comparison) -> list[Finding]:
    """Return a note where entries agree with nearly anything of their size."""
    agrees = comparison.state == AGREES
    coarse = agrees & (2 * comparison.error > SHARP * np.abs(comparison.analytic))
    coarse &= comparison.jumps * 1000 > SHARP
    noise = np.max(comparison.jumps[coarse], initial=0)
    notes = (
        [Finding("coarse", COARSE_VALUES.format(noise), fatal=False)] if noise else []
    )
    hiding = hidden(comparison) & agrees
    if not hiding.any():
        return notes
    sentence = (
        f"{hiding.sum()} of {hiding.size} derivatives are too small beside the "
        "rounding of f for a difference to show them: of these nothing is told"
    )
    return [*notes, Finding("hidden", sentence, fatal=False)]


COARSE_VALUES = (
    "the values of f move in steps of {:.0e} of their size, as where it is computed in "
    "float16: a fault of a few percent is not told from that"
)


def beside(comparison: Comparison) -> Comparison:
    """Return a comparison at a point or along lines nobody asked for: that there is
    nothing to tell there is no failure, and what is must stand out.
    """
    apart = np.abs(comparison.analytic - comparison.numerical)
    wrong = comparison.state == DISAGREES
    wrong &= ~(apart <= 10 * comparison.error) | ~np.isnan(comparison.low)
    comparison.state = np.where(wrong, DISAGREES, AGREES)
    return comparison


def _straight(problem: Problem, moved: Problem, v: Array, gradient: Array) -> bool:
    """Whether the gradient alone tells how far the function goes to another point: then
    it is right to be the same there.
    """
    before, after = problem.out.pack(problem.outputs), moved.out.pack(moved.outputs)
    steps = gradient * (moved.point - problem.point)
    size = np.abs(v) @ (np.abs(before) + np.abs(after)) + np.abs(steps).sum()
    apart = np.abs(v @ (after - before) - steps.sum())
    return bool(apart <= 16 * problem.rounding * size)


def _moving(problem: Problem, here: Array, far: Array) -> set[int]:
    """Return the inputs whose gradient is another one at another point."""
    changes = np.abs(here - far) > 1e-9 * np.abs(here)
    parts = map(problem.packing.part, range(len(problem.inputs)))
    return {k for k, part in enumerate(parts) if changes[part].any()}


FROZEN = (
    "the gradient stays the same when the inputs change, and it should not: it is "
    "computed from a stale or frozen copy of an input"
)


def stays(first: Comparison, second: Comparison) -> bool:
    """Whether the claimed derivatives are the same at two points and not zero, while
    the numerical ones are not the same.
    """
    rows = np.array([r.vector for r in second.experiment.rows])
    lines = np.array([c.vector for c in second.experiment.columns])
    if not rows.size or not lines.size:
        return False
    units = first.experiment.units[:, None]
    before = lines @ (first.analytic / units) @ rows.T
    was = lines @ (first.numerical / units) @ rows.T
    bars = np.abs(lines) @ (first.error / units) @ np.abs(rows).T + second.error
    scale = np.maximum(np.abs(before), np.abs(second.analytic))
    same = np.abs(second.analytic - before) <= 1e-12 * scale
    moves = np.abs(second.numerical - was) > 4 * bars + 1e-6 * np.abs(was)
    wrong = (second.state == DISAGREES) & (scale > 0)
    return bool(wrong.any() and (same & moves)[wrong].all())


def close_by(problem: Problem, rng: np.random.Generator) -> Problem | None:
    """Return the problem at a point close by, None where it is not defined there."""
    # Apart from each other, so that nothing is nearly equal there.
    step = rng.permutation(np.linspace(1.5e-3, 3e-3, problem.point.size))
    step *= problem.unit * rng.choice([-1.0, 1.0], problem.point.shape)
    return _moved(problem, problem.point + step)


def far_away(problem: Problem) -> Iterator[Problem]:
    """Yield the problem with the entries of all inputs in reverse order, then of each
    input alone: that is likely to be where the function is defined.
    """
    numbers = range(len(problem.inputs))
    for turned in (set(numbers), *([{k} for k in numbers] if len(numbers) > 1 else [])):
        x = [
            x.reshape(-1)[::-1] if k in turned else x
            for k, x in enumerate(problem.inputs)
        ]
        moved = _moved(problem, problem.packing.pack(x))
        if moved is not None:
            yield moved


def _moved(problem: Problem, x: Array) -> Problem | None:
    moved = problem.at(problem.packing.unpack(x))
    moved.evaluations = 0
    try:
        finite = all(np.isfinite(y).all() for y in moved.outputs)
    except Exception:
        return None
    same = [y.shape for y in moved.outputs] == [y.shape for y in problem.outputs]
    return moved if finite and same else None
