"""Convolutions: filters in windows that slide over arrays (n, channels, ...).

Three products of three arrays are each other's gradients: of samples and weights, of
outputs and weights, of samples and outputs. So each has derivatives of any order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...core.foreign import dispatched
from ...core.types import Array, Operand
from ..support.define import operation
from ..support.registry import case
from .windows import (
    ALL,
    DISJOINT,
    ONE,
    TWO,
    Lengths,
    Window,
    columns_of,
    samples_first,
    samples_last,
)


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
    columns = columns_of(x, strip).copy()
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


# Kinds of arrays implement the three products themselves: these get ndarrays alone.


@dispatched
def convolved(x: Any, weight: Any, window: Window, groups: int) -> Any:
    """Return products of each window with each filter."""
    if _is_short(x.shape[1] // groups, window):
        x, weight, window = x[:, :, None], weight[:, :, None], window.flat()
        return convolved(x, weight, window, groups)[:, :, 0]
    return samples_first(_products(samples_last(x), weight, window, groups))


def _is_short(inputs: int, window: Window) -> bool:
    """Whether windows have one axis, and are longer than their channels are many.

    Products take all of them then, and not tap by tap. Measured, 1 to 16 channels of
    4,096, filters of 31 in steps of 4, 8 samples: 0.25 ms instead of 4.7.
    """
    return len(window.kernel) == 1 and inputs < 2 * window.kernel[0]


def _products(x: Any, weight: Any, window: Window, groups: int) -> Any:
    counts, filters = window.counts(x.shape[1:-1]), _by_row(weight, groups)
    y: Any = None
    for i, part in enumerate(_strips(x, window, groups)):
        z = np.matmul(filters[i], part)
        y = z if y is None else np.add(y, z, out=y)
    return y.reshape(weight.shape[0], *counts, x.shape[-1])


@operation(
    kind="multilinear",
    cases=[
        case((2, 2, 5), (3, 2, 2), (3,), window=ONE, groups=1),
        case((2, 4, 4, 5), (6, 2, 2, 2), (6,), window=TWO, groups=2),
        case((0, 2, 4, 4), (3, 2, 2, 2), window=DISJOINT, groups=1, bias=None),
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
    y = convolved(x, weight, window, groups)
    if bias is not None:
        y += np.reshape(bias, (-1, *[1] * (x.ndim - 2)))
    return y


@operation(
    kind="multilinear",
    cases=[
        case((2, 3, 4), (3, 2, 2), lengths=(5,), window=ONE, groups=1),
        case((1, 2, 3), (2, 8, 2), lengths=(4,), window=ONE, groups=2),
        case((2, 6, 3, 3), (6, 2, 2, 2), lengths=(4, 5), window=TWO, groups=2),
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
    return convolved_back(x, weight, tuple(lengths), window, groups)


@dispatched
def convolved_back(
    x: Any, weight: Any, lengths: Lengths, window: Window, groups: int
) -> Any:
    """Return filters added up where their windows are, each times an element."""
    n, outputs, *counts = x.shape
    inverse = _inverse(window)
    few = outputs // groups <= min(weight.shape[1], _ROWS)
    is_short = few and _is_short(outputs // groups, window)
    slides = is_short or _is_cheaper(weight.shape, groups)
    if inverse is not None and slides and math.prod(lengths) < 4 * math.prod(counts):
        return convolved(x, _turned(weight, groups), inverse, groups)
    rows = samples_last(x).reshape(groups, outputs // groups, math.prod(counts) * n)
    filters, inputs = _by_row(weight, groups), groups * weight.shape[1]
    total = np.zeros((inputs, *lengths, n), np.result_type(x, weight))
    for place, index, reached in window.inside(lengths, tuple(counts)):
        if not any(place[1:]):
            columns = np.matmul(filters[place[0]].mT, rows)
            columns = columns.reshape(inputs, *window.kernel[1:], *counts, n)
        part = total[index]
        np.add(part, columns[(ALL, *place[1:])][reached], out=part)
    return samples_first(total)


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
    split = split[(ALL, ALL, ALL, *[slice(None, None, -1)] * len(window))]
    # BLAS takes no steps backwards.
    swapped = np.swapaxes(split, 1, 2).copy()
    return swapped.reshape(groups * inputs, outputs // groups, *window)


@operation(
    kind="multilinear",
    cases=[
        case((2, 2, 5), (2, 3, 4), window=ONE, groups=1),
        case((2, 4, 4, 5), (2, 6, 3, 3), window=TWO, groups=2),
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
    return convolved_filters(x, z, window, groups)


@dispatched
def convolved_filters(x: Any, z: Any, window: Window, groups: int) -> Any:
    """Return products of samples with what came of them, summed over both."""
    if _is_short(x.shape[1] // groups, window):
        x, z, window = x[:, :, None], z[:, :, None], window.flat()
        return convolved_filters(x, z, window, groups)[:, :, 0]
    n, outputs, *counts = z.shape
    inputs, size = x.shape[1] // groups, math.prod(counts) * n
    rows = samples_last(z).reshape(groups, outputs // groups, size)
    # One for each row of the kernel, (groups, outputs, inputs * rest of the kernel).
    parts = _strips(samples_last(x), window, groups)
    y = np.stack([_product_of_long(rows, part) for part in parts], axis=2)
    first, *rest = window.kernel
    y = y.reshape(outputs, first, inputs, math.prod(rest))
    y = np.swapaxes(y, 1, 2).reshape(outputs, inputs, *window.kernel)
    return np.ascontiguousarray(y)


def _product_of_long(a: Any, b: Any) -> Any:
    """Return a @ b.mT; BLAS is faster by half where the first has more rows."""
    if a.shape[-2] < b.shape[-2]:
        return np.matmul(b, a.mT).mT
    return np.matmul(a, b.mT)


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
