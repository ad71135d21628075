"""Windows that slide over arrays (n, channels, ...), copied out and added up.

In memory samples are the last axis here, and stay so from layer to layer: what is
copied from windows, and added up in them, lies in pieces of a row times the samples.
Measured, LeNet's second layer and a batch of 128: 9 ms forward and backward, against
18 ms where samples come first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ...core.types import Array, Operand
from ..support.define import operation
from ..support.registry import case
from ..support.scatter import zeros

Lengths = tuple[int, ...]

ALL = slice(None)


class Window(NamedTuple):
    """A window, and how it slides; one number for each axis after the channels.

    Attributes
    ----------
    kernel : tuple of int
        Elements that it takes along each axis.
    stride : tuple of int
        From one window to the next.
    padding : tuple of pairs of int
        What surrounds the array, before and behind it.
    dilation : tuple of int
        From one element in a window to the next.
    """

    kernel: Lengths
    stride: Lengths
    padding: tuple[tuple[int, int], ...]
    dilation: Lengths

    @property
    def spans(self) -> Lengths:
        """From the first element of a window to behind its last."""
        return tuple(
            d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)
        )

    def padded(self, lengths: Lengths) -> Lengths:
        """Return the lengths of an array within its padding."""
        return tuple(
            n + before + behind
            for n, (before, behind) in zip(lengths, self.padding, strict=True)
        )

    def inner(self, lengths: Lengths) -> Any:
        """Return the index, behind channels, of an array within its padding."""
        pairs = zip(lengths, self.padding, strict=True)
        return (ALL, *(slice(before, before + n) for n, (before, _) in pairs))

    def counts(self, lengths: Lengths) -> Lengths:
        """Return how many windows there are along each axis."""
        counts = tuple(
            (n - span) // s + 1
            for n, span, s in zip(
                self.padded(lengths), self.spans, self.stride, strict=True
            )
        )
        if min(counts, default=1) < 1:
            raise ValueError(
                f"a window of {self.spans} does not fit into lengths of {lengths} with "
                f"padding {self.padding}; take a smaller kernel or more padding"
            )
        return counts

    def flat(self) -> Window:
        """Return the same over arrays with an axis of length 1 before the others."""
        kernel, stride, padding, dilation = self
        padding = ((0, 0), *padding)
        return Window((1, *kernel), (1, *stride), padding, (1, *dilation))

    def slices(self, counts: Lengths) -> Iterator[tuple[Lengths, Any]]:
        """Yield the places in a window, with the index, behind channels, of each."""
        for place in np.ndindex(self.kernel):
            steps = zip(place, self.dilation, counts, self.stride, strict=True)
            index = (slice(i * d, i * d + s * (n - 1) + 1, s) for i, d, n, s in steps)
            yield place, (ALL, *index)

    def inside(
        self, lengths: Lengths, counts: Lengths
    ) -> Iterator[tuple[Lengths, Any, Any]]:
        """Yield the places in a window, with the index, behind channels, of what is
        there in an array without its padding, and of the windows that reach it.
        """
        axes = zip(*self, lengths, counts, strict=True)
        ways = [
            [_reached(i * d - before, s, n, count) for i in range(k)]
            for k, s, (before, _), d, n, count in axes
        ]
        for place in np.ndindex(self.kernel):
            pairs = [way[i] for way, i in zip(ways, place, strict=True)]
            at, reached = zip(*pairs, strict=True)
            yield place, (ALL, *at), (ALL, *reached)


def _reached(start: int, step: int, length: int, count: int) -> tuple[slice, slice]:
    """Return which elements are ``start + step * q``, and for which of `count` q."""
    first = min(max(0, -(start // step)), count)
    last = max(first, min(count, -((start - length) // step)))
    at = start + step * first
    return slice(at, at + step * (last - first), step), slice(first, last)


def samples_last(x: Any) -> Any:
    """Return a view (channels, ..., n) of an array (n, channels, ...)."""
    return x.transpose((*range(1, x.ndim), 0))


def samples_first(x: Any) -> Any:
    """Return a view (n, channels, ...) of an array (channels, ..., n)."""
    return x.transpose((x.ndim - 1, *range(x.ndim - 1)))


# From here to the operations arrays have their samples last.


def surrounded(x: Any, window: Window, fill: float = 0) -> Any:
    """Return an array within its padding."""
    padded = (x.shape[0], *window.padded(x.shape[1:-1]), x.shape[-1])
    room = zeros(padded, x.dtype, x)
    if fill:
        room[...] = fill
    room[window.inner(x.shape[1:-1])] = x
    return room


def columns_of(x: Any, window: Window) -> Any:
    """Return a view of all windows, (channels, *kernel, *counts, n)."""
    axes = len(window.kernel)
    if any(map(any, window.padding)) or not x.flags.c_contiguous:
        x = surrounded(x, window)
    view = sliding_window_view(x, window.spans, axis=tuple(range(1, 1 + axes)))
    steps = (slice(None, None, s) for s in window.stride)
    places = (slice(None, None, d) for d in window.dilation)
    order = (0, *range(2 + axes, 2 + 2 * axes), *range(1, 2 + axes))
    return view[(ALL, *steps, ALL, *places)].transpose(order)


def _overlapped(columns: Any, lengths: Lengths, window: Window) -> Any:
    """Return the array that has the sum of windows in place of each; their adjoint."""
    shape = (columns.shape[0], *lengths, columns.shape[-1])
    total = zeros(shape, columns.dtype, columns)
    counts = columns.shape[-1 - len(lengths) : -1]
    for place, index, reached in window.inside(lengths, counts):
        part = total[index]
        np.add(part, columns[(ALL, *place)][reached], out=part)
    return total


ONE = Window((2,), (1,), ((0, 0),), (1,))
TWO = Window((2, 2), (1, 2), ((1, 0), (1, 1)), (2, 1))
DISJOINT = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))


@operation(
    kind="linear",
    cases=[case((2, 3, 4), window=ONE), case((2, 1, 4, 5), window=TWO)],
)
def unfold(x: Operand, window: Window) -> Array:
    """All windows of an array, copied out.

    Parameters
    ----------
    x : (n, channels, *lengths) Tensor or array
        Samples.
    window : Window
        How the window slides.

    Returns
    -------
    (n, channels, *kernel, *counts) Tensor or ndarray
        A Tensor where `x` is one.
    """
    window.counts(x.shape[2:])
    return samples_first(columns_of(samples_last(x), window).copy())


@operation(
    kind="linear",
    cases=[
        case((2, 3, 2, 3), lengths=(4,), window=ONE),
        case((2, 1, 2, 2, 3, 3), lengths=(4, 5), window=TWO),
    ],
)
def fold(columns: Operand, lengths: Lengths, window: Window) -> Array:
    """The sum of windows, each added in its place; the adjoint of `unfold`.

    Parameters
    ----------
    columns : (n, channels, *kernel, *counts) Tensor or array
        Windows.
    lengths : tuple of int
        Of what they are windows of.
    window : Window
        How the window slides.

    Returns
    -------
    (n, channels, *lengths) Tensor or ndarray
        A Tensor where `columns` is one.
    """
    return samples_first(_overlapped(samples_last(columns), lengths, window))


unfold.vjp(x=lambda g, x_shape, window: fold(g, x_shape[2:], window))
fold.vjp(columns=lambda g, window: unfold(g, window))
