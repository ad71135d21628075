"""Activation functions of neural networks besides relu, and dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...core.observe import host
from ...core.types import Array, Operand, on_tensors
from ..elementwise.logspace import sigmoid
from ..elementwise.special import erfc, in_blocks, scaled_erfc
from ..support.axes import kernel
from ..support.define import operation
from ..support.registry import NONZERO, Domain, case, describe
from ..support.strong import scaled

__all__ = ["dropout", "elu", "gelu", "leaky_relu", "silu"]

_BOUND = 1000.0
"""From here on exp(-x) is 0 in every type, and inf * 0 is to be avoided."""


@operation()
def silu(x: Operand) -> Array:
    """x * sigmoid(x), also called swish."""
    return np.maximum(x, -_BOUND) * sigmoid(x)


def _silu_vjp(g: Any, x: Any) -> Any:
    """Return `g * (s + x * s * (1 - s))` with s = sigmoid(`x`)."""
    s = sigmoid(x)
    return scaled(g, s + np.clip(x, -_BOUND, _BOUND) * (s * (1 - s)))


silu.vjp(x=_silu_vjp)


def _normal_parts(x: Any) -> tuple[Any, Any]:
    """Return x * P(X <= x) and its slope, for float32 and float64.

    What is missing to max(x, 0), and to the slope of that, is even and odd in x.
    """
    size = np.minimum(np.abs(x), 14.5 if x.dtype == np.float32 else 39)
    density = np.exp(size * size * -0.5)
    tail = scaled_erfc(size * math.sqrt(0.5))
    tail *= density
    tail *= 0.5
    y = np.maximum(x, 0)
    y -= size * tail
    density *= size
    density *= 1 / math.sqrt(2 * math.pi)
    tail -= density
    sign = np.copysign(1.0, x)
    tail *= sign
    return y, (sign > 0) - tail


def _logistic_parts(x: Any) -> tuple[Any, Any]:
    """Return x / 2 * (1 + tanh(u)) and its slope.

    (1 + tanh(u)) / 2 is sigmoid(2u), which keeps its digits where tanh(u) nears -1.
    """
    near, u, slope = _tanh_argument(x)
    s = sigmoid(u)
    return np.maximum(x, -_BOUND) * s, s + near * (s * (1 - s)) * slope


def _tanh_argument(x: Any) -> tuple[Any, Any, Any]:
    """Return x bounded to 25, where its cube suffices, 2 u(x) and its slope 2 u'(x)."""
    x = np.clip(x, -25, 25)
    scale, cubic = 2 * math.sqrt(2 / math.pi), 0.044715
    return x, scale * (x + cubic * (x * x * x)), scale * (1 + 3 * cubic * (x * x))


def _gelu_slope(x: Any, approximate: str) -> Any:
    """Return the slope by operations; of the density beyond 39 nothing is left."""
    if approximate == "tanh":
        return _logistic_parts(x)[1]
    near = np.clip(x, -39, 39)
    density = np.exp(near * near * -0.5) * (1 / math.sqrt(2 * math.pi))
    return erfc(x * -math.sqrt(0.5)) * 0.5 + near * density


@kernel("gelu", residuals={"slope": _gelu_slope})
def _gelu(x, approximate):
    """Gaussian error linear unit, and its slope."""
    return in_blocks(_normal_parts if approximate == "none" else _logistic_parts, x)


_gelu.vjp(x=lambda g, slope: scaled(g, slope))


@on_tensors
def gelu(x: Operand, approximate: str = "none") -> Array:
    """Gaussian error linear unit, x * P(X <= x) for a standard normal X.

    With ``approximate="tanh"``: x / 2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3).
    Both are exact where the factor underflows (Hendrycks and Gimpel 2016, "Gaussian
    error linear units").

    Parameters
    ----------
    x : array_like or Tensor
        Of any shape.
    approximate : {"none", "tanh"}
        Which of the two to compute.

    Returns
    -------
    Tensor or ndarray
        Of the shape of `x`; a Tensor where `x` is one.

    Raises
    ------
    ValueError
        If `approximate` is neither.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(
            f'gelu: approximate must be "none" or "tanh", got {approximate!r}'
        )
    return _gelu(x, approximate)


describe(gelu, gelu, cases=[case((3, 4)), case(()), case((3,), approximate="tanh")])


@operation(
    kind="piecewise",
    domains=(NONZERO, Domain(0.1, 0.9)),
    cases=[case((3, 4)), case((), negative_slope=0.2), case((2, 3), (3,))],
    kinks="x = 0: the slope on the left, as relu's",
)
def leaky_relu(x: Operand, negative_slope: Operand = 0.01) -> Array:
    """x for positive x, negative_slope * x elsewhere; the slope may be learned.

    Parameters
    ----------
    x : array_like or Tensor
        Of any shape.
    negative_slope : float, array_like or Tensor
        Of a shape that broadcasts with that of `x`.
    """
    return np.maximum(x, 0) + negative_slope * np.minimum(x, 0)


leaky_relu.vjp(
    x=lambda g, x, negative_slope: np.where(x > 0, g, scaled(g, negative_slope)),
    negative_slope=lambda g, x: scaled(g, np.minimum(x, 0)),
)


@operation(
    kind="piecewise",
    domains=NONZERO,
    cases=[case((3, 4)), case((), alpha=0.5)],
    kinks="x = 0: alpha, the slope on the left",
)
def elu(x: Operand, alpha: float = 1.0) -> Array:
    """x for positive x, alpha * (exp(x) - 1) elsewhere.

    Parameters
    ----------
    x : array_like or Tensor
        Of any shape.
    alpha : float
        What the negative side tends to, with a minus.
    """
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0))


elu.vjp(
    x=lambda g, x, alpha: np.where(
        x > 0, g, scaled(g, alpha * np.exp(np.minimum(x, 0)))
    )
)


@on_tensors
def dropout(
    x: Operand,
    rate: float = 0.5,
    *,
    rng: np.random.Generator | int | None,
    training: bool = True,
) -> Array:
    """Zero each element with probability `rate`, scale the others by 1 / (1 - rate).

    Parameters
    ----------
    x : array_like or Tensor
        Of any shape.
    rate : float
        From 0 to 1.
    rng : Generator, int or None
        What draws which elements to zero: a generator, which goes on from call to
        call; a seed, the same elements each time; None, fresh entropy.
    training : bool
        False returns `x` as it is.

    Returns
    -------
    Tensor or ndarray
        Of the shape of `x`; a Tensor where an argument is one.

    Raises
    ------
    ValueError
        If `rate` is not from 0 to 1.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout: rate must be from 0 to 1, got {rate}")
    if not training:
        return x
    draws = _draws(rng, np.shape(x))
    scale = 1 / (1 - rate) if rate < 1 else 0.0
    return np.where(draws >= rate, x, 0) * scale


@host
def _draws(rng: Any, shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(rng).random(shape, dtype=np.float32)


describe(
    dropout,
    dropout,
    kind="linear",
    cases=[
        case((4, 5), rng=0),
        case((3,), rate=0.2, rng=1),
        case((3,), rate=1.0, rng=2),
        case((2,), rng=3, training=False),
    ],
)
