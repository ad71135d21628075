"""The examination of one problem at one order: every comparison and every identity."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from . import identities
from .experiment import LARGEST, blend, fits, full, projected
from .identities import same_bits
from .locate import Wrong, wrong_entry
from .problem import Array, Back, Finding, Problem, UnusableError
from .verdict import (
    AGREES,
    DISAGREES,
    KINK,
    NAMES,
    SHARP,
    Comparison,
    Tolerance,
    Verdict,
    compare,
    hidden,
)


@dataclass(frozen=True)
class Settings:
    """The settings of a check.

    Attributes
    ----------
    tolerance : Tolerance
    directions : int
        Random directions for each input and output, where the Jacobian is too large.
    largest : int
        Entries of a Jacobian that is checked entry by entry.
    explain : bool
        Whether to go on after a failure, for the diagnosis.
    """

    tolerance: Tolerance = field(default_factory=Tolerance)
    directions: int = 8
    largest: int = LARGEST
    explain: bool = True


@dataclass
class Examination:
    """What an examination found; the first comparison is the main one."""

    problem: Problem
    comparisons: list[Comparison] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    error: UnusableError | None = None
    order: int = 1
    located: Wrong | None = None

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


INVALID = ("mutates", "nondeterministic", "no tensor", "integers", "raises", "dtype")
"""Faults with which no number means anything."""


def examine(
    problem: Problem, settings: Settings, rng: np.random.Generator, order: int = 1
) -> Examination:
    """Examine a problem by all comparisons and identities."""
    examination = Examination(problem, order=order)
    try:
        with np.errstate(all="ignore"):
            examination.findings += problem.inspect()
            if not examination.fatal:
                _examine(examination, settings, rng)
    except UnusableError as error:
        examination.error = error
        examination.findings.append(Finding(error.fault, error.sentence))
    return examination


def _examine(
    examination: Examination, settings: Settings, rng: np.random.Generator
) -> None:
    problem = examination.problem
    back = problem.pulled()
    examination.findings += identities.repeatable(problem, back, rng)
    examination.comparisons.append(main(problem, back, settings, rng))
    _locate(examination, settings, rng)
    examination.findings += _out_of_sight(examination.comparisons[0])
    for part in (_at_kinks, _linear, _second_point, _far_point):
        if settings.explain or examination.verdict in ("agrees", "kink"):
            part(examination, back, settings, rng)


def _locate(
    examination: Examination, settings: Settings, rng: np.random.Generator
) -> None:
    """Find a wrong entry, where random directions were compared.

    Many kinks at once leave what lies between the slopes along a direction too narrow:
    there only a single entry convicts.
    """
    first = examination.comparisons[0]
    wrong = first.state == DISAGREES
    if first.experiment.entries or not wrong.any():
        return
    kinks = not np.isnan(first.low[wrong & first.looked]).any()
    if settings.explain or kinks:
        with suppress(UnusableError):
            examination.located = wrong_entry(first, rng)
    if kinks and examination.located is None:
        low, high = np.sort([first.analytic[wrong], first.numerical[wrong]], axis=0)
        first.state[wrong] = KINK
        first.low[wrong] = np.fmin(first.low[wrong], low)
        first.high[wrong] = np.fmax(first.high[wrong], high)


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


def _at_kinks(
    examination: Examination, back: Back, settings: Settings, rng: np.random.Generator
) -> None:
    first = examination.comparisons[0]
    which = np.flatnonzero((first.state == KINK).any(axis=1))
    if which.size and first.experiment.entries:
        mixed = blend(first.experiment, which, rng)
        examination.comparisons.append(beside(compare(mixed, settings.tolerance)))


def _linear(
    examination: Examination, back: Back, settings: Settings, rng: np.random.Generator
) -> None:
    examination.findings += identities.linear_in_cotangent(
        examination.problem, back, rng
    )


def main(
    problem: Problem, back: Back, settings: Settings, rng: np.random.Generator
) -> Comparison:
    """Return the comparison at the point itself, entry by entry or projected."""
    if fits(problem, settings.largest):
        return compare(full(problem, back, rng), settings.tolerance)
    experiment = projected(problem, back, rng, settings.directions)
    return compare(experiment, settings.tolerance)


def _second_point(
    examination: Examination, back: Back, settings: Settings, rng: np.random.Generator
) -> None:
    """Compare at a second point."""
    moved = close_by(examination.problem, rng)
    if moved is None:
        return
    there = _in_turn(examination, back, moved, rng)
    experiment = projected(moved, there, rng, 2, "a second point")
    first = examination.comparisons[0]
    brief = first.worst_state == DISAGREES and not first.experiment.entries
    second = compare(experiment, settings.tolerance, brief)
    examination.comparisons.append(beside(second))
    examination.problem.evaluations += moved.evaluations


def beside(comparison: Comparison) -> Comparison:
    """Return a comparison at a point or along lines nobody asked for: that there is
    nothing to tell there is no failure, and what is must stand out.
    """
    apart = np.abs(comparison.analytic - comparison.numerical)
    wrong = comparison.state == DISAGREES
    wrong &= ~(apart <= 10 * comparison.error) | ~np.isnan(comparison.low)
    comparison.state = np.where(wrong, DISAGREES, AGREES)
    return comparison


def _in_turn(
    examination: Examination, back: Back, moved: Problem, rng: np.random.Generator
) -> Back:
    """Return the pullback of a second point, after calls at both points in turn."""
    problem = examination.problem
    v = rng.normal(size=problem.out.size)
    before = problem.pull_back(back, v)
    there, again = moved.pulled(), problem.pulled()
    moved.pull_back(there, v)
    after = problem.pull_back(again, v)
    scale = np.max(np.abs(before), initial=0) or 1.0
    if not same_bits(before, after) and identities.differ(before, after, scale) > 1e-12:
        sentence = (
            "the gradient at a point changes once another point has been asked for: it "
            "is computed from stale values, kept from an earlier call"
        )
        examination.findings.append(Finding("stale", sentence))
    return there


def _far_point(
    examination: Examination, back: Back, settings: Settings, rng: np.random.Generator
) -> None:
    """See whether the gradient is the same far away, where it should not be.

    The function may mean something else there, so this alone is looked for.
    """
    first = examination.comparisons[0]
    if not first.experiment.entries or first.worst_state != AGREES:
        return
    unmoved = set(range(len(examination.problem.inputs)))
    for moved in far_away(examination.problem):
        there = _in_turn(examination, back, moved, rng)
        v = rng.normal(size=examination.problem.out.size)
        here = examination.problem.pull_back(back, v)
        unmoved -= _moving(examination.problem, here, moved.pull_back(there, v))
        if not unmoved:
            return
        if _straight(examination.problem, moved, v, here):
            continue
        experiment = projected(moved, there, rng, 2, "far away")
        frozen = stays(first, beside(compare(experiment, settings.tolerance)))
        examination.problem.evaluations += moved.evaluations
        if frozen:
            examination.findings.append(Finding("stale", FROZEN))
            return


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


def symmetric(problem: Problem, count: int, rng: np.random.Generator) -> list[Finding]:
    """Check that the second derivative is symmetric.

    Parameters
    ----------
    problem : Problem
        The gradient as a function of `count` inputs, and of cotangents.
    """
    back = problem.pulled()
    size = problem.packing.ends[count]
    u, w = rng.normal(size=(2, size))
    of_u: Array = problem.pull_back(back, u)[:size]
    of_w: Array = problem.pull_back(back, w)[:size]
    scale = np.abs(w) @ np.abs(of_u) + np.abs(u) @ np.abs(of_w)
    # What rounding leaves of terms of the gradient's size that cancel is not symmetric.
    largest = max(np.max(np.abs(y), initial=0) for y in problem.outputs)
    residue = 64 * problem.rounding * largest * np.abs(u).sum() * np.abs(w).sum()
    if not np.abs(w @ of_u - u @ of_w) > 1e-8 * scale + residue:
        return []
    return [
        Finding(
            "asymmetric",
            "the second derivative is not symmetric: the gradient is not the gradient "
            "of any function, or a rule is not right when it is recorded",
        )
    ]


def in_low_precision(
    problem: Problem, dtype: np.dtype[np.floating], rng: np.random.Generator
) -> list[Finding]:
    """Compare the gradient computed in `dtype` with that computed in float64.

    What the rounding of the inputs does to the gradient is measured, and allowed.
    """
    low = problem.in_dtypes([dtype] * len(problem.inputs))
    back = problem.pulled()
    eps = float(np.finfo(dtype).eps)
    try:
        low_back = low.pulled()
        for _ in range(4):
            v = rng.normal(size=problem.out.size).astype(dtype).astype(np.float64)
            exact, coarse = problem.pull_back(back, v), low.pull_back(low_back, v)
            allowed = _rounding(problem, back, v, exact, eps, rng)
            if not (np.abs(coarse - exact) <= allowed)[np.isfinite(exact)].all():
                return [_only_low(problem, dtype, exact, coarse, allowed)]
    except UnusableError as error:
        return [Finding("float32", f"right in float64; in {dtype} {error.sentence}")]
    return []


def _rounding(
    problem: Problem,
    back: Back,
    v: Array,
    exact: Array,
    eps: float,
    rng: np.random.Generator,
) -> Array:
    moves, size = np.zeros(exact.shape), np.abs(exact)
    for _ in range(4):
        # Terms that cancel in one sum do not with other signs.
        signs = rng.choice([-1.0, 1.0], v.shape)
        size = np.fmax(size, np.abs(problem.pull_back(back, signs * v)))
    for _ in range(3):
        x = problem.point * (1 + eps * rng.choice([-1.0, 1.0], problem.point.shape))
        moved = problem.at(problem.packing.unpack(x))
        moves = np.fmax(moves, np.abs(moved.pull_back(moved.pulled(), v) - exact))
    largest = np.zeros(exact.shape)
    for k in range(len(problem.inputs)):
        part = problem.packing.part(k)
        largest[part] = np.max(size[part], initial=0)
        moves[part] = np.max(moves[part], initial=0)
    allowed = 16 * moves + 64 * eps * largest + np.finfo(np.float32).tiny
    # Terms that cancel in float64 but for rounding do no better in low precision.
    scale = np.abs(v) @ np.abs(problem.out.pack(problem.outputs))
    residue = np.where(np.abs(exact) <= 64 * problem.rounding * scale, eps * scale, 0)
    return np.asarray(allowed + 64 * residue)


def _only_low(
    problem: Problem,
    dtype: np.dtype[np.floating],
    exact: Array,
    coarse: Array,
    allowed: Array,
) -> Finding:
    k = int(np.argmax(np.nan_to_num(np.abs(coarse - exact) / allowed, nan=np.inf)))
    number, index = problem.packing.entry(k)
    return Finding(
        "float32",
        f"right in float64, wrong in {dtype}: entry {list(index)} of the gradient of "
        f"input {number} is {coarse[k]:.6g} there instead of {exact[k]:.6g}",
    )


__all__ = [
    "DISAGREES",
    "Examination",
    "Settings",
    "examine",
    "in_low_precision",
    "main",
    "symmetric",
]
