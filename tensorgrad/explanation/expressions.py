"""What a step computes, written with the names of its operands."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.node import Node
from ..core.parts import PartPlan
from ..core.primitive import Primitive

INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "power": "**",
    "matmul": "@",
}


def expression(node: Node, things: Any, arguments: tuple[Any, ...] | None) -> str:
    """Return the call of a node with names for its operands.

    Parameters
    ----------
    node : Node
    things : mapping of Node or Leaf to Variable or Step
    arguments : tuple or None
        What the operation was called with, where it is known.
    """
    op, plan = node.plan.op, node.plan
    if isinstance(plan, PartPlan):
        return f"one output of {things[node.parents[0]].name}"
    if not isinstance(op, Primitive):
        return f"{node.name}({', '.join(things[p].name for p in node.parents)})"
    operands = {
        place: things[p].name
        for place, p in zip(plan.inputs, node.parents, strict=True)
    }
    words = _operands(op, plan, node, operands, arguments)
    if op.name in INFIX and len(words) == 2:
        return f"{words[0]} {INFIX[op.name]} {words[1]}"
    if op.name == "negative":
        return f"-{words[0]}"
    return f"{op.name.strip('_')}({', '.join(words)})"


def _operands(
    op: Primitive, plan: Any, node: Node, operands: Any, arguments: Any
) -> list[str]:
    if op.variadic is not None:
        last = max(item for _, item in operands)
        count = len(arguments[0]) if arguments else last + 1
        return [operands.get((0, i), "·") for i in range(count)]
    saved = dict(zip(plan.names, node.saved, strict=True))
    words = []
    for i, name in enumerate(op.names):
        if (i, 0) in operands:
            words.append(operands[i, 0])
            continue
        if arguments is not None:
            value: Any = arguments[i]
        elif name in saved:
            value = saved[name]
        else:
            words += ["·"] if op.defaults[i] is op.defaults[0] else []
            continue
        if not _is_default(value, op.defaults[i]):
            words.append(f"{name}={_word(value)}" if i > 1 else _word(value))
    return words


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (
        isinstance(value, int | float | bool) and value == default
    )


def _word(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim:
        return f"array{value.shape}"
    text = repr(value.item() if isinstance(value, np.ndarray | np.generic) else value)
    return text if len(text) <= 24 else f"{text[:21]}..."
