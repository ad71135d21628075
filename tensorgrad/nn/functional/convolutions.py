"""Linear maps: of all features, or of those in a window that slides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...core.types import Array, Operand
from ...ops.networks import windows
from ...ops.networks.convolutions import convolution, convolution_transposed
from ...ops.networks.neural import affine
from ...ops.networks.windows import Window
from .common import batched, cast, floating, functional, integer, lengths

Numbers = int | tuple[int, ...]


@functional
def linear(input: Operand, weight: Operand, bias: Operand = None) -> Array:
    """x @ weight.T + bias, for a weight of shape (out, in)."""
    x = floating(input)
    weight = cast(weight, x)
    if weight.ndim not in (1, 2) or x.ndim == 0 or x.shape[-1] != weight.shape[-1]:
        raise ValueError(
            f"linear: expected a weight (out, {x.shape[-1:]}) for samples {x.shape}, "
            f"got {weight.shape}"
        )
    bias = bias if bias is None else cast(bias, x)
    if weight.ndim == 2:
        return affine(x, np.swapaxes(weight, 0, 1), bias)
    y = np.matmul(x, weight)
    return y if bias is None else y + bias


@functional
def bilinear(
    input1: Operand, input2: Operand, weight: Operand, bias: Operand = None
) -> Array:
    """sum_ij a_i weight_kij b_j + bias_k, for vectors along the last axes."""
    a = floating(input1)
    b, weight = cast(input2, a), cast(weight, a)
    if a.shape[:-1] != b.shape[:-1] or weight.shape[1:] != (a.shape[-1], b.shape[-1]):
        raise ValueError(
            f"bilinear: expected vectors of one shape but for the last lengths, and a "
            f"weight (out, {a.shape[-1]}, {b.shape[-1]}), got {a.shape}, {b.shape} and "
            f"{weight.shape}"
        )
    # (..., 1, 1, i) @ (k, i, j) @ (..., 1, j, 1).
    rows = np.matmul(a[..., None, None, :], weight)
    y = np.matmul(rows, b[..., None, :, None])[..., 0, 0]
    return y if bias is None else y + cast(bias, a)


def _padding(padding: Any, window: Window, name: str) -> tuple[tuple[int, int], ...]:
    """Return what to pad before and behind: numbers, "valid", or "same"."""
    axes = len(window.kernel)
    if padding == "valid":
        return ((0, 0),) * axes
    if isinstance(padding, str) and padding != "same":
        raise ValueError(
            f'{name}: padding is a number, "same" or "valid", got {padding!r}'
        )
    if padding != "same":
        return tuple((p, p) for p in lengths(padding, axes, name, "padding", 0))
    if any(s != 1 for s in window.stride):
        raise ValueError(f'{name}: padding="same" is for a stride of 1')
    return tuple(((span - 1) // 2, span // 2) for span in window.spans)


def _sliding(
    name: str, axes: int, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Window:
    strides = lengths(stride, axes, name, "stride")
    dilations = lengths(dilation, axes, name, "dilation")
    window = Window(tuple(kernel), strides, ((0, 0),) * axes, dilations)
    return window._replace(padding=_padding(padding, window, name))


def _filters(
    name: str, axes: int, x: Any, weight: Any, groups: int, transposed: bool
) -> Any:
    """Return the filters, checked, in the dtype of the samples."""
    weight, groups = cast(weight, x), integer(name, "groups", groups)
    shape = "(out, in / groups, ...)" if not transposed else "(in, out / groups, ...)"
    inputs = 0
    if weight.ndim == axes + 2 and weight.shape[0] % groups == 0:
        inputs = weight.shape[0] if transposed else weight.shape[1] * groups
    if inputs != x.shape[1]:
        raise ValueError(
            f"{name}: expected filters {shape} for samples {x.shape} in {groups} "
            f"group(s), got {weight.shape}"
        )
    return weight


def _convolved(
    axes: int,
    name: str,
    input: Any,
    weight: Any,
    bias: Any,
    numbers: tuple[Any, ...],
    groups: int,
) -> Any:
    x, single = batched(input, axes, name)
    weight = _filters(name, axes, x, weight, groups, False)
    window = _sliding(name, axes, weight.shape[2:], *numbers)
    bias = bias if bias is None else cast(bias, x)
    y = convolution(x, weight, bias, window, groups)
    return y[0] if single else y


@functional
def conv1d(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Numbers = 1,
    padding: Numbers | str = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Array:
    """Products of filters with windows of (n, channels, length), plus a bias."""
    numbers = stride, padding, dilation
    return _convolved(1, "conv1d", input, weight, bias, numbers, groups)


@functional
def conv2d(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Numbers = 1,
    padding: Numbers | str = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Array:
    """Products of filters with windows of (n, channels, height, width), plus a bias."""
    numbers = stride, padding, dilation
    return _convolved(2, "conv2d", input, weight, bias, numbers, groups)


@functional
def conv3d(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Numbers = 1,
    padding: Numbers | str = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Array:
    """Products of filters with windows of (n, channels, and three lengths)."""
    numbers = stride, padding, dilation
    return _convolved(3, "conv3d", input, weight, bias, numbers, groups)


def _transposed(
    axes: int,
    name: str,
    input: Any,
    weight: Any,
    bias: Any,
    numbers: tuple[Any, ...],
    output_padding: Any,
    groups: int,
) -> Any:
    x, single = batched(input, axes, name)
    weight = _filters(name, axes, x, weight, groups, True)
    window = _sliding(name, axes, weight.shape[2:], *numbers)
    extra = lengths(output_padding, axes, name, "output_padding", 0)
    if any(e >= s for e, s in zip(extra, window.stride, strict=True)):
        raise ValueError(
            f"{name}: output_padding is below the stride, got {extra} for "
            f"{window.stride}"
        )
    sizes = tuple(
        (n - 1) * s + span - before - behind + e
        for n, s, span, (before, behind), e in zip(
            x.shape[2:], window.stride, window.spans, window.padding, extra, strict=True
        )
    )
    if min(sizes) < 1:
        raise ValueError(f"{name}: nothing is left of {x.shape} within the padding")
    y = convolution_transposed(x, weight, sizes, window, groups)
    if bias is not None:
        y = y + cast(bias, x).reshape(-1, *[1] * axes)
    return y[0] if single else y


@functional
def conv_transpose1d(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Numbers = 1,
    padding: Numbers = 0,
    output_padding: Numbers = 0,
    groups: int = 1,
    dilation: Numbers = 1,
) -> Array:
    """Filters (in, out / groups, length) added up, each times an element; plus a bias.

    The gradient of a convolution with these filters in its samples.
    """
    numbers = stride, padding, dilation
    options = numbers, output_padding, groups
    return _transposed(1, "conv_transpose1d", input, weight, bias, *options)


@functional
def conv_transpose2d(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Numbers = 1,
    padding: Numbers = 0,
    output_padding: Numbers = 0,
    groups: int = 1,
    dilation: Numbers = 1,
) -> Array:
    """Filters (in, out / groups, height, width) added up, each times an element.

    The gradient of a convolution with these filters in its samples; plus a bias.
    """
    numbers = stride, padding, dilation
    options = numbers, output_padding, groups
    return _transposed(2, "conv_transpose2d", input, weight, bias, *options)


@functional
def unfold(
    input: Operand,
    kernel_size: Numbers,
    dilation: Numbers = 1,
    padding: Numbers = 0,
    stride: Numbers = 1,
) -> Array:
    """Windows of (n, channels, height, width) as columns (n, channels * size, L)."""
    x, single = batched(input, 2, "unfold")
    kernel = lengths(kernel_size, 2, "unfold", "kernel_size")
    window = _sliding("unfold", 2, kernel, stride, padding, dilation)
    y = windows.unfold(x, window)
    counts = math.prod(window.counts(x.shape[2:]))
    y = y.reshape(x.shape[0], x.shape[1] * math.prod(kernel), counts)
    return y[0] if single else y


@functional
def fold(
    input: Operand,
    output_size: Numbers,
    kernel_size: Numbers,
    dilation: Numbers = 1,
    padding: Numbers = 0,
    stride: Numbers = 1,
) -> Array:
    """Columns added up where their windows are, (n, channels, height, width)."""
    x, single = batched(input, 1, "fold")
    sizes = lengths(output_size, 2, "fold", "output_size")
    kernel = lengths(kernel_size, 2, "fold", "kernel_size")
    window = _sliding("fold", 2, kernel, stride, padding, dilation)
    counts = window.counts(sizes)
    n, rows, columns = x.shape
    if rows % math.prod(kernel) or columns != math.prod(counts):
        raise ValueError(
            f"fold: expected columns (n, channels * {math.prod(kernel)}, "
            f"{math.prod(counts)}), got {x.shape}"
        )
    x = x.reshape(n, rows // math.prod(kernel), *kernel, *counts)
    y = windows.fold(x, sizes, window)
    return y[0] if single else y
