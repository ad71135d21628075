"""The likeliest fault: which simple mistake turns the numerical derivative into the
claimed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from .block import Block, block, blocks_of, worst_entry
from .examine import FROZEN, Examination, stays
from .factors import factor_text
from .problem import Array, UnusableError
from .shapes import wrong_shape
from .verdict import AGREES, DISAGREES, KINK, NOISY, Comparison


class Diagnosis(NamedTuple):
    """The name of a fault, and what it is in one sentence."""

    fault: str
    sentence: str


UNKNOWN = "unknown"

FAULTS = (
    "factor",
    "transposed",
    "missing sum",
    "overwritten",
    "zero",
    "stale",
    "tie",
    "float32",
    "permuted",
)
"""The faults that are told apart; others have names of their own."""


def diagnose(examination: Examination) -> Diagnosis | None:
    """Return the likeliest fault, None where nothing is wrong."""
    if examination.error is not None:
        return _of_error(examination, examination.error)
    found = {f.fault: f for f in examination.fatal}
    for fault in (*found, "stale"):
        if fault in found and fault in FIRST:
            return Diagnosis(fault, found[fault].sentence)
    if examination.numbers == "disagrees":
        return _of_numbers(examination)
    for fault, finding in found.items():
        return Diagnosis(fault, finding.sentence)
    worst = max(examination.comparisons, key=lambda c: c.worst_state, default=None)
    if worst is None or worst.worst_state == AGREES:
        return None
    return _kink(worst) if worst.worst_state == KINK else _noise(worst)


def _of_error(examination: Examination, error: UnusableError) -> Diagnosis:
    try:
        shapes = examination.problem.out.shapes
    except Exception:
        shapes = []
    return Diagnosis(*(wrong_shape(error, shapes) or (error.fault, error.sentence)))


def _kink(comparison: Comparison) -> Diagnosis:
    at = comparison.state == KINK
    low, high = comparison.low[at], comparison.high[at]
    if np.isinf(low).any() or np.isinf(high).any():
        what = "the function jumps, or its slope grows without end, at this point"
    elif np.isnan(comparison.numerical[at]).all():
        what = "the function ends at this point: there is a slope on one side only"
    else:
        what = "the function has a kink at this point: the slopes on its sides differ"
    return Diagnosis("kink", f"{what}; the gradient is between them, a valid choice")


def _noise(comparison: Comparison) -> Diagnosis:
    at = comparison.state == NOISY
    if not np.isfinite(comparison.experiment.lines.base).all():
        return Diagnosis(
            "not finite",
            "the function is NaN or infinite at this point: nothing to tell",
        )
    if np.isfinite(comparison.numerical[at]).any():
        return Diagnosis(
            "noise",
            "the values of the function are too noisy for a derivative: terms cancel, "
            "or it is computed in low precision",
        )
    return Diagnosis("not finite", "the function is NaN or infinite around this point")


FIRST = ("no tensor", "mutates", "nondeterministic", "stale", "nonlinear")
"""Faults that explain whatever the numbers are."""


def _of_numbers(examination: Examination) -> Diagnosis:
    first = examination.comparisons[0]
    others = {c.experiment.name: c for c in examination.comparisons[1:]}
    second = others.get("a second point")
    if second is not None:
        found = _of_two_points(first, second, others)
        if found is not None:
            return found
    if not first.experiment.entries:
        return of_projections(first)
    return of_entries(first, examination)


def _of_two_points(
    first: Comparison, second: Comparison, others: dict[str, Comparison]
) -> Diagnosis | None:
    here = first.worst_state == DISAGREES or any(
        c.worst_state == DISAGREES for c in others.values() if c is not second
    )
    there = second.worst_state == DISAGREES
    if here and not there:
        return Diagnosis(
            "tie",
            "wrong only at this point, right close by: a kink, a tie or a special "
            "value (x = 0, equal elements) is handled wrongly",
        )
    if there and not here:
        return Diagnosis(
            "stale",
            "right at the first point and wrong at the next: the gradient is computed "
            "from a stale or frozen copy of an input, kept from an earlier call",
        )
    if first.experiment.entries and stays(first, second):
        return Diagnosis("stale", FROZEN)
    return None


def of_projections(comparison: Comparison) -> Diagnosis:
    """Return what random projections of a large Jacobian can tell."""
    line, row = worst_entry(comparison)
    columns, rows = comparison.experiment.columns, comparison.experiment.rows
    number, output = columns[line].number, rows[row].number
    lines = [c.number == number for c in columns]
    which = np.ix_(lines, [r.number == output for r in rows])
    claimed, real = comparison.analytic[which], comparison.numerical[which]
    shapes = comparison.experiment.problem
    flat = Block(
        output,
        number,
        claimed.T,
        real.T,
        comparison.error[which].T,
        shapes.out.shapes[output],
        shapes.packing.shapes[number],
    )
    for pattern in (_not_a_number, _zero, _factor):
        found = pattern(flat)
        if found is not None:
            return found
    return Diagnosis(UNKNOWN, "wrong along random directions, in no pattern known")


Pattern = Callable[[Block], "Diagnosis | None"]


def of_entries(comparison: Comparison, examination: Examination) -> Diagnosis:
    """Return the likeliest fault in the worst block of a Jacobian."""
    line, row = worst_entry(comparison)
    problem = comparison.experiment.problem
    number, output = problem.packing.entry(line)[0], problem.out.entry(row)[0]
    wrong = block(comparison, output, number)
    for found in _candidates(comparison, examination, wrong):
        if found is not None:
            return _not_recorded(examination, found)
    off = int((~wrong.like(wrong.numerical)).sum())
    unknown = Diagnosis(
        UNKNOWN,
        f"{off} of {wrong.analytic.size} derivatives of output {output} in input "
        f"{number} are wrong, in no pattern known",
    )
    return _not_recorded(examination, unknown)


def _not_recorded(examination: Examination, found: Diagnosis) -> Diagnosis:
    """Name what is missing in a higher derivative where the lower ones are right."""
    missing = (UNKNOWN, "zero", "overwritten", "missing sum", "partly zero")
    if examination.order == 1 or found.fault not in missing:
        return found
    return Diagnosis(
        "not recorded",
        f"right to order {examination.order - 1}, and part of the next derivative is "
        "missing: a rule takes a value as a constant (plain NumPy, .numpy(), a "
        "residual) that depends on its inputs",
    )


def _candidates(
    comparison: Comparison, examination: Examination, wrong: Block
) -> Iterator[Diagnosis | None]:
    yield _not_a_number(wrong)
    yield _one_output_only(comparison, wrong)
    yield _one_use_only(examination, wrong)
    for pattern in PATTERNS:
        yield pattern(wrong)
    yield _exchanged(comparison, wrong)
    yield _kinks_only(comparison)


def _not_a_number(wrong: Block) -> Diagnosis | None:
    if np.isfinite(wrong.analytic).all():
        return None
    return Diagnosis(
        "not a number",
        f"the gradient of input {wrong.input} is NaN or infinite where the function "
        "has a finite slope",
    )


def _zero(wrong: Block) -> Diagnosis | None:
    if wrong.analytic.any():
        return None
    return Diagnosis(
        "zero",
        f"the gradient of input {wrong.input} is zero and should not be: its path to "
        "the output is cut, or its rule returns zeros",
    )


def _factor(wrong: Block) -> Diagnosis | None:
    finite = wrong.finite
    n, a = wrong.numerical[finite], wrong.analytic[finite]
    norm = float(n @ n)
    c = float(a @ n) / norm if norm else 0.0
    if not c or abs(c - 1) < 1e-9 or not wrong.is_like(c * wrong.numerical):
        return None
    return Diagnosis("factor", factor_text(c, wrong))


def _masked(wrong: Block) -> Array | None:
    """Return where the block is right, if it is zero everywhere else."""
    right = wrong.like(wrong.numerical)
    kept = right & (wrong.analytic != 0)
    if not kept.any() or not (right | (wrong.analytic == 0)).all():
        return None
    return np.asarray(kept)


def _missing_sum(wrong: Block) -> Diagnosis | None:
    """One index of an axis of the output contributes, the others do not."""
    kept = _masked(wrong)
    if kept is None:
        return None
    needed = wrong.numerical != 0
    shape = (*wrong.out_shape, wrong.analytic.shape[1])
    kept, needed = kept.reshape(shape), needed.reshape(shape)
    single = {}
    for axis in range(len(wrong.out_shape)):
        along = tuple(k for k in range(len(shape)) if k != axis)
        used, wanted = kept.any(axis=along), needed.any(axis=along)
        several = wanted.sum() > 1 and needed.sum(axis=axis).max() > 1
        # What is written last stays: that is another mistake, but for broadcasting.
        last = bool(used[-1]) and not _broadcast(wrong, axis)
        if used.sum() == 1 and several and not last:
            single[axis] = int(np.flatnonzero(used)[0])
    index = tuple(single.get(axis, slice(None)) for axis in range(len(shape)))
    if not single or (kept != needed)[index].any():
        return None
    return Diagnosis("missing sum", _missing_text(wrong, single))


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


def _overwritten(wrong: Block) -> Diagnosis | None:
    """Of several outputs that use an entry of the input, not all contribute."""
    kept = _masked(wrong)
    if kept is None:
        return None
    needed = wrong.numerical != 0
    lost = (needed & ~kept).sum(axis=0)
    several = np.asarray(needed.sum(axis=0) > 1)
    if not lost.any() or (lost > 0)[~several].any():
        return None
    if not np.asarray(kept.any(axis=0))[lost > 0].all():
        return None
    return Diagnosis(
        "overwritten",
        f"where an entry of input {wrong.input} is used more than once, its gradient "
        "is that of some of the uses: it is overwritten (=) where it should be "
        "accumulated (+=, np.add.at)",
    )


def _partly_zero(wrong: Block) -> Diagnosis | None:
    kept = _masked(wrong)
    if kept is None:
        return None
    lost = int(((wrong.numerical != 0) & ~kept).sum())
    return Diagnosis(
        "partly zero",
        f"{lost} derivatives in input {wrong.input} are zero and should not be; the "
        "others are right: part of the gradient does not arrive",
    )


def _transposed(wrong: Block) -> Diagnosis | None:
    shape = wrong.out_shape + wrong.in_shape
    real = wrong.numerical.reshape(shape)
    split = len(wrong.out_shape)
    for p, q in _pairs(shape):
        turned = np.swapaxes(real, p, q).reshape(wrong.numerical.shape)
        if wrong.is_like(turned):
            return Diagnosis("transposed", _transposed_text(wrong, p, q, split))
    for (p, q), (r, s) in product(_pairs(wrong.out_shape), _pairs(wrong.in_shape)):
        turned = np.swapaxes(real.swapaxes(p, q), split + r, split + s)
        if wrong.is_like(turned.reshape(wrong.numerical.shape)):
            return Diagnosis("transposed", _transposed_text(wrong, p, split + r, split))
    backwards = [*range(split), *reversed(range(split, len(shape)))]
    turned = real.transpose(backwards)
    if turned.shape == shape and wrong.is_like(turned.reshape(wrong.numerical.shape)):
        return Diagnosis("transposed", _transposed_text(wrong, split, split + 1, split))
    return None


def _pairs(shape: tuple[int, ...]) -> list[tuple[int, int]]:
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


def _permuted(wrong: Block) -> Diagnosis | None:
    directions = np.random.default_rng(0)
    for axis, what in ((0, "its entries"), (1, "the incoming gradient's entries")):
        w = directions.normal(size=wrong.analytic.shape[axis])
        claimed = np.tensordot(w, wrong.analytic, (0, axis))
        real = np.tensordot(w, wrong.numerical, (0, axis))
        size = np.tensordot(np.abs(w), np.abs(wrong.numerical), (0, axis))
        allowed = 1e-6 * size + 4 * np.tensordot(np.abs(w), wrong.bar, (0, axis))
        order, as_claimed = np.argsort(real), np.argsort(claimed)
        apart = np.abs(claimed[as_claimed] - real[order])
        if (apart <= allowed[order]).all() and (order != as_claimed).any():
            return Diagnosis(
                "permuted",
                f"the gradient of input {wrong.input} holds the right numbers in the "
                f"wrong places: {what} are permuted",
            )
    return None


PATTERNS: tuple[Pattern, ...] = (
    _zero,
    _factor,
    _missing_sum,
    _overwritten,
    _transposed,
    _permuted,
    _partly_zero,
)
"""In order: what is more special first."""


def _one_output_only(comparison: Comparison, wrong: Block) -> Diagnosis | None:
    """Of several outputs, the gradients of some arrive and are right, others not."""
    if wrong.analytic.any():
        return None
    others = [b for b in blocks_of(comparison, wrong.input) if b.output != wrong.output]
    right = [b.output for b in others if b.right and b.numerical.any()]
    if not right:
        return None
    return Diagnosis(
        "overwritten",
        f"the gradient of input {wrong.input} is that of output {right[0]} alone: it "
        "is overwritten (=) where it should be accumulated (+=) over the outputs",
    )


def _one_use_only(examination: Examination, wrong: Block) -> Diagnosis | None:
    """Of several uses of an input, the gradient of one arrives."""
    uses = examination.problem.uses
    if uses is None:
        return None
    problem = examination.problem
    v = np.random.default_rng(0).normal(size=problem.out.size)
    parts = uses(problem.out.unpack(v))[wrong.input]
    if len(parts) < 2:
        return None
    claimed = problem.taken_back(problem.pulled(), v)[problem.packing.part(wrong.input)]
    alone = [k for k, part in enumerate(parts) if np.array_equal(part.ravel(), claimed)]
    total = sum(part.ravel() for part in parts)
    if not alone or np.allclose(total, claimed, rtol=1e-9, atol=0):
        return None
    return Diagnosis(
        "overwritten",
        f"input {wrong.input} is used {len(parts)} times and its gradient is that of "
        "one use alone: it is overwritten (=) where it should be accumulated (+=)",
    )


def _exchanged(comparison: Comparison, wrong: Block) -> Diagnosis | None:
    """The gradient of one input is that of another."""
    for k, shape in enumerate(comparison.experiment.problem.packing.shapes):
        if k != wrong.input and shape == wrong.in_shape:
            other = block(comparison, wrong.output, k)
            if wrong.is_like(other.numerical):
                return Diagnosis(
                    "exchanged",
                    f"the gradient of input {wrong.input} is that of input {k}: they "
                    "are exchanged",
                )
    return None


def _kinks_only(comparison: Comparison) -> Diagnosis | None:
    wrong = comparison.state == DISAGREES
    kinks = ~np.isnan(comparison.low)
    if not kinks[wrong].all():
        return None
    others = comparison.state[~wrong]
    if not np.isin(others, (AGREES, KINK)).all():
        return None
    return Diagnosis(
        "tie",
        "wrong only at kinks or ties, where it must lie between the one-sided slopes",
    )
