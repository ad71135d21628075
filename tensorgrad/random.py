"""Explicit random numbers: a seed, a generator or fresh entropy, never global state."""

from typing import Any, Protocol

import numpy as np


class Normals(Protocol):
    """What draws random numbers: numpy's Generator, or its older RandomState."""

    def standard_normal(self, size: Any = ...) -> Any:
        """Return standard normal numbers of that shape."""

    def uniform(self, low: float = ..., high: float = ..., size: Any = ...) -> Any:
        """Return numbers between two, all alike, of that shape."""


def normals(rng: Normals | int | None) -> Normals:
    """Return a source of normal numbers for a seed, a generator or None."""
    if rng is None or isinstance(rng, int | np.integer):
        return np.random.default_rng(rng)
    return rng
