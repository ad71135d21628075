"""Linear systems: inverses, solutions, least squares.

The rules for the inverse and the solution are those of M. B. Giles, "Collected matrix
derivative results for forward and reverse mode algorithmic differentiation" (2008).
All are batched over leading axes where NumPy is.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.primitive import primitive
from ...core.tensor import Tensor
from ...core.types import Array, Operand, as_declared
from ..support.axes import array, kernel
from ..support.define import composed, constant, operation
from ..support.registry import Domain, case

__all__ = ["inv", "lstsq", "matrix_rank", "pinv", "solve", "tensorinv", "tensorsolve"]


def _away_from_singular(x: Any) -> Any:
    return x + 6 * np.eye(*x.shape[-2:], dtype=x.dtype) if x.ndim > 1 else x


def _full_rank(x: Any) -> Any:
    """Return matrices with the singular vectors of `x` and values 1, 1.5, 2..."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    return (u * (1 + 0.5 * np.arange(s.shape[-1]))) @ vt


INVERTIBLE = Domain(-2.0, 2.0, shaped=_away_from_singular)
FULL_RANK = Domain(shaped=lambda x: _full_rank(x) if x.ndim > 1 else x)
_SQUARE = [case((3, 3)), case((1, 1)), case((2, 3, 3)), case((0, 2, 2))]


@operation(np.linalg.inv, domains=INVERTIBLE, cases=_SQUARE)
def inv(a: Operand) -> Array:
    """Inverse of square matrices."""
    return np.linalg.inv(a)


inv.vjp(a=lambda g, y: -(y.mT @ g @ y.mT))


@operation(
    np.linalg.solve,
    domains=INVERTIBLE,
    cases=[
        case((3, 3), (3,)),
        case((3, 3), (3, 2)),
        case((2, 3, 3), (3,)),
        case((2, 3, 3), (3, 2)),
        case((3, 3), (2, 3, 2)),
        case((2, 1, 3, 3), (4, 3, 2)),
    ],
)
def solve(a: Operand, b: Operand) -> Array:
    """x with a @ x = b; b is one vector if it has one axis, else it holds matrices."""
    return np.linalg.solve(a, b)


def _solve_b(g: Any, a: Any, b_shape: Any) -> Any:
    """Solve the transposed system, a^T z = g."""
    if len(b_shape) == 1:
        return np.linalg.solve(a.mT, g[..., None])[..., 0]
    return np.linalg.solve(a.mT, g)


def _solve_a(g: Any, y: Any, a: Any, b_shape: Any) -> Any:
    z = _solve_b(g, a, b_shape)
    if len(b_shape) == 1:
        return -z[..., None] * y[..., None, :]
    return -(z @ y.mT)


solve.vjp(a=_solve_a, b=_solve_b)

_RANK = (
    "a matrix where the rank changes: pinv jumps there; the derivative along matrices "
    "of the same rank is taken"
)


@operation(
    np.linalg.pinv,
    domains=FULL_RANK,
    cases=[
        case((3, 3)),
        case((4, 2)),
        case((2, 4)),
        case((2, 3, 2)),
        case((3, 2), rcond=1e-10),
        case((3, 2), rtol=None),
    ],
    kinks=_RANK,
)
def pinv(
    a: Operand,
    rcond: Operand = None,
    hermitian: bool = False,
    rtol: Operand = np._NoValue,
) -> Array:
    """Pseudo-inverse of Moore and Penrose.

    Source of the rule: G. H. Golub and V. Pereyra, "The differentiation of
    pseudo-inverses and nonlinear least squares problems whose variables separate"
    (1973), equation 4.12.
    """
    if hermitian:
        raise TypeError(
            "pinv: hermitian=True is not supported with Tensors, because it reads only "
            "one triangle; pass the whole symmetric matrix with hermitian=False"
        )
    return np.linalg.pinv(a, rcond, rtol=rtol)


def _pinv_vjp(g: Any, a: Any, y: Any) -> Any:
    """Return -P'GP' + (I - AP) G'PP' + P'PG' (I - PA), P = `y`, G = `g`, A = `a`."""
    # With P = pinv(A): -P'GP' + (I - AP) G'PP' + P'PG' (I - PA), ' for transposed.
    p = y.mT
    left = g.mT @ (y @ p)
    right = p @ (y @ g.mT)
    return left - a @ (y @ left) + right - (right @ y) @ a - p @ g @ p


pinv.vjp(a=_pinv_vjp)

matrix_rank = constant(np.linalg.matrix_rank)


@kernel("lstsq", multiple=True)
def least_squares(a, b, rcond):
    """Solution, sums of squared residuals, rank, and singular values."""
    return np.linalg.lstsq(a, b, rcond)


@primitive
def singular_values_known(a, s):
    """Singular values of a, already computed, with the gradient that flows to a."""
    return s


def _inverse_and_residual(a: Any, b: Any, y: Any, rcond: Any) -> tuple[Any, Any, Any]:
    """Return pinv(a), the solution as a matrix, and b - a @ x."""
    if rcond is None or rcond < 0:
        rcond = max(a.shape) * float(np.finfo(a.dtype).eps)
    x, b = (v[:, None] if v.ndim == 1 else v for v in (y[0], b))
    return np.linalg.pinv(a, rcond), x, b - a @ x


def _least_squares_b(g: Any, a: Any, b: Any, y: Any, rcond: Any) -> Any:
    """Return pinv(`a`)' g, and 2 r times the gradient of the residual r."""
    p, _, rest = _inverse_and_residual(a, b, y, rcond)
    z = p.mT @ (g[0][:, None] if b.ndim == 1 else g[0])
    if y[1].size:
        z = z + 2 * rest * g[1]
    return z.reshape(b.shape)


def _least_squares_a(g: Any, a: Any, b: Any, y: Any, rcond: Any) -> Any:
    """Return the gradient through pinv(`a`), and -2 r x' times that of the residual."""
    # The rule of pinv with G = g b', and d|r|^2 = -2 r' dA x as r is orthogonal to A.
    p, x, rest = _inverse_and_residual(a, b, y, rcond)
    gx = g[0][:, None] if b.ndim == 1 else g[0]
    z = p.mT @ gx
    around = (p.mT @ x) @ gx.mT
    dx = rest @ (p @ z).mT + around - (around @ p) @ a - z @ x.mT
    return dx - 2 * (rest * g[1]) @ x.mT if y[1].size else dx


def _singular_values_vjp(g: Any, a: Any) -> Any:
    """Return U diag(`g`) V', U and V being the singular vectors of `a`."""
    u, _, vt = np.linalg.svd(a, full_matrices=False)
    return (u * g) @ vt


least_squares.vjp(a=_least_squares_a, b=_least_squares_b)
singular_values_known.vjp(a=_singular_values_vjp)


@as_declared
@composed(
    np.linalg.lstsq,
    domains=FULL_RANK,
    cases=[
        case((4, 2), (4,)),
        case((4, 2), (4, 3)),
        case((3, 3), (3,)),
        case((2, 4), (2, 2)),
        case((4, 2), (4,), rcond=1e-8),
    ],
    kinks=_RANK,
)
def lstsq(a: Operand, b: Operand, rcond: Operand = None) -> tuple[Operand, ...]:
    """Solution of least squares (and, among several, of least norm).

    Returns the solution, the sums of squared residuals where `a` has full column rank
    and more rows than columns, its rank (a constant), and its singular values.
    """
    x, residuals, rank, s = least_squares(a, b, rcond)
    if type(x) is Tensor:
        return x, residuals, rank.detach(), singular_values_known(a, s.detach())
    return x, residuals, rank, s


@composed(
    np.linalg.tensorinv,
    domains=Domain(-2.0, 2.0, shaped=lambda x: _flat(_away_from_singular, x)),
    cases=[case((4, 2, 2), ind=1), case((2, 2, 2, 2)), case((6, 3, 2), ind=1)],
)
def tensorinv(a: Operand, ind: int = 2) -> Array:
    """Inverse of the linear map that tensordot(a, b, ind) is of b."""
    if ind <= 0:
        raise ValueError(f"tensorinv: expected ind > 0, got {ind}")
    old = np.shape(a)
    rows = math.prod(old[ind:])
    return np.linalg.inv(np.reshape(a, (rows, -1))).reshape(old[ind:] + old[:ind])


def _flat(shaped: Any, x: Any) -> Any:
    side = math.isqrt(x.size)
    return shaped(x.reshape(side, side)).reshape(x.shape) if x.ndim > 2 else x


@composed(
    np.linalg.tensorsolve,
    domains=Domain(-2.0, 2.0, shaped=lambda x: _flat(_away_from_singular, x)),
    cases=[
        case((2, 3, 6), (2, 3)),
        case((2, 2, 2, 2), (2, 2)),
        case((2, 4, 2), (4,), axes=(0,)),
    ],
)
def tensorsolve(a: Operand, b: Operand, axes: Sequence[int] | None = None) -> Array:
    """x with tensordot(a, x, x.ndim) = b; `axes` of a are moved to its end first."""
    a, b = array(a), array(b)
    if axes is not None:
        moved = [i % np.ndim(a) for i in axes]
        stay = [i for i in range(np.ndim(a)) if i not in moved]
        a = np.transpose(a, (*stay, *moved))
    shape = np.shape(a)[np.ndim(b) :]
    side = math.prod(shape)
    if math.prod(np.shape(a)) != side**2:
        raise np.linalg.LinAlgError(
            f"tensorsolve: expected a square system, got a of shape {np.shape(a)} for "
            f"b of shape {np.shape(b)}; prod(a.shape[b.ndim:]) must be prod(b.shape)"
        )
    x = np.linalg.solve(np.reshape(a, (side, side)), np.reshape(b, -1))
    return np.reshape(x, shape)
