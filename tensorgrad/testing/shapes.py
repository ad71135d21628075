"""What a gradient of the wrong shape gives away."""

from __future__ import annotations

import re

from .problem import GradientShapeError, UnusableError


def wrong_shape(error: UnusableError) -> tuple[str, str] | None:
    """Return the fault behind a gradient of the wrong shape and its sentence."""
    if isinstance(error, GradientShapeError):
        found, expected = error.gradient.shape, error.shape
        who = f"the gradient of input {error.number}"
    else:
        shapes = re.findall(r"\(([\d, ]*)\)", error.sentence)
        if error.fault != "rule" or len(shapes) < 2:
            return None
        found, expected = (
            tuple(int(n) for n in s.replace(",", " ").split()) for s in shapes[:2]
        )
        who = "the gradient of an input"
    return _told(who, found, expected, error.sentence)


def _told(
    who: str, found: tuple[int, ...], expected: tuple[int, ...], sentence: str
) -> tuple[str, str] | None:
    what = f"{who} has shape {found} where the input has {expected}"
    if sorted(found) == sorted(expected):
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
