"""Windows that slide over arrays (n, channels, ...): convolution and its relatives.

Three products of three arrays are each other's gradients: of samples and weights, of
outputs and weights, of samples and outputs. So each has derivatives of any order.

In memory samples are the last axis here, and stay so from layer to layer: what is
copied from windows, and added up in them, lies in pieces of a row times the samples.
Measured, LeNet's second layer and a batch of 128: 9 ms forward and backward, against
18 ms where samples come first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ...core.tensor import detached
from ...core.types import Array, Operand
from ..support.axes import kernel
from ..support.define import operation
from ..support.registry import case
from ..support.scatter import zeros
from ..support.strong import selected

Lengths = tuple[int, ...]

_ALL = slice(None)


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
        return (_ALL, *(slice(before, before + n) for n, (before, _) in pairs))

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

    def slices(self, counts: Lengths) -> Iterator[tuple[Lengths, Any]]:
        """Yield the places in a window, with the index, behind channels, of each."""
        for place in np.ndindex(self.kernel):
            steps = zip(place, self.dilation, counts, self.stride, strict=True)
            index = (slice(i * d, i * d + s * (n - 1) + 1, s) for i, d, n, s in steps)
            yield place, (_ALL, *index)


def _samples_last(x: Any) -> Any:
    """Return a view (channels, ..., n) of an array (n, channels, ...)."""
    return x.transpose((*range(1, x.ndim), 0))


def _samples_first(x: Any) -> Any:
    """Return a view (n, channels, ...) of an array (channels, ..., n)."""
    return x.transpose((x.ndim - 1, *range(x.ndim - 1)))


# From here to the operations arrays have their samples last.


def _surrounded(x: Any, window: Window, fill: float = 0) -> Any:
    """Return an array within its padding."""
    padded = (x.shape[0], *window.padded(x.shape[1:-1]), x.shape[-1])
    room = zeros(padded, x.dtype, x)
    if fill:
        room[...] = fill
    room[window.inner(x.shape[1:-1])] = x
    return room


def _columns(x: Any, window: Window) -> Any:
    """Return a view of all windows, (channels, *kernel, *counts, n)."""
    axes = len(window.kernel)
    if any(map(any, window.padding)) or not x.flags.c_contiguous:
        x = _surrounded(x, window)
    view = sliding_window_view(x, window.spans, axis=tuple(range(1, 1 + axes)))
    steps = (slice(None, None, s) for s in window.stride)
    places = (slice(None, None, d) for d in window.dilation)
    order = (0, *range(2 + axes, 2 + 2 * axes), *range(1, 2 + axes))
    return view[(_ALL, *steps, _ALL, *places)].transpose(order)


def _overlapped(columns: Any, lengths: Lengths, window: Window) -> Any:
    """Return the array that has the sum of windows in place of each; their adjoint."""
    shape = (columns.shape[0], *window.padded(lengths), columns.shape[-1])
    total = zeros(shape, columns.dtype, columns)
    for place, index in window.slices(columns.shape[-1 - len(lengths) : -1]):
        part = total[index]
        np.add(part, columns[(_ALL, *place)], out=part)
    return total[window.inner(lengths)]


_ONE = Window((2,), (1,), ((0, 0),), (1,))
_TWO = Window((2, 2), (1, 2), ((1, 0), (1, 1)), (2, 1))
_DISJOINT = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))


@operation(
    kind="linear",
    cases=[case((2, 3, 4), window=_ONE), case((2, 1, 4, 5), window=_TWO)],
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
    return _samples_first(_columns(_samples_last(x), window).copy())


@operation(
    kind="linear",
    cases=[
        case((2, 3, 2, 3), lengths=(4,), window=_ONE),
        case((2, 1, 2, 2, 3, 3), lengths=(4, 5), window=_TWO),
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
    return _samples_first(_overlapped(_samples_last(columns), lengths, window))


unfold.vjp(x=lambda g, x_shape, window: fold(g, x_shape[2:], window))
fold.vjp(columns=lambda g, window: unfold(g, window))


def _check_axes(name: str, window: Window, *arrays: Any) -> None:
    """Raise for arrays that are not of two axes and one for each of the window."""
    axes = len(window.kernel) + 2
    for x in arrays:
        if np.ndim(x) != axes:
            raise ValueError(
                f"{name}: expected arrays of {axes} axes, the last of them those of "
                f"the window, got shape {np.shape(x)}"
            )


# Windows overlap, so a copy of all of them is many times as large as the array. Here it
# is one of windows of length 1 along the first axis, and each row of a kernel takes its
# part of that copy where it lies. Measured, the products of LeNet with its filters, for
# a batch of 128: 8 ms instead of 15, forward and backward.
#
# What slides in single steps also slides back: its gradient in the samples is a
# convolution with the filters turned around. Measured, 64 to 64 channels of 16 x 16,
# filters of 3 x 3, a batch of 32: 4.4 ms instead of 7.4.


def _strips(x: Any, window: Window, groups: int) -> Iterator[Any]:
    """Yield what each row of a kernel takes of all windows.

    Of shape (groups, channels * rest of the kernel, counts * n).
    """
    first, *rest = window.kernel
    strip = window._replace(kernel=(1, *rest), stride=(1, *window.stride[1:]))
    number, *counts = window.counts(x.shape[1:-1])
    features = x.shape[0] // groups * math.prod(rest)
    columns = _columns(x, strip).copy()
    size = math.prod(counts) * x.shape[-1]
    columns = columns.reshape(
        groups, features, columns.shape[len(window.kernel) + 1], size
    )
    step = window.stride[0]
    for i in range(first):
        start = i * window.dilation[0]
        part = columns[:, :, start : start + step * (number - 1) + 1 : step]
        yield part.reshape(groups, features, number * size)


def _by_row(weight: Any, groups: int) -> Any:
    """Return filters as matrices, (rows of the kernel, groups, out, features)."""
    outputs, inputs, first, *rest = weight.shape
    split = weight.reshape(groups, outputs // groups, inputs, first, math.prod(rest))
    features = inputs * math.prod(rest)
    return np.moveaxis(split, 3, 0).reshape(first, groups, outputs // groups, features)


def _product(a: Any, b: Any) -> Any:
    """Return a @ b for each group; of one group as matrices, which may be compiled."""
    return np.matmul(a[0], b[0])[None] if len(a) == 1 else np.matmul(a, b)


def _convolved(x: Any, weight: Any, window: Window, groups: int) -> Any:
    """Return products of each window with each filter, (out, *counts, n)."""
    counts, filters = window.counts(x.shape[1:-1]), _by_row(weight, groups)
    y: Any = None
    for i, part in enumerate(_strips(x, window, groups)):
        z = _product(filters[i], part)
        y = z if y is None else np.add(y, z, out=y)
    return y.reshape(weight.shape[0], *counts, x.shape[-1])


@operation(
    kind="multilinear",
    cases=[
        case((2, 2, 5), (3, 2, 2), (3,), window=_ONE, groups=1),
        case((2, 4, 4, 5), (6, 2, 2, 2), (6,), window=_TWO, groups=2),
        case((0, 2, 4, 4), (3, 2, 2, 2), window=_DISJOINT, groups=1, bias=None),
    ],
)
def convolution(
    x: Operand, weight: Operand, bias: Operand, window: Window, groups: int
) -> Array:
    """Products of each window with each filter, plus a bias for each.

    Parameters
    ----------
    x : (n, in, *lengths) Tensor or array
        Samples.
    weight : (out, in / groups, *kernel) Tensor or array
        Filters.
    bias : (out,) Tensor or array, or None
        Added to each channel that goes out.
    window : Window
        How the filters slide.
    groups : int
        Parts of the channels, each with filters of its own.

    Returns
    -------
    (n, out, *counts) Tensor or ndarray
        A Tensor where an argument is one.
    """
    _check_axes("convolution", window, x, weight)
    y = _convolved(_samples_last(x), weight, window, groups)
    if bias is not None:
        y += np.reshape(bias, (-1, *[1] * (x.ndim - 1)))
    return _samples_first(y)


@operation(
    kind="multilinear",
    cases=[
        case((2, 3, 4), (3, 2, 2), lengths=(5,), window=_ONE, groups=1),
        case((1, 2, 3), (2, 8, 2), lengths=(4,), window=_ONE, groups=2),
        case((2, 6, 3, 3), (6, 2, 2, 2), lengths=(4, 5), window=_TWO, groups=2),
    ],
)
def convolution_transposed(
    x: Operand, weight: Operand, lengths: Lengths, window: Window, groups: int
) -> Array:
    """Filters added up where their windows are, each times an element of `x`.

    It is the gradient of a convolution in its samples, and the layer of that name.

    Parameters
    ----------
    x : (n, out, *counts) Tensor or array
        What a convolution would return.
    weight : (out, in / groups, *kernel) Tensor or array
        Its filters.
    lengths : tuple of int
        Of its samples.
    window : Window
        How its filters slide.
    groups : int
        Its groups.

    Returns
    -------
    (n, in, *lengths) Tensor or ndarray
        A Tensor where an argument is one.
    """
    _check_axes("convolution_transposed", window, x, weight)
    n, outputs, *counts = x.shape
    inverse = _inverse(window)
    if inverse is not None and _is_cheaper(weight.shape, groups):
        return _samples_first(
            _convolved(_samples_last(x), _turned(weight, groups), inverse, groups)
        )
    rows = _samples_last(x).reshape(groups, outputs // groups, math.prod(counts) * n)
    filters, inputs = _by_row(weight, groups), groups * weight.shape[1]
    total = zeros((inputs, *window.padded(lengths), n), x.dtype, x, weight)
    for place, index in window.slices(tuple(counts)):
        if not any(place[1:]):
            columns = _product(filters[place[0]].mT, rows)
            columns = columns.reshape(inputs, *window.kernel[1:], *counts, n)
        part = total[index]
        np.add(part, columns[(_ALL, *place[1:])], out=part)
    return _samples_first(total[window.inner(lengths)])


def _inverse(window: Window) -> Window | None:
    """Return how filters slide over what a convolution returned, to its samples.

    None where they do not: they are laid apart, or the padding is wider than a window.
    """
    padding = tuple(
        (span - 1 - before, span - 1 - behind)
        for span, (before, behind) in zip(window.spans, window.padding, strict=True)
    )
    if any(s > 1 for s in window.stride) or any(
        n < 0 for pair in padding for n in pair
    ):
        return None
    return window._replace(padding=padding)


def _is_cheaper(shape: Lengths, groups: int) -> bool:
    """Whether to copy windows moves less memory than to add up where they overlap.

    Of each window a row of `outputs` is read and written, in its padding and as a
    strip, and the products of other rows are added; else all of its products are.
    Products of few rows are slow in BLAS, but for the shortest sums.
    """
    outputs, inputs, first, *others = shape
    rest, added = math.prod(others), 3 * inputs * groups
    moved = 2 * outputs * (1 + rest) + added * (first - 1)
    is_slow = inputs < _ROWS and outputs // groups * rest > _SHORT
    return not is_slow and moved < added * first * rest


_ROWS, _SHORT = 8, 16


def _turned(weight: Any, groups: int) -> Any:
    """Return filters that take outputs to inputs, each turned around."""
    outputs, inputs, *window = weight.shape
    split = weight.reshape(groups, outputs // groups, inputs, *window)
    split = split[(_ALL, _ALL, _ALL, *[slice(None, None, -1)] * len(window))]
    # BLAS takes no steps backwards.
    swapped = np.swapaxes(split, 1, 2).copy()
    return swapped.reshape(groups * inputs, outputs // groups, *window)


@operation(
    kind="multilinear",
    cases=[
        case((2, 2, 5), (2, 3, 4), window=_ONE, groups=1),
        case((2, 4, 4, 5), (2, 6, 3, 3), window=_TWO, groups=2),
    ],
)
def convolution_filters(x: Operand, z: Operand, window: Window, groups: int) -> Array:
    """Products of samples with what came of them, summed over samples and windows.

    It is the gradient of a convolution in its filters.

    Parameters
    ----------
    x : (n, in, *lengths) Tensor or array
        Samples.
    z : (n, out, *counts) Tensor or array
        Gradient of what a convolution returned.
    window : Window
        How its filters slide.
    groups : int
        Its groups.

    Returns
    -------
    (out, in / groups, *kernel) Tensor or ndarray
        A Tensor where an argument is one.
    """
    _check_axes("convolution_filters", window, x, z)
    n, outputs, *counts = z.shape
    inputs, size = x.shape[1] // groups, math.prod(counts) * n
    rows = _samples_last(z).reshape(groups, outputs // groups, size)
    # One for each row of the kernel, (groups, outputs, inputs * rest of the kernel).
    parts = _strips(_samples_last(x), window, groups)
    y = np.stack([_product_of_long(rows, part) for part in parts], axis=2)
    first, *rest = window.kernel
    y = y.reshape(outputs, first, inputs, math.prod(rest))
    return np.swapaxes(y, 1, 2).reshape(outputs, inputs, *window.kernel)


def _product_of_long(a: Any, b: Any) -> Any:
    """Return a @ b.mT; BLAS is faster by half where the first has more rows."""
    if a.shape[-2] < b.shape[-2]:
        return _product(b, a.mT).mT
    return _product(a, b.mT)


def _sum_of_channel(g: Any) -> Any:
    return np.sum(g, axis=(0, *range(2, g.ndim)))


convolution.vjp(
    x=lambda g, weight, x_shape, window, groups: convolution_transposed(
        g, weight, x_shape[2:], window, groups
    ),
    weight=lambda g, x, window, groups: convolution_filters(x, g, window, groups),
    bias=_sum_of_channel,
)
convolution_transposed.vjp(
    x=lambda g, weight, window, groups: convolution(g, weight, None, window, groups),
    weight=lambda g, x, window, groups: convolution_filters(g, x, window, groups),
)
convolution_filters.vjp(
    x=lambda g, z, x_shape, window, groups: convolution_transposed(
        z, g, x_shape[2:], window, groups
    ),
    z=lambda g, x, window, groups: convolution(x, g, None, window, groups),
)


def _within(x: Any, window: Window, fill: float) -> Any:
    """Return an array within its padding, itself where there is none."""
    return _surrounded(x, window, fill) if any(map(any, window.padding)) else x


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
        case((2, 3, 5), window=_ONE),
        case((2, 1, 4, 5), window=_TWO),
        case((2, 2, 4, 5), window=_DISJOINT),
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
    x = _within(_samples_last(x), window, -math.inf)
    y: Any = None
    for _, index in window.slices(counts):
        # Copied as it lies in memory, in whatever order of axes.
        y = np.copy(x[index]) if y is None else np.maximum(y, x[index], out=y)
    return _samples_first(y)


# The two are each other's adjoint; where the maxima are has no gradient.


@kernel("max_pool")
def _into_windows(z, x, largest, window):
    """Zeros with z in place of the largest element of each window."""
    z, x, largest = map(_samples_last, (z, x, largest))
    lengths = x.shape[1:-1]
    shape = (x.shape[0], *window.padded(lengths), x.shape[-1])
    total = np.zeros_like(z, z.dtype, shape=shape)
    for index, hit in _hits(x, largest, window):
        part = total[index]
        np.add(part, selected(z, hit), out=part)
    return _samples_first(total[window.inner(lengths)])


@kernel("max_pool")
def _from_windows(z, x, largest, window):
    """Of each window the element of z where x is largest."""
    z, x, largest = map(_samples_last, (z, x, largest))
    z = _within(z, window, 0)
    total = np.zeros_like(largest, z.dtype)
    for index, hit in _hits(x, largest, window):
        np.add(total, selected(z[index], hit), out=total)
    return _samples_first(total)


max_pool.vjp(
    x=lambda g, x, y, window: _into_windows(g, detached(x), detached(y), window)
)
_into_windows.vjp(z=lambda g, x, largest, window: _from_windows(g, x, largest, window))
_from_windows.vjp(z=lambda g, x, largest, window: _into_windows(g, x, largest, window))
