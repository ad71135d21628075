"""Elements: what a call does for one element, and where each element lies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..program import Call, Number, Result, Value, View, owner

KINDS = {np.dtype(name) for name in ("bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8")}
KINDS |= {np.dtype("f4"), np.dtype("f8")}


class Unfit(Exception):  # noqa: N818
    """The call cannot be fused."""


@dataclass(frozen=True)
class Pick:
    """Which of the entries along an axis of an array, told by an array of integers.

    Attributes
    ----------
    index : Access
        Where the number of the entry lies.
    step, bound : int
        How many elements the entries are apart, and how many there are.
    """

    index: Access
    step: int
    bound: int


@dataclass(unsafe_hash=True)
class Access:
    """Where an operand lies in the memory of its owner, in elements.

    Attributes
    ----------
    owner : Value
    offset : int
    strides : tuple of int
        For each axis of a space of iteration.
    picks : tuple of Pick
        Entries that are looked up.
    start : int
        The part of the offset that a view begins with of an array from outside, or of
        fewer axes than its owner: the row of this turn of a loop.
    """

    owner: Value
    offset: int
    strides: tuple[int, ...]
    picks: tuple[Pick, ...] = ()
    start: int = field(default=0, compare=False)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the element."""
        return self.owner.dtype

    def along(self, change: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Access:
        """Return the access with other strides, also of its indices."""
        picks = tuple(Pick(p.index.along(change), p.step, p.bound) for p in self.picks)
        strides = change(self.strides)
        return Access(self.owner, self.offset, strides, picks, self.start)

    def memory(self) -> Iterator[Access]:
        """Yield this and the accesses of its indices."""
        yield self
        for pick in self.picks:
            yield from pick.index.memory()


Operand = Access | Number | bool | int | float | np.generic


@dataclass(eq=False)
class Element:
    """One operation on elements, over a space of iteration.

    Attributes
    ----------
    call : int
        Which call it belongs to: those of one call write different elements.
    space : tuple of int
    reads : tuple of Operand
    write : Access
        With strides of 0 along the axes that are reduced.
    text : callable
        Given the operands' texts, the expression.
    dtype : dtype
        Of the expression.
    reduced : tuple of bool
        For each axis, whether the elements along it are joined by `join`; by default
        none are.
    join : str
        "plus", "larger" or "smaller".
    """

    call: int
    space: tuple[int, ...]
    reads: tuple[Operand, ...]
    write: Access
    text: Callable[..., str]
    dtype: np.dtype[Any]
    reduced: tuple[bool, ...] = ()
    join: str = ""

    def __post_init__(self) -> None:
        self.reduced = self.reduced or (False,) * len(self.space)

    @cached_property
    def accesses(self) -> list[Access]:
        """Its accesses to memory, the write first."""
        reads = [r for r in self.reads if isinstance(r, Access)]
        return [a for access in (self.write, *reads) for a in access.memory()]

    @cached_property
    def owners(self) -> set[Value]:
        """The values whose memory it accesses."""
        return {a.owner for a in self.accesses}

    def along(
        self, space: tuple[int, ...], change: Callable[[Sequence[Any]], tuple[Any, ...]]
    ) -> Element:
        """Return it over other axes; `change` takes strides, or flags, to theirs."""
        reads = tuple(
            r.along(change) if isinstance(r, Access) else r for r in self.reads
        )
        write = self.write.along(change)
        reduced = tuple(map(bool, change(self.reduced)))
        text, kind = self.text, self.dtype
        return Element(self.call, space, reads, write, text, kind, reduced, self.join)


def place(value: Value) -> Access:
    """Return where the elements of a value lie.

    Raises
    ------
    Unfit
        If its memory is not one block without gaps, or of a type kernels do not take.
    """
    base = owner(value)
    if base.dtype not in KINDS or value.dtype != base.dtype:
        raise Unfit
    if not base.dense or not base.size:
        raise Unfit
    size = base.dtype.itemsize
    strides, offset = value.strides, 0
    if isinstance(value, View):
        stand_in = _like(base)
        view = value.make(stand_in)
        strides, offset = view.strides, _address(view) - _address(stand_in)
        if view.shape != value.shape or min((0, *strides)) < 0:
            raise Unfit
    offset //= size
    is_row = len(value.shape) < len(base.shape)
    start = offset if is_row or not isinstance(base, Result) else 0
    return Access(base, offset, tuple(s // size for s in strides), start=start)


def _like(value: Value) -> Any:
    memory = np.empty(value.nbytes // value.dtype.itemsize, value.dtype)
    return np.lib.stride_tricks.as_strided(memory, value.shape, value.strides)


def _address(array: Any) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def spread(value: Any, space: tuple[int, ...]) -> Operand:
    """Return an operand broadcast to a space."""
    if not isinstance(value, Value):
        if isinstance(value, Number | bool | int | float | np.generic):
            return value
        raise Unfit
    access, missing = place(value), len(space) - len(value.shape)
    if missing < 0:
        raise Unfit
    strides = [
        0 if size == 1 else stride
        for size, stride in zip(value.shape, access.strides, strict=True)
    ]
    return replace(access, strides=(0,) * missing + tuple(strides))


def target(value: Value, space: tuple[int, ...]) -> Access:
    """Return where a result of the shape of `space` is written."""
    access = spread(value, space)
    assert isinstance(access, Access)
    sizes = zip(space, access.strides, strict=True)
    if value.shape != space or any(s == 0 and n > 1 for n, s in sizes):
        raise Unfit
    return access


def destination(call: Call) -> Value:
    """Return what a call writes to, else its result."""
    into = [*call.writes, *call.results][:1]
    if not into or not isinstance(into[0], Value):
        raise Unfit
    return into[0]


def weak(value: Any) -> Any:
    """Return what decides promotion: a dtype, or the class of a Python number."""
    if isinstance(value, Value | np.generic):
        return value.dtype
    return float if isinstance(value, Number) else type(value)


def literal(value: Any) -> str:
    """Return the source of a number."""
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, float) and not math.isfinite(number):
        return "nan" if number != number else "inf" if number > 0 else "(-inf)"
    return repr(number)


def cast(text: str, kind: Any, to: np.dtype[Any]) -> str:
    """Return the source of a conversion."""
    if kind == to:
        return text
    return f"({text} != 0)" if to.kind == "b" else f"{to.name}({text})"


def flat(element: Element) -> Element:
    """Return the same over at most three axes, those in one run of memory merged.

    Raises
    ------
    Unfit
        If there are more, or no elements.
    """
    if 0 in element.space:
        raise Unfit
    keep = [i for i, n in enumerate(element.space) if n > 1]
    if len(keep) < len(element.space):
        element = _picked(element, keep)
    element = _merged(element)
    if len(element.space) > 2:
        # Whatever the order of its axes, memory is best walked through as it lies.
        element = _merged(
            _picked(element, sorted(_axes(element), key=_distance(element)))
        )
    if len(element.space) > 3:
        raise Unfit
    return _inner_last(element)


def _distance(element: Element) -> Callable[[int], int]:
    return lambda axis: -sum(abs(a.strides[axis]) for a in element.accesses)


def _merged(element: Element) -> Element:
    at = 0
    while at + 1 < len(element.space):
        if _merges(element, at):
            element = _picked(element, [i for i in _axes(element) if i != at], at)
        else:
            at += 1
    return element


def _axes(element: Element) -> range:
    return range(len(element.space))


def _picked(element: Element, axes: list[int], merged: int | None = None) -> Element:
    """Return `element` over some of its axes; axis `merged` goes into the next one."""
    space = list(element.space)
    if merged is not None:
        space[merged + 1] *= space[merged]
    return element.along(
        tuple(space[i] for i in axes), lambda old: tuple(old[i] for i in axes)
    )


def _merges(element: Element, at: int) -> bool:
    # What is reduced has a stride of 0 there: it merges with its like only.
    size = element.space[at + 1]
    return all(a.strides[at] == a.strides[at + 1] * size for a in element.accesses)


def _inner_last(element: Element) -> Element:
    """Return it with the axis last along which more of its operands are contiguous.

    The first of three axes is one that is not reduced.
    """
    if len(element.space) < 2:
        return element
    axes = [*_axes(element)]
    near = [sum(a.strides[i] == 1 for a in element.accesses) for i in axes]
    last = max(axes, key=lambda i: (near[i], i))
    rest = sorted((i for i in axes if i != last), key=lambda i: element.reduced[i])
    if len(rest) > 1 and element.reduced[rest[0]]:
        rest, last = [last, rest[0]], rest[1]
        if element.reduced[rest[0]]:
            raise Unfit
    return _picked(element, [*rest, last])
