"""Activations, element by element but for the last few."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...core.types import Array, Operand
from ...ops.elementwise.logspace import log_softmax as _log_softmax
from ...ops.elementwise.logspace import sigmoid
from ...ops.elementwise.logspace import softplus as _softplus
from ...ops.networks.activations import elu as _elu
from ...ops.networks.activations import leaky_relu as _leaky_relu
from ...ops.networks.neural import softmax as _softmax
from ...ops.support.axes import array, as_dtype
from .common import functional

_SELU = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
"""Scale and alpha that keep mean 0 and variance 1 (Klambauer et al. 2017)."""


@functional
def relu6(input: Operand) -> Array:
    """min(max(x, 0), 6)."""
    return np.clip(input, 0, 6)


@functional
def hardtanh(input: Operand, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """x between two bounds, the nearer bound elsewhere."""
    return np.clip(input, min_val, max_val)


@functional
def hardsigmoid(input: Operand) -> Operand:
    """min(max(x / 6 + 1 / 2, 0), 1)."""
    return np.clip(array(input) / 6 + 0.5, 0, 1)


@functional
def hardswish(input: Operand) -> Operand:
    """x * hardsigmoid(x)."""
    x: Any = array(input)
    return x * hardsigmoid(input)


@functional
def leaky_relu(input: Operand, negative_slope: float = 0.01) -> Operand:
    """x for positive x, negative_slope * x elsewhere."""
    return _leaky_relu(input, negative_slope)


@functional
def prelu(input: Operand, weight: Operand) -> Operand:
    """x for positive x, weight * x elsewhere; one weight, or one for each channel."""
    input, weight = array(input), array(weight)
    if weight.size > 1:
        if input.ndim < 2 or weight.shape != (input.shape[1],):
            raise ValueError(
                f"prelu: expected one weight or one for each channel of {input.shape}, "
                f"got shape {weight.shape}"
            )
        weight = weight.reshape(-1, *[1] * (input.ndim - 2))
    elif weight.ndim > input.ndim:
        weight = weight.reshape(())
    return _leaky_relu(input, weight)


@functional
def elu(input: Operand, alpha: float = 1.0) -> Operand:
    """x for positive x, alpha * (exp(x) - 1) elsewhere."""
    return _elu(input, alpha)


@functional
def celu(input: Operand, alpha: float = 1.0) -> Array:
    """x for positive x, alpha * (exp(x / alpha) - 1) elsewhere."""
    x = array(input)
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha)


@functional
def selu(input: Operand) -> Operand:
    """scale * elu(x, alpha), with numbers that keep mean 0 and variance 1."""
    scale, alpha = _SELU
    return scale * _elu(input, alpha)


@functional
def mish(input: Operand) -> Array:
    """x * tanh(softplus(x))."""
    x: Any = array(input)
    return x * np.tanh(_softplus(input))


@functional
def softplus(input: Operand, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + exp(beta * x)) / beta, x itself where beta * x is above a threshold."""
    z = array(input) * beta
    return np.where(z > threshold, input, _softplus(z) / beta)


@functional
def softsign(input: Operand) -> Array:
    """x / (1 + abs(x))."""
    x = array(input)
    return x / (1 + np.abs(x))


@functional
def logsigmoid(input: Operand) -> Operand:
    """log(sigmoid(x)), exact where the sigmoid underflows."""
    return -_softplus(-array(input))


@functional
def tanhshrink(input: Operand) -> Array:
    """x - tanh(x)."""
    x: Any = array(input)
    return x - np.tanh(input)


@functional
def softshrink(input: Operand, lambd: float = 0.5) -> Array:
    """x moved by lambd towards 0, and 0 within it."""
    if lambd < 0:
        raise ValueError(f"softshrink: lambd must be at least 0, got {lambd}")
    x: Any = array(input)
    return x - np.clip(input, -lambd, lambd)


@functional
def hardshrink(input: Operand, lambd: float = 0.5) -> Array:
    """x where it is beyond lambd on either side, 0 within."""
    x = array(input)
    return np.where(np.abs(x) > lambd, x, 0)


@functional
def threshold(input: Operand, threshold: float, value: float) -> Array:
    """x where it is above a threshold, a value elsewhere."""
    x = array(input)
    return np.where(x > threshold, x, value)


@functional
def softmax(input: Operand, dim: int = -1, *, dtype: DTypeLike | None = None) -> Array:
    """exp(x) / sum(exp(x)) along an axis; computed in a dtype where one is named."""
    return _softmax(as_dtype("softmax", array(input), dtype), dim)


@functional
def softmin(input: Operand, dim: int = -1, *, dtype: DTypeLike | None = None) -> Array:
    """softmax(-x)."""
    return _softmax(-as_dtype("softmin", array(input), dtype), dim)


@functional
def log_softmax(
    input: Operand, dim: int = -1, *, dtype: DTypeLike | None = None
) -> Array:
    """log(softmax(x)), exact where a probability underflows."""
    return _log_softmax(as_dtype("log_softmax", array(input), dtype), dim)


@functional
def glu(input: Operand, dim: int = -1) -> Array:
    """a * sigmoid(b), for the two halves of x along an axis."""
    x = array(input)
    if x.ndim == 0 or x.shape[dim] % 2:
        raise ValueError(
            f"glu: expected an even length along axis {dim}, got shape {x.shape}"
        )
    a, b = np.split(x, 2, dim)
    return a * sigmoid(b)
