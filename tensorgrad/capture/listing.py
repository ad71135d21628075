"""Listings of programs: names of values, calls as a reader would write them, tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .repeats import repeats
from .values import Constant, Input, Live, Number, Result, Value, View, owner

if TYPE_CHECKING:
    from .program import Call, Program

Names: TypeAlias = Mapping[Any, str]

LETTERS = {Input: "x", Live: "p", Constant: "c", Result: "r", View: "v", Number: "n"}
"""What the names of values begin with."""

_ORIGINS = {Input: "argument", Live: "live, outside", Constant: "constant"}

SCREEN = 50
"""Rows of a table up to which nothing is folded."""

_LAST = 60
"""Width of the last column of a table."""


def names_of(program: Program) -> Names:
    """Return a name for each value and number of a program, in order of appearance.

    A view has one where a call makes it; others are written by what they are views of.
    """
    names: dict[Value | Number, str] = {}
    counts = Counter[str]()
    results = {r for call in program.calls for r in call.results}
    for value in _values(program):
        if value not in names and (value in results or not isinstance(value, View)):
            letter = LETTERS[type(value)]
            counts[letter] += 1
            names[value] = f"{letter}{counts[letter]}"
    return names


def _values(program: Program) -> Iterator[Value | Number]:
    yield from program.inputs
    yield from program.numbers
    for call in program.calls:
        for value in (*call.reads, *call.writes):
            yield owner(value)
            yield value
        yield from call.results
    yield from map(owner, program.returned)


def listing(program: Program) -> str:
    """Return a program as text: arrays from outside, calls, and what is returned."""
    names = names_of(program)
    returned = ", ".join(name_of(value, names) for value in program.returned)
    calls = calls_table(program.calls, names, attrgetter("origin"))
    parts = [outside_table(names), calls]
    lines = ["\n".join(part) for part in map(list, parts) if part]
    return "\n\n".join([*lines, f"returns {returned or 'nothing'}"])


def outside_table(names: Names) -> Iterator[str]:
    """Yield the lines of a table of what comes from outside."""
    rows = [
        (name, kind_of(value), _ORIGINS[type(value)])
        for value, name in names.items()
        if type(value) in _ORIGINS
    ]
    spans = rows if len(rows) <= SCREEN else _spans(rows)
    yield from table("arrays from outside", cut(spans))


def _spans(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return rows with one for each run that differ only in their names."""
    runs = [(alike, [*run]) for alike, run in groupby(rows, itemgetter(slice(1, None)))]
    return [
        (run[0][0] + (f" ... {run[-1][0]}" if run[1:] else ""), *alike)
        for alike, run in runs
    ]


def cut(rows: Sequence[tuple[str, ...]], most: int = SCREEN) -> list[tuple[str, ...]]:
    """Return rows of a table; of very many the first, and how many more there are."""
    if len(rows) <= most:
        return [*rows]
    empty = ("",) * (len(rows[0]) - 1)
    return [*rows[:most], (*empty, f"... {len(rows) - most:,} more ...")]


Note: TypeAlias = Callable[["Call"], str]


def calls_table(calls: Sequence[Call], names: Names, note: Note) -> Iterator[str]:
    """Yield the lines of a table of calls, with a note to each: what it is part of.

    Where they are many, turns of a loop are written once, and of what is still longer
    than a screen the ends.
    """
    rows = []
    for line in _lines(calls):
        if isinstance(line, int):
            call = calls[line]
            kinds = kinds_of(call.results or call.writes)
            rows.append((f"{line + 1}", call_text(call, names), kinds, note(call)))
        else:
            rows.append(("", line, "", ""))
    yield from table("calls", rows)


def _lines(calls: Sequence[Call]) -> Sequence[int | str]:
    """Return the numbers of calls that are written, and between them what is said."""
    if len(calls) <= SCREEN:
        return range(len(calls))
    runs = (list(run) for _, run in groupby(_folded(calls), type))
    lines = [line for run in runs for line in _ends(calls, run, SCREEN)]
    return _ends(calls, lines, 4 * SCREEN)


def _ends(
    calls: Sequence[Call], lines: Sequence[int | str], most: int
) -> Sequence[int | str]:
    """Return lines; of more than `most` the ends, and what is between them."""
    if len(lines) <= most:
        return lines
    middle = lines[most // 2 : -most // 2]
    names = Counter(calls[line].name for line in middle if isinstance(line, int))
    common = ", ".join(f"{name} x {n:,}" for name, n in names.most_common(5))
    text = f"... {len(middle):,} more: {common}{', ...' * (len(names) > 5)}"
    return [*lines[: most // 2], text, *lines[-most // 2 :]]


def _folded(calls: Sequence[Call], before: int = 0) -> Iterator[int | str]:
    """Yield numbers of calls, and after the first turn of a loop how it repeats."""
    at = 0
    for repeat in repeats(calls):
        start, end = repeat.start, repeat.start + repeat.period
        yield from range(before + at, before + start)
        yield from _folded(calls[start:end], before + start)
        first, last = before + start + 1, before + end
        body = f"{first}-{last} repeat" if last > first else f"{first} repeats"
        yield f"... {body} {repeat.count:,} times, to {before + repeat.end}"
        at = repeat.end
    yield from range(before + at, before + len(calls))


def call_text(call: Call, names: Names) -> str:
    """Return a call as text, with what it makes or writes on the left."""
    outputs = call.results or call.writes
    left = few([name_of(value, names) for value in outputs])
    arguments = [argument_text(a, names) for a in call.args]
    keywords = ((k, v) for k, v in call.kwargs.items() if k != "out")
    arguments += [f"{key}={argument_text(value, names)}" for key, value in keywords]
    arrow = " = " if call.results else " <- "
    return f"{left}{arrow if outputs else ''}{call.name}({few(arguments)})"


def few(items: Sequence[str]) -> str:
    """Return a list in words, of a long one the ends."""
    if len(items) > 5:
        items = [*items[:2], f"... {len(items) - 3} more ...", items[-1]]
    return ", ".join(items)


def argument_text(nested: Any, names: Names) -> str:
    """Return an argument as a reader would write it."""
    if isinstance(nested, Value | Number):
        return name_of(nested, names)
    if isinstance(nested, tuple | list):
        inner = few([argument_text(item, names) for item in nested])
        comma = "," if len(nested) == 1 else ""
        return f"[{inner}]" if isinstance(nested, list) else f"({inner}{comma})"
    if isinstance(nested, slice):
        ends = ["" if n is None else str(n) for n in (nested.start, nested.stop)]
        return ":".join([*ends, *([] if nested.step is None else [str(nested.step)])])
    if isinstance(nested, np.dtype):
        return nested.name
    if isinstance(nested, type):
        return nested.__name__
    if isinstance(nested, _LITERAL):
        return "..." if nested is Ellipsis else f"{nested!r:.30}"
    return type(nested).__name__


_LITERAL = (int, float, str, np.generic, type(None), type(...))


def name_of(value: Value | Number, names: Names) -> str:
    """Return the name of a value; a view without one by what it is a view of."""
    if isinstance(value, View) and value not in names:
        base = name_of(value.base, names)
        turned = value.shape == value.base.shape[::-1] != value.base.shape
        return f"{base}.T" if turned else f"{base}[{'x'.join(map(str, value.shape))}]"
    return names.get(value, "-")


def kinds_of(values: Sequence[Value | Number]) -> str:
    """Return dtype and shape of each value."""
    if len(values) > 3:
        return f"{len(values)} arrays"
    return ", ".join(map(kind_of, values))


def kind_of(value: Value | Number) -> str:
    """Return dtype and shape of a value."""
    if isinstance(value, Number):
        return "number"
    return f"{value.dtype}({', '.join(map(str, value.shape))})"


def table(title: str, rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield a title and a table with its columns aligned, the last one wrapped."""
    if rows:
        yield title
        widths = [min(max(map(len, column)), 44) for column in zip(*rows, strict=True)]
        for *cells, last in rows:
            start = "".join(f"  {c:{w}}" for c, w in zip(cells, widths, strict=False))
            first, *rest = wrap(last, _LAST) or [""]
            yield f"{start}  {first}".rstrip()
            yield from (f"{'':{len(start)}}  {line}" for line in rest)
