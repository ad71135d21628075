"""An explanation as one page of HTML: boxes open, and the pass is played."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from os.path import basename
from string import Template
from typing import Any

import numpy as np

from .boxes import Box, boxes
from .drawing import ROOMY, svg
from .layout import rounded
from .sections import Group, Part, grouped, steps_of
from .steps import Array, Step, Variable, Way, kind, summary

MANY = 500
"""With more steps than that, only small arrays show their elements."""

SMALL, WIDE = 16, 12
"""Elements of a small array; rows and columns to show of a larger one."""


def page(steps: Sequence[Step], variables: Sequence[Variable]) -> str:
    """Return the page; it needs no other file and no network."""
    title = f"How {steps[-1].name} was computed, and how its gradient flows back"
    views = _Views(steps, variables)
    views.add(grouped(steps), title, None)
    arrays = _Arrays(len(steps) > MANY)
    data = {
        "steps": [_step(s, arrays) for s in steps],
        "variables": [_variable(v, arrays) for v in variables],
        "views": views.views,
        "drawings": views.drawings,
        "arrays": arrays.entries,
    }
    template = Template((files(__package__) / "page.html").read_text("utf-8"))
    return template.substitute(
        title=escape(title), drawing=views.drawings[0], data=_packed(data)
    )


def _packed(data: Any) -> str:
    """Return data as text, compressed: a large graph repeats itself a lot."""
    text = json.dumps(data, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


class _Views:
    """The drawings of a page: of the whole, and of each group in it.

    Drawings that differ in the names of their steps alone, as those of the turns of a
    loop, are drawn once; the page puts in the titles.
    """

    def __init__(self, steps: Sequence[Step], variables: Sequence[Variable]) -> None:
        self.number: dict[Any, int] = {s: i for i, s in enumerate(steps)}
        self.number |= {v: i for i, v in enumerate(variables)}
        self.views: list[dict[str, Any]] = []
        self.drawings: list[str] = []
        self._numbers: dict[Any, int] = {}

    def add(self, parts: Sequence[Part], label: str, parent: int | None) -> int:
        """Add the view of some parts, and those of groups in it; return its place."""
        at = len(self.views)
        drawn = boxes(parts)
        view: dict[str, Any] = {"label": label, "parent": parent}
        self.views.append(view)
        view["drawing"] = self._drawing(drawn, label)
        view["boxes"] = [self._box(box, at) for box in drawn]
        return at

    def _drawing(self, drawn: list[Box], label: str) -> int:
        number = {box: i for i, box in enumerate(drawn)}
        key = tuple(
            (b.kind, rounded(b.title), b.note, tuple(number[s] for s in b.sources))
            for b in drawn
        )
        if key not in self._numbers:
            self._numbers[key] = len(self.drawings)
            self.drawings.append(svg(drawn, label, ROOMY))
        return self._numbers[key]

    def _box(self, box: Box, view: int) -> dict[str, Any]:
        entry: dict[str, Any] = {"kind": box.kind, "title": box.title}
        if isinstance(box.thing, Group):
            inside = [self.number[s] for s in steps_of(box.thing)]
            entry |= {"note": box.note, "count": len(inside)}
            entry["step"] = self.number[box.thing.last]
            entry["view"] = self.add(box.thing.parts, box.title, view)
            return entry
        place = "variable" if box.kind == "variable" else "step"
        return entry | {place: self.number[box.thing]}


class _Arrays:
    """The arrays of a page, each described once."""

    def __init__(self, many: bool) -> None:
        self.many = many
        self.entries: list[dict[str, Any]] = []
        self._places: dict[Any, int] = {}

    def add(self, value: Any) -> Any:
        """Return the place of an array, those of several, or None."""
        if value is None:
            return None
        if isinstance(value, tuple):
            return [self.add(v) for v in value]
        a = np.asarray(value)
        key = (a.shape, a.dtype.str, a.tobytes()) if a.size <= SMALL else id(value)
        if key not in self._places:
            self._places[key] = len(self.entries)
            self.entries.append(self._array(a))
        return self._places[key]

    def _array(self, a: Array) -> dict[str, Any]:
        entry: dict[str, Any] = {"kind": f"{a.dtype} {a.shape}", "summary": summary(a)}
        if a.size and a.dtype.kind in "fiub" and (a.size <= SMALL or not self.many):
            entry |= _corner(a)
        return entry


def _corner(a: Array) -> dict[str, Any]:
    """Return the first rows and columns of the first matrix, as text."""
    matrix = np.atleast_2d(a)
    matrix = matrix[(0,) * (matrix.ndim - 2)]
    part = matrix[:WIDE, :WIDE]
    rows = [[f"{value + 0.0:.4g}" for value in row] for row in part.tolist()]
    cut = f"the first {part.shape[0]} by {part.shape[1]} of {a.shape}"
    return {"rows": rows} | ({"cut": cut} if part.size < a.size else {})


def _variable(v: Variable, arrays: _Arrays) -> dict[str, Any]:
    return {
        "name": v.name,
        "kind": kind(v),
        "value": arrays.add(v.value),
        "gradient": arrays.add(v.gradient),
    }


def _step(step: Step, arrays: _Arrays) -> dict[str, Any]:
    line = step.line
    return {
        "name": step.name,
        "expression": step.expression,
        "kind": kind(step),
        "line": f"{basename(line.file)}:{line.number}",
        "source": line.text,
        "modules": " > ".join(step.modules),
        "value": arrays.add(step.value),
        "incoming": arrays.add(step.incoming),
        "ways": [_way(way, arrays) for way in step.ways],
    }


def _way(way: Way, arrays: _Arrays) -> dict[str, Any]:
    entry = {"to": way.to.name, "rule": way.rule, "gradient": arrays.add(way.gradient)}
    if way.remark:
        entry["remark"] = way.remark
    if way.summed:
        entry["summed"] = f"{way.summing} of {way.before}, along which it was broadcast"
    return entry
