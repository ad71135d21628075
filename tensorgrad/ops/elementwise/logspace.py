"""Sums and probabilities handled by their logarithms, without overflow or lost digits.

Infinite entries count: -inf is the logarithm of 0, and equal infinities share a sum as
other ties do.
"""

import math
from typing import Any

import numpy as np

from ...core.tensor import as_array
from ...core.types import Array, Axis, Operand
from ..networks.neural import softmax_vjp
from ..support.axes import counting, kernel, spread
from ..support.define import binary, operation
from ..support.registry import case
from ..support.strong import scaled, zeroed

__all__ = ["log_softmax", "logaddexp", "logaddexp2", "logsumexp", "sigmoid", "softplus"]


@operation()
def sigmoid(x: Operand) -> Array:
    """1 / (1 + exp(-x)), the logistic function."""
    e = np.exp(-np.abs(x))
    # The maximum is 1 for x >= 0 and e elsewhere, without a branch.
    return np.maximum(e, x >= 0) / (1 + e)


sigmoid.vjp(x=lambda g, y: scaled(g, y * (1 - y)))


@operation()
def softplus(x: Operand) -> Array:
    """log(1 + exp(x)), a smooth relu."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


softplus.vjp(x=lambda g, x: scaled(g, sigmoid(x)))

_INFINITE = "equal infinities: they share the gradient equally"


@kernel("subtract")
def _excess(a, b):
    """Return `a - b`, 0 for equal infinities."""
    with np.errstate(invalid="ignore"):
        y = a - b
    return zeroed(y, (y != y) & (a == b))


_excess.vjp(a=lambda g: g, b=lambda g: -g)

logaddexp = binary(
    np.logaddexp,
    "log(exp(a) + exp(b)).",
    kinks=_INFINITE,
    a=lambda g, a, b: scaled(g, sigmoid(_excess(a, b))),
    b=lambda g, a, b: scaled(g, sigmoid(_excess(b, a))),
)
logaddexp2 = binary(
    np.logaddexp2,
    "log2(2 ** a + 2 ** b).",
    kinks=_INFINITE,
    a=lambda g, a, b: scaled(g, sigmoid(_excess(a, b) * math.log(2))),
    b=lambda g, a, b: scaled(g, sigmoid(_excess(b, a) * math.log(2))),
)


def _as_half(y: Any, x: Any) -> Any:
    """Return y, computed in float32, as float16 where `x` is float16."""
    return y.astype(np.float16) if getattr(x, "dtype", None) == np.float16 else y


def _exponentials(x: Any, axis: Any) -> tuple[Any, Any, Any]:
    """Return the maximum m, x - m and the sum of exp(x - m); m may be infinite."""
    x = as_array(x)
    x = x.astype(counting(x.dtype) if x.dtype.kind == "f" else np.float64, copy=False)
    m = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-math.inf)
    z = _excess(x, m)
    return m, z, np.add.reduce(np.exp(z), axis=axis, keepdims=True)


@kernel("softmax")
def _softmax(x, axis):
    """softmax over any axes, also of infinities."""
    _, z, total = _exponentials(x, axis)
    return _as_half(np.exp(z) / total, x)


_softmax.vjp(x=softmax_vjp)


@operation(
    cases=[
        case((3, 4)),
        case(()),
        case((2, 3, 2), axis=1),
        case((2, 3, 2), axis=(0, -1), keepdims=True),
        case((0, 3), axis=1),
    ],
    kinks=_INFINITE,
)
def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Array:
    """Logarithm of the sum of exponentials over axes, log(sum(exp(x))).

    Parameters
    ----------
    x : array_like or Tensor
        Of any shape; may be infinite.
    axis : int, tuple of int or None
        Axes to sum over; all of them where None.
    keepdims : bool
        Whether these axes stay, with length one.

    Returns
    -------
    Tensor or ndarray
        Without the axes summed over; a Tensor where `x` is one.
    """
    m, _, total = _exponentials(x, axis)
    with np.errstate(divide="ignore"):
        y = np.log(total) + m
    return _as_half(y if keepdims else np.squeeze(y, axis)[()], x)


logsumexp.vjp(
    x=lambda g, x, x_shape, axis, keepdims: scaled(
        spread(g, x_shape, axis, keepdims), _softmax(x, axis)
    )
)


@operation(
    cases=[case((3, 4)), case((2, 3, 2), axis=1), case((0, 3)), case((1,))],
    kinks=_INFINITE,
)
def log_softmax(x: Operand, axis: Axis = -1) -> Array:
    """log(softmax(x)) along an axis, exact where the probability underflows.

    Parameters
    ----------
    x : array_like or Tensor
        Logits; may be infinite.
    axis : int
        Along which the probabilities sum to 1.
    """
    _, z, total = _exponentials(x, axis)
    return _as_half(z - np.log(total), x)


def _log_softmax_vjp(g: Any, y: Any, axis: Any) -> Any:
    """Return g - exp(y) * sum(g)."""
    return g - scaled(np.add.reduce(g, axis=axis, keepdims=True), np.exp(y))


log_softmax.vjp(x=_log_softmax_vjp)
