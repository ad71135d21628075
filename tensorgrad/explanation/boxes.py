"""What is drawn: a box for a variable, a step, or a group, with arrows between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .sections import Group, Part, steps_of
from .steps import Step, Variable, kind

OFTEN = 2
"""An outside source of more boxes than that is drawn beside each of them."""


@dataclass(eq=False)
class Box:
    """One box of a drawing, and the boxes its arrows come from.

    Attributes
    ----------
    title, note : str
        The two lines in it.
    kind : str
        "variable", "step", "group", or "outside": the result of a step that has its
        box in another drawing.
    thing : Variable, Step or Group
    sources : dict of Box to None
        In the order of the operands.
    """

    title: str
    note: str
    kind: str
    thing: Any
    sources: dict[Box, None] = field(default_factory=dict)


def boxes(parts: Sequence[Part]) -> list[Box]:
    """Return boxes for steps and groups and what they use, each after its sources."""
    home = {step: part for part in parts for step in steps_of(part)}
    sources = {part: _sources(part, home) for part in parts}
    uses = Counter(s for inputs in sources.values() for s in inputs)
    box_of: dict[Any, Box] = {}
    drawn: list[Box] = []
    for part in parts:
        box_of[part] = box = _box(part)
        for source in sources[part]:
            outside = isinstance(source, Variable) or source not in sources
            beside = outside and uses[source] > OFTEN
            if beside and box.kind == "group":
                continue
            if source not in box_of or beside:
                box_of[source] = _box(source, outside=True)
                drawn.append(box_of[source])
            box.sources[box_of[source]] = None
        shared = [s.name for s in sources[part] if uses[s] > OFTEN and s not in sources]
        if box.kind == "group" and shared:
            box.note = f"{box.note}; from {_listed(shared)}"
        drawn.append(box)
    return drawn


def _sources(part: Part, home: dict[Step, Part]) -> dict[Any, None]:
    """Return the parts, variables and steps elsewhere that a part is computed from."""
    sources: dict[Any, None] = {}
    for step in steps_of(part):
        for source in step.inputs:
            sources[home.get(source, source)] = None
    sources.pop(part, None)
    return sources


def _box(thing: Any, outside: bool = False) -> Box:
    if isinstance(thing, Group):
        return Box(thing.title, thing.note, "group", thing)
    if isinstance(thing, Variable):
        return Box(thing.name, kind(thing), "variable", thing)
    if outside:
        return Box(thing.name, kind(thing), "outside", thing)
    return Box(f"{thing.name} = {thing.expression}", kind(thing), "step", thing)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 4 else ""
    return ", ".join(names[: 3 if more else 4]) + more
