"""Random zeros, drawn from a generator that is passed."""

from __future__ import annotations

import numpy as np

from ...core.types import Array, Operand
from ...ops.networks.activations import dropout as _dropout
from ...ops.support.axes import array
from .common import functional


@functional
def dropout(
    input: Operand,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: np.random.Generator | int | None = None,
) -> Array:
    """x with zeros at random, a share p of them, the others divided by 1 - p.

    `rng` is a generator, which goes on from call to call, a seed, or None.
    """
    return _dropout(array(input), p, rng=rng, training=training)


@functional
def dropout2d(
    input: Operand,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: np.random.Generator | int | None = None,
) -> Array:
    """As dropout, of whole channels of samples (n, channels, ...)."""
    x = array(input)
    if x.ndim < 3:
        raise ValueError(
            f"dropout2d: expected samples (n, channels, ...), got shape {x.shape}"
        )
    ones = np.ones((*x.shape[:2], *[1] * (x.ndim - 2)), x.dtype)
    return x * _dropout(ones, p, rng=rng, training=training)
