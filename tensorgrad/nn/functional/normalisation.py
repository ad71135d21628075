"""Values brought to mean 0 and variance 1, over a batch, a sample or a part of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.mode import no_grad
from ...core.tensor import Tensor, detached
from ...core.types import Array, Operand
from ...ops.networks.neural import standardise, standardise_known
from ...ops.support.axes import array
from .common import cast, floating, functional
from .pooling import avg_pool2d


def _affine(x: Any, weight: Any, bias: Any) -> Any:
    if weight is not None:
        x = x * cast(weight, x)
    return x if bias is None else x + cast(bias, x)


def _channels_affine(x: Any, weight: Any, bias: Any) -> Any:
    """Return x times a weight and plus a bias for each channel."""
    shape = (-1, *[1] * (x.ndim - 2))
    columns = (w if w is None else array(w).reshape(shape) for w in (weight, bias))
    return _affine(x, *columns)


def _last_axes(name: str, x: Any, normalized_shape: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(
            f"{name}: expected samples whose last lengths are {shape}, got {x.shape}"
        )
    return tuple(range(-len(shape), 0))


@functional
def layer_norm(
    input: Operand,
    normalized_shape: Sequence[int],
    weight: Operand = None,
    bias: Operand = None,
    eps: float = 1e-5,
) -> Array:
    """(x - mean) / sqrt(variance + eps) * weight + bias, over the last axes [1]_.

    `normalized_shape` are their lengths, and the shape of weight and bias.

    .. [1] Ba, Kiros and Hinton, "Layer normalization", 2016.
    """
    x = floating(input)
    axes = _last_axes("layer_norm", x, normalized_shape)
    return _affine(standardise(x, axes, eps), weight, bias)


@functional
def rms_norm(
    input: Operand,
    normalized_shape: Sequence[int],
    weight: Operand = None,
    eps: float | None = None,
) -> Array:
    """x / sqrt(mean(x^2) + eps) * weight, over the last axes [1]_.

    `eps` is the spacing of the dtype at 1 where it is None.

    .. [1] Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019.
    """
    x = floating(input)
    axes = _last_axes("rms_norm", x, normalized_shape)
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    root = np.sqrt(np.mean(np.square(x), axis=axes, keepdims=True) + eps)
    return _affine(x / root, weight, None)


@functional
def group_norm(
    input: Operand,
    num_groups: int,
    weight: Operand = None,
    bias: Operand = None,
    eps: float = 1e-5,
) -> Array:
    """As layer_norm, over each group of channels and the axes after them [1]_.

    .. [1] Wu and He, "Group normalization", ECCV 2018.
    """
    x = floating(input)
    if x.ndim < 2 or num_groups < 1 or x.shape[1] % num_groups:
        raise ValueError(
            f"group_norm: expected samples (n, channels, ...) of a multiple of "
            f"{num_groups} channels, got {x.shape}"
        )
    # The lengths are written out: -1 does not work for no samples.
    size = x.size // max(x.shape[0], 1) // num_groups
    groups = x.reshape(x.shape[0], num_groups, size)
    y = standardise(groups, (2,), eps).reshape(x.shape)
    return _channels_affine(y, weight, bias)


@functional
def batch_norm(
    input: Operand,
    running_mean: Operand,
    running_var: Operand,
    weight: Operand = None,
    bias: Operand = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """(x - mean) / sqrt(variance + eps) * weight + bias, for each channel [1]_.

    In training mean and variance are those of the batch, and the running ones, where
    there are any, are moved towards them by `momentum`, in place; else the running ones
    are used.

    .. [1] Ioffe and Szegedy, "Batch normalization", ICML 2015.
    """
    x = floating(input)
    if x.ndim < 2:
        raise ValueError(
            f"batch_norm: expected samples (n, channels, ...), got shape {x.shape}"
        )
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(
                "batch_norm: without training=True it needs running_mean and "
                "running_var"
            )
        # One number for each channel is cheap, so that two passes are enough.
        mean, variance = (cast(detached(r), x) for r in (running_mean, running_var))
        scale = 1 / np.sqrt(variance + eps)
        if weight is not None:
            scale = scale * cast(weight, x)
        shift = -mean * scale if bias is None else cast(bias, x) - mean * scale
        return _channels_affine(x, scale, shift)
    axes = (0, *range(2, x.ndim))
    n = x.size // max(x.shape[1], 1)
    if n < 2:
        raise ValueError(
            f"batch_norm: in training it takes two values or more for each channel, "
            f"got shape {x.shape}"
        )
    y, mean, variance = standardise_known(x, axes, eps)
    _follow(running_mean, mean.reshape(-1), momentum)
    _follow(running_var, variance.reshape(-1) * (n / (n - 1)), momentum)
    return _channels_affine(y, weight, bias)


def _follow(running: Any, new: Any, momentum: float) -> None:
    """Move a running average towards a new value, in place."""
    if running is None:
        return
    with no_grad():
        new = new.detach() if type(new) is Tensor else new
        running[...] = running * (1 - momentum) + new * momentum


@functional
def instance_norm(
    input: Operand,
    running_mean: Operand = None,
    running_var: Operand = None,
    weight: Operand = None,
    bias: Operand = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """As batch_norm, with mean and variance of each channel of each sample [1]_.

    .. [1] Ulyanov, Vedaldi and Lempitsky, "Instance normalization", 2016.
    """
    x = floating(input)
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, 0.0, eps)
    n = x.size // max(math.prod(x.shape[:2]), 1)
    if x.ndim < 3 or n < 2:
        raise ValueError(
            "instance_norm: expected samples (n, channels, ...) of two values or more "
            f"for each channel, got {x.shape}"
        )
    axes = tuple(range(2, x.ndim))
    y, mean, variance = standardise_known(x, axes, eps)
    _follow(running_mean, np.mean(mean, axis=(0, *axes)), momentum)
    _follow(running_var, np.mean(variance, axis=(0, *axes)) * (n / (n - 1)), momentum)
    return _channels_affine(y, weight, bias)


@functional
def local_response_norm(
    input: Operand, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """x / (k + alpha * mean(x^2))^beta, the mean over `size` channels around [1]_.

    .. [1] Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep
       convolutional neural networks", NeurIPS 2012.
    """
    x = floating(input)
    if x.ndim < 3:
        raise ValueError(
            f"local_response_norm: expected (n, channels, length, ...), got {x.shape}"
        )
    rows = np.square(x).reshape(x.shape[0], 1, x.shape[1], math.prod(x.shape[2:]))
    before = size // 2
    padded = np.pad(rows, ((0, 0), (0, 0), (before, size - 1 - before), (0, 0)))
    mean = avg_pool2d(padded, (size, 1), 1).reshape(x.shape)
    return x / (k + alpha * mean) ** beta
