"""What is drawn: a box for a variable, a step, or many steps that belong together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .steps import Step, Variable

FEW = 60
"""Up to so many steps each has a box of its own."""


@dataclass(eq=False)
class Box:
    """One box of the drawing, and the boxes its arrows come from.

    Attributes
    ----------
    title, note : str
        The two lines in it.
    kind : str
        "variable", "step" or "group".
    members : list of Variable or Step
    sources : dict of Box to None
        In the order of the operands.
    """

    title: str
    note: str
    kind: str
    members: list[Any]
    sources: dict[Box, None] = field(default_factory=dict)


def boxes(steps: Sequence[Step], variables: Sequence[Variable]) -> list[Box]:
    """Return the boxes of a graph, every box after its sources.

    Steps of more than `FEW` are collapsed: those of one call of a layer into one box,
    and what is repeated into a box for each repetition, until they are few.
    """
    groups = [[step] for step in steps]
    if len(groups) > FEW:
        groups = _runs(steps, _layer_keys(steps))
    while len(groups) > FEW:
        joined = _repeated(groups) or _halved(groups)
        groups = [[step for g in several for step in g] for several in joined]
    made = [_step_box(g) for g in groups]
    return _connected(made, _variable_boxes(variables, len(steps) <= FEW))


def _step_box(members: list[Step]) -> Box:
    if len(members) == 1:
        (step,) = members
        return Box(f"{step.name} = {step.expression}", _shape(step), "step", members)
    last = members[-1]
    inside = last.modules[-1] if last.modules else ""
    title = inside if inside and _same(m.modules for m in members) else last.name
    return Box(title, f"{len(members)} operations, {_shape(last)}", "group", members)


def _variable_boxes(variables: Sequence[Variable], each: bool) -> list[Box]:
    if each or len(variables) <= FEW // 2:
        return [Box(v.name, _shape(v), "variable", [v]) for v in variables]
    return [Box("variables", f"{len(variables)} of them", "variable", [*variables])]


def _connected(made: list[Box], given: list[Box]) -> list[Box]:
    home = {m: box for box in (*given, *made) for m in box.members}
    for box in made:
        for step in box.members:
            for source in step.inputs:
                if home[source] is not box:
                    box.sources[home[source]] = None
    return [*given, *made]


def _layer_keys(steps: Sequence[Step]) -> list[Hashable]:
    """Return what steps of one call of a layer have in common, and no other does."""
    return [s.modules if s.modules else s for s in steps]


def _runs(steps: Sequence[Step], keys: Sequence[Hashable]) -> list[list[Step]]:
    found: list[list[Step]] = []
    before: Any = object()
    for step, key in zip(steps, keys, strict=True):
        if key == before:
            found[-1].append(step)
        else:
            found.append([step])
        before = key
    return found


def _repeated(groups: list[list[Step]]) -> list[list[list[Step]]] | None:
    """Return the groups cut at each repetition of the most frequent line, or None."""
    lines = [(g[0].operation, str(g[0].place)) for g in groups]
    counts: dict[Any, int] = {}
    for line in lines:
        counts[line] = counts.get(line, 0) + 1
    line, count = max(counts.items(), key=lambda item: item[1])
    if count < 2 or len(groups) < 2 * count:
        return None
    starts = [i for i, found in enumerate(lines) if found == line]
    cuts = [0, *starts[1 if starts[0] == 0 else 0 :], len(groups)]
    return [groups[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]


def _halved(groups: list[list[Step]]) -> list[list[list[Step]]]:
    """Return neighbours joined, where there is nothing better to go by."""
    size = -(-len(groups) // FEW)
    return [groups[i : i + size] for i in range(0, len(groups), size)]


def _same(values: Iterable[Any]) -> bool:
    return len({*values}) == 1


def _shape(thing: Variable | Step) -> str:
    return f"{thing.dtype} {thing.shape}" if not isinstance(thing.dtype, tuple) else ""
