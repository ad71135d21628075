"""The likeliest fault: which simple mistake turns the numerical derivative into the
claimed one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from .examine import FROZEN, Examination, stays
from .patterns import (
    PATTERNS,
    UNKNOWN,
    Block,
    block,
    factor,
    not_a_number,
    worst_block,
    zero,
)
from .problem import Array, Finding, GradientShapeError, Problem, Shape, UnusableError
from .verdict import AGREES, DISAGREES, KINK, NOISY, Comparison, worst_entry


@np.errstate(all="ignore")
def diagnose(examination: Examination) -> Finding | None:
    """Return the likeliest fault, None where nothing is wrong."""
    if examination.error is not None:
        return _of_error(examination, examination.error)
    findings = {f.fault: f for f in examination.fatal}
    for fault, finding in findings.items():
        if fault in FIRST:
            return finding
    if examination.numbers == "disagrees":
        return _of_numbers(examination)
    if findings:
        return next(iter(findings.values()))
    worst = max(examination.comparisons, key=lambda c: c.worst_state, default=None)
    if worst is None or worst.worst_state == AGREES:
        return None
    return _kink(worst) if worst.worst_state == KINK else _noise(worst)


def _of_error(examination: Examination, error: UnusableError) -> Finding:
    problem = examination.problem
    try:
        outputs = problem.out.shapes
    except Exception:
        outputs = []
    wrong = wrong_shape(error, problem.packing.shapes, outputs)
    return wrong or Finding(error.fault, error.sentence)


def _kink(comparison: Comparison) -> Finding:
    at = comparison.state == KINK
    low, high = comparison.low[at], comparison.high[at]
    if np.isinf(low).any() or np.isinf(high).any():
        what = "the function jumps, or its slope grows without end, at this point"
    elif np.isnan(comparison.numerical[at]).all():
        what = "the function ends at this point: there is a slope on one side only"
    else:
        what = "the function has a kink at this point: the slopes on its sides differ"
    return Finding("kink", f"{what}; the gradient is between them, a valid choice")


def _noise(comparison: Comparison) -> Finding:
    at = comparison.state == NOISY
    if not np.isfinite(comparison.experiment.lines.base).all():
        return Finding(
            "not finite",
            "the function is NaN or infinite at this point: nothing to tell",
        )
    if np.isfinite(comparison.numerical[at]).any():
        return Finding("noise", _why_noisy(comparison))
    return Finding("not finite", "the function is NaN or infinite around this point")


def _why_noisy(comparison: Comparison) -> str:
    """Say why differences cannot determine the derivative."""
    line, row = worst_entry(comparison, NOISY)
    noise, jumps = comparison.noise[line, row], comparison.jumps[line, row]
    bar, size = comparison.error[line, row], np.abs(comparison.analytic[line, row])
    what = "the values of the function are too noisy for a derivative: "
    if jumps > 1e-10:
        like = "float16" if jumps > 2e-5 else "float32"
        return f"{what}they move in steps of {jumps:.0e} of their size, as in {like}"
    if noise > 1e-10:
        return f"{what}their noise is {noise:.0e} of their size"
    if 0 < size < bar:
        return f"{what}it is smaller than what their rounding leaves; terms cancel"
    return f"{what}no two steps agree on one; it may change faster than they tell"


FIRST = ("no tensor", "mutates", "nondeterministic", "stale", "nonlinear")
"""Faults that explain whatever the numbers are."""


def _of_numbers(examination: Examination) -> Finding:
    first = examination.comparisons[0]
    others = {c.experiment.name: c for c in examination.comparisons[1:]}
    second = others.get("a second point")
    if second is not None:
        diagnosis = _of_two_points(first, second, others)
        if diagnosis is not None:
            return diagnosis
    if not first.experiment.entries:
        return of_projections(first)
    return of_entries(first, examination)


def _of_two_points(
    first: Comparison, second: Comparison, others: dict[str, Comparison]
) -> Finding | None:
    here = first.worst_state == DISAGREES or any(
        c.worst_state == DISAGREES for c in others.values() if c is not second
    )
    there = second.worst_state == DISAGREES
    wrong = first.analytic[first.state == DISAGREES]
    if here and not there and wrong.size and not np.isfinite(wrong).any():
        return Finding(
            "not a number",
            "NaN or infinite only at this point, right close by: a special value (x = "
            "0, equal elements, overflow) needs a case of its own",
        )
    if here and not there and _would_show(first, second):
        return Finding(
            "tie",
            "wrong only at this point, right close by: a kink, a tie or a special "
            "value (x = 0, equal elements) is handled wrongly",
        )
    if there and not here:
        return Finding(
            "stale",
            "right at the first point and wrong at the next: the gradient is computed "
            "from a stale or frozen copy of an input, kept from an earlier call",
        )
    if first.experiment.entries and stays(first, second):
        return Finding("stale", FROZEN)
    return None


def _would_show(first: Comparison, second: Comparison) -> bool:
    """Whether a fault as large as at the first point would be seen at the second."""
    apart = np.abs(first.analytic - first.numerical)[first.state == DISAGREES]
    bar = 10 * np.max(second.error, initial=0)
    return bool(not apart.size or not np.max(apart) <= 10 * bar)


def of_projections(comparison: Comparison) -> Finding:
    """Return the likeliest fault that random projections of a Jacobian show."""
    flat = worst_block(comparison)
    for pattern in (not_a_number, zero, factor):
        diagnosis = pattern(flat)
        if diagnosis is not None:
            return diagnosis
    return Finding(UNKNOWN, "wrong along random directions, in no pattern known")


def of_entries(comparison: Comparison, examination: Examination) -> Finding:
    """Return the likeliest fault in the worst block of a Jacobian."""
    wrong = worst_block(comparison)
    for diagnosis in _candidates(comparison, examination, wrong):
        if diagnosis is not None:
            return _not_recorded(examination, diagnosis)
    off = int((~wrong.like(wrong.numerical)).sum())
    scalar = wrong.analytic.shape[0] == 1 < wrong.analytic.shape[1]
    hint = "; what f sums up last, checked before that sum, tells more" * scalar
    unknown = Finding(
        UNKNOWN,
        f"{off} of {wrong.analytic.size} derivatives of output {wrong.output} in "
        f"input {wrong.input} are wrong, in no pattern known{hint}",
    )
    return _not_recorded(examination, unknown)


def _not_recorded(examination: Examination, diagnosis: Finding) -> Finding:
    """Name what is missing in a higher derivative where the lower ones are right."""
    missing = (UNKNOWN, "zero", "overwritten", "missing sum", "partly zero")
    if examination.order == 1 or diagnosis.fault not in missing:
        return diagnosis
    return Finding(
        "not recorded",
        f"right to order {examination.order - 1}, and part of the next derivative is "
        "missing: a rule takes a value as a constant (plain NumPy, .numpy(), a "
        "residual) that depends on its inputs",
    )


def _candidates(
    comparison: Comparison, examination: Examination, wrong: Block
) -> Iterator[Finding | None]:
    yield not_a_number(wrong)
    problem = examination.problem
    v = np.random.default_rng(60902).normal(size=problem.out.size)
    uses = problem.uses(problem.out.unpack(v))
    if uses is None:
        yield _one_output_only(comparison, wrong)
    else:
        yield _one_use_only(problem, wrong.input, v, uses[wrong.input])
    for pattern in PATTERNS:
        yield pattern(wrong)
    yield _exchanged(comparison, wrong)
    yield _kinks_only(comparison)


def _one_output_only(comparison: Comparison, wrong: Block) -> Finding | None:
    """Of several outputs, the gradients of some arrive and are right, others not."""
    if wrong.analytic.any():
        return None
    outputs = range(len(comparison.experiment.problem.out.shapes))
    blocks = [block(comparison, k, wrong.input) for k in outputs if k != wrong.output]
    right = [b.output for b in blocks if b.right and b.numerical.any()]
    if not right:
        return None
    return Finding(
        "overwritten",
        f"the gradient of input {wrong.input} is that of output {right[0]} alone: it "
        "is overwritten (=) where it should be accumulated (+=) over the outputs",
    )


def _one_use_only(
    problem: Problem, number: int, v: Array, parts: list[Array]
) -> Finding | None:
    """Of several uses of an input, the gradient of one arrives."""
    if len(parts) < 2:
        return None
    claimed = problem.pull_back(problem.pulled(), v)[problem.packing.part(number)]
    alone = any(np.array_equal(part.ravel(), claimed) for part in parts)
    total = sum(part.ravel() for part in parts)
    if not alone or np.allclose(total, claimed, rtol=1e-9, atol=0):
        return None
    return Finding(
        "overwritten",
        f"input {number} is used {len(parts)} times and its gradient is that of one "
        "use alone: it is overwritten (=) where it should be accumulated (+=)",
    )


def _exchanged(comparison: Comparison, wrong: Block) -> Finding | None:
    """The gradient of one input is that of another."""
    for k, shape in enumerate(comparison.experiment.problem.packing.shapes):
        if k != wrong.input and shape == wrong.in_shape:
            other = block(comparison, wrong.output, k)
            if wrong.is_like(other.numerical):
                return Finding(
                    "exchanged",
                    f"the gradient of input {wrong.input} is that of input {k}: they "
                    "are exchanged",
                )
    return None


def _kinks_only(comparison: Comparison) -> Finding | None:
    wrong = comparison.state == DISAGREES
    kinks = ~np.isnan(comparison.low)
    if not kinks[wrong].all():
        return None
    others = comparison.state[~wrong]
    if not np.isin(others, (AGREES, KINK)).all():
        return None
    return Finding(
        "tie",
        "wrong only at kinks or ties, where it must lie between the one-sided slopes",
    )


_CONTRACTIONS = ("core dimension", "not aligned", "shape-mismatch for sum", "remapped")
_MISFITS = (
    "could not be broadcast",
    "cannot be broadcast",
    "not broadcastable",
    "must match exactly",
)


def wrong_shape(
    error: UnusableError, inputs: Sequence[Shape], outputs: Sequence[Shape]
) -> Finding | None:
    """Return the fault behind a gradient of the wrong shape."""
    if isinstance(error, GradientShapeError):
        who = f"the gradient of input {error.number}"
        shape = error.gradient.shape
        return _shape_fault(who, shape, error.shape, error.sentence, outputs)
    shapes = _shapes(error.sentence)
    if error.fault == "rule" and len(shapes) > 1:
        who, shape, expected = "the gradient of an input", *shapes[:2]
        return _shape_fault(who, shape, expected, error.sentence, outputs)
    if error.fault == "raises":
        return _misfit(error.sentence.rstrip(), shapes, {*inputs, *outputs})
    return None


def _shapes(sentence: str) -> list[Shape]:
    """Return the shapes in a message."""
    matches = re.findall(r"(?<!>)\((\d*(?:, ?\d+)*,?)\)", sentence)
    return [tuple(map(int, re.findall(r"\d+", s))) for s in matches]


def _shape_fault(
    who: str, shape: Shape, expected: Shape, sentence: str, outputs: Sequence[Shape]
) -> Finding:
    what = f"{who} has shape {shape} where the input has {expected}"
    turned = any(sorted(shape) == sorted(s) and shape != s for s in outputs)
    if sorted(shape) == sorted(expected) or turned:
        return Finding("transposed", f"{what}: it is transposed")
    axes = _stretched(shape, expected)
    if axes:
        return Finding(
            "missing sum",
            f"{what}: the sum over axis {', '.join(map(str, axes))}, along which the "
            "input was broadcast, is missing",
        )
    if any(_stretched(s, expected) for s in _turned(shape)):
        return Finding("transposed", f"{what}: it is transposed")
    return Finding("shape", sentence)


def _stretched(shape: Shape, expected: Shape) -> list[int]:
    """Return the axes to sum `shape` over for it to get the `expected` shape."""
    lead = len(shape) - len(expected)
    if lead < 0:
        return []
    pairs = list(zip(shape[lead:], expected, strict=True))
    if any(n not in (1, m) for m, n in pairs):
        return []
    tail = [lead + k for k, (m, n) in enumerate(pairs) if n == 1 != m]
    return [*range(lead), *tail]


def _turned(shape: Shape) -> Iterator[Shape]:
    """Yield a shape with two of its axes exchanged, for every two of other lengths."""
    for p, q in combinations(range(len(shape)), 2):
        if shape[p] != shape[q]:
            axes = list(shape)
            axes[p], axes[q] = axes[q], axes[p]
            yield tuple(axes)


def _misfit(
    sentence: str, shapes: Sequence[Shape], expected: set[Shape]
) -> Finding | None:
    """Distinguish a transposed operand from one of another shape."""
    if any(s in sentence for s in _CONTRACTIONS):
        return Finding(
            "transposed",
            f"an operand is transposed, or the operands are exchanged: {sentence}",
        )
    if not any(s in sentence for s in _MISFITS):
        return None
    return _one_turned(sentence, shapes, expected) or Finding("shape", sentence)


def _one_turned(
    sentence: str, shapes: Sequence[Shape], expected: set[Shape]
) -> Finding | None:
    for k, shape in enumerate(shapes):
        for turned in _turned(shape):
            others = [*shapes[:k], *shapes[k + 1 :]]
            # (3, 2) with (3,) may lack keepdims as well, unless (2, 3) is known.
            sure = _of_one_rank(shapes) or (
                shape not in expected and turned in expected
            )
            if sure and _fit(turned, *others):
                what = f"the operand {shape} is transposed: {sentence}"
                return Finding("transposed", what)
    return None


def _of_one_rank(shapes: Sequence[Shape]) -> bool:
    return len({len(s) for s in shapes if s}) == 1


def _fit(*shapes: Shape) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True
