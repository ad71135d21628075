"""Patterns of faults in a block of a Jacobian: what simple mistake turns the numerical
derivative into the claimed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product

import numpy as np

from .problem import Array, Finding, Shape
from .verdict import Comparison, neighbours, sizes, worst_entry


@dataclass(frozen=True)
class Block:
    """The derivatives of one output in one input, (rows, columns), as claimed and as
    differences say.
    """

    output: int
    input: int
    analytic: Array
    numerical: Array
    bar: Array
    out_shape: Shape
    in_shape: Shape

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
    """Return one block of a comparison."""
    experiment, packing = comparison.experiment, comparison.experiment.problem.packing
    lines = np.array([c.number == number for c in experiment.columns])
    rows = np.array([r.number == output for r in experiment.rows])
    units = experiment.units[lines, None]
    parts = (comparison.analytic, comparison.numerical, comparison.error)
    analytic, numerical, bar = ((p[np.ix_(lines, rows)] / units).T for p in parts)
    out_shape = experiment.problem.out.shapes[output]
    in_shape = packing.shapes[number]
    return Block(output, number, analytic, numerical, bar, out_shape, in_shape)


def worst_block(comparison: Comparison) -> Block:
    """Return the block of the entry that is furthest off."""
    line, row = worst_entry(comparison)
    experiment = comparison.experiment
    return block(
        comparison, experiment.rows[row].number, experiment.columns[line].number
    )


UNKNOWN = "unknown"

Pattern = Callable[[Block], Finding | None]


def not_a_number(wrong: Block) -> Finding | None:
    """The gradient is not finite where the function has a slope."""
    if np.isfinite(wrong.analytic).all():
        return None
    return Finding(
        "not a number",
        f"the gradient of input {wrong.input} is NaN or infinite where the function "
        "has a finite slope",
    )


def zero(wrong: Block) -> Finding | None:
    """Nothing arrives."""
    if wrong.analytic.any():
        return None
    return Finding(
        "zero",
        f"the gradient of input {wrong.input} is zero and should not be: its path to "
        f"output {wrong.output} is cut, or its rule returns zeros",
    )


def factor(wrong: Block) -> Finding | None:
    """All of it is too large, or too small, by one factor."""
    finite = wrong.finite
    n, a = wrong.numerical[finite], wrong.analytic[finite]
    norm = float(n @ n)
    c = float(a @ n) / norm if norm else 0.0
    if not c or abs(c - 1) < 1e-9 or not wrong.is_like(c * wrong.numerical):
        return None
    return Finding("factor", factor_text(c, wrong))


def _masked(wrong: Block) -> Array | None:
    """Return where the block is right, if it is zero everywhere else."""
    right = wrong.like(wrong.numerical)
    nonzero = right & (wrong.analytic != 0)
    if not nonzero.any() or not (right | (wrong.analytic == 0)).all():
        return None
    return np.asarray(nonzero)


def missing_sum(wrong: Block) -> Finding | None:
    """One index of an axis of the output contributes, the others do not."""
    masked = _masked(wrong)
    if masked is None:
        return None
    shape = (*wrong.out_shape, wrong.analytic.shape[1])
    nonzero, needed = masked.reshape(shape), wrong.needed.reshape(shape)
    single = {}
    for axis in range(len(wrong.out_shape)):
        at = _only_index(nonzero, needed, axis)
        broadcast = _broadcast(wrong, axis)
        several = broadcast or np.count_nonzero(needed, axis=axis).max() > 1
        # What is written last stays: that is another mistake, but for broadcasting.
        last = at == shape[axis] - 1 and not broadcast
        if at is not None and several and not last:
            single[axis] = at
    index = tuple(single.get(axis, slice(None)) for axis in range(len(shape)))
    if not single or not np.array_equal(nonzero[index], needed[index]):
        return None
    return Finding("missing sum", _missing_text(wrong, single))


def _only_index(nonzero: Array, needed: Array, axis: int) -> int | None:
    """Return the index of an axis that contributes, if one does and more should."""
    along = tuple(k for k in range(nonzero.ndim) if k != axis)
    used = np.flatnonzero(nonzero.any(axis=along))
    more = np.count_nonzero(needed.any(axis=along)) > 1
    return int(used[0]) if len(used) == 1 and more else None


def _broadcast(wrong: Block, axis: int) -> bool:
    """Whether the input was broadcast along an axis of the output."""
    lead = len(wrong.out_shape) - len(wrong.in_shape)
    pairs = zip(wrong.in_shape, wrong.out_shape[max(lead, 0) :], strict=False)
    if lead < 0 or any(n not in (1, m) for n, m in pairs):
        return False
    return axis < lead or wrong.in_shape[axis - lead] == 1


def _missing_text(wrong: Block, single: dict[int, int]) -> str:
    which = " and ".join(f"index {at} of axis {axis}" for axis, at in single.items())
    return (
        f"the gradient of input {wrong.input} takes {which} of output {wrong.output} "
        "alone: the sum over what the input was broadcast along is missing"
    )


def overwritten(wrong: Block) -> Finding | None:
    """Of several outputs that use an entry of the input, not all contribute."""
    nonzero = _masked(wrong)
    if nonzero is None:
        return None
    lost = np.count_nonzero(wrong.needed & ~nonzero, axis=0)
    several = np.count_nonzero(wrong.needed, axis=0) > 1
    if not lost.any() or (lost[~several] > 0).any():
        return None
    if not np.asarray(nonzero.any(axis=0))[lost > 0].all():
        return None
    return Finding(
        "overwritten",
        f"where an entry of input {wrong.input} is used more than once, its gradient "
        "is that of some of the uses: it is overwritten (=) where it should be "
        "accumulated (+=, np.add.at)",
    )


def partly_zero(wrong: Block) -> Finding | None:
    """Some derivatives are zero, the others right."""
    nonzero = _masked(wrong)
    if nonzero is None:
        return None
    lost = np.count_nonzero(wrong.needed & ~nonzero)
    return Finding(
        "partly zero",
        f"{lost} derivatives in input {wrong.input} are zero and should not be; the "
        "others are right: part of the gradient does not arrive",
    )


def transposed(wrong: Block) -> Finding | None:
    """Two axes of one length are exchanged, of input, output or both."""
    shape = wrong.out_shape + wrong.in_shape
    real = wrong.numerical.reshape(shape)
    split = len(wrong.out_shape)
    for p, q in _pairs(shape):
        # Of a permutation the transpose is the inverse: that is another mistake.
        if p < split <= q and _selects(wrong):
            continue
        turned = np.swapaxes(real, p, q).reshape(wrong.numerical.shape)
        if wrong.is_like(turned):
            return Finding("transposed", _transposed_text(wrong, p, q, split))
    for (p, q), (r, s) in product(_pairs(wrong.out_shape), _pairs(wrong.in_shape)):
        turned = np.swapaxes(real.swapaxes(p, q), split + r, split + s)
        if wrong.is_like(turned.reshape(wrong.numerical.shape)):
            return Finding("transposed", _transposed_text(wrong, p, split + r, split))
    backwards = [*range(split), *reversed(range(split, len(shape)))]
    turned = real.transpose(backwards)
    if turned.shape == shape and wrong.is_like(turned.reshape(wrong.numerical.shape)):
        return Finding("transposed", _transposed_text(wrong, split, split + 1, split))
    return None


def crossed(wrong: Block) -> Finding | None:
    """A row met a column where the function works element by element: both stretched,
    and their product was summed to the shape of the input.
    """
    shape = wrong.in_shape
    if shape != wrong.out_shape or 1 not in shape:
        return None
    for axis in (k for k, n in enumerate(shape) if n > 1):
        if any(map(wrong.is_like, _stretched(wrong, axis))):
            return Finding(
                "transposed",
                f"in the gradient of input {wrong.input} an operand is transposed: "
                f"a row meets a column, and their product is summed over axis {axis}",
            )
    return None


def _stretched(wrong: Block, axis: int) -> Iterator[Array]:
    """Yield the derivatives with the incoming gradient stretched along an axis, and
    with an operand.
    """
    shape = wrong.in_shape
    summed = wrong.numerical.reshape(shape + shape).sum(axis=axis, keepdims=True)
    both = summed.sum(axis=len(shape) + axis, keepdims=True)
    itself = np.eye(len(wrong.analytic), dtype=float)
    yield np.broadcast_to(summed, shape + shape).reshape(itself.shape)
    yield np.broadcast_to(both, shape + shape).reshape(itself.shape) * itself


def _selects(wrong: Block) -> bool:
    """Whether each entry of the output depends on one entry of the input."""
    needed = wrong.needed
    return all(np.count_nonzero(needed, axis=k).max() == 1 for k in (0, 1))


def _pairs(shape: Shape) -> list[tuple[int, int]]:
    """Return the pairs of axes of one length."""
    pairs = combinations(range(len(shape)), 2)
    return [(p, q) for p, q in pairs if shape[p] == shape[q] > 1]


def _transposed_text(wrong: Block, p: int, q: int, split: int) -> str:
    if p >= split:
        what = f"the gradient of input {wrong.input} is transposed: its axes"
        return f"{what} {p - split} and {q - split} are exchanged"
    if q < split:
        what = f"for input {wrong.input} the incoming gradient is used transposed"
        return f"{what}: its axes {p} and {q} are exchanged"
    return (
        f"in the gradient of input {wrong.input} an operand is used transposed (axis "
        f"{p} of output {wrong.output} with axis {q - split} of the input)"
    )


def permuted(wrong: Block) -> Finding | None:
    """The right numbers are in the wrong places."""
    # A seed that nobody draws inputs with: equal numbers would hide a permutation.
    directions = np.random.default_rng(60902)
    for axis, what in ((0, "its entries"), (1, "the incoming gradient's entries")):
        w = directions.normal(size=wrong.analytic.shape[axis])
        claimed = np.tensordot(w, wrong.analytic, (0, axis))
        real = np.tensordot(w, wrong.numerical, (0, axis))
        size = np.tensordot(np.abs(w), np.abs(wrong.numerical), (0, axis))
        allowed = 1e-6 * size + 4 * np.tensordot(np.abs(w), wrong.bar, (0, axis))
        order, as_claimed = np.argsort(real), np.argsort(claimed)
        apart = np.abs(claimed[as_claimed] - real[order])
        if (apart <= allowed[order]).all() and (order != as_claimed).any():
            return Finding(
                "permuted",
                f"the gradient of input {wrong.input} holds the right numbers in the "
                f"wrong places: {what} are permuted",
            )
    return None


PATTERNS: tuple[Pattern, ...] = (
    zero,
    factor,
    missing_sum,
    overwritten,
    transposed,
    crossed,
    permuted,
    partly_zero,
)
"""In order: what is more special first."""


def factor_text(c: float, wrong: Block) -> str:
    """Return the sentence about a constant factor in a gradient."""
    which = f"the gradient of input {wrong.input}"
    if np.isclose(c, -1, rtol=1e-6):
        return f"{which} has the wrong sign: a constant factor of -1"
    return f"{which} is wrong by a constant factor of {_factor_name(c, wrong)}"


def _factor_name(c: float, wrong: Block) -> str:
    size = abs(c)
    sign = "-" if c < 0 else ""
    for n, what in _lengths(wrong):
        if n > 2 and np.isclose(size * n, 1, rtol=1e-6):
            return f"{sign}1/{n}, and {n} is {what} (a mean where a sum belongs?)"
        if n > 2 and np.isclose(size, n, rtol=1e-6):
            return f"{sign}{n}, and {n} is {what} (a sum where a mean belongs?)"
    if abs(c - 1) < 1e-5:
        return f"1 {'-' if c < 1 else '+'} {abs(c - 1):.1e}"
    close = Fraction(size).limit_denominator(64)
    if close and np.isclose(size, float(close), rtol=1e-6):
        return f"{sign}{close}"
    return f"{c:.6g}"


def _lengths(wrong: Block) -> list[tuple[int, str]]:
    lengths = [
        (n, f"the length of axis {k} of {what}")
        for what, shape in _shapes(wrong)
        for k, n in enumerate(shape)
    ]
    return lengths + [
        (int(np.prod(shape, dtype=int)), f"the size of {what}")
        for what, shape in _shapes(wrong)
    ]


def _shapes(wrong: Block) -> list[tuple[str, Shape]]:
    return [
        (f"input {wrong.input}", wrong.in_shape),
        (f"output {wrong.output}", wrong.out_shape),
    ]
