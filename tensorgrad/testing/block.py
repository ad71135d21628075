"""A block of a Jacobian: one output by one input, as claimed and as differences say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .problem import Array
from .verdict import DISAGREES, Comparison, neighbours, sizes


@dataclass(frozen=True)
class Block:
    """The derivative of one output in one input.

    Attributes
    ----------
    output, input : int
        Their numbers.
    analytic, numerical, bar : arrays, (rows, columns)
        Derivatives of single entries, and the error bars of the numerical ones.
    out_shape, in_shape : tuple of int
        Shapes of the output and of the input.
    """

    output: int
    input: int
    analytic: Array
    numerical: Array
    bar: Array
    out_shape: tuple[int, ...]
    in_shape: tuple[int, ...]

    def like(self, expected: Array) -> Array:
        """Return where the claimed derivatives are those `expected`."""
        size = sizes(self.analytic, expected)
        scale = neighbours(sizes(self.analytic, self.numerical))
        allowed = 1e-6 * size + 1e-9 * scale + 4 * self.bar
        return np.asarray(np.abs(self.analytic - expected) <= allowed)

    def is_like(self, expected: Array) -> bool:
        """Whether all claimed derivatives are those `expected`."""
        return bool(self.like(expected).all())

    @property
    def finite(self) -> Array:
        """Where there is a numerical derivative."""
        return np.isfinite(self.numerical) & np.isfinite(self.bar)

    @property
    def needed(self) -> Array:
        """Where there should be a derivative other than 0."""
        return np.asarray(self.numerical != 0)

    @property
    def right(self) -> bool:
        """Whether the whole block agrees."""
        return self.is_like(self.numerical)


def block(comparison: Comparison, output: int, number: int) -> Block:
    """Return one block of an entry-by-entry comparison."""
    problem, units = comparison.experiment.problem, comparison.experiment.units
    lines, rows = problem.packing.part(number), problem.out.part(output)
    parts = (comparison.analytic, comparison.numerical, comparison.error)
    analytic, numerical, error = (
        (part[lines, rows] / units[lines, None]).T for part in parts
    )
    return Block(
        output,
        number,
        analytic,
        numerical,
        error,
        problem.out.shapes[output],
        problem.packing.shapes[number],
    )


def projected_block(comparison: Comparison) -> Block:
    """Return the worst block of a comparison along random directions."""
    line, row = worst_entry(comparison)
    columns, rows = comparison.experiment.columns, comparison.experiment.rows
    number, output = columns[line].number, rows[row].number
    lines = [c.number == number for c in columns]
    which = np.ix_(lines, [r.number == output for r in rows])
    parts = (comparison.analytic, comparison.numerical, comparison.error)
    analytic, numerical, error = (part[which].T for part in parts)
    problem = comparison.experiment.problem
    return Block(
        output,
        number,
        analytic,
        numerical,
        error,
        problem.out.shapes[output],
        problem.packing.shapes[number],
    )


def blocks_of(comparison: Comparison, number: int) -> list[Block]:
    """Return the blocks of one input, one for each output."""
    outputs = range(len(comparison.experiment.problem.out.shapes))
    return [block(comparison, o, number) for o in outputs]


def worst_entry(comparison: Comparison, state: int = DISAGREES) -> tuple[int, int]:
    """Return line and row of the entry that is furthest off, of those in a state."""
    with np.errstate(all="ignore"):
        apart = np.abs(comparison.analytic - comparison.numerical)
        row = sizes(comparison.analytic, comparison.numerical).max(axis=0, initial=0)
        apart = np.nan_to_num(apart / np.where(row > 0, row, 1), nan=np.inf)
    apart = np.where(comparison.state == state, apart, -1)
    line, at = np.unravel_index(int(np.argmax(apart)), apart.shape)
    return int(line), int(at)
