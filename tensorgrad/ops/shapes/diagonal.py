"""Diagonals and triangles of matrices."""

import numpy as np

from ...core.dispatch import hint
from ...core.primitive import primitive
from ...core.types import Array, Operand
from ..support.define import composed, operation, several
from ..support.registry import case
from ..support.scatter import zeros
from .joining import operand

__all__ = [
    "diag", "diag_indices_from", "diagflat", "diagonal", "tril", "tril_indices_from",
    "triu", "triu_indices_from",
]  # fmt: skip


@operation(
    np.diagonal,
    kind="linear",
    cases=[
        case((3, 3)),
        case((2, 4), offset=1),
        case((4, 2), offset=-2),
        case((2, 3, 4), offset=1, axis1=-1, axis2=0),
        case((2, 3), offset=3),
    ],
)
def diagonal(a: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The diagonal of the matrices over two axes, as the last axis."""
    return np.diagonal(a, offset, axis1, axis2)


@primitive
def put_diagonal(x, shape, offset, axis1, axis2):
    """Zeros of a shape with the last axis of x on a diagonal of the others."""
    array = zeros(shape, x.dtype, x)
    at = np.arange(x.shape[-1])
    matrices = np.moveaxis(array, (axis1, axis2), (-2, -1))
    matrices[..., at + max(-offset, 0), at + max(offset, 0)] = x
    return array


diagonal.vjp(
    a=lambda g, a_shape, offset, axis1, axis2: put_diagonal(
        g, a_shape, offset, axis1, axis2
    )
)
put_diagonal.vjp(x=lambda g, offset, axis1, axis2: np.diagonal(g, offset, axis1, axis2))


@composed(
    np.diag,
    kind="linear",
    cases=[case((3,)), case((2,), k=-1), case((3, 3), k=1), case((2, 4))],
)
def diag(v: Operand, k: int = 0) -> Operand:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    v = operand(v)
    if v.ndim not in (1, 2):
        raise ValueError(f"diag: expected one axis or two, got shape {v.shape}")
    return diagflat(v, k) if v.ndim == 1 else np.diagonal(v, k)


@composed(
    np.diagflat,
    kind="linear",
    cases=[case((3,)), case((2, 2), k=1), case((), k=-2), case((0,))],
)
def diagflat(v: Operand, k: int = 0) -> Array:
    """The matrix with all elements on a diagonal."""
    flat = np.ravel(operand(v))
    n = flat.shape[0] + abs(k)
    return put_diagonal(flat, (n, n), k, 0, 1)


_TRIANGLES = [
    case((3, 3)),
    case((2, 4), k=1),
    case((2, 3, 2), k=-1),
    case((3,)),
    case((0, 2)),
]


@operation(np.tril, kind="linear", cases=_TRIANGLES)
def tril(m: Operand, k: int = 0) -> Array:
    """The matrix with zeros above a diagonal."""
    return np.tril(m, k)


@operation(np.triu, kind="linear", cases=_TRIANGLES)
def triu(m: Operand, k: int = 0) -> Array:
    """The matrix with zeros below a diagonal."""
    return np.triu(m, k)


tril.vjp(m=lambda g, k: np.tril(g, k))
triu.vjp(m=lambda g, k: np.triu(g, k))

diag_indices_from = several(np.diag_indices_from)
tril_indices_from = several(np.tril_indices_from)
triu_indices_from = several(np.triu_indices_from)

hint(
    "fill_diagonal",
    "it would write in place; use tg.index_update(a, (i, i), value) with "
    "i = np.arange(min(a.shape)), which returns a new tensor",
)
