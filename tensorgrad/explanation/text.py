"""An explanation for a terminal, within 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from os.path import basename
from typing import TYPE_CHECKING, Any

from .steps import Line, Step, Variable, Way, kind, summary

if TYPE_CHECKING:
    from .explain import Explanation

WIDTH = 100
MOST = 40
"""Steps listed one by one; of more, the first and the last."""

KEEP = (
    "-  not kept, as backward does not need it; to see every value, compute inside "
    "tg.watching()"
)

Row = tuple[str, ...]


def as_text(explanation: Explanation) -> str:
    """Return the forward pass, the pass back, and the gradients, line by line."""
    steps = explanation.steps
    count = f"{len(steps)} operation{'s' if len(steps) > 1 else ''}"
    title = f"{steps[-1].name}: {count}, {_list_variables(explanation.variables)}"
    lines = [_cut(title, WIDTH), "", "forward"]
    lines += _forward(steps)
    if any(step.value is None for step in _abridged(steps) if isinstance(step, Step)):
        lines += ["", f"  {KEEP}"]
    lines += ["", "backward: g is the gradient that arrives at a result"]
    lines += _backward(steps[::-1])
    lines += ["", "gradients"]
    lines += _table([_gradient(v) for v in explanation.variables], "  ")
    return "\n".join(lines)


def _list_variables(variables: Sequence[Variable]) -> str:
    names = ", ".join(v.name for v in variables)
    if len(names) > WIDTH // 2:
        return f"{len(variables)} variables"
    return f"variable{'s' if len(variables) > 1 else ''} {names}"


def _abridged(steps: Sequence[Step]) -> list[Step | str]:
    if len(steps) <= MOST:
        return list(steps)
    half = MOST // 2
    return [*steps[:half], f"... {len(steps) - MOST} more ...", *steps[-half:]]


def _forward(steps: Sequence[Step]) -> list[str]:
    """Return the steps in columns, under the lines of source they come from."""
    abridged = _abridged(steps)
    rows = [
        _step(step) if isinstance(step, Step) else (step, "", "", "")
        for step in abridged
    ]
    lines: list[str] = []
    before: Line | None = None
    for step, line in zip(abridged, _columns(rows, "    "), strict=True):
        if isinstance(step, Step) and step.line != before:
            before = step.line
            lines.append(f"  {_cut(_source(before), WIDTH - 2)}")
        lines += line
    return lines


def _source(line: Line) -> str:
    return f"{basename(line.file)}:{line.number}  {line.text}".rstrip()


def _step(step: Step) -> Row:
    value = summary(step.value)
    # Kept together where lines are wrapped, which a plain space would not be.
    inside = f"   in\N{NO-BREAK SPACE}{step.modules[-1]}" if step.modules else ""
    return step.name, f"= {step.expression}", kind(step), value + inside


def _backward(steps: Sequence[Step]) -> list[str]:
    lines: list[str] = []
    for step in _abridged(steps):
        if isinstance(step, str):
            lines.append(f"  {step}")
        elif step.ways:
            g = f"g = {summary(step.incoming)}"
            lines += _joined(f"  {step.name} = {step.expression}", g)
            lines += _table([_way(way) for way in step.ways], "    ")
    return lines


def _way(way: Way) -> Row:
    rule = f"{way.rule}, {way.summing}" if way.summed else way.rule
    return f"to {way.to.name}:", rule, summary(way.gradient)


def _gradient(v: Variable) -> Row:
    arrived = "nothing arrives" if v.gradient is None else summary(v.gradient)
    return f"d/d{v.name}", kind(v), arrived


# Columns.


def _table(rows: Iterable[Row], indent: str) -> list[str]:
    return [line for lines in _columns(list(rows), indent) for line in lines]


def _columns(rows: Sequence[Row], indent: str) -> list[list[str]]:
    """Return the lines of each row: columns aligned, the last wrapped below itself.

    A cell that is longer than most pushes what follows it to the next line.
    """
    starts = [len(indent)]
    for width in _widths(rows):
        starts.append(starts[-1] + width + 2)
    return [_row(row, starts) for row in rows]


def _row(row: Row, starts: Sequence[int]) -> list[str]:
    lines = [""]
    for cell, start in zip(row, starts, strict=True):
        if cell and len(lines[-1]) > max(start - 2, 0):
            lines.append("")
        first, *more = textwrap.wrap(cell, WIDTH - start) or [""]
        lines[-1] = f"{lines[-1]:{start}}{first}"
        lines += [" " * start + line for line in more]
    return [line.rstrip().replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _widths(rows: Sequence[Row]) -> list[int]:
    """Return the widths of all columns but the last."""
    limits = (18, 36, 18) if rows and len(rows[0]) == 4 else (28, 36)
    columns = list(zip(*rows, strict=True))[:-1]
    return [
        min(max(map(len, column)), limit)
        for column, limit in zip(columns, limits, strict=True)
    ]


def _joined(first: str, second: str) -> list[str]:
    """Return two texts on one line where they fit, else one below the other."""
    if len(first) + len(second) + 3 <= WIDTH:
        return [f"{first}   {second}"]
    return [*_wrapped(first, WIDTH), *_wrapped(f"      {second}", WIDTH)]


def _wrapped(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(line, width, subsequent_indent=f"{indent}    ")


def _cut(text: Any, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
