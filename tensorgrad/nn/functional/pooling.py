"""The largest or the mean of what a window takes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...core.types import Array, Operand
from ...ops.networks.pooling import max_pool
from ...ops.networks.windows import Window, unfold
from .common import along, batched, functional, lengths

Numbers = int | tuple[int, ...]


def _window(
    name: str, axes: int, sizes: tuple[int, ...], numbers: tuple[Any, ...], ceil: bool
) -> Window:
    """Return a window over an array, wide enough behind it where that is asked for."""
    kernel_size, stride, padding, dilation = numbers
    kernel = lengths(kernel_size, axes, name, "kernel_size")
    stride = kernel if stride in (None, (), []) else stride
    strides = lengths(stride, axes, name, "stride")
    pads = lengths(padding, axes, name, "padding", 0)
    dilations = lengths(dilation, axes, name, "dilation")
    if any(2 * p > k for p, k in zip(pads, kernel, strict=True)):
        raise ValueError(
            f"{name}: padding is at most half of the kernel, got {pads} for {kernel}"
        )
    window = Window(kernel, strides, tuple((p, p) for p in pads), dilations)
    if not ceil:
        return window
    more = (
        _more(n + 2 * p - span, s, n + p)
        for n, p, span, s in zip(sizes, pads, window.spans, strides, strict=True)
    )
    return window._replace(
        padding=tuple((p, p + m) for p, m in zip(pads, more, strict=True))
    )


def _more(left: int, stride: int, end: int) -> int:
    """Return what to add behind so that a last window, which begins inside, fits."""
    count = -(-left // stride)
    if count * stride >= end:
        count -= 1
    return max(count * stride - left, 0)


def _refuse_indices(return_indices: bool) -> None:
    if return_indices:
        raise ValueError(
            "max pooling: return_indices is not supported; the gradient finds the "
            "places of the largest elements by itself"
        )


def _max_pool(axes: int, name: str, input: Any, *numbers: Any, ceil: bool) -> Any:
    x, single = batched(input, axes, name)
    y = max_pool(x, _window(name, axes, x.shape[2:], numbers, ceil))
    return y[0] if single else y


@functional
def max_pool1d(
    input: Operand,
    kernel_size: Numbers,
    stride: Numbers | None = None,
    padding: Numbers = 0,
    dilation: Numbers = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """The largest element of each window; of equal ones the first has the gradient."""
    _refuse_indices(return_indices)
    numbers = kernel_size, stride, padding, dilation
    return _max_pool(1, "max_pool1d", input, *numbers, ceil=ceil_mode)


@functional
def max_pool2d(
    input: Operand,
    kernel_size: Numbers,
    stride: Numbers | None = None,
    padding: Numbers = 0,
    dilation: Numbers = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """The largest element of each window; of equal ones the first has the gradient."""
    _refuse_indices(return_indices)
    numbers = kernel_size, stride, padding, dilation
    return _max_pool(2, "max_pool2d", input, *numbers, ceil=ceil_mode)


@functional
def max_pool3d(
    input: Operand,
    kernel_size: Numbers,
    stride: Numbers | None = None,
    padding: Numbers = 0,
    dilation: Numbers = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """The largest element of each window; of equal ones the first has the gradient."""
    _refuse_indices(return_indices)
    numbers = kernel_size, stride, padding, dilation
    return _max_pool(3, "max_pool3d", input, *numbers, ceil=ceil_mode)


def _avg_pool(
    axes: int,
    name: str,
    input: Any,
    *numbers: Any,
    ceil: bool,
    with_padding: bool,
    divisor: int | None,
) -> Any:
    x, single = batched(input, axes, name)
    sizes = x.shape[2:]
    window = _window(name, axes, sizes, (*numbers, 1), ceil)
    sums = np.sum(unfold(x, window), axis=tuple(range(2, 2 + axes)))
    if divisor is not None:
        y = sums / divisor
    else:
        # What is behind the padding, where the last window does not fit, never counts.
        pads = [before if with_padding else 0 for before, _ in window.padding]
        y = sums / _elements(sizes, window, tuple(pads)).astype(x.dtype)
    return y[0] if single else y


@functools.lru_cache(maxsize=64)
def _elements(sizes: tuple[int, ...], window: Window, pads: tuple[int, ...]) -> Any:
    """Return how many elements of an array within `pads` each window takes."""
    total: Any = np.ones((), int)
    axes = zip(sizes, pads, window.counts(sizes), *window[:3], strict=True)
    for n, pad, count, k, s, (before, _) in axes:
        start = np.arange(count) * s - before
        taken = np.minimum(start + k, n + pad) - np.maximum(start, -pad)
        total = total[..., None] * taken
    return total


@functional
def avg_pool1d(
    input: Operand,
    kernel_size: Numbers,
    stride: Numbers | None = None,
    padding: Numbers = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """The mean of each window."""
    numbers = kernel_size, stride, padding
    options: Any = {"with_padding": count_include_pad, "divisor": None}
    return _avg_pool(1, "avg_pool1d", input, *numbers, ceil=ceil_mode, **options)


@functional
def avg_pool2d(
    input: Operand,
    kernel_size: Numbers,
    stride: Numbers | None = None,
    padding: Numbers = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of each window, or its sum over a divisor."""
    numbers = kernel_size, stride, padding
    options: Any = {"with_padding": count_include_pad, "divisor": divisor_override}
    return _avg_pool(2, "avg_pool2d", input, *numbers, ceil=ceil_mode, **options)


@functional
def avg_pool3d(
    input: Operand,
    kernel_size: Numbers,
    stride: Numbers | None = None,
    padding: Numbers = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of each window, or its sum over a divisor."""
    numbers = kernel_size, stride, padding
    options: Any = {"with_padding": count_include_pad, "divisor": divisor_override}
    return _avg_pool(3, "avg_pool3d", input, *numbers, ceil=ceil_mode, **options)


# Adaptive windows: part i of k takes the elements from floor(i n / k) to
# ceil((i + 1) n / k), so that axis after axis can be reduced.


def _parts(n: int, k: int) -> tuple[Any, Any]:
    i = np.arange(k)
    return i * n // k, -(-(i + 1) * n // k)


def mean_of_parts(x: Any, axis: int, k: int) -> Any:
    """Return the means of k windows along an axis, which cover it evenly."""
    n = x.shape[axis]
    if n % k == 0:
        windows = (*x.shape[:axis], k, n // k, *x.shape[axis + 1 :])
        return np.mean(np.reshape(x, windows), axis=axis + 1)
    start, stop = _parts(n, k)
    at = np.arange(n)
    taken = (at >= start[:, None]) & (at < stop[:, None])
    weights = (taken / (stop - start)[:, None]).astype(x.dtype)
    return along(axis, x, weights)


def _max_of_parts(x: Any, axis: int, k: int) -> Any:
    start, stop = _parts(x.shape[axis], k)
    # A window that is shorter than the longest repeats its last element.
    width = int((stop - start).max(initial=1))
    at = np.minimum(start[:, None] + np.arange(width), stop[:, None] - 1)
    return np.max(np.take(x, at, axis), axis=axis + 1)


def _adaptive(
    axes: int,
    name: str,
    input: Any,
    output_size: Any,
    reduce: Callable[[Any, int, int], Any],
) -> Any:
    x, single = batched(input, axes, name)
    if math.prod(x.shape[1:]) == 0:
        raise ValueError(f"{name}: expected samples with elements, got shape {x.shape}")
    given = output_size if isinstance(output_size, Sequence) else [output_size]
    kept = lengths([k is None for k in given], axes, name, "output_size", 0)
    given = [1 if k is None else k for k in given]
    sizes = lengths(given, axes, name, "output_size")
    for axis, k in enumerate(sizes, 2):
        if k != x.shape[axis] and not kept[axis - 2]:
            x = reduce(x, axis, k)
    return x[0] if single else x


@functional
def adaptive_avg_pool1d(input: Operand, output_size: Numbers) -> Array:
    """The means of so many windows as the output is long."""
    name = "adaptive_avg_pool1d"
    return _adaptive(1, name, input, output_size, mean_of_parts)


@functional
def adaptive_avg_pool2d(input: Operand, output_size: Numbers) -> Array:
    """The means of so many windows as the output is long and wide."""
    name = "adaptive_avg_pool2d"
    return _adaptive(2, name, input, output_size, mean_of_parts)


@functional
def adaptive_max_pool1d(
    input: Operand, output_size: Numbers, return_indices: bool = False
) -> Array:
    """The largest elements of so many windows as the output is long."""
    _refuse_indices(return_indices)
    name = "adaptive_max_pool1d"
    return _adaptive(1, name, input, output_size, _max_of_parts)


@functional
def adaptive_max_pool2d(
    input: Operand, output_size: Numbers, return_indices: bool = False
) -> Array:
    """The largest elements of so many windows as the output is long and wide."""
    _refuse_indices(return_indices)
    name = "adaptive_max_pool2d"
    return _adaptive(2, name, input, output_size, _max_of_parts)
