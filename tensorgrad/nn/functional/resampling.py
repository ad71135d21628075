"""Images of other sizes: with a border, between pixels, or channels as pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.types import Array, Operand
from ...ops.support.axes import array
from .common import along, floating, functional, integer
from .pooling import mean_of_parts

_PADDING = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@functional
def pad(
    input: Operand, pad: Sequence[int], mode: str = "constant", value: float = 0.0
) -> Array:
    """x within a border; pairs of widths, that of the last axis first.

    Widths below 0 take away. The border is constant, or by `mode` "reflect",
    "replicate" or "circular".
    """
    x = array(input)
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ValueError(
            f"pad: expected pairs of widths, at most {x.ndim} for shape {x.shape}, got "
            f"{tuple(pad)}"
        )
    if mode not in ("constant", *_PADDING):
        raise ValueError(
            f'pad: mode must be "constant", "reflect", "replicate" or "circular", got '
            f"{mode!r}"
        )
    pairs = [(int(a), int(b)) for a, b in zip(pad[::2], pad[1::2], strict=True)]
    widths = [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]
    for n, width in zip(x.shape, widths, strict=True):
        most = {"reflect": n - 1, "circular": n}.get(mode, math.inf)
        if max(width) > max(most, 0) or n + sum(width) < 0:
            raise ValueError(f"pad: a length of {n} is too short for {width} of {mode}")
    inner = (
        slice(max(-a, 0), n - max(-b, 0))
        for n, (a, b) in zip(x.shape, widths, strict=True)
    )
    x = x[tuple(inner)]
    wide = [(max(a, 0), max(b, 0)) for a, b in widths]
    if mode == "constant":
        return np.pad(x, wide, constant_values=value)
    by_mode: Any = _PADDING[mode]
    return np.pad(x, wide, by_mode)


@functional
def interpolate(
    input: Operand,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    """Samples (n, channels, ...) at another size.

    By `mode`: "nearest", "nearest-exact", "linear" along each axis ("bilinear" of
    images, "trilinear"), "area". `align_corners` puts the first and last element of
    both at the same places, instead of their outer edges.
    """
    x = floating(input)
    axes = x.ndim - 2
    if mode not in _MODES or antialias:
        raise ValueError(
            f"interpolate: mode must be {', '.join(_MODES)}, without antialias, got "
            f"{mode!r}"
        )
    if axes not in _MODES[mode]:
        raise ValueError(
            f"interpolate: {mode} is not for samples of shape {x.shape}; it takes "
            f"{_MODES[mode]} axes after n and channels"
        )
    sizes, scales = _sizes(x.shape[2:], size, scale_factor, recompute_scale_factor)
    for axis, (k, scale) in enumerate(zip(sizes, scales, strict=True), 2):
        n = x.shape[axis]
        if mode == "area":
            x = mean_of_parts(x, axis, k)
        elif mode.startswith("nearest"):
            x = np.take(x, _nearest(n, k, scale, mode == "nearest-exact"), axis)
        else:
            x = along(axis, x, _linear(n, k, scale, bool(align_corners), x.dtype))
    return x


_MODES: dict[str, Sequence[int]] = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "trilinear": (3,),
    "area": (1, 2, 3),
}


def _sizes(
    lengths: tuple[int, ...], size: Any, factor: Any, recompute: bool | None
) -> tuple[list[int], list[float]]:
    """Return the new lengths, and how many old elements there are to a new one."""
    if (size is None) == (factor is None):
        raise ValueError("interpolate: expected size or scale_factor, one of the two")
    given = size if factor is None else factor
    values = list(given) if isinstance(given, Sequence) else [given] * len(lengths)
    if len(values) != len(lengths):
        raise ValueError(
            f"interpolate: expected one number, or one for each of {lengths}, got "
            f"{given}"
        )
    if factor is None:
        values = [integer("interpolate", "size", k) for k in values]
        return values, [n / k for n, k in zip(lengths, values, strict=True)]
    sizes = [math.floor(n * f) for n, f in zip(lengths, values, strict=True)]
    if min(sizes, default=1) < 1:
        raise ValueError(
            f"interpolate: nothing is left of {lengths} at a scale_factor of {given}"
        )
    if recompute:
        return sizes, [n / k for n, k in zip(lengths, sizes, strict=True)]
    return sizes, [1 / f for f in values]


def _nearest(n: int, k: int, scale: float, exact: bool) -> Any:
    at = np.floor((np.arange(k) + 0.5 * exact) * scale).astype(np.intp)
    return np.minimum(at, n - 1)


def _linear(n: int, k: int, scale: float, align_corners: bool, dtype: Any) -> Any:
    """Return the weights of n elements in each of k between them."""
    if align_corners:
        at = np.arange(k) * ((n - 1) / (k - 1) if k > 1 else 0.0)
    else:
        at = np.maximum((np.arange(k) + 0.5) * scale - 0.5, 0)
    first = np.minimum(at.astype(np.intp), n - 1)
    share = at - first
    weights = np.zeros((k, n))
    np.add.at(weights, (np.arange(k), first), 1 - share)
    np.add.at(weights, (np.arange(k), np.minimum(first + 1, n - 1)), share)
    return weights.astype(dtype)


@functional
def pixel_shuffle(input: Operand, upscale_factor: int) -> Array:
    """Channels as pixels: (..., c r^2, h, w) becomes (..., c, h r, w r) [1]_.

    .. [1] Shi et al., "Real-time single image and video super-resolution using an
       efficient sub-pixel convolutional neural network", CVPR 2016.
    """
    x = array(input)
    r = upscale_factor
    if x.ndim < 3 or r < 1 or x.shape[-3] % r**2:
        raise ValueError(
            f"pixel_shuffle: expected (..., channels, height, width), of a multiple of "
            f"{r}^2 channels, got {x.shape}"
        )
    *lead, c, h, w = x.shape
    x = np.moveaxis(x.reshape(*lead, c // r**2, r, r, h, w), (-4, -3), (-3, -1))
    return x.reshape(*lead, c // r**2, h * r, w * r)


@functional
def pixel_unshuffle(input: Operand, downscale_factor: int) -> Array:
    """Pixels as channels: the inverse of pixel_shuffle."""
    x = array(input)
    r = downscale_factor
    if x.ndim < 3 or r < 1 or x.shape[-2] % r or x.shape[-1] % r:
        raise ValueError(
            f"pixel_unshuffle: expected (..., channels, height, width), multiples of "
            f"{r}, got {x.shape}"
        )
    *lead, c, h, w = x.shape
    x = np.moveaxis(x.reshape(*lead, c, h // r, r, w // r, r), (-3, -1), (-4, -3))
    return x.reshape(*lead, c * r**2, h // r, w // r)


@functional
def channel_shuffle(input: Operand, groups: int) -> Array:
    """The channels of (n, channels, ...), those of all groups in turn."""
    x = array(input)
    if x.ndim < 3 or groups < 1 or x.shape[1] % groups:
        raise ValueError(
            f"channel_shuffle: expected (n, channels, ...) of a multiple of {groups} "
            f"channels, got {x.shape}"
        )
    parts = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    return np.swapaxes(parts, 1, 2).reshape(x.shape)
