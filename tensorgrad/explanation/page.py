"""An explanation as one page of HTML: boxes open, and the pass is played."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from .boxes import Box
from .drawing import svg
from .steps import Array, Step, Variable, Way, summary

FULL = 500
"""Up to so many steps a page shows arrays of 12 rows; above, of 4."""


def page(steps: Sequence[Step], variables: Sequence[Variable], boxes: list[Box]) -> str:
    """Return the page; it needs no other file and no network."""
    most = 12 if len(steps) <= FULL else 4
    number = {step: i for i, step in enumerate(steps)}
    given = {v: i for i, v in enumerate(variables)}
    home = [0] * len(steps)
    for i, box in enumerate(boxes):
        for member in box.members:
            if member in number:
                home[number[member]] = i
    told = {
        "steps": [_step(s, most) for s in steps],
        "variables": [_variable(v, most) for v in variables],
        "boxes": [_members(box, number, given) for box in boxes],
        "home": home,
    }
    title = f"How {steps[-1].name} was computed, and how its gradient flows back"
    # "<" would end the script element; JSON has another way to write it.
    data = json.dumps(told, separators=(",", ":")).replace("<", "\\u003c")
    template = Template((files(__package__) / "page.html").read_text("utf-8"))
    return template.substitute(
        title=escape(title), drawing=svg(boxes, title), data=data
    )


def _members(box: Box, number: Any, given: Any) -> dict[str, list[int]]:
    if box.kind == "variable":
        return {"variables": [given[v] for v in box.members]}
    return {"steps": [number[s] for s in box.members]}


def _variable(v: Variable, most: int) -> dict[str, Any]:
    return {
        "name": v.name,
        "value": _array(v.value, v, most),
        "gradient": None if v.gradient is None else _array(v.gradient, v, most),
    }


def _step(step: Step, most: int) -> dict[str, Any]:
    return {
        "name": step.name,
        "expression": step.expression,
        "place": str(step.place),
        "modules": " > ".join(step.modules),
        "value": _array(step.value, step, most),
        "incoming": None
        if step.incoming is None
        else _array(step.incoming, step, most),
        "ways": [_way(way, most) for way in step.ways],
    }


def _way(way: Way, most: int) -> dict[str, Any]:
    summed = ""
    if way.summed:
        axes = ", ".join(map(str, way.summed))
        summed = (
            f"summed over axis {axes} of {way.before}, along which it was broadcast"
        )
    return {
        "to": way.to.name,
        "rule": way.rule,
        "summed": summed,
        "gradient": _array(way.gradient, way.to, most),
    }


def _array(value: Array | None, of: Variable | Step, most: int) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": f"{of.dtype} {of.shape}"}
    if value is None or isinstance(of.dtype, tuple):
        return told | {"summary": "not kept; compute inside tg.watching() to keep it"}
    a = np.asarray(value)
    told["summary"] = summary(a)
    if a.size and a.dtype.kind in "fiub":
        told |= _corner(a, most)
    return told


def _corner(a: Array, most: int) -> dict[str, Any]:
    """Return the first rows and columns of the first matrix, as text."""
    matrix = np.atleast_2d(a)
    matrix = matrix[(0,) * (matrix.ndim - 2)]
    part = matrix[:most, :most]
    rows = [[f"{value:.4g}" for value in row] for row in part]
    cut = f"the first {part.shape[0]} by {part.shape[1]} of {a.shape}"
    return {"rows": rows} | ({"cut": cut} if part.size < a.size else {})
