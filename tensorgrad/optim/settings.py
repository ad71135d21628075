"""Settings of optimizers, checked."""

from __future__ import annotations

import math


def at_least_zero(name: str, what: str, value: float) -> float:
    """Return a setting that must not be negative, nor infinite."""
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}: {what} must be finite and at least 0, got {value}")
    return float(value)


def below_one(name: str, what: str, value: float) -> float:
    """Return a setting that must be from 0 to below 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{name}: {what} must be from 0 to below 1, got {value}")
    return float(value)
