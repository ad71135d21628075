"""The plan of a replay, for people: its calls, its buffers, and what it leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import Any

import numpy as np

from ..program import Call, Constant, Input, Live, Number, Result, Value, View, owner
from .into import COPIES
from .prune import name
from .replay import Replay

_LAST = 60
"""Width of the last column of a table."""


def plan_text(replay: Replay) -> str:
    """Return what a replay does: calls, fused groups, buffers, what was eliminated."""
    parts = (_values, _calls, _groups, _buffers, _eliminated)
    return "\n\n".join("\n".join(part(replay)) for part in parts if any(part(replay)))


def _values(replay: Replay) -> Iterator[str]:
    """Yield what comes from outside."""
    told = {Input: "argument", Live: "live, outside", Constant: "constant"}
    rows = [
        (called, _kind(value), told[type(value)])
        for value, called in replay.names.items()
        if isinstance(value, Input | Live | Constant)
    ]
    yield from _titled("arrays from outside", rows)


def _calls(replay: Replay) -> Iterator[str]:
    rows = []
    for number, call in enumerate(replay.program.calls, 1):
        made = _kinds(call.results or call.writes)
        rows.append((f"{number}", _told(replay, call), made, _note(replay, call)))
    yield from _titled("calls", rows)


def _told(replay: Replay, call: Call) -> str:
    """Return the call as text, with what it makes or writes on the left."""
    made = call.results or call.writes
    left = _few([_name(replay, value) for value in made])
    keywords = ((k, v) for k, v in call.kwargs.items() if k != "out")
    given = [_text(replay, a) for a in call.args]
    given += [f"{key}={_text(replay, value)}" for key, value in keywords]
    arrow = " = " if call.results else " <- "
    function = name(call, origin=False)
    return f"{left}{arrow if made else ''}{function}({_few(given)})"


def _few(items: Sequence[str]) -> str:
    """Return a list in words, of a long one the ends."""
    if len(items) > 5:
        items = [*items[:2], f"... {len(items) - 3} more ...", items[-1]]
    return ", ".join(items)


def _note(replay: Replay, call: Call) -> str:
    told = call.origin not in ("", name(call, origin=False))
    notes = [call.origin] if told else []
    onto = [replay.memory.onto.get(r) for r in call.results if isinstance(r, Result)]
    if any(onto):
        free = call.function in COPIES
        names = ", ".join(_name(replay, x) for x in onto if x)
        notes.append(f"is {names}, nothing copied" if free else f"in place of {names}")
    elif call.results and not any(r in replay.memory.at for r in call.results):
        notes.append("made anew" if isinstance(call.results[0], Value) else "number")
    if call.results and call.writes:
        notes.append(f"writes {', '.join(_name(replay, w) for w in call.writes)}")
    return "; ".join(notes)


def _groups(replay: Replay) -> Iterator[str]:
    rows = []
    for number, call in enumerate(replay.program.calls, 1):
        group: Sequence[str] = getattr(call.function, "group", ())
        if group:
            told = ", ".join(_counted(group))
            rows.append((f"{number}", f"{len(group)} calls:", told))
    yield from _titled("fused groups", rows)


def _counted(items: Iterable[str]) -> Iterator[str]:
    for item, n in Counter(items).items():
        yield f"{item} x {n}" if n > 1 else item


def _buffers(replay: Replay) -> Iterator[str]:
    memory = replay.memory
    rows = [
        (f"{number}", f"{buffer.nbytes:,} bytes", _holds(replay, buffer.holds))
        for number, buffer in enumerate(memory.buffers, 1)
    ]
    yield from _titled("buffers", rows)
    if rows:
        total = sum(buffer.nbytes for buffer in memory.buffers)
        alone = sum(result.nbytes for result in memory.at)
        yield f"  {total:,} bytes; each result on its own would take {alone:,}"


def _holds(replay: Replay, results: Sequence[Result]) -> str:
    """Return the results in a buffer in turn; ``=`` where one overwrites another."""
    text = ""
    for result in results:
        sign = " = " if result in replay.memory.onto else ", "
        text += (sign if text else "") + _name(replay, result)
    return text


def _eliminated(replay: Replay) -> Iterator[str]:
    gone = replay.eliminated
    rows = [
        (why, told)
        for why in dict.fromkeys(e.why for e in gone)
        for told in _counted(e.what for e in gone if e.why == why)
    ]
    yield from _titled("eliminated", rows)


def _titled(title: str, rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield a table with its columns aligned, the last one wrapped."""
    if rows:
        yield title
        widths = [min(max(map(len, column)), 44) for column in zip(*rows, strict=True)]
        for *cells, last in rows:
            start = "".join(f"  {c:{w}}" for c, w in zip(cells, widths, strict=False))
            first, *rest = wrap(last, _LAST) or [""]
            yield f"{start}  {first}".rstrip()
            yield from (f"{'':{len(start)}}  {line}" for line in rest)


def _text(replay: Replay, nested: Any) -> str:
    """Return an argument as a reader would write it."""
    if isinstance(nested, Value | Number):
        return _name(replay, nested)
    if isinstance(nested, tuple | list):
        inner = ", ".join(_text(replay, item) for item in nested)
        comma = "," if len(nested) == 1 else ""
        return f"[{inner}]" if isinstance(nested, list) else f"({inner}{comma})"
    if isinstance(nested, _TOLD):
        return "..." if nested is Ellipsis else f"{nested!r:.30}"
    return type(nested).__name__


_TOLD = (int, float, str, slice, np.generic, np.dtype, type(None), type(...))


def _name(replay: Replay, value: Value | Number) -> str:
    """Return the name of a value; a view is told by what it is a view of."""
    if isinstance(value, View):
        base = _name(replay, owner(value))
        shape = "x".join(map(str, value.shape))
        turned = value.shape == value.base.shape[::-1] != value.base.shape
        return f"{base}.T" if turned else f"{base}[{shape}]"
    return replay.names.get(value, "-")


def _kinds(values: Sequence[Value | Number]) -> str:
    if len(values) > 3:
        return f"{len(values)} arrays"
    return ", ".join(map(_kind, values))


def _kind(value: Value | Number) -> str:
    if isinstance(value, Number):
        return "number"
    return f"{value.dtype}({', '.join(map(str, value.shape))})"
