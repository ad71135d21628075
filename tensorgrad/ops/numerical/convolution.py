"""Convolution and correlation of vectors."""

from typing import Any

import numpy as np

from ...core.types import Array, Operand, Option
from ..shapes.index import put_part
from ..support.axes import turned
from ..support.define import operation
from ..support.registry import case

__all__ = ["convolve", "correlate"]


@operation(
    np.convolve,
    kind="multilinear",
    cases=[
        case((5,), (3,)),
        case((3,), (4,)),
        case((), (3,)),
        *(case((5,), (n,), mode="same") for n in (2, 3)),
        case((2,), (4,), mode="same"),
        case((5,), (2,), mode="valid"),
        case((2,), (3,), mode="valid"),
    ],
)
def convolve(a: Operand, v: Operand, mode: Option = "full") -> Array:
    """Product of polynomials, y_k = sum_i a_i v_(k-i); all of it or its middle."""
    return np.convolve(a, v, mode)


def _length(shape: tuple[int, ...]) -> int:
    return shape[0] if shape else 1


def _full_gradient(g: Any, a_shape: Any, v_shape: Any, start: int) -> Any:
    """Return the gradient of the full convolution; g is its part from `start`."""
    n = _length(a_shape) + _length(v_shape) - 1
    if g.shape == (n,):
        return g
    return put_part(g, slice(start, start + g.shape[0]), (n,))


def _convolved(g: Any, a_shape: Any, v_shape: Any) -> Any:
    # The middle of the full result, which begins where the arrays overlap enough.
    missing = _length(a_shape) + _length(v_shape) - 1 - g.shape[0]
    return _full_gradient(g, a_shape, v_shape, missing // 2)


def _against(g: Any, v: Any, shape: Any) -> Any:
    """Return `convolve(g, reversed(v), 'valid')`: sum_k g_k v_(k-i)."""
    return np.convolve(g, turned(np.reshape(v, -1), 0), "valid").reshape(shape)


convolve.vjp(
    a=lambda g, v, a_shape, v_shape: _against(
        _convolved(g, a_shape, v_shape), v, a_shape
    ),
    v=lambda g, a, a_shape, v_shape: _against(
        _convolved(g, a_shape, v_shape), a, v_shape
    ),
)


@operation(
    np.correlate,
    kind="multilinear",
    cases=[
        case((5,), (3,)),
        case((2,), (4,)),
        *(case((5,), (n,), mode="same") for n in (2, 3, 4)),
        *(case((n,), (5,), mode="same") for n in (2, 3, 4)),
        case((4,), (4,), mode="same"),
        case((4,), (2,), mode="full"),
        case((2,), (4,), mode="full"),
    ],
)
def correlate(a: Operand, v: Operand, mode: Option = "valid") -> Array:
    """Sliding scalar products, y_k = sum_i a_(i+k) v_i."""
    return np.correlate(a, v, mode)


def _correlated(g: Any, a_shape: Any, v_shape: Any) -> Any:
    n, m = _length(a_shape), _length(v_shape)
    missing = n + m - 1 - g.shape[0]
    # With the shorter array first NumPy reverses, and rounds to the other side.
    start = missing // 2 if n >= m else (missing + 1) // 2
    return _full_gradient(g, a_shape, v_shape, start)


# A correlation is the convolution with v reversed.
correlate.vjp(
    a=lambda g, v, a_shape, v_shape: np.convolve(
        _correlated(g, a_shape, v_shape), np.reshape(v, -1), "valid"
    ).reshape(a_shape),
    v=lambda g, a, a_shape, v_shape: turned(
        _against(_correlated(g, a_shape, v_shape), a, -1), 0
    ).reshape(v_shape),
)
