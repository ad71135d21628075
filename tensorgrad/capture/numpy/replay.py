"""Replay: a program as straight-line code, its arrays bound once and for all."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from operator import itemgetter
from time import perf_counter
from typing import Any

import numpy as np

from ...core.place import Place
from ...core.warned import PLACES
from ..listing import LETTERS
from ..program import (
    Array,
    Call,
    Constant,
    Live,
    Number,
    Program,
    Result,
    Value,
    View,
    layout,
    leaves,
    owner,
)
from .buffers import Memory, assigned
from .into import array_in, copies
from .prune import Eliminated
from .scalars import as_array, weak_dtypes

_LINKS = 500
"""Kernels in one call at most: what goes to them is copied to the stack."""

_QUIET = 'with errstate(over="ignore", invalid="ignore", divide="ignore"):'


class Replay:
    """A program that can be called.

    Parameters
    ----------
    program : Program
    eliminated : sequence of Eliminated
        What was taken out of it before, for the plan.

    Attributes
    ----------
    memory : Memory
        The buffers its results are kept in from call to call.
    source : str
        The Python it runs.
    names : dict
        What values and numbers are called in it, views aside.
    has_kernels : bool
        Whether calls of it are compiled, and results may differ by rounding.
    """

    def __init__(self, program: Program, eliminated: Sequence[Eliminated] = ()) -> None:
        self.program = program
        self.eliminated = list(eliminated)
        self.has_kernels = any(call.writes_last for call in program.calls)
        self.memory = assigned(program)
        self._room = {id(b): b.allocate() for b in self.memory.buffers}
        writer = _Writer(program, self.memory, self._room)
        self.source = writer.source()
        self.names = {v: name for v, name in writer.known.items() if _has_name(v)}
        self._run = writer.compiled(self.source)

    def __call__(self, arrays: Sequence[Array], numbers: Sequence[float]) -> list[Any]:
        """Make the calls; return what the step returns, as copies.

        Parameters
        ----------
        arrays : sequence of ndarray
            One for each input, of its shape, dtype and strides.
        numbers : sequence of float
            One for each number the step is called with.
        """
        return self._run(arrays, numbers)

    @contextmanager
    def clocked(self, times: list[float]) -> Iterator[None]:
        """Enter in a list when each call begins, and when the last has ended."""
        writer = _Writer(self.program, self.memory, self._room, times)
        run, self._run = self._run, writer.compiled(writer.source())
        try:
            yield
        finally:
            self._run = run


def _has_name(key: Any) -> bool:
    return isinstance(key, Value | Number) and not isinstance(key, View)


class _Writer:
    """Writes the source and collects the objects of its names.

    With `times`, it enters there when each call begins, and when the last has ended.
    """

    def __init__(
        self,
        program: Program,
        memory: Memory,
        room: dict[int, Array],
        times: list[float] | None = None,
    ) -> None:
        self.before = program
        self.memory = memory
        self.returned = memory.returned
        self.names: dict[str, Any] = {
            "asarray": np.asarray,
            "errstate": np.errstate,
        }
        if times is not None:
            self.names |= {"enter": times.append, "now": perf_counter}
        self.known: dict[Any, str] = {}
        self.used: dict[str, int] = {}
        self.lines: list[tuple[bool, str, Place | None]] = []
        self.places: dict[int, Place] = {}
        self.quiet = False
        self.place: Place | None = None
        self.room = room
        self.loose: dict[Value | Number, list[str]] = {}
        self.links: list[tuple[Call, list[str]]] = []
        self.ended: list[str] = []

    def source(self) -> str:
        """Return the text of a function ``run(inputs, numbers)``."""
        self._unpack(self.before.inputs, "inputs")
        self._unpack(self.before.numbers, "numbers")
        for i, call in enumerate(self.before.calls):
            self._note_time()
            self._make(call)
            self._forget(i, call)
        self._write_chain()
        self._note_time()
        self.quiet = False
        copies = ", ".join(map(self._copy, self.before.returned))
        self._line(f"return [{copies}]")
        return "\n".join(["def run(inputs, numbers):", *self._indented(), ""])

    def compiled(self, source: str) -> Callable[..., list[Any]]:
        """Return the function of the source."""
        self.names[PLACES] = self.places
        exec(compile(source, "<replay>", "exec"), self.names)
        run: Callable[..., list[Any]] = self.names["run"]
        return run

    def _note_time(self) -> None:
        if "enter" in self.names:
            self._write_chain()
            self._line("enter(now())")

    def _indented(self) -> Iterator[str]:
        number = 1
        for quiet, lines in groupby(self.lines, itemgetter(0)):
            if quiet:
                number += 1
                yield f"    {_QUIET}"
            indent = " " * (8 if quiet else 4)
            for _, text, place in lines:
                number += 1
                if place is not None:
                    self.places[number] = place
                yield indent + text

    def _line(self, text: str) -> None:
        self.lines.append((self.quiet, text, self.place))

    def _unpack(self, values: Sequence[Value | Number], source: str) -> None:
        if values:
            names = "".join(f"{self._new(v)}, " for v in values)
            self._line(f"{names.rstrip()} = {source}")

    def _make(self, call: Call) -> None:
        self.quiet, self.place = call.quiet, call.place
        weak = weak_dtypes(call)
        args = [
            self._number(call, a, weak[i]) if i in weak else self._text(a)
            for i, a in enumerate(call.args)
        ]
        if hasattr(call.function, "chained"):
            self._link(call, args)
            return
        self._write_chain()
        if self._is_kept(call):
            self._write(call, args)
        else:
            self._call_loose(call, args)

    def _is_kept(self, call: Call) -> bool:
        return any(r in self.memory.at or r in self.returned for r in call.results)

    def _link(self, call: Call, args: list[str]) -> None:
        """Keep a call in mind, to be made together with those that follow."""
        if len(self.links) == _LINKS:
            self._write_chain()
        self._make_room(call)
        self.links.append((call, [*args, *map(self._text, call.results)]))

    def _write_chain(self) -> None:
        """Write one call for all that are kept in mind."""
        if not self.links:
            return
        links, self.links = self.links, []
        functions: list[Any] = [call.function for call, _ in links]
        numbers, arrays = dict[str, None](), dict[str, None]()
        for function, (_, names) in zip(functions, links, strict=True):
            numbers.update(dict.fromkeys(names[: function.numbers]))
            others = names[function.numbers :]
            arrays.update(dict.fromkeys(n for n in others if self.names[n] is None))
        given = {name: at for at, name in enumerate((*numbers, *arrays))}
        chain = functions[0].chained(
            [
                (function, [given.get(name, self.names[name]) for name in names])
                for function, (_, names) in zip(functions, links, strict=True)
            ],
            len(numbers),
            len(arrays),
        )
        counts = Counter(function.__name__ for function in functions)
        name, comment = functions[0].__name__, ""
        if len(links) > 1:
            parts = (f"{count} {part}" for part, count in counts.items())
            name, comment = "kernels", f"  # {', '.join(parts)}"
        line = f"{self._bind(chain, name)}({', '.join(given)}){comment}"
        self.lines.append((links[0][0].quiet, line, None))
        for line in self.ended:
            self._line(line)
        self.ended = []

    def _make_room(self, call: Call) -> None:
        """Write that there are new arrays for what the step returns as it is."""
        for r in self.returned.intersection(call.results):
            make = self._static(partial(np.empty, r.shape, r.dtype), "new")
            self._line(f"{self._new(r)} = {make}()")

    def _write(self, call: Call, args: list[str]) -> None:
        """Write the call with its results going into buffers, or into new arrays."""
        self._make_room(call)
        results = call.results
        if copies(call):
            if results[0] not in self.memory.onto:
                self._line(f"{self._text(results[0])}[...] = {args[0]}")
            return
        out = [self._text(r) for r in results]
        if call.function is np.where:
            self._choose(call, args, out[0])
        elif call.writes_last:
            self._line(self._call_text(call, [*args, *out]))
        else:
            into = out[0] if len(out) == 1 else f"({', '.join(out)})"
            self._line(self._call_text(call, args, f"out={into}"))

    def _choose(self, call: Call, args: list[str], out: str) -> None:
        """Write ``np.where``, which has no `out`."""
        if _keeps_or_clears(call):
            # The bits times 1 or 0, many times faster than copying under a mask.
            size = call.args[1].dtype.itemsize
            bits = self._static(np.dtype(f"i{size}"), "bits")
            multiply = self._function(np.multiply)
            self._line(
                f"{multiply}({args[1]}.view({bits}), {args[0]}, out={out}.view({bits}))"
            )
            return
        copyto, result = self._function(np.copyto), call.results[0]
        assert isinstance(result, Result)
        a, b = (
            text if leaves(branch) else self._static(_cast(branch, result), "number")
            for branch, text in zip(call.args[1:], args[1:], strict=True)
        )
        if result not in self.memory.onto:
            self._line(f"{out}[...] = {b}")
        self._line(f"{copyto}({out}, {a}, where={args[0]})")

    def _call_loose(self, call: Call, args: list[str]) -> None:
        """Write the call as in eager mode: its results are made anew."""
        text = self._as_statement(call, args)
        names = [self._new(r) for r in call.results]
        self._line(f"{', '.join(names)} = {text}" if names else text)
        for name, result in zip(names, call.results, strict=True):
            if isinstance(result, Value) and not result.shape:
                # NumPy returns a scalar: no memory to view or write to, no methods.
                self._line(f"{name} = asarray({name})")

    def _as_statement(self, call: Call, args: list[str]) -> str:
        if call.function is operator.setitem:
            return f"{args[0]}[{args[1]}] = {args[2]}"
        if call.function is operator.getitem:
            return f"{args[0]}[{args[1]}]"
        return self._call_text(call, args)

    def _call_text(self, call: Call, args: list[str], *more: str) -> str:
        keywords = [f"{key}={self._text(v)}" for key, v in call.kwargs.items()]
        return (
            f"{self._function(call.function)}({', '.join([*args, *keywords, *more])})"
        )

    def _function(self, function: Callable[..., Any]) -> str:
        of = getattr(function, "__self__", None)
        name = getattr(function, "__name__", "function")
        if isinstance(of, np.ufunc):
            return self._static(function, f"{of.__name__}_{name}")
        return self._static(function, name if name.isidentifier() else "function")

    def _number(self, call: Call, argument: Any, dtype: Any) -> str:
        """Return a number as an array of `dtype`.

        NumPy takes half a microsecond to make an array of a number.
        """
        changes = isinstance(argument, Number)
        argument = argument.item() if isinstance(argument, np.generic) else argument
        array = as_array(call, None if changes else argument, dtype)
        # As text, because 0.0 == -0.0.
        key = argument if changes else repr(argument), dtype, array.shape
        if key not in self.known:
            self.known[key] = self._bind(array, "number")
            if changes:
                self._line(f"{self.known[key]}[()] = {self._text(argument)}")
        return self.known[key]

    def _text(self, nested: Any) -> str:
        """Return an expression for an argument."""
        if isinstance(nested, Value | Number):
            return self._value(nested)
        if not leaves(nested):
            return self._static(nested, "given")
        if isinstance(nested, slice):
            ends = (nested.start, nested.stop, nested.step)
            return f"slice({', '.join(map(self._text, ends))})"
        if isinstance(nested, dict):
            items = (f"{key!r}: {self._text(v)}" for key, v in nested.items())
            return f"{{{', '.join(items)}}}"
        inner = "".join(f"{self._text(item)}, " for item in nested)
        return f"({inner})" if isinstance(nested, tuple) else f"[{inner}]"

    def _static(self, thing: Any, label: str) -> str:
        if thing is None or thing is Ellipsis or type(thing) in (bool, int, str):
            return repr(thing)
        key = "static", id(thing)
        if key not in self.known:
            self.known[key] = self._bind(thing, label)
        return self.known[key]

    def _bind(self, thing: Any, label: str) -> str:
        """Return a new name that means `thing` in the source."""
        number = self.used[label] = self.used.get(label, 0) + 1
        name = f"{label}_{number}" if len(label) > 1 else f"{label}{number}"
        self.names[name] = thing
        return name

    def _value(self, value: Value | Number) -> str:
        if value not in self.known:
            if isinstance(value, View) and self._is_loose(value.base):
                self._make_view(value)
            else:
                assert isinstance(value, Value)
                self.known[value] = self._bind(self._array(value), LETTERS[type(value)])
        return self.known[value]

    def _is_loose(self, base: Value) -> bool:
        """Whether it is a new array in each call, and so are views of it."""
        return not isinstance(base, Live | Constant) and base not in self.memory.at

    def _make_view(self, view: View) -> None:
        base = self._value(view.base)
        if _is_transpose(view):
            text = f"{base}.T"
        else:
            text = f"{self._static(view.make, 'view')}({base})"
        self._line(f"{self._new(view)} = {text}")

    def _array(self, value: Value) -> Array:
        if isinstance(value, Live | Constant):
            return value.array
        if isinstance(value, View):
            return value.make(self.names[self._value(value.base)])
        assert isinstance(value, Result)
        return array_in(self.room[id(self.memory.at[value])], value)

    def _new(self, value: Value | Number) -> str:
        """Return a new name for a value that the source itself computes."""
        name = self.known[value] = self._bind(None, LETTERS[type(value)])
        if isinstance(value, Result | View):
            self.loose.setdefault(owner(value), []).append(name)
        return name

    def _forget(self, i: int, call: Call) -> None:
        """Drop references to arrays of this run that are not used any more."""
        if not self.loose:
            return
        owners = map(owner, (*call.reads, *call.writes, *call.results))
        for value in dict.fromkeys(owners):
            if value in self.loose and self.memory.last.get(value, i) == i:
                line = " = ".join([*self.loose.pop(value), "None"])
                if self.links:
                    self.ended.append(line)
                else:
                    self._line(line)

    def _copy(self, value: Value | Number) -> str:
        if isinstance(value, Number) or value in self.returned:
            return self._value(value)
        copy = "[()]" if value.shape == () else '.copy("K")'
        return f"{self._value(value)}{copy}"


def _is_transpose(view: View) -> bool:
    """Whether a view is all of its base, with the axes in reverse."""
    shape, dtype, strides = layout(view.base)
    return view.base.dense and layout(view) == (shape[::-1], dtype, strides[::-1])


def _keeps_or_clears(call: Call) -> bool:
    """Whether it is ``np.where(mask, x, 0)`` of the dtype of x."""
    _, x, other = call.args
    (result,) = call.results
    if not isinstance(x, Value) or not isinstance(result, Value):
        return False
    is_zero = type(other) in (int, float) and repr(other).strip(".0") == ""
    is_float = x.dtype.kind == "f" and x.dtype.itemsize <= 8
    return is_zero and is_float and x.dtype == result.dtype


def _cast(number: Any, result: Result) -> Array:
    """Return a number as ``np.where`` takes it: one out of bounds goes round."""
    with np.errstate(all="ignore"):
        return np.asarray(number).astype(result.dtype)
