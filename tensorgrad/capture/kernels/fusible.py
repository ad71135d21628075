"""Which calls can go into a kernel, and what each does for an element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...facts import facts_of
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
from .picks import lookup
from .small import LONG, product

SLOW = 1024
"""Up to so many elements of C's functions cost less than a NumPy call."""

Text = Callable[..., str]


def elements(number: int, call: Call) -> list[Element]:
    """Return what a call does, element by element.

    Raises
    ------
    Unfit
        If it is left as it is.
    """
    known = facts_of(call.function)
    maker = _MAKERS.get((known.kind, known.name)) or _MAKERS.get(known.kind)
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
    return [Element(number, to.shape, reads, write, converted, kind)]


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


def _function(number: int, call: Call) -> list[Element]:
    """Return the element of a function that is computed element by element."""
    known = facts_of(call.function)
    operands = call.args[: known.operands]
    if set(call.kwargs) - {"out"} or len(operands) < known.operands:
        raise Unfit
    kinds = _kinds(call.function, operands)
    if not known.element or (known.real and kinds[0].kind != "f"):
        raise Unfit
    if known.costly and np.prod(destination(call).shape, dtype=int) > SLOW:
        raise Unfit
    return _elementwise(number, call, operands, kinds, known.element.format)


def _power(number: int, call: Call) -> list[Element]:
    """Return the element of a power, a product where the exponent is a small integer.

    That is several times faster than C's function, and right to a few last bits.
    """
    base, exponent = call.args[:2]
    constant = isinstance(exponent, int | float | np.generic)
    if not constant or exponent not in _EXPONENTS or set(call.kwargs) - {"out"}:
        return _function(number, call)
    kinds = _kinds(call.function, (base, exponent))
    if kinds[0].kind != "f":
        raise Unfit
    factor = "{0}" if exponent > 0 else "(1.0 / {0})"
    text = _repeated(factor, abs(int(exponent)))
    return _elementwise(number, call, (base,), (kinds[0], kinds[-1]), text.format)


_EXPONENTS = {*range(-8, 9)} - {0}


def _repeated(factor: str, times: int) -> str:
    """Return the source of a factor multiplied with itself, by squares."""
    if times == 1:
        return factor
    half = _repeated(factor, times // 2)
    return f"({half} * {half} * {factor})" if times % 2 else f"({half} * {half})"


def _kinds(function: Any, operands: Sequence[Any]) -> Sequence[np.dtype[Any]]:
    """Return the dtypes that a function computes with: of its operands, its result."""
    if isinstance(function, np.ufunc):
        return function.resolve_dtypes((*map(weak, operands), None))
    if function is np.where:
        return [np.dtype(bool), *[_promoted(operands[1:])] * 3]
    return [_promoted(operands)] * (len(operands) + 1)


def _promoted(operands: Sequence[Any]) -> np.dtype[Any]:
    """Return what values and numbers have in common."""
    kinds = [weak(operand) for operand in operands]
    return np.result_type(*[k(0) if isinstance(k, type) else k for k in kinds])


def _copy(number: int, call: Call) -> list[Element]:
    """An array as it is, or in the type of the result, whatever names it."""
    source, kind = call.args[0], destination(call).dtype
    if not isinstance(source, Value) or (source.dtype.kind == "f" and kind.kind != "f"):
        raise Unfit
    kinds = [source.dtype, source.dtype]
    return _elementwise(number, call, (source,), kinds, _as_it_is)


def _reduction(number: int, call: Call) -> list[Element]:
    known = facts_of(call.function)
    given = known.bound(call.args, call.kwargs)
    x, axis, dtype = given["a"], given["axis"], given.get("dtype")
    if not known.join or given.keys() - _REDUCTION or dtype not in (None, x.dtype):
        raise Unfit
    to, rank = destination(call), len(x.shape)
    axes = range(rank) if axis is None else (axis,) if isinstance(axis, int) else axis
    # NumPy takes what has no axes for what has one.
    axes = {a % rank for a in axes if rank}
    flags = tuple(i in axes for i in range(rank))
    joined = int(np.prod([x.shape[a] for a in axes], dtype=int))
    counts = known.name == "sum" and (x.dtype, to.dtype) == _COUNT
    long = joined > LONG and _nearest(x) in axes
    if not counts and (x.dtype.kind != "f" or x.dtype != to.dtype or long):
        raise Unfit
    kept = iter(_without(target(to, to.shape), to.shape, rank, axes))
    strides = tuple(0 if flag else next(kept) for flag in flags)
    write, reads = replace(place(to), strides=strides), (spread(x, x.shape),)
    alone = joined == 1 and known.name == "sum"
    text = _from_zero(x.dtype) if alone else _as_it_is
    kind = x.dtype
    if counts:
        # Up to 2**53 there is a float for each, and vectors of those are added.
        text, kind = _as_float, np.dtype(float)
    return [Element(number, x.shape, reads, write, text, kind, flags, known.join)]


def _nearest(x: Value) -> int:
    """Return the axis along which elements are next to one another.

    NumPy adds these in pairs, so that it loses fewer digits, but one row to the other.
    """
    steps = [
        (abs(s), i)
        for i, (s, n) in enumerate(zip(x.strides, x.shape, strict=True))
        if n > 1
    ]
    return min(steps, default=(0, 0))[1]


_REDUCTION = {"a", "axis", "dtype", "out", "keepdims"}


def _as_it_is(a: str) -> str:
    return a


_COUNT = np.dtype(bool), np.dtype(np.int64)


def _as_float(a: str) -> str:
    return f"float64({a})"


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


def _take(number: int, call: Call) -> list[Element]:
    known = facts_of(call.function)
    given = known.bound(call.args, call.kwargs)
    source, index = call.args[:2]
    if known.name == "take":
        axis = given.pop("axis")
        axis = 0 if axis is None and len(source.shape) == 1 else axis
        index = (*[slice(None)] * (axis % len(source.shape)), index)
    if given.keys() - {*known.names, "out"}:
        raise Unfit
    to = destination(call)
    read, shape = lookup(source, index)
    write = target(to, shape)
    return [Element(number, shape, (read,), write, _as_it_is, read.dtype)]


def _put(number: int, call: Call) -> list[Element]:
    """New numbers at an index; with `add_at` they are added, one after the other."""
    to, index, value = call.args
    kind, adds = weak(value), facts_of(call.function).name == "add_at"
    write, shape = lookup(to, index)
    if kind not in (to.dtype, int, float) or isinstance(value, Number):
        raise Unfit
    if adds and to.dtype.kind == "b":
        raise Unfit
    reads = (spread(value, shape), *[write] * adds)

    def text(a: str, *old: str) -> str:
        return " + ".join([*old, cast(a, kind, to.dtype)])

    return [Element(number, shape, reads, write, text, to.dtype)]


def _zeros(number: int, call: Call) -> list[Element]:
    to = destination(call)
    write, text = target(to, to.shape), f"{to.dtype.name}(0)"
    return [Element(number, to.shape, (), write, lambda: text, to.dtype)]


def _copied_where(number: int, call: Call) -> list[Element]:
    """New numbers under a mask, and what was there before elsewhere."""
    (to, new), mask = call.args, call.kwargs["where"]
    kind, write = weak(new), target(to, to.shape)
    if set(call.kwargs) != {"where"} or mask.dtype.kind != "b":
        raise Unfit
    if kind not in (to.dtype, int, float) or isinstance(new, Number):
        raise Unfit
    if not isinstance(new, Value):
        new, kind = _in_kind(new, to.dtype), to.dtype if kind is int else kind
    reads = (spread(new, to.shape), write, spread(mask, to.shape))

    def text(new: str, old: str, mask: str) -> str:
        return f"({cast(new, kind, to.dtype)} if {mask} else {old})"

    return [Element(number, to.shape, reads, write, text, to.dtype)]


def _joined(number: int, call: Call) -> list[Element]:
    """Copies of arrays, next to one another in the result."""
    known = facts_of(call.function)
    given = known.bound(call.args, call.kwargs)
    to, axis, at, new = destination(call), given["axis"], 0, known.name == "stack"
    if given.keys() - {"arrays", "axis", "out"} or axis is None:
        raise Unfit
    all_, axis = place(to), axis % len(to.shape)
    made = []
    for part in given["arrays"]:
        if not isinstance(part, Value) or part.dtype != to.dtype:
            raise Unfit
        strides = tuple(s for i, s in enumerate(all_.strides) if not new or i != axis)
        offset = all_.offset + at * all_.strides[axis]
        write = replace(all_, offset=offset, strides=strides)
        at += 1 if new else part.shape[axis]
        if part.size:
            reads = (spread(part, part.shape),)
            made.append(Element(number, part.shape, reads, write, _as_it_is, to.dtype))
    return made


_MAKERS: dict[Any, Callable[[int, Call], list[Element]]] = {
    "elementwise": _function,
    ("elementwise", "power"): _power,
    "reduction": _reduction,
    "copy": _copy,
    ("linear algebra", "matmul"): product,
    "joining": _joined,
    ("other", "zeros_like"): _zeros,
    ("other", "copyto"): _copied_where,
    ("indexing", "getitem"): _take,
    ("indexing", "take"): _take,
    ("indexing", "setitem"): _put,
    ("other", "add_at"): _put,
}
"""What makes the elements of a kind of functions, or of one of them."""
