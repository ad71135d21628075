"""Functions in LLVM without branches, so that loops of them are vectorised.

Arguments are reduced to where a polynomial of low degree is within rounding, as in the
Cephes library (Moshier, 1992) and in fdlibm (Sun Microsystems, 1993), where the
coefficients are from. Errors are less than 2 units in the last place. NaN, infinities,
signed zeros and numbers below the smallest normal one are treated as in NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

_FREE = ("contract",)
"""A product and a sum may be rounded once."""


@dataclass(frozen=True)
class _Precision:
    """What the functions take for one floating type.

    Attributes
    ----------
    kind : type
        NumPy's.
    integer : Type
        Of as many bits.
    mantissa, bias : int
        Bits of the mantissa that are stored, and what is added to exponents.
    high, low : float
        Two parts of log 2; the first times an exponent is exact.
    exp : sequence of float
        Of (exp(x) - 1 - x) / x**2 for abs(x) up to log(2) / 2, highest power first.
    least, most : float
        Beyond these exp is 0 and infinite. It is 0 before `least`, from where on it is
        a product of powers that are 0: one that underflows takes a processor longer
        than all the rest, and what is masked out is minus infinity.
    log : sequence of float
        Of (log((1 + s) / (1 - s)) - 2 s) / s**3, a polynomial in s**2.
    tanh, below : sequence of float
        Of (tanh(x) - x) / x**3 in x**2 for small x, and of what it is divided by.
    """

    kind: Any
    integer: Any
    mantissa: int
    bias: int
    high: float
    low: float
    exp: Sequence[float]
    least: float
    most: float
    log: Sequence[float]
    tanh: Sequence[float]
    below: Sequence[float]


_SINGLE = _Precision(
    np.float32,
    ir.IntType(32),
    23,
    127,
    0.693359375,
    -2.12194440e-4,
    (
        *(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3),
        *(4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
    ),
    -176.0,
    89.0,
    (0.24279078841, 0.28498786688, 0.40000972152, 0.66666662693),
    (
        *(-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2),
        *(1.33314422036e-1, -3.33332819422e-1),
    ),
    (1.0,),
)
_DOUBLE = _Precision(
    np.float64,
    ir.IntType(64),
    52,
    1023,
    6.93147180369123816490e-1,
    1.90821492927058770002e-10,
    [1 / math.factorial(k) for k in range(13, 1, -1)],
    -1418.0,
    710.0,
    (
        *(1.479819860511658591e-1, 1.531383769920937332e-1, 1.818357216161805012e-1),
        *(2.222219843214978396e-1, 2.857142874366239149e-1, 3.999999999940941908e-1),
        6.666666666666735130e-1,
    ),
    (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3),
    (
        *(1.0, 1.12811678491632931402e2, 2.23548839060100448583e3),
        4.84406305325125486048e3,
    ),
)


class _Steps:
    """Writes the steps of a function of x.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    x : llvmlite.ir.Value
    """

    def __init__(self, builder: Any, x: Any) -> None:
        self.builder = builder
        self.real = x.type
        self.of = _SINGLE if isinstance(x.type, ir.FloatType) else _DOUBLE

    def number(self, x: Any) -> Any:
        """Return a number of Python's as one of LLVM's."""
        if not isinstance(x, int | float):
            return x
        return self.real(self.of.kind(x).item())

    def add(self, a: Any, b: Any) -> Any:
        """Return a + b."""
        return self.builder.fadd(self.number(a), self.number(b), flags=_FREE)

    def sub(self, a: Any, b: Any) -> Any:
        """Return a - b."""
        return self.builder.fsub(self.number(a), self.number(b), flags=_FREE)

    def mul(self, a: Any, b: Any) -> Any:
        """Return a * b."""
        return self.builder.fmul(self.number(a), self.number(b), flags=_FREE)

    def div(self, a: Any, b: Any) -> Any:
        """Return a / b."""
        return self.builder.fdiv(self.number(a), self.number(b))

    def where(self, a: Any, sign: str, b: Any, x: Any, y: Any) -> Any:
        """Return x where a and b compare so, else y, also where one is NaN."""
        condition = self.builder.fcmp_ordered(sign, self.number(a), self.number(b))
        return self.builder.select(condition, self.number(x), self.number(y))

    def polynomial(self, x: Any, factors: Sequence[float]) -> Any:
        """Return a polynomial, the factor of the highest power first."""
        total = self.number(factors[0])
        for factor in factors[1:]:
            total = self.add(self.mul(total, x), factor)
        return total

    def bits(self, x: Any) -> Any:
        """Return the bits of a number, as an integer."""
        return self.builder.bitcast(x, self.of.integer)

    def code(self, x: float) -> int:
        """Return the bits of a number of Python's."""
        code: int = self.of.kind(x).view(f"u{self.of.kind(x).itemsize}").item()
        return code

    def of_bits(self, bits: Any) -> Any:
        """Return the number of such bits."""
        return self.builder.bitcast(bits, self.real)

    def named(self, name: str, *args: Any) -> Any:
        """Return what a function that LLVM knows by name gives."""
        kind = ir.FunctionType(self.real, [self.real] * len(args))
        module = self.builder.module
        function = module.declare_intrinsic(f"llvm.{name}", [self.real], kind)
        return self.builder.call(function, args)

    @property
    def _shift(self) -> float:
        """What is so large that units are its last places."""
        return 1.5 * 2.0**self.of.mantissa

    def rounded(self, x: Any) -> Any:
        """Return the nearest whole number."""
        # Not to be contracted with what made x, nor to be cancelled.
        large = self.builder.fadd(x, self.number(self._shift))
        return self.builder.fsub(large, self.number(self._shift))

    def reduced(self, x: Any, least: float) -> tuple[Any, Any]:
        """Return n and exp(x - n log 2) - 1, for x between `least` and `most`."""
        of = self.of
        x = self.where(x, "<", least, least, x)
        x = self.where(x, ">", of.most, of.most, x)
        n = self.rounded(self.mul(x, 1 / math.log(2)))
        r = self.sub(self.sub(x, self.mul(n, of.high)), self.mul(n, of.low))
        square = self.mul(r, r)
        return n, self.add(self.mul(square, self.polynomial(r, of.exp)), r)

    def halves(self, n: Any) -> tuple[Any, Any]:
        """Return two powers of 2 whose product is 2**n, which may be no normal one."""
        half = self.rounded(self.mul(n, 0.5))
        return self.power(half), self.power(self.sub(n, half))

    def power(self, n: Any) -> Any:
        """Return 2**n for a whole number n, of a normal result."""
        # The last places of the sum are those of an exponent.
        bits = self.bits(self.builder.fadd(n, self.number(self._shift + self.of.bias)))
        return self.of_bits(self.builder.shl(bits, self.of.integer(self.of.mantissa)))


def exp(builder: Any, x: Any) -> Any:
    """exp(x) = 2**n exp(r), with n whole and r = x - n log 2."""
    steps = _Steps(builder, x)
    n, power = steps.reduced(x, steps.of.least)
    half, rest = steps.halves(n)
    return steps.mul(steps.mul(steps.add(power, 1.0), half), rest)


def expm1(builder: Any, x: Any) -> Any:
    """exp(x) - 1 = 2**n (exp(r) - 1) + 2**n - 1."""
    steps = _Steps(builder, x)
    # Less makes no difference to -1.
    n, power = steps.reduced(x, -50.0)
    half, rest = steps.halves(n)
    inverse = steps.power(steps.sub(steps.rounded(steps.mul(n, 0.5)), n))
    y = steps.add(steps.mul(power, half), steps.sub(half, inverse))
    return steps.named("copysign", steps.mul(y, rest), x)


def log(builder: Any, x: Any) -> Any:
    """log(x) = n log 2 + log(m), with m from sqrt(1/2) to sqrt(2)."""
    steps = _Steps(builder, x)
    of, integer = steps.of, steps.of.integer
    tiny, scale = 2.0 ** (1 - of.bias), 2.0 ** (of.mantissa + 2)
    normal = steps.where(x, "<", tiny, steps.mul(x, scale), x)
    shift = steps.where(x, "<", tiny, float(-of.mantissa - 2), 0.0)
    # From the bits of sqrt(1/2) on exponents count by one.
    least, one = steps.code(math.sqrt(0.5)), steps.code(1.0)
    bits = builder.add(steps.bits(normal), integer(one - least))
    exponent = builder.lshr(bits, integer(of.mantissa))
    large = builder.or_(exponent, integer(steps.code(2.0**of.mantissa)))
    n = builder.fsub(steps.of_bits(large), steps.number(2.0**of.mantissa + of.bias))
    n = steps.add(n, shift)
    fraction = builder.and_(bits, integer(2**of.mantissa - 1))
    f = steps.sub(steps.of_bits(builder.add(fraction, integer(least))), 1.0)
    s = steps.div(f, steps.add(f, 2.0))
    z = steps.mul(s, s)
    half = steps.mul(steps.mul(f, f), 0.5)
    rest = steps.mul(z, steps.polynomial(z, of.log))
    small = steps.add(steps.mul(s, steps.add(half, rest)), steps.mul(n, of.low))
    y = steps.sub(steps.mul(n, of.high), steps.sub(steps.sub(half, small), f))
    y = steps.where(x, "<", math.inf, y, x)
    y = steps.where(x, "==", 0.0, -math.inf, y)
    return steps.where(x, "<", 0.0, math.nan, y)


def log1p(builder: Any, x: Any) -> Any:
    """log(1 + x) = log(y) + (1 + x - y) / y, where y is the sum as it is rounded."""
    steps = _Steps(builder, x)
    one = steps.number(1.0)
    is_large = builder.fcmp_ordered(">", steps.named("fabs", x), one)
    more, less = builder.select(is_large, x, one), builder.select(is_large, one, x)
    # Without flags, as nothing here may cancel.
    y = builder.fadd(more, less)
    lost = builder.fsub(less, builder.fsub(y, more))
    rounded = log(builder, y)
    exact = steps.add(rounded, steps.div(lost, y))
    # Of 0 and infinity, and of NaN, nothing was lost; and the sign of 0 is that of x.
    z = steps.where(y, ">", 0.0, exact, rounded)
    z = steps.where(y, "<", math.inf, z, rounded)
    return steps.where(x, "==", 0.0, x, z)


def tanh(builder: Any, x: Any) -> Any:
    """tanh(x) = 1 - 2 / (exp(2 x) + 1); for small x x + x**3 p(x**2) / q(x**2)."""
    steps = _Steps(builder, x)
    of, absolute = steps.of, steps.named("fabs", x)
    large = exp(builder, steps.add(absolute, absolute))
    large = steps.sub(1.0, steps.div(2.0, steps.add(large, 1.0)))
    z = steps.mul(x, x)
    slope = steps.polynomial(z, of.tanh)
    if len(of.below) > 1:
        slope = steps.div(slope, steps.polynomial(z, of.below))
    small = steps.add(steps.mul(steps.mul(slope, z), absolute), absolute)
    y = steps.where(absolute, "<", 0.625, small, large)
    return steps.named("copysign", y, x)
