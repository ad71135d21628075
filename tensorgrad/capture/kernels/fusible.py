"""Which calls can go into a kernel, and what each does for an element."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..gemm.small import LONG, product
from ..program import Call, Number, Value
from .elements import (
    KINDS,
    Access,
    Element,
    Unfit,
    cast,
    destination,
    flat,
    place,
    spread,
    target,
    weak,
)

SLOW = 1024
"""Up to so many elements exp, log and tanh, one by one, cost less than a NumPy call."""

Text = Callable[..., str]


def _infix(sign: str) -> Text:
    return lambda a, b: f"({a} {sign} {b})"


def _larger(a: str, b: str) -> str:
    return f"larger({a}, {b})"


def _smaller(a: str, b: str) -> str:
    return f"smaller({a}, {b})"


UFUNCS: dict[Any, Text] = {
    np.add: _infix("+"),
    np.subtract: _infix("-"),
    np.multiply: _infix("*"),
    np.divide: _infix("/"),
    np.less: _infix("<"),
    np.less_equal: _infix("<="),
    np.greater: _infix(">"),
    np.greater_equal: _infix(">="),
    np.equal: _infix("=="),
    np.not_equal: _infix("!="),
    np.logical_and: lambda a, b: f"(({a} != 0) & ({b} != 0))",
    np.logical_or: lambda a, b: f"(({a} != 0) | ({b} != 0))",
    np.logical_not: lambda a: f"({a} == 0)",
    np.maximum: _larger,
    np.minimum: _smaller,
    np.negative: lambda a: f"(-{a})",
    np.positive: lambda a: a,
    np.absolute: lambda a: f"abs({a})",
    np.square: lambda a: f"({a} * {a})",
    np.sqrt: lambda a: f"sqrt({a})",
}

ONE_BY_ONE: dict[Any, Text] = {
    getattr(np, name): (lambda a, name=name: f"{name}({a})")
    for name in ("exp", "log", "tanh", "log1p", "expm1")
}

REAL_ONLY = {np.maximum, np.minimum, np.absolute, np.negative, np.square}

JOINS = {np.add: "plus", np.maximum: "larger", np.minimum: "smaller"}


def elements(number: int, call: Call) -> list[Element]:
    """Return what a call does, element by element.

    Raises
    ------
    Unfit
        If it is left as it is.
    """
    maker = _MAKERS.get(_hashable(call.function))
    if not call.pure or maker is None:
        raise Unfit
    try:
        made = [flat(element) for element in maker(number, call)]
    except (AttributeError, TypeError, ValueError, LookupError):
        # Called in a way that the makers do not know.
        raise Unfit from None
    if not all(map(_orderly, made)):
        raise Unfit
    return made


def _hashable(function: Any) -> Any:
    try:
        hash(function)
    except TypeError:
        return None
    return function


def _orderly(element: Element) -> bool:
    """Whether it reads what it writes only at the same place, before."""
    write, *reads = element.accesses
    return all(r == write for r in reads if r.owner is write.owner)


def _elementwise(
    number: int,
    call: Call,
    operands: Sequence[Any],
    kinds: Sequence[np.dtype[Any]],
    text: Text,
) -> list[Element]:
    """Return the element of a function of broadcast operands, computed in `kinds`."""
    to = destination(call)
    *inputs, kind = kinds
    if not {*kinds} <= KINDS or not _known_kind(operands, kind, to):
        raise Unfit
    operands = [*map(_in_kind, operands, inputs)]

    def converted(*texts: str) -> str:
        given = zip(texts, operands, inputs, strict=True)
        return text(*[cast(t, weak(operand), to) for t, operand, to in given])

    reads = tuple(spread(operand, to.shape) for operand in operands)
    write = target(to, to.shape)
    flags = (False,) * len(to.shape)
    return [Element(number, to.shape, reads, write, converted, kind, flags)]


def _in_kind(operand: Any, kind: np.dtype[Any]) -> Any:
    """Return an operand, a constant as NumPy's loop takes it.

    Raises
    ------
    Unfit
        For integers beyond that kind, which NumPy compares but does not convert.
    """
    if isinstance(operand, np.generic):
        return kind.type(operand)
    if isinstance(operand, int) and kind.kind in "iu":
        if not np.iinfo(kind).min <= operand <= np.iinfo(kind).max:
            raise Unfit
    elif isinstance(operand, int) and abs(operand) > _EXACT:
        raise Unfit
    return operand


_EXACT = 2**53
"""Integers up to that are numbers of any kind."""


def _known_kind(operands: Sequence[Any], kind: np.dtype[Any], to: Value) -> bool:
    """Whether the dtype is the same for Python's integers and for its floats."""
    if not any(isinstance(x, Number) for x in operands):
        return True
    arrays = [x for x in operands if isinstance(x, Value)]
    return kind == to.dtype and not any(x.dtype.kind in "iu" for x in arrays)


def _ufunc(number: int, call: Call) -> list[Element]:
    ufunc: Any = call.function
    if set(call.kwargs) - {"out"} or len(call.args) < ufunc.nin:
        raise Unfit
    operands = call.args[: ufunc.nin]
    kinds = ufunc.resolve_dtypes((*map(weak, operands), None))
    if ufunc in REAL_ONLY and kinds[0].kind != "f":
        raise Unfit
    if ufunc in ONE_BY_ONE:
        if np.prod(destination(call).shape, dtype=int) > SLOW:
            raise Unfit
        return _elementwise(number, call, operands, kinds, ONE_BY_ONE[ufunc])
    return _elementwise(number, call, operands, kinds, UFUNCS[ufunc])


def _promoted(operands: Sequence[Any]) -> np.dtype[Any]:
    """Return what values and numbers have in common."""
    kinds = [weak(operand) for operand in operands]
    return np.result_type(*[k(0) if isinstance(k, type) else k for k in kinds])


def _where(number: int, call: Call) -> list[Element]:
    chosen, a, b = call.args
    kind = _promoted((a, b))
    kinds = [np.dtype(bool), kind, kind, kind]
    return _elementwise(
        number, call, (chosen, a, b), kinds, lambda c, a, b: f"({a} if {c} else {b})"
    )


def _clip(number: int, call: Call) -> list[Element]:
    if set(call.kwargs) - {"out"}:
        raise Unfit
    x, low, high = call.args
    kind = _promoted((x, low, high))
    if kind.kind != "f":
        raise Unfit
    return _elementwise(
        number,
        call,
        (x, low, high),
        [kind] * 4,
        lambda x, low, high: _smaller(_larger(x, low), high),
    )


def _copy(number: int, call: Call) -> list[Element]:
    """An array as it is, or in the type of the result, whatever names it."""
    source, kind = call.args[0], destination(call).dtype
    if not isinstance(source, Value) or (source.dtype.kind == "f" and kind.kind != "f"):
        raise Unfit
    kinds = [source.dtype, source.dtype]
    return _elementwise(number, call, (source,), kinds, lambda a: a)


def _reduction(ufunc: Any) -> Callable[[int, Call], list[Element]]:
    def make(number: int, call: Call) -> list[Element]:
        return _reduced(number, call, ufunc, *_of_reduce(*call.args, **call.kwargs))

    return make


def _of_reduce(
    x: Value,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
) -> tuple[Value, Any]:
    if dtype is not None and dtype != x.dtype:
        raise Unfit
    return x, axis


def _sum(number: int, call: Call) -> list[Element]:
    arguments = {"axis": None, **call.kwargs}
    if len(call.args) > 1:
        arguments.pop("axis")
    return _reduced(number, call, np.add, *_of_reduce(*call.args, **arguments))


def _reduced(number: int, call: Call, ufunc: Any, x: Value, axis: Any) -> list[Element]:
    to, rank = destination(call), len(x.shape)
    axes = range(rank) if axis is None else (axis,) if isinstance(axis, int) else axis
    # NumPy takes what has no axes for what has one.
    axes = {a % rank for a in axes if rank}
    flags = tuple(i in axes for i in range(rank))
    joined = int(np.prod([x.shape[a] for a in axes], dtype=int))
    if x.dtype.kind != "f" or x.dtype != to.dtype or joined > LONG:
        raise Unfit
    kept = iter(_without(target(to, to.shape), to.shape, rank, axes))
    write = replace(
        place(to), strides=tuple(0 if flag else next(kept) for flag in flags)
    )
    reads, join = (spread(x, x.shape),), JOINS[ufunc]
    text = _from_zero(x.dtype) if joined == 1 and ufunc is np.add else _as_it_is
    return [Element(number, x.shape, reads, write, text, x.dtype, flags, join)]


def _as_it_is(a: str) -> str:
    return a


def _from_zero(kind: np.dtype[Any]) -> Text:
    """Return the text of a sum of one term, which begins at 0: that of -0.0 is 0.0."""
    return lambda a: f"({a} + {kind.name}(0.0))"


def _without(
    write: Access, shape: tuple[int, ...], rank: int, axes: set[int]
) -> tuple[int, ...]:
    """Return the strides of a reduced result along the axes that are left."""
    if len(shape) < rank:
        return write.strides
    return tuple(s for i, s in enumerate(write.strides) if i not in axes)


def _lookup(source: Any, index: Any) -> Access:
    """Return the access to one entry of a vector for each element of `index`."""
    if not (isinstance(source, Value) and isinstance(index, Value)):
        raise Unfit
    if len(source.shape) != 1 or index.dtype.kind not in "iu" or not index.shape:
        raise Unfit
    access, chosen = place(source), spread(index, index.shape)
    assert isinstance(chosen, Access)
    (step,) = access.strides
    none = (0,) * len(index.shape)
    return replace(access, strides=none, index=chosen, step=step, bound=source.shape[0])


def _take(number: int, call: Call) -> list[Element]:
    source, index = call.args
    if set(call.kwargs) - {"out"}:
        raise Unfit
    read, to = _lookup(source, index), destination(call)
    write = target(to, index.shape)
    flags = (False,) * len(index.shape)
    return [Element(number, index.shape, (read,), write, _as_it_is, read.dtype, flags)]


def _put(number: int, call: Call) -> list[Element]:
    to, index, value = call.args
    write = _lookup(to, index)
    kind = weak(value)
    if kind not in (to.dtype, int, float) or isinstance(value, Number):
        raise Unfit
    text = _elementwise_text(kind, to.dtype)
    reads = (spread(value, index.shape),)
    flags = (False,) * len(index.shape)
    return [Element(number, index.shape, reads, write, text, to.dtype, flags)]


def _elementwise_text(kind: Any, to: np.dtype[Any]) -> Text:
    return lambda a: cast(a, kind, to)


_MAKERS: dict[Any, Callable[[int, Call], list[Element]]] = {
    **dict.fromkeys((*UFUNCS, *ONE_BY_ONE), _ufunc),
    **{ufunc.reduce: _reduction(ufunc) for ufunc in JOINS},
    **dict.fromkeys((np.sum, np.ndarray.sum), _sum),
    **dict.fromkeys((np.copy, np.ndarray.copy, np.ndarray.astype), _copy),
    **dict.fromkeys((np.matmul, operator.matmul), product),
    **dict.fromkeys((operator.getitem, np.take), _take),
    operator.setitem: _put,
    np.where: _where,
    np.clip: _clip,
}
