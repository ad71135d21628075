"""The report on a check, as text, as HTML for a notebook, and as a dict."""

from __future__ import annotations

import math
import textwrap
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from .problem import Array, renamed
from .verdict import NAMES, Entry

if TYPE_CHECKING:
    from .result import Result

WIDTH, HEIGHT = 78, 24
LONGEST = 80
"""Numbers of an array that is printed."""


def report(result: Result) -> str:
    """Return the report on a result, for a terminal."""
    lines = [f"{kind(result)}: {result.verdict.upper()}"]
    if result.diagnosis:
        lines += _wrapped(result.diagnosis)
    lines += _of_worst(result)
    if result.names:
        lines += _wrapped(by_input(result))
    for note in result.notes:
        lines += _wrapped(f"note: {note}")
    lines += _wrapped(basis(result))
    return "\n".join([*lines, *to_repeat(result, HEIGHT - len(lines))])


def kind(result: Result) -> str:
    """Say what was checked."""
    return "gradient" if result.order == 1 else f"gradient of order {result.order}"


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  "
    )


def _of_worst(result: Result) -> list[str]:
    heading, rows = worst_rows(result)
    return [*_wrapped(heading), *(f"    {name:9}  {value}" for name, value in rows)]


def worst_rows(result: Result) -> tuple[str, list[tuple[str, str]]]:
    """Return what the worst entry is, and its derivatives by their names."""
    worst = result.worst
    if worst is None or result.verdict == "invalid":
        return "", []
    rows = [
        ("analytic", f"{worst.analytic: .12g}"),
        ("numerical", f"{worst.numerical: .12g} ± {worst.error:.1e}"),
    ]
    if not np.isnan(worst.low):
        rows.append(("one-sided", f"{worst.low: .6g} and {worst.high:.6g}"))
    what = {"agrees": "widest entry", "kink": "at a kink"}
    name = what.get(result.verdict, "worst entry")
    return f"{name}: {worst}{among(result)}", rows


def by_input(result: Result) -> str:
    """Say for which inputs the gradient is wrong, and for which it is right."""
    counted = shares(result)
    wrong = [f"{name_of(result, k)} ({n} of {of})" for k, (n, of) in counted if n]
    right = [name_of(result, k) for k, (n, _) in counted if not n]
    rest = f"; agrees: {_few(right)}" if right else ""
    return f"{result.verdict}: {_few(wrong)}{rest}" if wrong else ""


def shares(result: Result) -> list[tuple[int, tuple[int, int]]]:
    """Return for each input that was compared how many of its lines, of how many, hold
    an entry that is as bad as the worst.
    """
    comparison = result.comparison
    if comparison is None or result.verdict not in ("disagrees", "too noisy"):
        return []
    numbers = np.array([c.number for c in comparison.experiment.columns])
    off = (comparison.state == comparison.worst_state).any(axis=1)
    return [
        (int(k), (int(off[numbers == k].sum()), int((numbers == k).sum())))
        for k in np.unique(numbers)
    ]


def _few(names: list[str], most: int = 8) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def among(result: Result) -> str:
    """Say how many entries are as the worst one is."""
    comparison = result.comparison
    if comparison is None:
        return ""
    same = int((comparison.state == comparison.worst_state).sum())
    name = comparison.experiment.name.replace("a second", "at a second")
    return f", {same} of {comparison.state.size} {name}"


def basis(result: Result) -> str:
    """Return the shapes, the seed and the number of evaluations of a check."""
    shapes = ", ".join(str(x.shape) for x in result.inputs) or "none"
    counted = f"{result.evaluations} evaluations"
    return f"inputs of shape {shapes}, seed {result.seed}, {counted}"


def to_repeat(result: Result, room: int) -> list[str]:
    """Return statements to copy, which make the input that fails."""
    # The parameters of a model are at hand, under their names.
    if result.ok or not result.inputs or "output 0" in result.names:
        return []
    if result.shrunk is None:
        what, name, inputs = "input", "inputs", result.inputs
    else:
        what, name, inputs = "smallest failing input", "shrunk", result.shrunk
    names = [result.names.get(f"input {k}", f"x{k}") for k in range(len(inputs))]
    short = [f"    {x} = result.{name}[{k}]" for k, x in enumerate(names)]
    printed = [
        _array(f"    {names[k]} = ", x) if x.size <= LONGEST else [short[k]]
        for k, x in enumerate(inputs)
    ]
    while sum(map(len, printed)) >= max(room, len(printed) + 1):
        k = max(range(len(printed)), key=lambda k: len(printed[k]))
        printed[k] = [short[k]]
    return [f"  {what}, rng={result.seed}:", *(line for p in printed for line in p)]


def _array(head: str, x: Array) -> list[str]:
    if not x.size:
        return [f"{head}np.zeros({x.shape})"]
    head += "np.array("
    tail = ")" if x.dtype == np.float64 else f", dtype=np.{x.dtype})"
    # Every digit, whatever the print options are.
    with np.printoptions(floatmode="unique", threshold=LONGEST, formatter={}):
        width = WIDTH - len(head) - len(tail)
        numbers = np.array2string(x, max_line_width=width, separator=", ")
    numbers = numbers.replace("nan", "np.nan").replace("inf", "np.inf")
    return (head + numbers.replace("\n", "\n" + " " * len(head)) + tail).split("\n")


def as_dict(result: Result) -> dict[str, Any]:
    """Return the report as a dict that can be written as JSON."""
    inputs = enumerate(result.inputs)
    return {
        "verdict": result.verdict,
        "ok": result.ok,
        "order": result.order,
        "seed": result.seed,
        "fault": result.fault,
        "diagnosis": result.diagnosis,
        "notes": result.notes,
        "evaluations": result.evaluations,
        "inputs": [
            {"name": name_of(result, k), "shape": list(x.shape), "dtype": str(x.dtype)}
            for k, x in inputs
        ],
        "entries": counts(result),
        "worst": None if result.worst is None else _entry(result.worst),
        "shrunk": None
        if result.shrunk is None
        else [_numbers(x.tolist()) for x in result.shrunk],
    }


def counts(result: Result) -> dict[str, int]:
    """Return how many entries of the worst comparison have each verdict."""
    if result.comparison is None:
        return {}
    numbers = np.bincount(result.comparison.state.ravel(), minlength=len(NAMES))
    return {name: int(n) for name, n in zip(NAMES, numbers, strict=True)}


def name_of(result: Result, number: int) -> str:
    """Return the name of an input."""
    return renamed(f"input {number}", result.names)


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "input": renamed(f"input {entry.input}", entry.names),
        "index": None if entry.index is None else list(entry.index),
        "output": renamed(f"output {entry.output}", entry.names),
        "output_index": None
        if entry.output_index is None
        else list(entry.output_index),
    } | {
        name: _numbers(getattr(entry, name))
        for name in ("analytic", "numerical", "error", "low", "high")
    }


def _numbers(value: Any) -> Any:
    """Return numbers that JSON lacks as strings."""
    if isinstance(value, list):
        return [_numbers(v) for v in value]
    return value if math.isfinite(value) else str(value)


COLOURS = {
    "agrees": "#2f6f4f",
    "kink": "#7b4a93",
    "too noisy": "#66605a",
    "disagrees": "#b3361c",
    "invalid": "#8a5a00",
}
"""Behind white letters; all have a contrast of 4.5 with those and show on black too."""

ROOM = 40
"""Lines of the input that fails."""


def page(result: Result) -> str:
    """Return the report on a result as HTML that takes colours and font around it."""
    colour = COLOURS[result.verdict]
    badge = (
        f'<span style="background:{colour};color:#fff;border-radius:3px;'
        f'padding:1px 7px;font-weight:600">{escape(result.verdict)}</span>'
    )
    parts = [f"<div>{badge} {escape(kind(result))}</div>"]
    if result.diagnosis:
        parts.append(f'<p style="margin:.6em 0">{escape(result.diagnosis)}</p>')
    parts += _worst(result)
    if result.names:
        parts.append(f"<div>{escape(by_input(result))}</div>")
    if result.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in result.notes)
        parts.append(f'<ul style="margin:.6em 0">{items}</ul>')
    parts.append(f'<div style="opacity:.7">{escape(basis(result))}</div>')
    parts += _input(result)
    style = f"border-left:4px solid {colour};padding:.2em 0 .2em 1em;max-width:50em"
    # A long path or line of numbers must not make the page wider.
    style += ";overflow-wrap:break-word"
    return f'<div style="{style}">{"".join(parts)}</div>'


def _worst(result: Result) -> list[str]:
    heading, rows = worst_rows(result)
    if not rows:
        return []
    cell = '<td style="text-align:left;padding:1px 1em 1px 0;border:0">'
    lines = "".join(
        f'<tr style="background:none">{cell}{name}</td>{cell}'
        f"<code>{escape(value.strip())}</code></td></tr>"
        for name, value in rows
    )
    table = f'<table style="border:0;margin:.3em 0;font-size:inherit">{lines}</table>'
    return [f"<div>{escape(heading)}</div>", table]


def _input(result: Result) -> list[str]:
    lines = to_repeat(result, ROOM)
    if not lines:
        return []
    heading, *code = lines
    repeat = escape("\n".join(code))
    return [
        f'<details style="margin-top:.4em"><summary>{escape(heading.strip(" :"))}'
        f'</summary><pre style="margin:.3em 0;overflow-x:auto">{repeat}</pre></details>'
    ]
