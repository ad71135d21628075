"""Constant factors by name: 2, -1, 1/N and what N is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from .block import Block


def factor_text(c: float, wrong: Block) -> str:
    """Return the sentence that tells of a constant factor in a gradient."""
    which = f"the gradient of input {wrong.input}"
    if np.isclose(c, -1, rtol=1e-6):
        return f"{which} has the wrong sign: a constant factor of -1"
    return f"{which} is wrong by a constant factor of {_named(c, wrong)}"


def _named(c: float, wrong: Block) -> str:
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
    found = [
        (n, f"the length of axis {k} of {what}")
        for what, shape in _shapes(wrong)
        for k, n in enumerate(shape)
    ]
    return found + [
        (int(np.prod(shape, dtype=int)), f"the size of {what}")
        for what, shape in _shapes(wrong)
    ]


def _shapes(wrong: Block) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (f"input {wrong.input}", wrong.in_shape),
        (f"output {wrong.output}", wrong.out_shape),
    ]
