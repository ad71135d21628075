"""Factors of a matrix: Cholesky, QR, symmetric eigenvalues, singular values.

All are batched over leading axes. Functions of symmetric matrices read one triangle,
as in NumPy, and the gradient is that of what is read: it lies in that triangle, where
an element off the diagonal stands for both of its places, and is 0 in the other. So it
equals differences of the NumPy function entry by entry. For a gradient that is
symmetric itself, apply the function to ``(a + a.mT) / 2``.

Where eigenvalues or singular values coincide to rounding, their vectors turn freely
among themselves and have no derivative. Functions of the values alone, and of other
vectors, keep their gradient. What flows to the coinciding vectors themselves gives
nan, because the rule cannot tell a function that has a gradient there (the product of
the factors) from one without. Where exactly 0 flows to them, the part of the gradient
that would turn them is 0.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from ...core.dispatch import hint
from ...core.types import Array, Operand, Option, as_declared
from ..support.axes import kernel
from ..support.define import composed, operation
from ..support.registry import Domain, case
from .systems import INVERTIBLE

__all__ = ["cholesky", "eigh", "eigvalsh", "qr", "svd", "svdvals"]

_SQUARE = [case((3, 3)), case((1, 1)), case((2, 3, 3)), case((2, 1, 2, 2))]


def _definite(x: Any) -> Any:
    return x @ x.mT / x.shape[-1] + np.eye(x.shape[-1], dtype=x.dtype)


def _vectors(x: Any) -> tuple[Any, Any]:
    """Return singular vectors away from where LAPACK turns their signs.

    It does so for 2 by 2 matrices where columns are orthogonal, or elements of the
    diagonal equal; the roots keep samples, which are evenly spaced, off those.
    """
    shifted = x + np.sqrt(np.arange(2, x.shape[-1] + 2))
    u, _, vt = np.linalg.svd(shifted, full_matrices=False)
    return u, vt


def _separated(x: Any) -> Any:
    """Return matrices of the shape of `x` with singular values ..., 3, 2, 1."""
    u, vt = _vectors(x)
    return (u * np.arange(vt.shape[-2], 0, -1)) @ vt


def _symmetric(x: Any) -> Any:
    """Return symmetric matrices with eigenvalues -2, 1, 4..."""
    u, _ = _vectors(x)
    return (u * np.arange(-2, 3 * x.shape[-1] - 2, 3)) @ u.mT


DEFINITE = Domain(shaped=_definite)
SEPARATED = Domain(shaped=_separated)
SYMMETRIC = Domain(shaped=_symmetric)


def _triangle(n: int, dtype: Any, upper: bool) -> Any:
    """Return 1 within a triangle, 1/2 on its diagonal, 0 beyond it."""
    lower = np.tri(n, dtype=dtype) - np.eye(n, dtype=dtype) / 2
    return lower.T if upper else lower


def _folded(x: Any, upper: bool) -> Any:
    """Return the gradient in the triangle that is read, from one in all places."""
    return (x + x.mT) * _triangle(x.shape[-1], x.dtype, upper)


def _over(x: Any, gap: Any, largest: Any, used: Any) -> Any:
    """Return x / gap; where that is 0 to rounding, 0 if not `used`, else nan."""
    eps = float(np.finfo(gap.dtype).eps)
    zero = np.abs(gap) <= gap.shape[-1] * eps * largest
    undetermined = np.where(used == 0, 0, np.asarray(np.nan, dtype=gap.dtype))
    return np.where(zero, undetermined, x / np.where(zero, 1, gap))


def _gaps(w: Any) -> Any:
    """Return w_j - w_i."""
    return w[..., None, :] - w[..., :, None]


def _off_diagonal(x: Any) -> Any:
    return np.where(np.eye(x.shape[-1], dtype=bool), 0, x)


def _diagonal(x: Any) -> Any:
    return np.where(np.eye(x.shape[-1], dtype=bool), x[..., None, :], 0)


@operation(
    np.linalg.cholesky,
    domains=DEFINITE,
    cases=[*_SQUARE, case((3, 3), upper=True), case((2, 2, 2), upper=True)],
)
def cholesky(a: Operand, upper: bool = False) -> Array:
    """Lower triangular L with L L' = a, or upper U with U' U = a; one triangle is read.

    Source of the rule: I. Murray, "Differentiation of the Cholesky decomposition"
    (2016), equation 10.
    """
    return np.linalg.cholesky(a, upper=upper)


def _cholesky_vjp(g: Any, y: Any, upper: bool) -> Any:
    """Return `inv(y).mT @ lower(y.mT @ g) @ inv(y)`, in the half that was read."""
    if upper:
        g, y = g.mT, y.mT
    inverse = np.linalg.inv(y)
    inner = (y.mT @ g) * _triangle(y.shape[-1], y.dtype, upper=False)
    return _folded(inverse.mT @ inner @ inverse, upper)


cholesky.vjp(a=_cholesky_vjp)


QRResult = namedtuple("QRResult", "Q R")


@kernel("qr", multiple=True)
def reduced_qr(a):
    """Q with min(m, n) orthonormal columns and R upper triangular, Q R = a."""
    return tuple(np.linalg.qr(a))


def _reduced_qr_vjp(g: Any, y: Any) -> Any:
    """Return (gQ + Q sym(M)) inv(R)' with M = R gR' - gQ' Q; wide ones in parts."""
    (gq, gr), (q, r) = g, y
    n = q.shape[-1]
    if r.shape[-1] == n:
        return _tall_qr_vjp(gq, gr, q, r)
    further, g_further = r[..., n:], gr[..., n:]
    square = _tall_qr_vjp(gq + q @ (further @ g_further.mT), gr[..., :n], q, r[..., :n])
    return np.concatenate([square, q @ g_further], axis=-1)


def _tall_qr_vjp(gq: Any, gr: Any, q: Any, r: Any) -> Any:
    # (gQ + Q sym(M)) R^-T with M = R gR' - gQ' Q, of which sym mirrors the lower half.
    n = r.shape[-1]
    lower = (r @ gr.mT - gq.mT @ q) * _triangle(n, r.dtype, upper=False)
    return np.linalg.solve(r, (gq + q @ (lower + lower.mT)).mT).mT


reduced_qr.vjp(a=_reduced_qr_vjp)


@as_declared
@composed(
    np.linalg.qr,
    domains=INVERTIBLE,
    cases=[
        *_SQUARE,
        case((4, 2)),
        case((2, 4)),
        case((2, 3, 2)),
        case((2, 2, 3), mode="complete"),
        case((4, 2), mode="r"),
    ],
)
def qr(a: Operand, mode: str = "reduced") -> Operand:
    """Orthonormal Q and upper triangular R with Q R = a.

    The first min(m, n) columns of a must be linearly independent. The mode "complete"
    is refused for more rows than columns, where the columns added to Q are arbitrary.

    Sources of the rule: S. F. Walter and L. Lehmann, "Algorithmic differentiation of
    linear algebra functions with application in optimum experimental design" (2010);
    for wide matrices, D. A. O. Roberts and L. R. Roberts, "QR and LQ decomposition
    matrix backpropagation algorithms for square, wide, and deep matrices" (2020).
    """
    shape = np.shape(a)
    if mode not in ("reduced", "r") and (mode != "complete" or shape[-2] > shape[-1]):
        raise ValueError(
            f"qr: mode={mode!r} has no gradient for shape {shape}; use mode='reduced' "
            "or mode='r'"
        )
    q, r = reduced_qr(a)
    return r if mode == "r" else QRResult(q, r)


_COINCIDE = "coinciding {}: nan from what flows to their vectors; values as usual"


EighResult = namedtuple("EighResult", "eigenvalues eigenvectors")


@kernel("eigh", multiple=True)
def symmetric_eigen(a, UPLO):  # noqa: N803
    """Eigenvalues and eigenvectors of symmetric matrices."""
    return tuple(np.linalg.eigh(a, UPLO))


def _symmetric_eigen_vjp(g: Any, y: Any, UPLO: str) -> Any:  # noqa: N803
    """Return V (diag(gw) + V'gV / gaps) V', with the gaps between eigenvalues."""
    # V (diag(gw) + F * (V' gV)) V' with F_ij = 1 / (w_j - w_i) off the diagonal.
    (gw, gv), (w, v) = g, y
    largest = np.maximum(np.abs(w[..., :1]), np.abs(w[..., -1:]))[..., None]
    turn = _off_diagonal(v.mT @ gv)
    inner = _diagonal(gw) + _over(turn, _gaps(w), largest, turn)
    return _folded(v @ inner @ v.mT, UPLO.upper() == "U")


symmetric_eigen.vjp(a=_symmetric_eigen_vjp)


@as_declared
@composed(
    np.linalg.eigh,
    domains=SYMMETRIC,
    cases=[*_SQUARE, case((3, 3), UPLO="U"), case((2, 2, 2), UPLO="L")],
    kinks=_COINCIDE.format("eigenvalues"),
)
def eigh(a: Operand, UPLO: str = "L") -> EighResult:  # noqa: N803
    """Eigenvalues and eigenvectors of symmetric matrices; one triangle is read.

    Source of the rule: M. B. Giles, "Collected matrix derivative results for forward
    and reverse mode algorithmic differentiation" (2008), section 3.1.
    """
    return EighResult(*symmetric_eigen(a, UPLO))


@operation(
    np.linalg.eigvalsh,
    domains=SYMMETRIC,
    cases=[*_SQUARE, case((3, 3), UPLO="U")],
    kinks="coinciding values: any vectors of theirs, right for sums over them; second "
    "order as eigh",
)
def eigvalsh(a: Operand, UPLO: Option = "L") -> Array:  # noqa: N803
    """Eigenvalues of symmetric matrices in ascending order; one triangle is read."""
    return np.linalg.eigvalsh(a, UPLO)


def _eigvalsh_vjp(g: Any, a: Any, UPLO: Any) -> Any:  # noqa: N803
    """Return V diag(`g`) V', V being the eigenvectors, in the half that was read."""
    _, v = np.linalg.eigh(a, UPLO)
    return _folded((v * g[..., None, :]) @ v.mT, UPLO.upper() == "U")


eigvalsh.vjp(a=_eigvalsh_vjp)


SVDResult = namedtuple("SVDResult", "U S Vh")


@kernel("svd", multiple=True)
def reduced_svd(a):
    """The min(m, n) singular values, descending, and their vectors."""
    return tuple(np.linalg.svd(a, full_matrices=False))


def _reduced_svd_vjp(g: Any, y: Any) -> Any:
    """Return U (diag(gs) + turns over gaps) V', plus what leaves the span."""
    # With J = U'gU - gU'U and K = V'gV - gV'V, Townsend's inner matrix is
    # (J S + S K) / (s_j^2 - s_i^2) + diag(gs); split by sums and differences of s,
    # which loses no digits where two values are near.
    (gu, gs, gvt), (u, s, vt) = g, y
    largest = s[..., None, :1]
    j, k = _off_diagonal(u.mT @ gu), _off_diagonal(vt @ gvt.mT)
    used = np.abs(j) + np.abs(k)
    used = used + used.mT
    j, k = j - j.mT, k - k.mT
    by_gap = _over(j + k, _gaps(s), largest, used)
    by_sum = _over(j - k, s[..., None, :] + s[..., :, None], largest, used)
    inner = _diagonal(gs) + (by_gap + by_sum) / 2
    return u @ inner @ vt + _outside(gu, gvt, u, s, vt)


def _outside(gu: Any, gvt: Any, u: Any, s: Any, vt: Any) -> Any:
    """Return what turns the vectors out of the space they span: 0 if that is all."""
    x = np.zeros_like(u @ vt)
    if u.shape[-2] > u.shape[-1]:
        out = gu - u @ (u.mT @ gu)
        x = x + _over(out, s[..., None, :], s[..., None, :1], out) @ vt
    if vt.shape[-1] > vt.shape[-2]:
        out = (gvt - (gvt @ vt.mT) @ vt).mT
        x = x + u @ _over(out, s[..., None, :], s[..., None, :1], out).mT
    return x


reduced_svd.vjp(a=_reduced_svd_vjp)


@as_declared
@composed(
    np.linalg.svd,
    domains=SEPARATED,
    cases=[
        *_SQUARE,
        case((4, 2), full_matrices=False),
        case((2, 4), full_matrices=False),
        case((2, 3, 2), full_matrices=False),
        case((3, 2), compute_uv=False),
    ],
    kinks=_COINCIDE.format("or zero singular values"),
)
def svd(
    a: Operand,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
) -> Operand:
    """Singular values in descending order, and their vectors.

    Where `a` is not square pass ``full_matrices=False``: the further columns of the
    full matrices are arbitrary, so they are refused.

    Source of the rule: J. Townsend, "Differentiating the singular value decomposition"
    (2016).
    """
    shape = np.shape(a)
    if hermitian:
        raise TypeError(
            "svd: hermitian=True is not supported with Tensors; use eigh, or "
            "hermitian=False on the whole symmetric matrix"
        )
    if not compute_uv:
        return svdvals(a)
    if full_matrices and shape[-2] != shape[-1]:
        raise ValueError(
            f"svd: the full matrices for shape {shape} hold columns that have no "
            "gradient; pass full_matrices=False"
        )
    return SVDResult(*reduced_svd(a))


@operation(
    np.linalg.svdvals,
    domains=SEPARATED,
    cases=[*_SQUARE, case((4, 2)), case((2, 4))],
    kinks="coinciding values: any vectors of theirs, right for sums over them; values "
    "of 0: 0; second order as svd",
)
def svdvals(x: Operand) -> Array:
    """Singular values in descending order."""
    return np.linalg.svd(x, compute_uv=False)


def _svdvals_vjp(g: Any, x: Any) -> Any:
    """Return U diag(`g`) V', U and V being the singular vectors."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    zero = s <= s.shape[-1] * float(np.finfo(s.dtype).eps) * s[..., :1]
    return (u * np.where(zero, 0, g)[..., None, :]) @ vt


svdvals.vjp(x=_svdvals_vjp)

for _name in ("eig", "eigvals"):
    hint(
        _name,
        "its results are complex in general, and a Tensor is real; for symmetric "
        "matrices use numpy.linalg.eigh or eigvalsh",
    )
