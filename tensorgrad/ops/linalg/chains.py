"""Products of many matrices."""

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ...core.types import Array, Operand
from ..support.axes import array, refuse_out
from ..support.define import composed
from ..support.registry import case
from .systems import INVERTIBLE

__all__ = ["matrix_power", "multi_dot"]


@composed(
    np.linalg.multi_dot,
    kind="multilinear",
    cases=[
        case([(2, 3), (3, 4)]),
        case([(2, 3), (3, 4), (4, 2)]),
        case([(3,), (3, 4), (4, 2), (2,)]),
        case([(4, 2), (2, 5), (5, 1), (1, 3), (3,)]),
        case([(3,), (3, 2), (2, 4)]),
    ],
)
def multi_dot(arrays: Sequence[Operand], *, out: object = None) -> Array:
    """Product of several matrices in the order that takes the fewest multiplications.

    The first and the last may be vectors. The order is found by dynamic programming
    (Cormen et al., Introduction to Algorithms, 3rd ed. 2009, section 15.2).
    """
    refuse_out("multi_dot", out)
    if len(arrays) < 2:
        raise ValueError(
            f"multi_dot: expected at least two arrays, got {len(arrays)}; use matmul"
        )
    factors = list(map(array, arrays))
    shape = factors[0].shape[:-1] + factors[-1].shape[1:]
    if factors[0].ndim == 1:
        factors[0] = factors[0].reshape((1, -1))
    if factors[-1].ndim == 1:
        factors[-1] = factors[-1].reshape((-1, 1))
    if any(f.ndim != 2 for f in factors):
        raise ValueError(
            "multi_dot: expected matrices, with vectors only at the ends, got shapes "
            f"{', '.join(str(np.shape(a)) for a in arrays)}"
        )
    sizes = (factors[0].shape[0], *(f.shape[1] for f in factors))
    return _chain(factors, sizes, 0, len(factors)).reshape(shape)


def _chain(factors: list[Any], sizes: tuple[int, ...], i: int, j: int) -> Any:
    if j - i == 1:
        return factors[i]
    k = _cheapest(sizes, i, j)[1]
    return np.matmul(_chain(factors, sizes, i, k), _chain(factors, sizes, k, j))


@lru_cache(maxsize=4096)
def _cheapest(sizes: tuple[int, ...], i: int, j: int) -> tuple[int, int]:
    """Return the multiplications for factors i to j, and where to split them."""
    if j - i == 1:
        return 0, j
    splits = (
        (
            _cheapest(sizes, i, k)[0]
            + _cheapest(sizes, k, j)[0]
            + sizes[i] * sizes[k] * sizes[j],
            k,
        )
        for k in range(i + 1, j)
    )
    return min(splits)


@composed(
    np.linalg.matrix_power,
    domains=INVERTIBLE,
    cases=[
        case((3, 3), n=1),
        case((3, 3), n=2),
        case((2, 2, 2), n=3),
        case((2, 2), n=6),
        case((2, 2), n=-1),
        case((2, 2, 2), n=-3),
    ],
)
def matrix_power(a: Operand, n: int) -> Array:
    """Product of n copies of a square matrix, of its inverse where n is negative."""
    n = operator.index(n)
    shape = np.shape(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise np.linalg.LinAlgError(
            f"matrix_power: expected square matrices, got shape {shape}"
        )
    if n == 0:
        return np.zeros_like(a) + np.eye(shape[-1], dtype=bool)
    if n < 0:
        a, n = np.linalg.inv(a), -n
    return np.matmul(np.matmul(a, a), a) if n == 3 else _power(a, n)


def _power(a: Any, n: int) -> Any:
    """Multiply the squares of squares that the binary digits of n call for."""
    y = None
    while True:
        n, odd = divmod(n, 2)
        if odd:
            y = a if y is None else np.matmul(y, a)
        if not n:
            return y
        a = np.matmul(a, a)
