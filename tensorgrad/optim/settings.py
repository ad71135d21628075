"""Settings of optimizers, checked."""

from __future__ import annotations

import math
from typing import Any, TypedDict

StateDict = dict[str, Any]
"""What is saved: strings, numbers and arrays, under their names and in lists."""


class Shared(TypedDict, total=False):
    """Settings that every optimizer has: see `Optimizer`."""

    decay: float
    weight_decay: float
    maximize: bool


def at_least_zero(owner: object, what: str, value: float) -> float:
    """Return a setting that must not be negative, nor infinite."""
    if not 0 <= value < math.inf:
        raise ValueError(
            f"{_name(owner)}: {what} must be finite and at least 0, got {value}"
        )
    return float(value)


def below_one(owner: object, what: str, value: float) -> float:
    """Return a setting that must be from 0 to below 1."""
    if not 0 <= value < 1:
        raise ValueError(
            f"{_name(owner)}: {what} must be from 0 to below 1, got {value}"
        )
    return float(value)


def _name(owner: object) -> str:
    return owner if isinstance(owner, str) else type(owner).__name__
