"""Functions of numpy.linalg whose names NumPy has at top level too.

They come from the array API standard, which has matrices in the last two axes.
"""

import numpy as np

from ...core.dispatch import implement
from ...core.types import Array, Operand
from ..support.define import composed
from ..support.registry import case
from . import products
from .products import cross, matmul, tensordot, vecdot

__all__ = [
    "cross", "diagonal", "matmul", "matrix_transpose", "outer", "tensordot", "trace",
    "vecdot",
]  # fmt: skip

implement("matmul", matmul, np.linalg.matmul)
implement("tensordot", tensordot, np.linalg.tensordot)
implement("vecdot", vecdot, np.linalg.vecdot)
implement("cross", cross, np.linalg.cross)


@composed(
    np.linalg.outer,
    name="linalg_outer",
    kind="multilinear",
    cases=[case((3,), (2,))],
)
def outer(x1: Operand, x2: Operand) -> Operand:
    """Product of each element of one vector with each of another."""
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(
            f"numpy.linalg.outer: expected vectors, got shapes {np.shape(x1)} and "
            f"{np.shape(x2)}; numpy.outer flattens them"
        )
    return products.outer(x1, x2)


@composed(
    np.linalg.trace,
    name="linalg_trace",
    kind="linear",
    cases=[case((2, 3, 3), offset=-1)],
)
def trace(x: Operand, *, offset: int = 0) -> Operand:
    """Sum of a diagonal of the matrices in the last two axes."""
    return products.trace(x, offset, -2, -1)


@composed(
    np.linalg.diagonal,
    name="linalg_diagonal",
    kind="linear",
    cases=[case((2, 3, 3), offset=1)],
)
def diagonal(x: Operand, *, offset: int = 0) -> Array:
    """Diagonal of the matrices in the last two axes."""
    return np.diagonal(x, offset, -2, -1)


@composed(
    np.linalg.matrix_transpose,
    name="linalg_matrix_transpose",
    kind="linear",
    cases=[case((2, 3, 4))],
)
def matrix_transpose(x: Operand) -> Array:
    """The last two axes exchanged."""
    return np.swapaxes(x, -1, -2)
