"""What kernels compute with, in LLVM: functions of one element, numbers of a dtype."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from ...facts import COSTLY
from . import elementary
from .elements import KINDS

INDEX = ir.IntType(64)
BIT = ir.IntType(1)


def in_register(kind: np.dtype[Any]) -> ir.Type:
    """Return the type of an element while it is computed with."""
    return BIT if kind.kind == "b" else in_memory(kind)


def in_memory(kind: np.dtype[Any]) -> ir.Type:
    """Return the type of an element in an array."""
    if kind.kind == "f":
        return ir.FloatType() if kind.itemsize == 4 else ir.DoubleType()
    return ir.IntType(8 * kind.itemsize)


def converted(builder: Any, value: Any, old: np.dtype[Any], new: np.dtype[Any]) -> Any:
    """Return a number in another dtype, as C does it."""
    to = in_register(new)
    if old == new:
        return value
    if new.kind == "b":
        if old.kind == "f":
            return builder.fcmp_unordered("!=", value, value.type(0.0))
        return builder.icmp_unsigned("!=", value, value.type(0))
    if old.kind == "f":
        if new.kind == "f":
            wider = new.itemsize > old.itemsize
            return (builder.fpext if wider else builder.fptrunc)(value, to)
        return (builder.fptosi if new.kind == "i" else builder.fptoui)(value, to)
    if new.kind == "f":
        return (builder.sitofp if old.kind == "i" else builder.uitofp)(value, to)
    if old.kind != "b" and new.itemsize <= old.itemsize:
        return builder.trunc(value, to) if new.itemsize < old.itemsize else value
    return (builder.sext if old.kind == "i" else builder.zext)(value, to)


def _called(name: str, *flags: str) -> Callable[..., Any]:
    """Return a function of real numbers that LLVM knows by name."""

    def generate(builder: Any, *args: Any) -> Any:
        real = args[0].type
        kind = ir.FunctionType(real, [real] * len(args))
        function = builder.module.declare_intrinsic(f"llvm.{name}", [real], kind)
        return builder.call(function, args, fastmath=flags)

    return generate


def _of_libm(name: str) -> Callable[..., Any]:
    """Return a function of C's library, which has one for each precision."""

    def generate(builder: Any, *args: Any) -> Any:
        real = args[0].type
        symbol = f"{name}f" if isinstance(real, ir.FloatType) else name
        function = builder.module.globals.get(symbol)
        if function is None:
            kind = ir.FunctionType(real, [real] * len(args))
            function = ir.Function(builder.module, kind, symbol)
        return builder.call(function, args)

    return generate


def _plus(builder: Any, a: Any, b: Any) -> Any:
    """Add a term of a sum whose terms may be added in any order."""
    return builder.fadd(a, b, flags=("reassoc", "contract"))


def _times(builder: Any, a: Any, b: Any) -> Any:
    """Multiply to a term of a sum; the two may be rounded once, as BLAS does."""
    return builder.fmul(a, b, flags=("contract",))


def _strong(compute: str, annihilates: Callable[..., Any]) -> Callable[..., Any]:
    """Return a product in which zero annihilates, as for the rules of gradients."""

    def generate(builder: Any, a: Any, b: Any) -> Any:
        y = getattr(builder, compute)(a, b)
        is_nan = builder.fcmp_unordered("uno", y, y)
        zero = builder.and_(is_nan, annihilates(builder, a, b))
        return builder.select(zero, y.type(0.0), y)

    return generate


def _is(builder: Any, x: Any, value: float) -> Any:
    return builder.fcmp_ordered("==", x, x.type(value))


def _unless_nan(builder: Any, condition: Any, a: Any) -> Any:
    return builder.and_(condition, builder.fcmp_ordered("ord", a, a))


def _by_zero(builder: Any, a: Any, b: Any) -> Any:
    return builder.or_(
        _is(builder, a, 0.0), _unless_nan(builder, _is(builder, b, 0.0), a)
    )


def _by_infinity(builder: Any, a: Any, b: Any) -> Any:
    size = builder.select(_is(builder, b, -math.inf), b.type(math.inf), b)
    return builder.or_(
        _is(builder, a, 0.0), _unless_nan(builder, _is(builder, size, math.inf), a)
    )


def _by_either(builder: Any, a: Any, b: Any) -> Any:
    return builder.or_(_is(builder, a, 0.0), _is(builder, b, 0.0))


REAL: dict[str, Callable[..., Any]] = {
    "plus": _plus,
    "times": _times,
    # Which zero of two is larger takes as long to say as all the rest.
    "larger": _called("maximum", "nsz"),
    "smaller": _called("minimum", "nsz"),
    "abs": _called("fabs"),
    "copysign": _called("copysign"),
    "sqrt": _called("sqrt"),
    **{name: _called(name) for name in ("floor", "ceil", "trunc", "rint")},
    **{name: _of_libm(name.replace("arc", "a")) for name in COSTLY},
    "exp": elementary.exp,
    "expm1": elementary.expm1,
    "log": elementary.log,
    "log1p": elementary.log1p,
    "tanh": elementary.tanh,
    "arctan2": _of_libm("atan2"),
    "hypot": _of_libm("hypot"),
    "power": _of_libm("pow"),
    "scaled": _strong("fmul", _by_zero),
    "divided": _strong("fdiv", _by_infinity),
    "hushed": _strong("fmul", _by_either),
}
"""Functions of floating numbers of one dtype, by their names in kernels."""

DTYPES = {kind.name: kind for kind in KINDS}
"""What converts to a dtype is called by its name."""
