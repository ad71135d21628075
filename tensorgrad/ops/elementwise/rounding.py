"""Rounding, parts of numbers, and remainders: constant or linear between jumps.

What is constant between its jumps has the gradient 0, not none: backward passes.
"""

from functools import partial
from typing import Any

import numpy as np

from ...core.dispatch import implement
from ...core.tensor import Tensor, detached, wrap
from ...core.types import Array, Operand, as_declared
from ..support.define import binary, composed, operation, unary
from ..support.registry import REAL, Domain, case
from ..support.strong import nothing, scaled

__all__ = [
    "around", "ceil", "divmod", "fix", "floor", "floor_divide", "fmod", "frexp",
    "ldexp", "mod", "modf", "nextafter", "remainder", "rint", "round", "trunc",
    "unwrap",
]  # fmt: skip

_BETWEEN = Domain(away_from=tuple(k / 2 for k in range(-6, 7)), margin=0.1)
_JUMPS = "jumps: 0, as everywhere between them"
_step = partial(unary, kind="piecewise", domains=_BETWEEN, kinks=_JUMPS, x=nothing)
floor = _step(np.floor, "Largest integer not above x.")
ceil = _step(np.ceil, "Smallest integer not below x.")
trunc = _step(np.trunc, "x without its fraction.")
rint = _step(np.rint, "Nearest integer, the even one of two.")


@operation(kind="piecewise", domains=_BETWEEN, kinks=_JUMPS)
def fix(x: Operand) -> Array:
    """x without its fraction."""
    return np.trunc(x)


fix.vjp(x=nothing)
# NumPy 2.5 deprecates its own, which nothing here may call.
implement("fix", fix, np.fix)


@operation(
    np.round,
    kind="piecewise",
    domains=_BETWEEN,
    cases=[case((2, 3)), case((), decimals=0), case((3,), decimals=-1)],
    kinks=_JUMPS,
)
def round(a: Operand, decimals: int = 0) -> Operand:
    """Nearest multiple of 10 ** -decimals, the even one of two."""
    return np.round(a, decimals)


round.vjp(a=nothing)
implement("round", round, np.around)


@operation(
    np.modf,
    kind="piecewise",
    domains=_BETWEEN,
    kinks="integers: 1 for the fraction, 0 for the rest, as everywhere between them",
    multiple=True,
)
def modf(x: Operand) -> tuple[Array, Array]:
    """Fraction and integral part of x, both of its sign."""
    return np.modf(x)


modf.vjp(x=lambda g: g[0])


@operation(
    np.ldexp,
    kind="linear",
    domains=(REAL, Domain(shaped=lambda x: np.rint(x).astype(int))),
    cases=[case((3, 4), (4,)), case((), (2, 1)), case((2, 0), ())],
)
def ldexp(x: Operand, i: Operand) -> Array:
    """x * 2 ** i, for integers i."""
    return np.ldexp(x, i)


ldexp.vjp(x=lambda g, i: np.ldexp(g, i))


@as_declared
@composed(
    np.frexp,
    kind="piecewise",
    domains=Domain(-1.9, -1.1),
    cases=[case((2, 3)), case(())],
    kinks="powers of two: the slope of the mantissa is that above",
)
def frexp(x: Operand) -> tuple[Operand, Operand]:
    """Mantissa m from 1/2 to 1 and exponent e, a constant, of x = m * 2 ** e."""
    if type(x) is not Tensor:
        return np.frexp(x)
    _, e = np.frexp(detached(x))
    return np.ldexp(x, -e), wrap(e, None)


nextafter = binary(
    np.nextafter,
    "Next number of the type from a towards b.",
    kind="piecewise",
    kinks="a = b: 1 in a, 0 in b, as everywhere",
    a=lambda g: g,
    b=nothing,
)


def _unequal(b: Any) -> Any:
    """Return b with every third entry larger: a / b is between 1 and 2 there."""
    third = np.arange(b.size).reshape(b.shape) % 3 == 0
    return np.where(third, 1.5 * b, b)


_RATIO_BELOW_3 = (Domain(5.2, 5.8), Domain(2.0, 2.5, shaped=_unequal))
_AT_WHOLE = (
    "a / b an integer: the slope of either side, 1 in a and -floor(a / b) in b; b = 0: "
    "the same, infinite in b"
)


def _quotient(y: Any, a: Any, b: Any, divided: Any) -> Any:
    """Return (a - y) / b, rounded: it is an integer but for rounding errors."""
    return np.where(np.isfinite(y), np.rint((a - y) / b), divided)


remainder = binary(
    np.remainder,
    "a - b * floor(a / b), of the sign of b.",
    kind="piecewise",
    domains=_RATIO_BELOW_3,
    kinks=_AT_WHOLE,
    a=lambda g: g,
    b=lambda g, y, a, b: -scaled(g, _quotient(y, a, b, np.floor_divide(a, b))),
)
fmod = binary(
    np.fmod,
    "a - b * trunc(a / b), of the sign of a.",
    kind="piecewise",
    domains=_RATIO_BELOW_3,
    kinks=_AT_WHOLE,
    a=lambda g: g,
    b=lambda g, y, a, b: -scaled(g, _quotient(y, a, b, np.trunc(a / b))),
)
floor_divide = binary(
    np.floor_divide,
    "floor(a / b).",
    kind="piecewise",
    domains=_RATIO_BELOW_3,
    kinks=_JUMPS,
    a=nothing,
    b=nothing,
)


@as_declared
@composed(
    np.divmod,
    kind="piecewise",
    domains=_RATIO_BELOW_3,
    cases=[case((3, 4), (4,)), case((2, 1), (3,)), case((), ())],
    kinks="a / b an integer: as of floor_divide and remainder",
)
def divmod(a: Operand, b: Operand) -> tuple[Operand, Operand]:
    """floor(a / b) and the remainder."""
    return np.floor_divide(a, b), np.remainder(a, b)


@operation(
    np.unwrap,
    kind="piecewise",
    cases=[
        case((5,)),
        case((2, 4), axis=0),
        case((2, 3), discont=4.0, axis=-1),
        case((4,), period=2.3),
    ],
    kinks="where a whole period is added: 1, as everywhere",
)
def unwrap(
    p: Operand, discont: float | None = None, axis: int = -1, period: float = 2 * np.pi
) -> Array:
    """Angles with whole periods added so that neighbours differ by half of one at most.

    The periods are constants between jumps.
    """
    return np.unwrap(p, discont, axis, period=period)


unwrap.vjp(p=lambda g: g)

around = round
mod = remainder
