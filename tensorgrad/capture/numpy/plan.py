"""The plan of a replay, for people: its calls, its buffers, and what it leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from ..listing import calls_table, cut, few, name_of, outside_table, table
from ..program import Call, Result, Value
from .into import copies
from .replay import Replay


def plan_text(replay: Replay) -> str:
    """Return a replay as text: calls, fused groups, buffers, eliminated calls."""
    parts = (_outside, _calls, _groups, _buffers, _eliminated)
    return "\n\n".join(filter(None, ("\n".join(part(replay)) for part in parts)))


def _outside(replay: Replay) -> Iterator[str]:
    return outside_table(replay.names)


def _calls(replay: Replay) -> Iterator[str]:
    return calls_table(replay.program.calls, replay.names, partial(_note, replay))


def _note(replay: Replay, call: Call) -> str:
    notes = [call.origin] if call.label != call.name else []
    onto = [replay.memory.onto.get(r) for r in call.results if isinstance(r, Result)]
    if any(onto):
        free = copies(call)
        names = ", ".join(name_of(x, replay.names) for x in onto if x)
        notes.append(f"is {names}, nothing copied" if free else f"in place of {names}")
    elif call.results and not any(r in replay.memory.at for r in call.results):
        notes.append("made anew" if isinstance(call.results[0], Value) else "number")
    if call.results and call.writes:
        notes.append(
            f"writes {', '.join(name_of(w, replay.names) for w in call.writes)}"
        )
    return "; ".join(notes)


def _groups(replay: Replay) -> Iterator[str]:
    numbers: dict[tuple[str, ...], list[str]] = {}
    for number, call in enumerate(replay.program.calls, 1):
        group: Sequence[str] = getattr(call.function, "group", ())
        if group:
            numbers.setdefault(tuple(group), []).append(f"{number}")
    rows = [
        (few(calls), f"{len(group)} calls:", ", ".join(_counted(group)))
        for group, calls in numbers.items()
    ]
    yield from table("fused groups", cut(rows))


def _counted(items: Iterable[str]) -> Iterator[str]:
    for item, n in Counter(items).items():
        yield f"{item} x {n}" if n > 1 else item


def _buffers(replay: Replay) -> Iterator[str]:
    memory = replay.memory
    rows = [
        (f"{number}", f"{buffer.nbytes:,} bytes", _holds(replay, buffer.holds))
        for number, buffer in enumerate(memory.buffers, 1)
    ]
    yield from table("buffers", cut(rows, 20))
    if rows:
        total = sum(buffer.nbytes for buffer in memory.buffers)
        alone = sum(result.nbytes for result in memory.at)
        yield f"  {total:,} bytes; each result on its own would take {alone:,}"


def _holds(replay: Replay, results: Sequence[Result]) -> str:
    """Return the results in a buffer in turn; ``=`` where one overwrites another."""
    left_out = len(results) - 3 if len(results) > 9 else 0
    text = ""
    for result in [*results[:2], *results[2 + left_out :]]:
        sign = " = " if result in replay.memory.onto else ", "
        text += (sign if text else "") + name_of(result, replay.names)
        if left_out and result is results[1]:
            text += f", ... {left_out} more ..."
    return text


def _eliminated(replay: Replay) -> Iterator[str]:
    gone = replay.eliminated
    rows = [
        (why, text)
        for why in dict.fromkeys(e.why for e in gone)
        for text in _counted(e.what for e in gone if e.why == why)
    ]
    yield from table("eliminated", cut(rows))
