"""Products of matrices."""

from typing import Any

import numpy as np

from ..core.dispatch import implement
from ..core.registry import case
from .define import composed, operation

_PRODUCTS = [
    case((3, 4), (4, 2)),
    case((4,), (4, 2)),
    case((3, 4), (4,)),
    case((4,), (4,)),
    case((0, 3), (3, 2)),
    case((3, 0), (0, 2)),
]


@operation(
    np.matmul,
    kind="multilinear",
    cases=[
        *_PRODUCTS,
        case((2, 3, 4), (4, 2)),
        case((3, 4), (2, 4, 2)),
        case((5, 1, 3, 4), (2, 4, 2)),
        case((4,), (2, 4, 3)),
        case((2, 3, 4), (4,)),
    ],
)
def matmul(a, b):
    """Matrix product a @ b, batched over leading axes."""
    return np.matmul(a, b)


def _left(g: Any, a_shape: Any, b: Any) -> Any:
    # g @ b^T, with a vector as a row on the left and as a column on the right.
    if b.ndim == 1:
        return g[..., None] * b
    if len(a_shape) == 1:
        return (b @ g[..., None])[..., 0]
    return g @ b.mT


def _right(g: Any, a: Any, b_shape: Any) -> Any:
    # a^T @ g, with a vector as a row on the left and as a column on the right.
    if len(b_shape) == 1:
        return (a * g[..., None]) if a.ndim == 1 else (a.mT @ g[..., None])[..., 0]
    if a.ndim == 1:
        return a[:, None] * g[..., None, :]
    return a.mT @ g


matmul.vjp(a=_left, b=_right)


@composed(
    np.dot, kind="multilinear", cases=[*_PRODUCTS, case((), (3,)), case((2,), ())]
)
def dot(a: Any, b: Any) -> Any:
    """Product of vectors and matrices; of a scalar and an array."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    if np.ndim(b) > 2:
        raise ValueError(
            f"dot: expected arrays of up to 2 axes on the right, got shape "
            f"{np.shape(b)}; use matmul for batches"
        )
    return np.matmul(a, b)


# By name too: np.dot may be somebody's wrapper by now, while NumPy's dispatch passes
# the original.
implement("dot", dot, "numpy.dot")
