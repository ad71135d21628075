"""What a gradient of the wrong shape, or operands that do not fit, give away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from .problem import GradientShapeError, UnusableError

Shape = tuple[int, ...]

_CONTRACTIONS = ("core dimension", "not aligned", "shape-mismatch for sum", "remapped")
_MISFITS = (
    "could not be broadcast",
    "cannot be broadcast",
    "not broadcastable",
    "must match exactly",
)


def wrong_shape(
    error: UnusableError, inputs: Sequence[Shape], outputs: Sequence[Shape]
) -> tuple[str, str] | None:
    """Return the fault behind a gradient of the wrong shape and its sentence.

    Parameters
    ----------
    error : UnusableError
        What the gradient raised, or was found to be.
    inputs, outputs : sequence of tuple of int
        Their shapes.
    """
    if isinstance(error, GradientShapeError):
        who = f"the gradient of input {error.number}"
        found = error.gradient.shape
        return _told(who, found, error.shape, error.sentence, outputs)
    shapes = _shapes(error.sentence)
    if error.fault == "rule" and len(shapes) > 1:
        who, found, expected = "the gradient of an input", *shapes[:2]
        return _told(who, found, expected, error.sentence, outputs)
    if error.fault == "raises":
        return _misfit(error.sentence.rstrip(), shapes, {*inputs, *outputs})
    return None


def _shapes(sentence: str) -> list[Shape]:
    """Return the shapes that a message speaks of."""
    found = re.findall(r"(?<!>)\((\d*(?:, ?\d+)*,?)\)", sentence)
    return [tuple(map(int, re.findall(r"\d+", s))) for s in found]


def _told(
    who: str, found: Shape, expected: Shape, sentence: str, outputs: Sequence[Shape]
) -> tuple[str, str]:
    what = f"{who} has shape {found} where the input has {expected}"
    turned = any(sorted(found) == sorted(s) and found != s for s in outputs)
    if sorted(found) == sorted(expected) or turned:
        return "transposed", f"{what}: it is transposed"
    axes = _stretched(found, expected)
    if axes:
        return "missing sum", (
            f"{what}: the sum over axis {', '.join(map(str, axes))}, along which the "
            "input was broadcast, is missing"
        )
    if any(_stretched(s, expected) for s in _turned(found)):
        return "transposed", f"{what}: it is transposed"
    return "shape", sentence


def _stretched(found: Shape, expected: Shape) -> list[int]:
    """Return the axes to sum `found` over for it to get the `expected` shape."""
    lead = len(found) - len(expected)
    if lead < 0:
        return []
    pairs = list(zip(found[lead:], expected, strict=True))
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
    sentence: str, shapes: Sequence[Shape], known: set[Shape]
) -> tuple[str, str] | None:
    """Tell an operand that is transposed from one that is of another shape."""
    if any(s in sentence for s in _CONTRACTIONS):
        return "transposed", (
            f"an operand is transposed, or the operands are exchanged: {sentence}"
        )
    if not any(s in sentence for s in _MISFITS):
        return None
    return _one_turned(sentence, shapes, known) or ("shape", sentence)


def _one_turned(
    sentence: str, shapes: Sequence[Shape], known: set[Shape]
) -> tuple[str, str] | None:
    for k, shape in enumerate(shapes):
        for turned in _turned(shape):
            others = [*shapes[:k], *shapes[k + 1 :]]
            # (3, 2) with (3,) may lack keepdims as well, unless (2, 3) is known.
            sure = _of_one_rank(shapes) or (shape not in known and turned in known)
            if sure and _fit(turned, *others):
                return "transposed", f"the operand {shape} is transposed: {sentence}"
    return None


def _of_one_rank(shapes: Sequence[Shape]) -> bool:
    return len({len(s) for s in shapes if s}) == 1


def _fit(*shapes: Shape) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True
