"""A program made on arrays of JAX, call by call, for XLA to compile as one function."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.errors import CaptureError
from ...core.tree import leaves, mapped
from ...facts import described, facts_of, is_elementwise
from ..program import Call, Constant, Number, Value, View, owner
from ..recording.structure import Steady
from .arrays import as_array, as_operand
from .cells import Cell, cell_key, view_of
from .functions import LoweringError, counted, evaluate, jnp, native, plain, updated
from .split import Leaf


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
        named = _arguments(call)
        args, kwargs = mapped(named, self._argument)
        out = kwargs.pop("out", None)
        if call.writes and out is None and call.writes[0] is named[0][0]:
            self.write(call.writes[0], updated(call.function, args, kwargs))
        elif is_elementwise(call.function) and (where := kwargs.pop("where", None)):
            new = evaluate(call.function, args, kwargs)
            self._keep(call, jnp.where(where, new, 0 if out is None else out))
        elif isinstance(call.function, Steady):
            self._keep(call, self._looked_at(call, args, kwargs))
        else:
            self._keep(call, evaluate(call.function, args, kwargs))

    def _looked_at(self, call: Call, args: Any, kwargs: Any) -> Any:
        """Return what a function gives that NumPy calls with values to look at."""
        if call.name == "getitem":
            array, index = args
            args = array, counted(index, getattr(call.results[0], "shape", ()))
        try:
            return evaluate(call.function, args, kwargs)
        except LoweringError as refusal:
            # It may take any kind of array, as the operations of the package do.
            args, kwargs = mapped((args, kwargs), as_operand)
            try:
                return mapped(plain(call.function)(*args, **kwargs), as_array)
            except Exception:
                raise refusal from None

    def _argument(self, x: Any) -> Any:
        if isinstance(x, Value | Number):
            return self.read(x)
        return native(x) if isinstance(x, np.dtype) else x

    def _keep(self, call: Call, result: Any) -> None:
        results = leaves(result) if isinstance(result, tuple | list) else [result]
        for written in call.writes:
            self.write(written, results.pop(0))
        for value, new in zip(call.results, results, strict=not call.writes):
            assert isinstance(value, Value)
            # What NumPy leaves empty where there is no unique answer JAX may fill.
            new = jnp.asarray(new if value.size else (), native(value.dtype))
            if new.size != value.size:
                raise LoweringError(
                    f"gives shape {new.shape} in JAX, not {value.shape}"
                )
            new = new.reshape(value.shape)
            if isinstance(value, View):
                self._cell(value).views[view_of(value)] = new
            else:
                self.cells[value] = Cell(value.shape, value.strides, new)

    def _cell(self, value: Value) -> Cell:
        return self.cells[cell_key(owner(value))]

    def read(self, value: Leaf) -> Any:
        """Return what a value holds now."""
        if isinstance(value, Number):
            return self.numbers[value]
        cell, view = self._cell(value), view_of(value)
        return cell.array if view is None else cell.read(view)

    def write(self, value: Value, new: Any) -> None:
        """Write to a value."""
        self._cell(value).write(view_of(value), new)


def _arguments(call: Call) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments: ``out`` by its name, and what else is written to first."""
    args, kwargs = [*call.args], dict(call.kwargs)
    if call.writes:
        names = facts_of(call.function).names or described(call.function).names
        args = args or [kwargs.pop(names[0])]
        end = len(args) if "out" in kwargs else _place_of_out(call, names, args)
        kwargs |= zip(["out", *names[end + 1 :]], args[end:], strict=False)
        args = args[:end]
    return args, kwargs


def _place_of_out(call: Call, names: list[str], args: list[Any]) -> int:
    """Return where among the arguments ``out`` is, or would be."""
    if "out" in names:
        return names.index("out")
    written = (i for i, x in enumerate(args) if i and any(x is w for w in call.writes))
    return next(written, len(args))
