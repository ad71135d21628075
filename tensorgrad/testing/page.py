"""The report on a check as HTML, for a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from .report import among, by_input, kind, made, to_repeat, what_worst

if TYPE_CHECKING:
    from .result import Result

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
    parts.append(f'<div style="opacity:.7">{escape(made(result))}</div>')
    parts += _input(result)
    style = f"border-left:4px solid {colour};padding:.2em 0 .2em 1em;max-width:50em"
    # A long path or line of numbers must not make the page wider.
    style += ";overflow-wrap:break-word"
    return f'<div style="{style}">{"".join(parts)}</div>'


def _worst(result: Result) -> list[str]:
    worst = result.worst
    if worst is None or result.verdict == "invalid":
        return []
    rows = [
        ("analytic", f"{worst.analytic:.12g}"),
        ("numerical", f"{worst.numerical:.12g} ± {worst.error:.1e}"),
    ]
    if not np.isnan(worst.low):
        rows.append(("one-sided", f"{worst.low:.6g} and {worst.high:.6g}"))
    heading = f"{what_worst(result)}: {worst}{among(result)}"
    cell = '<td style="text-align:left;padding:1px 1em 1px 0;border:0">'
    lines = "".join(
        f'<tr style="background:none">{cell}{name}</td>{cell}<code>{escape(value)}'
        "</code></td></tr>"
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
