"""Moving means, and the quotients that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def move_mean(mean: Array, past: float, new: Array) -> None:
    """Set mean to past * mean + (1 - past) * new; `new` is overwritten."""
    mean *= past
    new *= 1 - past
    mean += new


def scaled(
    g: Array, rate: float, cache: Array, eps: float, scratch: Sequence[Array]
) -> Array:
    """Return rate * g / (sqrt(cache) + eps), in the memory of `scratch`."""
    upper, lower = scratch
    np.sqrt(cache, out=lower)
    lower += eps
    np.multiply(g, rate, out=upper)
    upper /= lower
    return upper


def move_moments(
    m: Array, cache: Array, g: Array, beta1: float, beta2: float, scratch: Array
) -> None:
    """Move the means of gradients and of their squares."""
    m *= beta1
    m += np.multiply(g, 1 - beta1, out=scratch)
    move_mean(cache, beta2, np.multiply(g, g, out=scratch))
