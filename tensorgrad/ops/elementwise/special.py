"""Special functions: the error function and its complement, sinc, Bessel's i0."""

import math
from typing import Any

import numpy as np

from ...core.types import Array, Operand
from ..support.axes import kernel
from ..support.define import operation, unary
from ..support.registry import NONZERO, Domain
from ..support.strong import scaled

__all__ = ["erf", "erfc", "i0", "sinc"]

# Minimax quotients of polynomials, highest powers first, found from 60-digit values by
# iteratively reweighted least squares (Sanathanan and Koerner 1963, "Transfer function
# synthesis as a ratio of two complex polynomials"; Lawson 1961). All coefficients are
# positive, so evaluation cancels nothing.

# erf(x) / x in x^2 for |x| <= 1: relative error 7e-19, and 3e-11 for the short one.
_ERF = (
    (7.77539642763371667e-8, 0.000196885636229879539, 0.00187743455644863814,
     0.0454836969543196373, 0.143507295135539897, 1.12837916709551257),
    (0.0000208104964648242685, 0.000692503475107701059, 0.0106931309708226984,
     0.0938133310038256312, 0.460513362281344572, 1.0),
)  # fmt: skip
_ERF_SHORT = (
    (3.49311933350647054e-6, 0.0336326543499749547, 0.113804885881832612,
     1.12837916712642415),
    (0.00523932338400060031, 0.0745362104179412791, 0.434190290351032725, 1.0),
)  # fmt: skip
# exp(x^2) erfc(x) in x >= 0, up to 27.3 (error 5e-17) and 10.1 (error 6e-9), from where
# on erfc is 0 in float64 and float32.
_ERFCX = (
    (0.0000625118951745419408, 0.00118899405428081047, 0.0110724463391757641,
     0.0653095717816702402, 0.266859602261197561, 0.780674468481598462,
     1.6352625239727568, 2.37474946350681934, 2.19097372561147034,
     0.99999999999999995),
    (0.000110799449329860875, 0.00210743709016396249, 0.019680799880755088,
     0.116811920421112439, 0.482753633497922998, 1.44053478310972737,
     3.12525231077371592, 4.84573242984140185, 5.12023811587622191,
     3.31935289270696893, 1.0),
)  # fmt: skip
_ERFCX_SHORT = (
    (0.032803564394159292, 0.229252338032277488, 0.731674194352654644,
     1.23847684107664558, 1.0000000056580499),
    (0.0581421058982702612, 0.406365569956901605, 1.32549935304311709,
     2.40237651664205119, 2.36685658487534557, 1.0),
)  # fmt: skip
_SPLIT = {np.dtype(np.float32): 2.0**12 + 1, np.dtype(np.float64): 2.0**27 + 1}
_BLOCK = 1 << 17
"""Bytes of a part: a handful of arrays of them fit in the cache."""


def _polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    y = x * coefficients[0]
    y += coefficients[1]
    for c in coefficients[2:]:
        y *= x
        y += c
    return y


def _quotient(x: Any, fit: tuple[tuple[float, ...], tuple[float, ...]]) -> Any:
    y = _polynomial(x, fit[0])
    y /= _polynomial(x, fit[1])
    return y


def scaled_erfc(x: Any) -> Any:
    """Return exp(x^2) erfc(x) from 0 to where erfc is 0, for float32 and float64."""
    return _quotient(x, _ERFCX_SHORT if x.dtype == np.float32 else _ERFCX)


def _erfc_of_size(x: Any) -> Any:
    """Return erfc(|x|), for float32 and float64."""
    single = x.dtype == np.float32
    x = np.minimum(np.abs(x), 10.1 if single else 27.3)
    # The square of what half the digits hold is exact: exp(-x^2) keeps its digits
    # (Cody 1969, "Rational Chebyshev approximations for the error function"). They are
    # split by Dekker 1971, "A floating-point technique for extending precision".
    head = x * _SPLIT[x.dtype]
    head -= head - x
    y = scaled_erfc(x)
    y *= np.exp(-head * head)
    y *= np.exp((head - x) * (head + x))
    return y


def _erf_block(x: Any) -> tuple[Any]:
    near = np.clip(x, -1, 1)
    y = _quotient(near * near, _ERF_SHORT if x.dtype == np.float32 else _ERF)
    y *= near
    far = np.copysign(1 - _erfc_of_size(x), x)
    return (np.where(x == near, y, far),)


def _erfc_block(x: Any) -> tuple[Any]:
    y = _erfc_of_size(x)
    return (np.where(x < 0, 2 - y, y),)


def in_blocks(function: Any, x: Any) -> tuple[Any, ...]:
    """Return function(x), computed in parts whose temporaries fit in the cache.

    The function returns a tuple of arrays. Computed in float64, or in float32 where x
    holds no more digits.
    """
    x = x if hasattr(x, "dtype") else np.asarray(x)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    wide = np.promote_types(dtype, np.float32)
    if type(x) is not np.ndarray or x.nbytes <= _BLOCK:
        ys = function(x.astype(wide, copy=False))
        return tuple(y.astype(dtype, copy=False)[()] for y in ys)
    flat = x.reshape(-1).astype(wide, copy=False)
    size = _BLOCK // wide.itemsize
    results: list[Any] = []
    for start in range(0, len(flat), size):
        ys = function(flat[start : start + size])
        results = results or [np.empty(flat.shape, dtype) for _ in ys]
        for result, y in zip(results, ys, strict=True):
            result[start : start + size] = y
    return tuple(result.reshape(x.shape) for result in results)


@operation()
def erf(x: Operand) -> Array:
    """Error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return in_blocks(_erf_block, x)[0]


@operation()
def erfc(x: Operand) -> Array:
    """Complement of the error function, 1 - erf(x), to full relative accuracy."""
    return in_blocks(_erfc_block, x)[0]


def _bell(x: Any) -> Any:
    """Return `2 / sqrt(pi) * exp(-x**2)`; beyond 30 it and its derivatives are 0."""
    x = np.clip(x, -30, 30)
    return np.exp(-x * x) * (2 / math.sqrt(math.pi))


erf.vjp(x=lambda g, x: scaled(g, _bell(x)))
erfc.vjp(x=lambda g, x: -scaled(g, _bell(x)))


@kernel("sinc")
def _spherical(z, order):
    """j_n(z) / z^n for the spherical Bessel function j_n; sin(z) / z for order 0.

    Near 0 by the power series; further out by the recurrence of j_n, which loses no
    digits where z exceeds the order (Abramowitz and Stegun 1964, 10.1.2 and 10.1.19).
    """
    near = np.abs(z) < order + 2
    with np.errstate(invalid="ignore"):
        far = _recurred(z, order)
    return np.where(near, _series(np.where(near, z, 0), order), far)


def _series(z: Any, order: int) -> Any:
    t = z * z / -2
    y = np.ones_like(t)
    for k in range(24, 0, -1):
        y = 1 + y * t / (k * (2 * (order + k) + 1))
    return y / math.prod(range(1, 2 * order + 2, 2))


def _recurred(z: Any, order: int) -> Any:
    z = np.where(np.abs(z) < 1, 1, z)
    before, y = np.cos(z), np.sin(z) / z
    for n in range(order):
        before, y = y, ((2 * n + 1) * y - before) / z / z
    return y


# Differentiating a member of the family leads to the next: nothing cancels at 0.
_spherical.vjp(z=lambda g, z, order: scaled(g, -z * _spherical(z, order + 1)))
sinc = unary(
    np.sinc,
    "sin(pi x) / (pi x), 1 at 0.",
    domains=Domain(-3.0, 3.2),
    x=lambda g, x: scaled(g, x * (-(math.pi**2)) * _spherical(x * math.pi, 1)),
)


_NODES = 64


@kernel("i0")
def _modified(x, order):
    """I_n(x) / x^n for the modified Bessel function I_n; I_0 for order 0.

    The mean of cosh(x cos t) sin(t)^2n over t, divided by (2n - 1)!! (Abramowitz and
    Stegun 1964, 9.6.18), by the midpoint rule, whose error falls off exponentially.
    """
    y = np.zeros_like(x)
    for k in range(_NODES):
        t = (k + 0.5) * math.pi / (2 * _NODES)
        with np.errstate(over="ignore"):
            y = y + np.cosh(x * math.cos(t)) * math.sin(t) ** (2 * order)
    return y / (_NODES * math.prod(range(1, 2 * order, 2)))


_modified.vjp(x=lambda g, x, order: scaled(g, x * _modified(x, order + 1)))
i0 = unary(
    np.i0,
    "Modified Bessel function of the first kind, order 0.",
    domains=NONZERO,
    x=lambda g, x: scaled(g, x * _modified(x, 1)),
)
