"""Products of vectors, matrices and arrays of more axes."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ...core.dispatch import implement
from ...core.types import Array, Operand, on_tensors
from ..support.axes import array, kernel, refuse_out
from ..support.define import composed, operation
from ..support.registry import case
from ..support.strong import scaled
from .einsum import Stack, stack_of

__all__ = [
    "cross", "dot", "inner", "kron", "matmul", "matvec", "outer", "tensordot", "trace",
    "vdot", "vecdot", "vecmat",
]  # fmt: skip

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
def matmul(a: Operand, b: Operand) -> Array:
    """Matrix product a @ b, batched over leading axes."""
    return np.matmul(a, b)


def _matmul_a(g: Any, a_shape: Any, b: Any) -> Any:
    # g @ b^T, with a vector as a row on the left and as a column on the right.
    if b.ndim == 1:
        return scaled(g[..., None], b)
    if len(a_shape) == 1:
        return (b @ g[..., None])[..., 0]
    if g.ndim == 2:
        return g @ b.mT
    if b.ndim == 2:
        return (rows(g) @ b.mT).reshape(a_shape)
    x = _joined(g, b, "ij,kj->ik", a_shape)
    return g @ b.mT if x is None else x


def rows(x: Any) -> Any:
    """Return the vectors along the last axis as the rows of a matrix."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _matmul_b(g: Any, a: Any, b_shape: Any) -> Any:
    # a^T @ g, with a vector as a row on the left and as a column on the right.
    if len(b_shape) == 1:
        if a.ndim == 1:
            return scaled(g[..., None], a)
        return a.mT @ g if a.ndim == 2 else rows(a).mT @ g.reshape(-1)
    if a.ndim == 1:
        return scaled(g[..., None, :], a[:, None])
    if g.ndim == 2:
        return a.mT @ g
    if len(b_shape) == 2:
        return rows(a).mT @ rows(g)
    x = _joined(a, g, "ik,ij->kj", b_shape)
    return a.mT @ g if x is None else x


def _joined(x: Any, y: Any, subscripts: str, shape: tuple[int, ...]) -> Any:
    """Return products of a stack, and their sum along axes that a shape lacks, in one.

    The stack along these axes joins what the products sum over. None where there are
    none of these, or where stack and sum are as fast.
    """
    way = _joint(x.shape, y.shape, subscripts, shape)
    if way is None or x.dtype != y.dtype or x.dtype.char not in "fd":
        return None
    stack, shape_x, shape_y = way
    return stack.product(x.reshape(shape_x), y.reshape(shape_y)).reshape(shape)


_LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMALL = 2**13
"""Products in a matrix product, up to which there should be fewer, larger ones."""


@lru_cache(maxsize=4096)
def _joint(
    shape_x: tuple[int, ...],
    shape_y: tuple[int, ...],
    subscripts: str,
    shape: tuple[int, ...],
) -> tuple[Stack, tuple[int, ...], tuple[int, ...]] | None:
    """Return the products of `_joined`, and the operands' shapes without ones."""
    depth = np.broadcast_shapes(shape_x[:-2], shape_y[:-2])
    every = (shape_x, shape_y, shape)
    sizes = [math.prod(s[-2:]) for s in every]
    # Operands are put in another order first, which should cost less than the sum.
    dear = sizes[2] < sizes[0] + sizes[1] and math.isqrt(math.prod(sizes)) > _SMALL
    if dear or shape[:-2] == depth or len(depth) > len(_LABELS):
        return None
    terms, shapes = [], []
    for term, s in zip(subscripts.replace("->", ",").split(","), every, strict=True):
        lengths = (1,) * (len(depth) + 2 - len(s)) + s[:-2]
        has = [i for i, n in enumerate(depth) if lengths[i] == n]
        terms.append("".join(_LABELS[i] for i in has) + term)
        shapes.append((*(depth[i] for i in has), *s[-2:]))
    stack = stack_of(f"{terms[0]},{terms[1]}->{terms[2]}", shapes[0], shapes[1])
    return None if stack is None else (stack, shapes[0], shapes[1])


matmul.vjp(a=_matmul_a, b=_matmul_b)


@kernel("tensordot")
def contract(a, b, axes_a, axes_b):
    """Sum of products over pairs of axes; the axes left of a come before those of b."""
    return np.tensordot(a, b, (axes_a, axes_b))


def _rest(axes: Sequence[int], ndim: int) -> list[int]:
    return [i for i in range(ndim) if i not in axes]


def _contract_a(g: Any, a_shape: Any, b: Any, axes_a: Any, axes_b: Any) -> Any:
    """Return the tensordot of `g` and `b` over the axes of b that were left."""
    # What is summed over are the axes of b; the axes of b that were summed remain.
    free = _rest(axes_a, len(a_shape))
    rest = _rest(axes_b, b.ndim)
    if rest:
        x = np.tensordot(g, b, (range(len(free), g.ndim), rest))
    else:
        x = scaled(np.expand_dims(g, tuple(range(g.ndim, g.ndim + b.ndim))), b)
    order = [*free, *(axes_a[i] for i in np.argsort(axes_b))]
    return x.transpose(tuple(map(int, np.argsort(order))))


def _contract_b(g: Any, a: Any, b_shape: Any, axes_a: Any, axes_b: Any) -> Any:
    """Return the tensordot of `a` and `g` over the axes of a that were left."""
    free = _rest(axes_a, a.ndim)
    if free:
        x = np.tensordot(a, g, (free, range(len(free))))
    else:
        x = scaled(g, np.expand_dims(a, tuple(range(a.ndim, a.ndim + g.ndim))))
    order = [*(axes_b[i] for i in np.argsort(axes_a)), *_rest(axes_b, len(b_shape))]
    return x.transpose(tuple(map(int, np.argsort(order))))


contract.vjp(a=_contract_a, b=_contract_b)


@composed(
    np.tensordot,
    kind="multilinear",
    cases=[
        case((2, 3, 4), (3, 4, 2)),
        case((2, 3), (4,), axes=0),
        case((2, 3, 4), (4, 5, 2), axes=((0, -1), (2, 0))),
        case((3, 2), (2, 4), axes=1),
        case((3,), (3,), axes=(0, 0)),
        case((3, 0), (0, 2), axes=1),
        case((2, 3, 4), (4, 3, 2), axes=([2, 0], [0, 2])),
    ],
)
def tensordot(a: Operand, b: Operand, axes: Operand = 2) -> Array:
    """Sum of products over the last and first `axes` axes, or over pairs of axes."""
    a, b = array(a), array(b)
    if hasattr(axes, "__len__"):
        axes_a, axes_b = axes
    else:
        axes_a, axes_b = tuple(range(-axes, 0)), tuple(range(axes))
    return contract(
        a, b, normalize_axis_tuple(axes_a, a.ndim), normalize_axis_tuple(axes_b, b.ndim)
    )


@composed(
    np.dot,
    kind="multilinear",
    cases=[
        *_PRODUCTS,
        case((), (3,)),
        case((2,), ()),
        case((2, 3, 4), (4, 2)),
        case((2, 3, 4), (4,)),
        case((3,), (2, 3, 4)),
        case((2, 3), (2, 3, 2)),
    ],
)
def dot(a: Operand, b: Operand, out: object = None) -> Operand:
    """Sum of products over the last axis of a and the last but one of b."""
    refuse_out("dot", out)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    return np.matmul(a, b) if np.ndim(b) <= 2 else tensordot(a, b, (-1, -2))


@composed(
    np.inner,
    kind="multilinear",
    cases=[
        case((3,), (3,)),
        case((2, 3), (4, 3)),
        case((2, 3), (3,)),
        case((2, 2, 3), (2, 3)),
        case((), (2, 3)),
    ],
)
def inner(a: Operand, b: Operand) -> Operand:
    """Sum of products over the last axis of both."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    return tensordot(a, b, (-1, -1))


@composed(
    np.vdot,
    kind="multilinear",
    cases=[case((3,), (3,)), case((2, 3), (6,)), case((), ())],
)
def vdot(a: Operand, b: Operand) -> Array:
    """Sum of products of the elements of both, in C order."""
    a, b = array(a), array(b)
    return np.matmul(np.reshape(a, -1), np.reshape(b, -1))


@composed(
    np.outer,
    kind="multilinear",
    cases=[case((3,), (2,)), case((2, 2), (3, 1)), case((), (2,)), case((0,), (2,))],
)
def outer(a: Operand, b: Operand, out: object = None) -> Array:
    """Product of each element of a with each of b, both in C order."""
    refuse_out("outer", out)
    a, b = array(a), array(b)
    return np.multiply(np.reshape(a, (-1, 1)), np.reshape(b, (1, -1)))


@composed(
    np.kron,
    kind="multilinear",
    cases=[
        case((2, 3), (3, 2)),
        case((3,), (2, 2)),
        case((2, 1, 2), (3,)),
        case((), (2, 2)),
        case((2,), ()),
    ],
)
def kron(a: Operand, b: Operand) -> Array:
    """Blocks of b, each times one element of a, in the places of a's elements."""
    a, b = array(a), array(b)
    ndim = max(np.ndim(a), np.ndim(b))
    shape_a = (1,) * (ndim - np.ndim(a)) + np.shape(a)
    shape_b = (1,) * (ndim - np.ndim(b)) + np.shape(b)
    blocks = np.multiply(
        np.reshape(a, tuple(k for n in shape_a for k in (n, 1))),
        np.reshape(b, tuple(k for n in shape_b for k in (1, n))),
    )
    return np.reshape(
        blocks, tuple(n * m for n, m in zip(shape_a, shape_b, strict=True))
    )


@kernel("cross")
def cross_last(a, b):
    """Vector product along the last axis."""
    return np.cross(a, b)


# <g, a x b> = <a, b x g> = <b, g x a>.
cross_last.vjp(a=lambda g, b: np.cross(b, g), b=lambda g, a: np.cross(g, a))


@composed(
    np.cross,
    kind="multilinear",
    cases=[
        case((3,), (3,)),
        case((2, 3), (3,)),
        case((2, 1, 3), (4, 3)),
        case((3, 2), (2, 3), axisa=0, axisc=0),
        case((3, 2), (3, 2), axis=0),
    ],
)
def cross(
    a: Operand,
    b: Operand,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Array:
    """Vector product of vectors of three components."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(array(a), axisa, -1), np.moveaxis(array(b), axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError(
            f"cross: expected vectors of 3 components, got {a.shape[-1]} and "
            f"{b.shape[-1]}; in the plane, write a[..., 0] * b[..., 1] - "
            "a[..., 1] * b[..., 0]"
        )
    return np.moveaxis(cross_last(a, b), -1, axisc)


@operation(
    np.trace,
    kind="linear",
    cases=[
        case((3, 3)),
        case((2, 4), offset=1),
        case((4, 2), offset=-1),
        case((2, 3, 4), axis1=2, axis2=0),
        case((2, 3, 4), axis1=-2, axis2=-1, offset=1),
        case((2, 3), offset=5),
    ],
)
def trace(a: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """Sum of a diagonal of the matrices in two axes."""
    return np.trace(a, offset, axis1, axis2)


def _trace_vjp(g: Any, a_shape: Any, offset: int, axis1: int, axis2: int) -> Any:
    """Return `g` on the diagonal of zeros."""
    axis1, axis2 = normalize_axis_tuple((axis1, axis2), len(a_shape))
    diagonal = np.eye(a_shape[axis1], a_shape[axis2], offset, dtype=bool)
    diagonal = np.expand_dims(
        diagonal if axis1 < axis2 else diagonal.T,
        tuple(_rest((axis1, axis2), len(a_shape))),
    )
    return np.where(diagonal, np.expand_dims(g, (axis1, axis2)), 0)


trace.vjp(a=_trace_vjp)


@kernel("vecdot")
def vecdot_last(a, b):
    """Sum of products along the last axis."""
    return np.vecdot(a, b)


vecdot_last.vjp(
    a=lambda g, b: scaled(g[..., None], b), b=lambda g, a: scaled(g[..., None], a)
)


@composed(
    np.vecdot,
    kind="multilinear",
    cases=[
        case((3,), (3,)),
        case((2, 1, 3), (4, 3)),
        case((3, 2), (3, 2), axis=0),
        case((2, 0), (2, 0)),
    ],
)
def vecdot(a: Operand, b: Operand, axis: int = -1) -> Array:
    """Sum of products along an axis, batched over the others."""
    a, b = array(a), array(b)
    if axis == -1:
        return vecdot_last(a, b)
    return vecdot_last(np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1))


@on_tensors
def matvec(a: Operand, b: Operand) -> Array:
    """Product of matrices and vectors, batched over leading axes."""
    a, b = array(a), array(b)
    return np.matmul(a, np.expand_dims(b, -1))[..., 0]


@on_tensors
def vecmat(a: Operand, b: Operand) -> Array:
    """Product of vectors and matrices, batched over leading axes."""
    a, b = array(a), array(b)
    return np.matmul(np.expand_dims(a, -2), b)[..., 0, :]


if hasattr(np, "matvec"):  # since NumPy 2.2
    composed(
        np.matvec,
        kind="multilinear",
        cases=[case((2, 3), (3,)), case((2, 3), (4, 3)), case((4, 2, 3), (3,))],
    )(matvec)
    composed(
        np.vecmat,
        kind="multilinear",
        cases=[case((2,), (2, 3)), case((4, 2), (2, 3)), case((2,), (4, 2, 3))],
    )(vecmat)


# By name too: np.dot may be somebody's wrapper by now, while NumPy's dispatch passes
# the original.
implement("dot", dot, "numpy.dot")
