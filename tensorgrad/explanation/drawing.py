"""The drawing: boxes and arrows as SVG, as Mermaid and as DOT."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .boxes import Box
from .layout import GAP, Place, layout, shortened

STYLE = """
.tg-graph text { font-family: ui-monospace, Menlo, Consolas, monospace; }
.tg-graph .title { font-size: 12px; fill: #1a1a1a; }
.tg-graph .note { font-size: 10px; fill: #555; }
.tg-graph rect { stroke: #777; stroke-width: 1; }
.tg-graph .variable rect { fill: #fdf1d6; stroke: #b58900; }
.tg-graph .step rect { fill: #eef4fa; stroke: #56789a; }
.tg-graph .group rect { fill: #e9efe6; stroke: #5b7f55; stroke-dasharray: 5 3; }
.tg-graph path { fill: none; stroke: #8a8a8a; stroke-width: 1.2; }
.tg-graph marker path { fill: #8a8a8a; stroke: none; }
"""


def svg(boxes: Sequence[Box], label: str) -> str:
    """Return the drawing as one SVG element that needs nothing else."""
    places = layout(boxes)
    wide = max((p.x + p.width / 2 for p in places.values()), default=0) + GAP
    high = max((p.y + p.height / 2 for p in places.values()), default=0) + GAP
    number = {box: i for i, box in enumerate(boxes)}
    arrows = [
        _arrow(places[source], places[box], number[source], number[box])
        for box in boxes
        for source in box.sources
    ]
    drawn = [_box(box, places[box], number[box]) for box in boxes]
    return (
        f'<svg class="tg-graph" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'aria-label="{escape(label)}" width="{wide:.0f}" height="{high:.0f}" '
        f'viewBox="0 0 {wide:.0f} {high:.0f}"><style>{STYLE}</style>'
        '<defs><marker id="tg-tip" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
        '<path d="M0 0 8 4 0 8z"/></marker></defs>'
        f"{''.join(arrows)}{''.join(drawn)}</svg>"
    )


def _box(box: Box, at: Place, number: int) -> str:
    left, top = at.x - at.width / 2, at.y - at.height / 2
    return (
        f'<g class="box {box.kind}" data-box="{number}" tabindex="0">'
        f"<title>{escape(box.title)}</title>"
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{at.width:.1f}" '
        f'height="{at.height:.1f}" rx="6"/>'
        f'<text class="title" x="{at.x:.1f}" y="{at.y - 3:.1f}" '
        f'text-anchor="middle">{escape(shortened(box.title))}</text>'
        f'<text class="note" x="{at.x:.1f}" y="{at.y + 13:.1f}" '
        f'text-anchor="middle">{escape(box.note)}</text></g>'
    )


def _arrow(a: Place, b: Place, source: int, target: int) -> str:
    top, end = a.y + a.height / 2, b.y - b.height / 2
    bend = (end - top) / 2
    return (
        f'<path data-from="{source}" data-to="{target}" marker-end="url(#tg-tip)" '
        f'd="M{a.x:.1f} {top:.1f}C{a.x:.1f} {top + bend:.1f} {b.x:.1f} '
        f'{end - bend:.1f} {b.x:.1f} {end:.1f}"/>'
    )


def mermaid(boxes: Sequence[Box]) -> str:
    """Return the graph in Mermaid's language, for Markdown pages."""
    number = {box: f"n{i}" for i, box in enumerate(boxes)}
    lines = ["flowchart TD"]
    for box, key in number.items():
        text = f"{box.title}<br/>{box.note}".replace('"', "#quot;")
        shape = ("([", "])") if box.kind == "variable" else ("[", "]")
        lines.append(f'    {key}{shape[0]}"{text}"{shape[1]}')
    lines += [f"    {number[s]} --> {number[b]}" for b in boxes for s in b.sources]
    return "\n".join(lines) + "\n"


def dot(boxes: Sequence[Box]) -> str:
    """Return the graph in the language of Graphviz."""
    number = {box: f"n{i}" for i, box in enumerate(boxes)}
    lines = ["digraph {", "    node [shape=box, fontname=monospace];"]
    for box, key in number.items():
        text = f"{box.title}\\n{box.note}".replace('"', '\\"')
        round_ = ", style=rounded" if box.kind == "variable" else ""
        lines.append(f'    {key} [label="{text}"{round_}];')
    lines += [f"    {number[s]} -> {number[b]};" for b in boxes for s in b.sources]
    return "\n".join([*lines, "}"]) + "\n"
