"""Determinants, exact to every order, at singular matrices too."""

from collections import namedtuple
from itertools import combinations, permutations
from typing import Any

import numpy as np

from ...core.primitive import primitive
from ...core.tensor import Tensor
from ...core.types import Array, Operand, as_declared
from ..support.axes import kernel
from ..support.define import composed, operation
from ..support.registry import case
from .systems import INVERTIBLE

__all__ = ["det", "slogdet"]

_CASES = [case((3, 3)), case((1, 1)), case((2, 3, 3)), case((2, 1, 2, 2))]


@operation(np.linalg.det, domains=INVERTIBLE, cases=_CASES)
def det(a: Operand) -> Array:
    """Determinant of square matrices.

    Its gradient is the matrix of cofactors, which exists at singular matrices too; for
    large matrices use :func:`slogdet`, which neither over- nor underflows.
    """
    return np.linalg.det(a)


def _det_vjp(g: Any, a: Any) -> Any:
    """Return `g` times the cofactors."""
    return g[..., None, None] * det_slope(a)


det.vjp(a=_det_vjp)


@primitive
def det_slope(*arrays):
    """Gradient in A of the derivative of det at A along the other arrays, k of them.

    The determinant is a polynomial, and with A = U S V' its derivative along k + 1
    directions is, in the coordinates U' G V, the sum over distinct rows of the product
    of the other singular values times a signed sum over permutations. No singular value
    is divided by, so singular matrices need no care. Without directions these are the
    cofactors. The derivative is symmetric in its directions, so the rule below is the
    same function with one direction more.

    Time and memory grow as n**(k + 1), after the decomposition.
    """
    u, s, vt = np.linalg.svd(arrays[0])
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vt))[..., None, None]
    directions = [u.mT @ g @ vt.mT for g in arrays[1:]]
    return sign * (u @ _diagonal_slope(s, directions) @ vt)


def _det_slope_vjp(i: int, g: Any, arrays: Any) -> Any:
    """Return the derivative of that of det, along `g` too."""
    return det_slope(*(arrays[:i] + arrays[i + 1 :] if i else arrays), g)


det_slope.vjp(arrays=_det_slope_vjp)


def _diagonal_slope(s: Any, directions: list[Any]) -> Any:
    """Return what det_slope does for the diagonal matrix of `s`."""
    k = len(directions)
    rows = "abcdefghijklmnop"[: k + 1]
    others = _products_without(s, k + 1)
    identity = np.eye(s.shape[-1], dtype=s.dtype)
    total: Any = 0
    for columns in permutations(rows):
        terms = [f"...{r}{c}" for r, c in zip(rows[:k], columns[:k], strict=True)]
        last = rows[k] if columns[k] == rows[k] else rows[k] + columns[k]
        subscripts = ",".join([f"...{rows}", *terms]) + f"->...{last}"
        part = np.einsum(subscripts, others, *directions)
        part = part[..., None] * identity if len(last) == 1 else part
        total = total + _parity(rows, columns) * part
    return total


def _parity(rows: str, columns: tuple[str, ...]) -> int:
    swaps = sum(a > b for a, b in combinations(map(rows.index, columns), 2))
    return -1 if swaps % 2 else 1


def _products_without(s: Any, k: int) -> Any:
    """Return the product of `s` without its elements in k places, the last k axes.

    What it is where two places are the same cancels in a signed sum over permutations.
    """
    products = s
    for _ in range(k - 1):
        products = np.where(np.eye(s.shape[-1], dtype=bool), 1, products[..., None, :])
    before, after = np.ones_like(products), np.ones_like(products)
    before[..., 1:] = np.cumprod(products[..., :-1], axis=-1)
    after[..., :-1] = np.cumprod(products[..., :0:-1], axis=-1)[..., ::-1]
    return before * after


SlogdetResult = namedtuple("SlogdetResult", "sign logabsdet")


@kernel("slogdet", multiple=True)
def sign_and_log(a):
    """Sign and logarithm of the absolute value of the determinant."""
    return tuple(np.linalg.slogdet(a))


def _sign_and_log_vjp(g: Any, a: Any, y: Any) -> Any:
    """Return the gradient of the logarithm times inv(`a`) transposed."""
    # inv(a)^T; where a is singular, log |det| has no slope to be multiplied by.
    singular = (y[0] == 0)[..., None, None]
    g = g[1][..., None, None]
    regular = np.where(singular, np.eye(a.shape[-1], dtype=a.dtype), a)
    nothing = np.where(g == 0, 0, np.asarray(np.nan, dtype=g.dtype))
    return np.where(singular, nothing, g * np.linalg.inv(regular).mT)


sign_and_log.vjp(a=_sign_and_log_vjp)


@as_declared
@composed(
    np.linalg.slogdet,
    domains=INVERTIBLE,
    cases=_CASES,
    kinks="det(a) = 0: 0 where the incoming gradient is 0, else nan",
)
def slogdet(a: Operand) -> SlogdetResult:
    """Sign, a constant, and logarithm of the absolute value of the determinant."""
    sign, logabsdet = sign_and_log(a)
    return SlogdetResult(sign.detach() if type(sign) is Tensor else sign, logabsdet)
