"""Pooling: the largest element of each window."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...core.tensor import detached
from ...core.types import Array, Operand
from ..support.axes import kernel
from ..support.define import operation
from ..support.registry import case
from ..support.strong import selected
from .windows import DISJOINT, ONE, TWO, Window, samples_first, samples_last, surrounded


def _within(x: Any, window: Window, fill: float) -> Any:
    """Return an array within its padding, itself where there is none."""
    return surrounded(x, window, fill) if any(map(any, window.padding)) else x


def _hits(x: Any, largest: Any, window: Window) -> Iterator[tuple[Any, Any]]:
    """Yield the index of each place in all windows, and where it holds the maximum.

    Of equal elements the first does, alone.
    """
    x = _within(x, window, -math.inf)
    free: Any = None
    for _, index in window.slices(largest.shape[1:-1]):
        hit = x[index] == largest
        if free is None:
            free = ~hit
        else:
            hit &= free
            free &= ~hit
        yield index, hit


@operation(
    kind="piecewise",
    cases=[
        case((2, 3, 5), window=ONE),
        case((2, 1, 4, 5), window=TWO),
        case((2, 2, 4, 5), window=DISJOINT),
    ],
    kinks="equal elements of a window: the first has the gradient, as in PyTorch",
)
def max_pool(x: Operand, window: Window) -> Array:
    """The largest element of each window.

    Parameters
    ----------
    x : (n, channels, *lengths) Tensor or array
        Samples; around them everything is smaller.
    window : Window
        How the window slides.

    Returns
    -------
    (n, channels, *counts) Tensor or ndarray
        A Tensor where `x` is one.
    """
    counts = window.counts(x.shape[2:])
    x = _within(samples_last(x), window, -math.inf)
    y: Any = None
    for _, index in window.slices(counts):
        # Copied as it lies in memory, in whatever order of axes.
        y = np.copy(x[index]) if y is None else np.maximum(y, x[index], out=y)
    return samples_first(y)


# The two are each other's adjoint; where the maxima are has no gradient.


@kernel("max_pool")
def _into_windows(z, x, largest, window):
    """Zeros with z in place of the largest element of each window."""
    z, x, largest = map(samples_last, (z, x, largest))
    lengths = x.shape[1:-1]
    shape = (x.shape[0], *window.padded(lengths), x.shape[-1])
    total = np.zeros_like(z, z.dtype, shape=shape)
    for index, hit in _hits(x, largest, window):
        part = total[index]
        np.add(part, selected(z, hit), out=part)
    return samples_first(total[window.inner(lengths)])


@kernel("max_pool")
def _from_windows(z, x, largest, window):
    """Of each window the element of z where x is largest."""
    z, x, largest = map(samples_last, (z, x, largest))
    z = _within(z, window, 0)
    total = np.zeros_like(largest, z.dtype)
    for index, hit in _hits(x, largest, window):
        np.add(total, selected(z[index], hit), out=total)
    return samples_first(total)


max_pool.vjp(
    x=lambda g, x, y, window: _into_windows(g, detached(x), detached(y), window)
)
_into_windows.vjp(z=lambda g, x, largest, window: _from_windows(g, x, largest, window))
_from_windows.vjp(z=lambda g, x, largest, window: _into_windows(g, x, largest, window))
