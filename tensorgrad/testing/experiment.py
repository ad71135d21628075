"""What is compared: the claimed gradient and the function, in the same directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .differences import COARSE, Lines
from .problem import EPS, Array, Back, Packing, Problem

LARGEST = 4096
"""Entries up to which a Jacobian is checked entry by entry."""


@dataclass(frozen=True)
class Direction:
    """A direction in one input or output: one entry of it, or a random combination."""

    number: int
    index: tuple[int, ...] | None
    vector: Array


@dataclass
class Experiment:
    """The derivative of the outputs, by rows, along lines through the point."""

    name: str
    problem: Problem
    lines: Lines
    # What the claimed gradient says, (lines, rows).
    analytic: Array
    # Along what in the inputs a line goes, what of the outputs a row takes.
    columns: Sequence[Direction]
    rows: Sequence[Direction]
    # From a problem to `analytic` at its point.
    claim: Callable[[Problem], Array]
    # From all inputs, as one vector, to the rows.
    values: Callable[[Array], Array]
    # Whether lines and rows are single entries of inputs and outputs.
    entries: bool

    def __getstate__(self) -> dict[str, Any]:
        state = {k: None if callable(v) else v for k, v in vars(self).items()}
        return state | {"lines": None}

    def around(self, line: int, step: float, k: int, radius: float) -> Array:
        """Return the rows at a step along a line through the `k`-th point close by, no
        farther than `radius`.
        """
        problem = self.problem
        spread = np.random.default_rng(k).uniform(-1, 1, problem.point.shape)
        moved = problem.point + radius * problem.unit * spread
        return self.values(moved + step * self.direction(line))

    def direction(self, line: int) -> Array:
        """Return the direction of a line as a vector of all inputs."""
        column = self.columns[line]
        if column.index is None:
            return column.vector
        return unit(self.problem.packing.size, line, float(column.vector[0]))

    @cached_property
    def unsteady(self) -> Array:
        """The error bar of the claimed gradient: how it moves with the last digits of
        the inputs. Where terms cancel, that is more than its own last digits.
        """
        moves = np.zeros(self.analytic.shape)
        rng = np.random.default_rng(0)
        for _ in range(3):
            x = self.problem.point
            x = x + 1e-11 * x * rng.uniform(-1, 1, x.shape)
            moved = self.problem.at(self.problem.packing.unpack(x))
            moves = np.fmax(moves, np.abs(self.claim(moved) - self.analytic))
        return moves

    @property
    def units(self) -> Array:
        """How long each line is, where it goes along one entry: divide by it."""
        return np.array([c.vector.sum() if self.entries else 1.0 for c in self.columns])


def fits(problem: Problem, largest: int = LARGEST) -> bool:
    """Whether the whole Jacobian is small enough to be checked."""
    return problem.out.size * problem.packing.size <= largest


def full(
    problem: Problem, back: Back, rng: np.random.Generator, name: str = "entries"
) -> Experiment:
    """Return the experiment that compares the Jacobian entry by entry."""
    x, scale, m = problem.point, problem.scale, problem.out.size
    # Cotangents of random size and sign: a rule may be right for 1 alone.
    weights = rng.uniform(0.5, 1.5, m) * rng.choice([-1.0, 1.0], m)

    def claim(problem: Problem, back: Back | None = None) -> Array:
        back = back or problem.pulled()
        jacobian = np.empty((m, x.size))
        for i, w in enumerate(weights):
            jacobian[i] = problem.pull_back(back, unit(m, i, w)) / w
        return (jacobian * scale).T

    columns = [Direction(*e, unit) for e, unit in _entries(problem.packing, scale)]
    rows = [Direction(*e, unit) for e, unit in _entries(problem.out, np.ones(m))]
    lines = entry_lines(problem)
    analytic = claim(problem, back)
    return Experiment(
        name, problem, lines, analytic, columns, rows, claim, problem.value, True
    )


def entry_lines(problem: Problem) -> Lines:
    """Return the outputs along a line through each single entry of the inputs."""
    x, scale = problem.point, problem.scale

    def along(j: int, t: float) -> Array:
        moved = x.copy()
        moved[j : j + 1] += t * scale[j : j + 1]
        return problem.value(moved)

    def snap(j: int, t: float) -> float:
        size = abs(float(x[j]))
        return (size + t * float(scale[j]) - size) / float(scale[j]) or t

    return Lines(
        along,
        x.size,
        eps=problem.precision,
        imaginary=lambda j: problem.imaginary(unit(x.size, j, scale[j])),
        exact=problem.exact,
        # An entry that is 0 in an array of ordinary size has no scale of its own.
        sizes=np.where((x == 0) & (problem.unit > 0.01), 0.0, problem.unit) / scale,
        snap=snap,
    )


def _entries(
    packing: Packing, sizes: Array
) -> list[tuple[tuple[int, tuple[int, ...]], Array]]:
    return [(packing.entry(k), sizes[k : k + 1]) for k in range(packing.size)]


def unit(size: int, k: int, length: float = 1.0) -> Array:
    """Return a vector of one entry that is not 0."""
    vector = np.zeros(size)
    vector[k] = length
    return vector


def projected(
    problem: Problem,
    back: Back,
    rng: np.random.Generator,
    count: int = 8,
    name: str = "random directions",
) -> Experiment:
    """Return the experiment that compares along random directions, both ways.

    Each input and each output has directions of its own, so that a large gradient
    does not drown a small one; entries whose gradients, or values, differ by more than
    six orders of magnitude are in different directions too.
    """
    scale = problem.scale
    sizes = np.array([_steepness(problem, rng), np.abs(problem.value(problem.point))])
    rows = directions(problem.out, count, rng, np.ones(problem.out.size), sizes)
    gradients = _pulled_back(problem, back, rows)
    importance = np.abs(gradients).max(axis=0, initial=0, keepdims=True) * scale
    columns = directions(problem.packing, count, rng, scale, importance)
    matrix = np.array([c.vector for c in columns]).reshape(len(columns), scale.size)

    def claim(problem: Problem) -> Array:
        return matrix @ _pulled_back(problem, problem.pulled(), rows).T

    lines, values = _combined(problem, rows, columns, gradients)
    analytic = matrix @ gradients.T
    return Experiment(
        name, problem, lines, analytic, columns, rows, claim, values, False
    )


def _steepness(problem: Problem, rng: np.random.Generator) -> Array:
    """Return about how much each output changes with the inputs."""
    steepness, h = np.zeros(problem.out.size), COARSE[0]
    for d in directions(problem.packing, 2, rng, problem.scale):
        x, step = problem.point, h * d.vector
        moved = np.abs(problem.value(x + step) - problem.value(x - step)) / (2 * h)
        steepness = np.fmax(steepness, moved)
    return steepness


def _pulled_back(problem: Problem, back: Back, rows: Sequence[Direction]) -> Array:
    gradients = np.array([problem.pull_back(back, r.vector) for r in rows])
    return gradients.reshape(len(rows), problem.packing.size)


def _combined(
    problem: Problem,
    rows: Sequence[Direction],
    columns: Sequence[Direction],
    gradients: Array,
) -> tuple[Lines, Callable[[Array], Array]]:
    x = problem.point
    weights = np.array([r.vector for r in rows]).reshape(len(rows), problem.out.size)
    base = problem.out.pack(problem.outputs)
    # Rounding of a sum goes with the size of its terms, that of x with the gradient.
    slopes = np.where(np.isfinite(gradients), np.abs(gradients), 0)
    magnitude = np.abs(weights) @ np.abs(base) + slopes @ np.abs(x)

    def values(moved: Array) -> Array:
        return np.asarray(weights @ problem.value(moved))

    def along(j: int, t: float) -> Array:
        return values(x + t * columns[j].vector if t else x)

    def imaginary(j: int) -> Array | None:
        derivatives = problem.imaginary(columns[j].vector)
        return None if derivatives is None else np.asarray(weights @ derivatives)

    lines = Lines(
        along,
        len(columns),
        magnitude=magnitude,
        eps=problem.precision,
        imaginary=imaginary,
        sizes=np.array([_size(x, c.vector) for c in columns]),
    )
    return lines, values


def _size(x: Array, vector: Array) -> float:
    """Return the step along a line at which some entry moves by its own size; of very
    many, where half of them do: some of those are next to 0 whatever the scale.
    """
    moving = (vector != 0) & (x != 0)
    steps = np.abs(x[moving] / vector[moving])
    few = len(steps) <= LARGEST
    return min(1.0, float(np.min(steps, initial=1.0) if few else np.median(steps)))


def directions(
    packing: Packing,
    count: int,
    rng: np.random.Generator,
    sizes: Array,
    importance: Array | None = None,
) -> list[Direction]:
    """Return random directions in each of several arrays, and among the entries of it
    that are alike in `importance`, one row for each measure of that.
    """
    chosen = []
    for number in range(len(packing.shapes)):
        span = packing.part(number)
        for group in _groups(span, importance):
            for _ in range(count):
                vector = np.zeros(packing.size)
                vector[group] = rng.normal(size=len(group)) * sizes[group]
                chosen.append(Direction(number, None, vector))
    return chosen


def _groups(span: slice, importance: Array | None) -> list[Array]:
    """Return the entries of an array, apart by order of magnitude."""
    if importance is None or span.start == span.stop:
        return [np.arange(span.start, span.stop)]
    part = importance[:, span]
    finite = np.isfinite(part)
    largest = np.max(part, axis=1, where=finite, initial=0, keepdims=True)
    with np.errstate(all="ignore"):
        below = np.where(finite & (part > 0), np.log10(largest / part) // 6, -1)
    # One number for each column: columns themselves take a hundred times as long.
    digits = below.astype(np.intp) + 1
    kind = np.ravel_multi_index(tuple(digits), tuple(digits.max(axis=1) + 1))
    return [span.start + np.flatnonzero(kind == k) for k in np.unique(kind)]


def blend(experiment: Experiment, which: Array, rng: np.random.Generator) -> Experiment:
    """Return the experiment along random combinations of some of the lines.

    At a kink the derivative along each axis may lie between the one-sided ones while
    that along another direction does not.
    """
    problem, x = experiment.problem, experiment.problem.point
    weights = rng.normal(size=(8, len(which)))
    weights = np.concatenate([weights, np.abs(weights), np.ones((1, len(which)))])
    scale = problem.unit[which]
    # Lines go along units of `scale`, what they are blended of along others.
    ratio = (scale / problem.scale[which])[:, None]

    def along(j: int, t: float) -> Array:
        moved = x.copy()
        moved[which] += t * weights[j] * scale
        return problem.value(moved)

    columns = []
    for w in weights:
        vector = np.zeros(x.size)
        vector[which] = w * scale
        columns.append(Direction(experiment.columns[which[0]].number, None, vector))
    return Experiment(
        "directions at the kink",
        problem,
        Lines(along, len(weights), eps=max(problem.precision, EPS)),
        weights @ (experiment.analytic[which] * ratio),
        columns,
        experiment.rows,
        lambda p: weights @ (experiment.claim(p)[which] * ratio),
        problem.value,
        False,
    )
