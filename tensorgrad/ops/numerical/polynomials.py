"""Polynomials, as vectors of coefficients with the highest power first."""

import warnings
from typing import Any

import numpy as np

from ...core.foreign import dispatched
from ...core.tensor import detached
from ...core.types import Array, Operand
from ..support.axes import array, turned
from ..support.define import composed, operation
from ..support.registry import Domain, case

__all__ = [
    "poly", "polyadd", "polyder", "polyfit", "polyint", "polymul", "polysub", "polyval",
    "vander",
]  # fmt: skip


@operation(
    np.vander,
    cases=[
        case((3,)),
        case((3,), N=4, increasing=True),
        case((2,), N=1),
        case((2,), N=0),
        case((0,), N=2),
    ],
)
def vander(x: Operand, N: Operand = None, increasing: bool = False) -> Array:  # noqa: N803
    """Powers of the elements in rows, y_ij = x_i^(N-1-j), or x_i^j if increasing."""
    return np.vander(x, N, increasing)


def _vander_vjp(g: Any, y: Any, increasing: bool) -> Any:
    """Return sum_j g_ij j x_i^(j-1); the power below stands one column before."""
    if not increasing:
        g, y = turned(g, 1), turned(y, 1)
    exponents = np.arange(1, y.shape[1] or 1, dtype=g.dtype)
    return np.sum(g[:, 1:] * exponents * y[:, :-1], axis=1)


vander.vjp(x=_vander_vjp)


@composed(np.polyval, cases=[case((4,), (3,)), case((3,), ()), case((1,), (2, 2))])
def polyval(p: Operand, x: Operand) -> Array:
    """Value of a polynomial, highest power first, by Horner's scheme."""
    if isinstance(x, np.poly1d):
        raise TypeError("polyval: expected an array x, got a poly1d; use np.polymul")
    x = array(x)
    y = np.zeros_like(x)
    for coefficient in array(p):
        y = y * x + coefficient
    return y


def _coefficients(name: str, p: Any) -> Any:
    if isinstance(p, np.poly1d):
        raise TypeError(f"{name}: expected an array, got a poly1d; pass its .coeffs")
    return np.atleast_1d(array(p))


def _aligned(name: str, a1: Any, a2: Any) -> list[Any]:
    """Return coefficients of two polynomials, the shorter after zeros."""
    both = [_coefficients(name, a1), _coefficients(name, a2)]
    n = max(len(a) for a in both)
    return [
        np.concatenate([np.zeros(n - len(a), dtype=a.dtype), a]) if len(a) < n else a
        for a in both
    ]


_PAIRS = [case((3,), (3,)), case((2,), (4,)), case((3,), ())]


@composed(np.polyadd, kind="linear", cases=_PAIRS)
def polyadd(a1: Operand, a2: Operand) -> Array:
    """Sum of two polynomials."""
    a1, a2 = _aligned("polyadd", a1, a2)
    return a1 + a2


@composed(np.polysub, kind="linear", cases=_PAIRS)
def polysub(a1: Operand, a2: Operand) -> Array:
    """Difference of two polynomials."""
    a1, a2 = _aligned("polysub", a1, a2)
    return a1 - a2


def _trimmed(name: str, p: Any) -> Any:
    """Return coefficients without leading zeros, as a poly1d holds them."""
    p = _coefficients(name, p)
    (places,) = np.nonzero(detached(p))
    return p[places[0] :] if len(places) else p[:0].sum(keepdims=True)


@composed(np.polymul, kind="multilinear", cases=_PAIRS)
def polymul(a1: Operand, a2: Operand) -> Array:
    """Product of two polynomials; leading zeros are dropped, as NumPy does."""
    return np.convolve(_trimmed("polymul", a1), _trimmed("polymul", a2))


@composed(
    np.polyder, kind="linear", cases=[case((4,)), case((4,), m=2), case((2,), m=0)]
)
def polyder(p: Operand, m: int = 1) -> Array:
    """Derivative of a polynomial, taken m times."""
    if m < 0:
        raise ValueError(f"polyder: expected m of at least 0, got {m}")
    p = _coefficients("polyder", p)
    for _ in range(m):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@composed(
    np.polyint,
    kind="linear",
    cases=[case((4,)), case((3,), m=2, k=0.5), case((2,), m=0)],
)
def polyint(p: Operand, m: int = 1, k: Operand = None) -> Array:
    """Antiderivative of a polynomial, taken m times, with constants k."""
    none = np.zeros(max(m, 1), dtype=np.float64)
    constants = np.atleast_1d(none if k is None else array(k))
    if m < 0 or len(constants) not in (1, *range(m, len(constants) + 1)):
        raise ValueError(
            "polyint: expected m of at least 0 and a constant for each time, got "
            f"m={m} and {len(constants)} constants"
        )
    p = _coefficients("polyint", p)
    for i in range(m):
        one = constants[i : i + 1] if len(constants) > 1 else constants
        p = np.concatenate([p / np.arange(len(p), 0, -1), one])
    return p


@composed(np.poly, kind="multilinear", cases=[case((3,)), case((1,))])
def poly(seq_of_zeros: Operand) -> Array:
    """Polynomial with the given zeros, (x - z_0) (x - z_1) ..."""
    zeros = np.atleast_1d(array(seq_of_zeros))
    if zeros.ndim != 1:
        raise TypeError(
            f"poly: expected a vector of zeros, got shape {zeros.shape}; the "
            "characteristic polynomial of a matrix has no rule"
        )
    p = np.ones(1, dtype=zeros.dtype)
    for i in range(len(zeros)):
        p = np.convolve(
            p, np.concatenate([np.ones(1, dtype=p.dtype), -zeros[i : i + 1]])
        )
    return p


def _weighed(a: Any, w: Any) -> Any:
    return a if w is None else a * (w if a.ndim == 1 else w[:, None])


@composed(
    np.polyfit,
    domains=(Domain(-1.0, 1.0), Domain()),
    cases=[
        case((6,), (6,), deg=1),
        case((7,), (7, 2), deg=2, w=np.array([1.0, 2.0, 0.5, 1.0, 1.0, 0.3, 2.0])),
    ],
)
def polyfit(
    x: Operand,
    y: Operand,
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: Operand = None,
    cov: Operand = False,
) -> Array:
    """Polynomial of a degree that is nearest to points, in weighted least squares."""
    if full or cov:
        raise TypeError("polyfit: full= and cov= have no rule; only coefficients do")
    x, y, w = array(x) + 0.0, array(y) + 0.0, None if w is None else array(w) + 0.0
    if x.ndim != 1 or y.shape[:1] != x.shape or y.ndim > 2 or not x.size:
        raise TypeError(
            "polyfit: expected a vector x and as many y, in a vector or in columns, "
            f"got shapes {x.shape} and {y.shape}"
        )
    rcond = x.size * np.finfo(x.dtype).eps if rcond is None else rcond
    powers = _weighed(np.vander(x, int(deg) + 1), w)
    scale = np.sqrt(np.sum(powers * powers, axis=0))
    c, _, rank, _ = np.linalg.lstsq(powers / scale, _weighed(y, w), rcond)
    _warn_of_rank(detached(rank), int(deg) + 1)
    return (c.T / scale).T


@dispatched
def _warn_of_rank(rank: Any, needed: int) -> None:
    if rank != needed:
        warnings.warn(
            "Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=4
        )
