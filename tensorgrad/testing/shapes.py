"""What a gradient of the wrong shape gives away."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .problem import GradientShapeError, UnusableError


_MISFITS = ("could not be broadcast", "mismatch in its core dimension", "not aligned")


def wrong_shape(
    error: UnusableError, outputs: Sequence[tuple[int, ...]]
) -> tuple[str, str] | None:
    """Return the fault behind a gradient of the wrong shape and its sentence.

    Parameters
    ----------
    error : UnusableError
        What the gradient raised, or was found to be.
    outputs : sequence of tuple of int
        Shapes of the outputs.
    """
    if isinstance(error, GradientShapeError):
        found, expected = error.gradient.shape, error.shape
        who = f"the gradient of input {error.number}"
    else:
        shapes = re.findall(r"\(([\d, ]*)\)", error.sentence)
        if error.fault == "raises" and any(s in error.sentence for s in _MISFITS):
            return "shape", f"{error.sentence} (an operand transposed?)"
        if error.fault != "rule" or len(shapes) < 2:
            return None
        found, expected = (
            tuple(int(n) for n in s.replace(",", " ").split()) for s in shapes[:2]
        )
        who = "the gradient of an input"
    turned = any(sorted(found) == sorted(s) and found != s for s in outputs)
    return _told(who, found, expected, error.sentence, turned)


def _told(
    who: str,
    found: tuple[int, ...],
    expected: tuple[int, ...],
    sentence: str,
    turned: bool,
) -> tuple[str, str]:
    what = f"{who} has shape {found} where the input has {expected}"
    if sorted(found) == sorted(expected) or turned:
        return "transposed", f"{what}: it is transposed"
    axes = _stretched(found, expected)
    if axes:
        return "missing sum", (
            f"{what}: the sum over axis {', '.join(map(str, axes))}, along which the "
            "input was broadcast, is missing"
        )
    return "shape", sentence


def _stretched(found: tuple[int, ...], expected: tuple[int, ...]) -> list[int]:
    """Return the axes to sum `found` over for it to get the `expected` shape."""
    lead = len(found) - len(expected)
    if lead < 0:
        return []
    pairs = list(zip(found[lead:], expected, strict=True))
    if any(n not in (1, m) for m, n in pairs):
        return []
    tail = [lead + k for k, (m, n) in enumerate(pairs) if n == 1 != m]
    return [*range(lead), *tail]
