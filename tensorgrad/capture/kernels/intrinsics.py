"""Building blocks of generated kernels: memory without checks, sums in any order."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.compiler import Compiler
from numba.extending import intrinsic


class Exclusive(Compiler):  # type: ignore[misc, unused-ignore]
    """Compiles a function whose array arguments share no memory.

    Without that promise a loop over more than a few arrays is not vectorised.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.state.flags.noalias = True


def pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """Return the address of an element of an array, or of memory."""
    if isinstance(kind, types.Array):
        array = context.data_model_manager[kind].get(builder, array, "data")
    return builder.gep(array, [at])


@intrinsic
def get(typing: Any, array: Any, at: Any) -> Any:
    """Return an element by its place in memory."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = pointer(context, builder, array, *args)
        return context.unpack_value(builder, array.dtype, place)

    return array.dtype(array, types.intp), generate


@intrinsic
def put(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """Write an element by its place in memory."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = pointer(context, builder, array, *args[:2])
        context.pack_value(builder, array.dtype, args[2], place)

    return types.void(array, types.intp, array.dtype), generate


@intrinsic
def plus(typing: Any, a: Any, b: Any) -> Any:
    """Add a term of a sum whose terms may be added in any order."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(*args, flags=("reassoc", "contract"))

    return a(a, a), generate


@intrinsic
def times(typing: Any, a: Any, b: Any) -> Any:
    """Multiply to a term of a sum; the two may be rounded once, as BLAS does."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fmul(*args, flags=("contract",))

    return a(a, a), generate


def _extremum(name: str) -> Any:
    def typed(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            real = args[0].type
            kind = ir.FunctionType(real, [real, real])
            function = builder.module.declare_intrinsic(name, [real], kind)
            return builder.call(function, args)

        return a(a, a), generate

    return intrinsic(typed)


larger = _extremum("llvm.maximum")
smaller = _extremum("llvm.minimum")


def _strong(compute: str, annihilates: Callable[[Any, Any, Any], Any]) -> Any:
    """Return a product in which zero annihilates, as for the rules of gradients."""

    def typed(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            y = getattr(builder, compute)(*args)
            is_nan = builder.fcmp_unordered("uno", y, y)
            zero = builder.and_(is_nan, annihilates(builder, *args))
            return builder.select(zero, y.type(0.0), y)

        return a(a, a), generate

    return intrinsic(typed)


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


scaled = _strong("fmul", _by_zero)
divided = _strong("fdiv", _by_infinity)
hushed = _strong("fmul", _by_either)


@intrinsic(prefer_literal=True)
def row(typing: Any, size: Any, like: Any) -> Any:
    """Return room for so many elements of a type, until the kernel ends."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_data_type(like)
        return cgutils.alloca_once(builder, kind, size=size.literal_value)

    return types.CPointer(like)(size, like), generate


@intrinsic
def within(typing: Any, at: Any, size: Any) -> Any:
    """Return an index counted from the start; IndexError where it is out of bounds."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at, size = args
        negative = builder.icmp_signed("<", at, at.type(0))
        at = builder.select(negative, builder.add(at, size), at)
        with cgutils.if_unlikely(builder, builder.icmp_unsigned(">=", at, size)):
            reason = ("an index is out of bounds",)
            context.call_conv.return_user_exc(builder, IndexError, reason)
        return at

    return types.intp(types.intp, types.intp), generate
