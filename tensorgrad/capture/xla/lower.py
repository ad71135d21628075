"""A program as one function of JAX arrays, compiled by XLA.

Arrays of JAX are not written to. So what owns memory has a `Cell` that holds its newest
contents, a write makes new ones, and a view that was read before is read anew. What
Python has to do in each step (count it, draw random numbers, check labels) is done by
NumPy before the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...core.errors import CaptureError
from ...core.node import root
from ...core.tree import leaves, mapped
from ...facts import facts_of, is_elementwise
from ..program import (
    Array,
    Call,
    Constant,
    Live,
    Number,
    Program,
    Value,
    View,
    owner,
)
from ..program import leaves as values_in
from ..recording.views import Layout, address
from .functions import LoweringError, evaluate, jnp, updated

Leaf = Value | Number


@dataclass
class Cell:
    """What owns memory, and its newest contents.

    Attributes
    ----------
    shape, strides
        Where the elements lie.
    array : array of JAX
    version : int
        How often it was written to.
    views : dict
        The contents of views, by where they lie, until they are written over: who reads
        what was written to a part need not wait for the whole.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    array: Any
    version: int = 0
    views: dict[Any, Any] = field(default_factory=dict)

    def positions(self, view: Any) -> Any:
        """Return which elements a view has: a slice of them, or their numbers."""
        size = self.array.dtype.itemsize
        at = np.asarray(view.offset // size)
        for axis, (length, stride) in enumerate(
            zip(view.shape, view.strides, strict=True)
        ):
            steps = np.arange(length) * (stride // size)
            at = at + steps.reshape((-1, *[1] * (len(view.shape) - 1 - axis)))
        if self.strides != dense(self.shape, size):
            at = self._numbers()[at]
        flat = at.reshape(-1)
        if flat.size and np.array_equal(flat, np.arange(flat.size) + flat[0]):
            return slice(int(flat[0]), int(flat[0]) + flat.size)
        return flat

    def _numbers(self) -> Array:
        """Return which element lies at each place of memory."""
        size = self.array.dtype.itemsize
        at: Any = np.zeros(self.shape, np.intp)
        for axis, stride in enumerate(self.strides):
            steps = np.arange(self.shape[axis]) * (stride // size)
            at += steps.reshape((-1, *[1] * (len(self.shape) - 1 - axis)))
        numbers = np.zeros(at.max(initial=0) + 1, np.intp)
        numbers[at] = np.arange(at.size).reshape(at.shape)
        return numbers

    def read(self, view: Any) -> Any:
        """Return the elements of a view."""
        if view not in self.views:
            at = self.positions(view)
            self.views[view] = self.array.reshape(-1)[at].reshape(view.shape)
        return self.views[view]

    def write(self, view: Any, new: Any) -> None:
        """Put new contents in place of the elements of a view, or of all."""
        self.version += 1
        shape = self.shape if view is None else view.shape
        new = jnp.broadcast_to(jnp.asarray(new).astype(self.array.dtype), shape)
        others = {} if view is None else self.views
        self.views = {v: x for v, x in others.items() if _are_apart(v, view)}
        if view is not None:
            self.views[view] = new
            at = self.positions(view)
            new = self.array.reshape(-1).at[at].set(new.reshape(-1))
        self.array = new.reshape(self.shape)


def _are_apart(a: Layout, b: Layout) -> bool:
    """Whether one view ends before the other begins."""
    return _ends(a)[1] <= _ends(b)[0] or _ends(b)[1] <= _ends(a)[0]


def _ends(view: Layout) -> tuple[int, int]:
    steps = [(n - 1) * s for n, s in zip(view.shape, view.strides, strict=True)]
    first = view.offset + sum(min(step, 0) for step in steps)
    last = view.offset + sum(max(step, 0) for step in steps)
    return first, last + view.dtype.itemsize


def dense(shape: Sequence[int], size: int) -> tuple[int, ...]:
    """Return the strides of an array in C order."""
    ends = [1, *shape[:0:-1]]
    strides: list[int] = np.cumprod(ends, dtype=np.intp)[: len(shape)].tolist()
    return tuple(s * size for s in strides[::-1])


class Split:
    """Which calls NumPy makes before XLA's, and what it hands over.

    Parameters
    ----------
    program : Program

    Attributes
    ----------
    before, calls : list of Call
        Those that NumPy makes, and those that XLA does.
    handed : list of Value or Number
        What XLA's need of what NumPy has computed.

    Raises
    ------
    CaptureError
        Where NumPy needs what is only computed by XLA.
    """

    def __init__(self, program: Program) -> None:
        self._makers: dict[Leaf, list[Call]] = {}
        for call in program.calls:
            new = (r for r in call.results if not isinstance(r, View))
            for value in dict.fromkeys([*new, *map(owner, call.writes)]):
                self._makers.setdefault(value, []).append(call)
        chosen: set[int] = set()
        checks = {id(c): check for c in program.calls if (check := self._check(c))}
        for call in program.calls:
            for host in (call if _is_hosts(call) else None, checks.get(id(call))):
                if host is not None:
                    self._choose(host, host, chosen)
        self.before: list[Call] = []
        self.calls: list[Call] = []
        for call in program.calls:
            self.before += [checks[id(call)]] if id(call) in checks else []
            (self.before if id(call) in chosen else self.calls).append(call)
        made = {owner(r) for c in self.before for r in c.results}
        read = [v for c in self.calls for v in c.reads] + program.returned
        self.handed = [v for v in dict.fromkeys(map(owner, read)) if v in made]
        self._check_order(program)

    def _choose(self, call: Call, why: Call, chosen: set[int]) -> None:
        """Choose a call for NumPy, and those that compute what it reads."""
        if id(call) in chosen:
            return
        chosen.add(id(call))
        for value in map(owner, call.reads):
            makers = self._makers.get(value, [])
            if makers and isinstance(value, Live):
                raise _refusal(why, "reads an array that the step writes to")
            for maker in makers:
                self._choose(maker, why, chosen)

    def _check(self, call: Call) -> Call | None:
        """Return a check of an index that is known before XLA is called.

        XLA raises no errors: outside an array it finds NaN.
        """
        if call.name not in _INDEXING:
            return None
        array, index, *_ = call.args
        axis = call.arguments["axis"] if call.name == "take" else _NO_AXIS
        integers = [v for v in _values(index) if v.dtype.kind in "iu"]
        moved = call.kwargs.get("mode", "raise") != "raise"
        if moved or not integers or not all(map(self._is_early, integers)):
            return None
        args = (array.shape, index, axis)
        return Call(check_index, args, pure=False, place=call.place)

    def _is_early(self, value: Leaf) -> bool:
        """Whether a value is computed from what the step is called with alone."""
        makers = self._makers.get(owner(value), [])
        is_state = bool(makers) and isinstance(owner(value), Live)
        return not is_state and all(self._is_early(v) for c in makers for v in c.reads)

    def _check_order(self, program: Program) -> None:
        """Raise where XLA needs what NumPy hands over before it was written to."""
        at = {id(call): i for i, call in enumerate(program.calls)}
        for value in self.handed:
            writers = [c for c in self.before if value in [*map(owner, c.writes)]]
            readers = [c for c in self.calls if value in [*map(owner, c.reads)]]
            last = max((at[id(c)] for c in writers), default=-1)
            if any(at[id(c)] < last for c in readers):
                raise _refusal(writers[-1], "writes to an array that is read before")


_INDEXING = ("getitem", "setitem", "add_at", "take")
_NO_AXIS = "none"


def _values(nested: Any) -> list[Value]:
    """Return the arrays in an index."""
    return [v for v in values_in(nested) if isinstance(v, Value)]


def check_index(shape: tuple[int, ...], index: Any, axis: Any) -> None:
    """Raise IndexError where an index is outside an array of that shape."""
    nothing = np.broadcast_to(np.int8(0), shape)
    if axis is _NO_AXIS:
        nothing[index]
    else:
        nothing.take(index, axis)


def _is_hosts(call: Call) -> bool:
    """Whether a call is made by Python: it has an effect, or gives a number."""
    numbers = any(isinstance(r, Number) for r in call.results)
    return numbers or not call.pure or facts_of(call.function).name == "_checked_rows"


def _refusal(call: Call, why: str) -> CaptureError:
    return CaptureError(
        f'tg.compile(target="xla"): {call.place}: {call.label} is called by Python and '
        f"{why}, in the middle of the step; do it before the step, or compile without "
        "a target"
    )


class Lowering:
    """The calls of a program made on arrays of JAX.

    Parameters
    ----------
    cells : dict of Cell
        By what owns the memory: its value, or the ndarray outside, by its id.
    numbers : dict
        Numbers that the step is called with, or that NumPy computes.
    """

    def __init__(self, cells: dict[Any, Cell], numbers: dict[Leaf, Any]) -> None:
        self.cells = cells
        self.numbers = numbers

    def make(self, call: Call) -> None:
        """Make a call.

        Raises
        ------
        CaptureError
            If it cannot be lowered.
        """
        try:
            self._make(call)
        except LoweringError as error:
            raise CaptureError(
                f'tg.compile(target="xla"): {call.place}: {call.label} {error}; leave '
                "it out of the step, or compile without a target"
            ) from error

    def _make(self, call: Call) -> None:
        if call.results and all(isinstance(owner(r), Constant) for r in call.results):
            return
        args, kwargs = mapped((call.args, call.kwargs), self._argument)
        out = kwargs.pop("out", None)
        if call.writes and out is None and call.writes[0] is call.args[0]:
            self.write(call.writes[0], updated(call.function, args, kwargs))
            return
        if out is None:  # It may stand among the arguments.
            passed = zip(args, call.args, strict=True)
            args = [None if _is_among(x, call.writes) else new for new, x in passed]
        if is_elementwise(call.function) and (where := kwargs.pop("where", None)):
            new = evaluate(call.function, args, kwargs)
            self._keep(call, jnp.where(where, new, 0 if out is None else out))
        else:
            self._keep(call, evaluate(call.function, args, kwargs))

    def _argument(self, x: Any) -> Any:
        return self.read(x) if isinstance(x, Value | Number) else x

    def _keep(self, call: Call, result: Any) -> None:
        results = leaves(result) if isinstance(result, tuple | list) else [result]
        for written in call.writes:
            self.write(written, results.pop(0))
        for value, new in zip(call.results, results, strict=not call.writes):
            assert isinstance(value, Value)
            new = jnp.asarray(new, value.dtype)
            if new.size != value.size:
                raise LoweringError(
                    f"gives shape {new.shape} in JAX, not {value.shape}"
                )
            new = new.reshape(value.shape)
            if isinstance(value, View):
                self._cell(value).views[_view_of(value)] = new
            else:
                self.cells[value] = Cell(value.shape, value.strides, new)

    def _cell(self, value: Value) -> Cell:
        return self.cells[cell_key(owner(value))]

    def read(self, value: Leaf) -> Any:
        """Return what a value holds now."""
        if isinstance(value, Number):
            return self.numbers[value]
        cell, view = self._cell(value), _view_of(value)
        return cell.array if view is None else cell.read(view)

    def write(self, value: Value, new: Any) -> None:
        """Write to a value."""
        self._cell(value).write(_view_of(value), new)


def _is_among(x: Any, values: Sequence[Value]) -> bool:
    return any(x is v for v in values)


def outer(array: Array) -> Array:
    """Return the ndarray that owns the memory of an array, or the array itself."""
    base = root(array)
    return array if base is None or base.dtype != array.dtype else base


def cell_key(value: Value) -> Any:
    """Return under what its cell stands."""
    return id(outer(value.array)) if isinstance(value, Live) else value


def _view_of(value: Value) -> Layout | None:
    """Return where a value lies in what owns its memory, None if it is all of it."""
    base, layout = owner(value), None
    if isinstance(value, View):
        assert isinstance(value.make, Layout)
        layout = value.make
    if not isinstance(base, Live):
        return layout
    array = base.array
    if layout is None and outer(array) is array:
        return None
    start = address(array) - address(outer(array))
    layout = layout or Layout.of(array, array)
    return replace(layout, offset=layout.offset + start)
