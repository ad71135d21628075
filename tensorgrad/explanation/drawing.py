"""The drawing: boxes and arrows as SVG, as Mermaid and as DOT."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .boxes import Box
from .layout import GAP, Place, layout, shortened

LOW, ROOMY = 42.0, 60.0
"""Height of a box with two lines, and with room for a value, in pixels."""

STYLE = """
.tg-graph text { font-family: ui-monospace, Menlo, Consolas, monospace; }
.tg-graph .title { font-size: 12px; fill: #1a1a1a; }
.tg-graph .note { font-size: 10px; fill: #4a4a4a; }
.tg-graph rect { stroke: #777; stroke-width: 1; }
.tg-graph .paper { fill: #fff; stroke: none; }
.tg-graph .variable rect { fill: #fdf1d6; stroke: #9a6a00; }
.tg-graph .step rect { fill: #eaf3fa; stroke: #0072b2; }
.tg-graph .group rect { fill: #e6f3ee; stroke: #00734f; stroke-dasharray: 5 3; }
.tg-graph .outside rect { fill: #f4f4f4; stroke: #777; stroke-dasharray: 2 2; }
.tg-graph path { fill: none; stroke: #757575; stroke-width: 1.2; }
.tg-graph marker path { fill: #757575; stroke: none; }
"""


def svg(boxes: Sequence[Box], label: str, height: float = LOW) -> str:
    """Return the drawing as one SVG element that needs nothing else."""
    places, ways = layout(boxes, height, 22 if height == ROOMY else 8)
    wide = max((p.x + p.width / 2 for p in places.values()), default=0) + GAP
    high = max((p.y + p.height / 2 for p in places.values()), default=0) + GAP
    number = {box: i for i, box in enumerate(boxes)}
    arrows = [
        _arrow(
            places[a],
            points,
            places[b],
            f'data-from="{number[a]}" data-to="{number[b]}"',
        )
        for (a, b), points in ways.items()
    ]
    drawn = [_box(box, places[box], number[box]) for box in boxes]
    return (
        f'<svg class="tg-graph" xmlns="http://www.w3.org/2000/svg" role="group" '
        f'aria-label="{escape(label)}" width="{wide:.0f}" height="{high:.0f}" '
        f'viewBox="0 0 {wide:.0f} {high:.0f}"><style>{STYLE}</style>'
        '<defs><marker id="tg-tip" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerUnits="userSpaceOnUse" markerWidth="9" markerHeight="9" orient="auto">'
        '<path d="M0 0 8 4 0 8z"/></marker></defs>'
        '<rect class="paper" width="100%" height="100%"/>'
        f"{''.join(arrows)}{''.join(drawn)}</svg>"
    )


def _box(box: Box, at: Place, number: int) -> str:
    left, top = at.x - at.width / 2, at.y - at.height / 2
    return (
        f'<g class="box {box.kind}" data-box="{number}" tabindex="0" role="button">'
        f"<title>{escape(box.title)}</title>"
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{at.width:.1f}" '
        f'height="{at.height:.1f}" rx="6"/>'
        f"{_line('title', at.x, top + 18, shortened(box.title))}"
        f"{_line('note', at.x, top + 34, shortened(box.note, 52))}"
        f"{_line('told', at.x, top + 51, '')}</g>"
    )


def _line(kind: str, x: float, y: float, text: str) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">'
        f"{escape(text)}</text>"
    )


def _arrow(a: Place, points: list[tuple[float, float]], b: Place, data: str) -> str:
    """Return a curve from box to box, straight down through the points it passes."""
    x, y = a.x, a.y + a.height / 2
    path = f"M{x:.1f} {y:.1f}"
    half = a.height / 2
    for px, py in points:
        path += f"{_curve(x, y, px, py - half)}V{py + half:.1f}"
        x, y = px, py + half
    path += _curve(x, y, b.x, b.y - b.height / 2)
    return f'<path {data} marker-end="url(#tg-tip)" d="{path}"/>'


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    bend = (to_y - y) / 2
    return f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}"


def mermaid(boxes: Sequence[Box]) -> str:
    """Return the graph in Mermaid's language, for Markdown pages."""
    number = {box: f"n{i}" for i, box in enumerate(boxes)}
    shapes = {"variable": ("([", "])"), "outside": ("([", "])"), "group": ("[[", "]]")}
    lines = ["flowchart TD"]
    for box, key in number.items():
        text = "<br/>".join(map(_entities, (box.title, box.note)))
        left, right = shapes.get(box.kind, ("[", "]"))
        lines.append(f'    {key}{left}"{text}"{right}')
    lines += [f"    {number[s]} --> {number[b]}" for b in boxes for s in b.sources]
    return "\n".join(lines) + "\n"


def _entities(text: str) -> str:
    """Return a text with Mermaid's entities for what its language reads as its own."""
    return "".join(c if c.isalnum() or c in " .,=_-" else f"#{ord(c)};" for c in text)


def dot(boxes: Sequence[Box]) -> str:
    """Return the graph in the language of Graphviz."""
    number = {box: f"n{i}" for i, box in enumerate(boxes)}
    styles = {"variable": "rounded", "outside": "dotted", "group": "dashed"}
    lines = ["digraph {", "    node [shape=box, fontname=monospace];"]
    for box, key in number.items():
        text = "\\n".join(map(_escaped, (box.title, box.note)))
        style = f", style={styles[box.kind]}" if box.kind in styles else ""
        lines.append(f'    {key} [label="{text}"{style}];')
    lines += [f"    {number[s]} -> {number[b]};" for b in boxes for s in b.sources]
    return "\n".join([*lines, "}"]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
