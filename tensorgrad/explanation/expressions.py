"""What a step computes, written with the names of its operands."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

from ..core.dispatch import operations
from ..core.node import Node
from ..core.parts import PartPlan
from ..core.primitive import Primitive
from ..core.saves import OUTPUT
from ..facts import SIGNS
from .formulas import Shaped, indexed
from .names import Names

UNKNOWN = "·"
"""Stands for an argument that nobody keeps."""

MANY = 6
"""Of more operands than that, the first and the last are named."""

_REQUIRED: Any = inspect.Parameter.empty


class Call:
    """One call of an operation: the values of its arguments, and their names.

    Parameters
    ----------
    node : Node
    inputs : list of str
        Names of what the node was computed from, in the order of its parents.
    arguments : tuple or None
        What the operation was called with, where that was watched.
    names : dict
        What the caller calls its arrays.

    Attributes
    ----------
    values : dict of str to object
        Arguments, output and by-products, as far as they are saved.
    words : dict of str to str
        What the reader calls the arguments.
    """

    def __init__(
        self,
        node: Node,
        inputs: list[str],
        arguments: tuple[Any, ...] | None,
        names: Names,
    ) -> None:
        self.node = node
        self.op = node.plan.op
        self.inputs = inputs
        self.names = names
        self.values: dict[str, Any] = {}
        self.words: dict[str, str] = {}
        if isinstance(self.op, Primitive) and not isinstance(node.plan, PartPlan):
            self._take(self.op, node.plan, arguments)

    def _take(self, op: Primitive, plan: Any, arguments: Any) -> None:
        if "shape" in op.names:
            self.values["shape"] = self.node.shape
        if op.name == "astype":
            self.values["dtype"] = str(self.node.dtype)
        self.values |= zip(op.names, arguments or (), strict=False)
        self.values |= zip(plan.names, self.node.saved, strict=True)
        for name in op.names:
            if name in self.values:
                self.words[name] = _word(self.values[name], self.names)
        if op.variadic is None:
            for (i, _), word in zip(plan.inputs, self.inputs, strict=True):
                self.words[op.names[i]] = word

    def facts(self) -> dict[str, Any]:
        """Return what is available when rules run, the shape of the gradient too."""
        if self.op.multiple:
            return {n: v for n, v in self.values.items() if n != OUTPUT}
        alone = Shaped(self.node.shape)
        inputs = {
            self.op.names[i]: Shaped(np.shape(self.values[self.op.names[i]]))
            for i, _ in self.node.plan.inputs
            if self.op.names[i] in self.values and i != self.op.variadic
        }
        return {**self.values, **inputs, OUTPUT: alone, "g": alone}

    def __str__(self) -> str:
        if isinstance(self.node.plan, PartPlan):
            return f"{self.inputs[0]}[{self.node.plan.number}]"
        if not isinstance(self.op, Primitive):
            return f"{self.node.name}({', '.join(self.inputs)})"
        if self.op.name == "getitem":
            return f"{self.inputs[0]}[{indexed(self.values.get('index', UNKNOWN))}]"
        words = self._operands(self.op) if self.op.variadic == 0 else []
        words += self._arguments(self.op, self.op.names[len(words) > 0 :])
        return _call_text(self.op.name.strip("_"), words)

    def _operands(self, op: Primitive) -> list[str]:
        places = {i for _, i in self.node.plan.inputs}
        values = self.values.get(op.names[0]) or [None] * (max(places) + 1)
        names = iter(self.inputs)
        words = [
            next(names) if i in places else _word(value, self.names)
            for i, value in enumerate(values)
        ]
        return [*words[:3], "...", words[-1]] if len(words) > MANY else words

    def _arguments(self, op: Primitive, names: tuple[str, ...]) -> list[str]:
        inputs = {op.names[i] for i, _ in self.node.plan.inputs}
        words = []
        by_name = False
        for name in names:
            default = _defaults(op).get(name, _REQUIRED)
            is_passed = name in inputs or (
                name in self.words and not _is_default(self.values[name], default)
            )
            by_name = by_name or default is not _REQUIRED
            if is_passed:
                words.append(
                    f"{name}={self.words[name]}" if by_name else self.words[name]
                )
            elif default is _REQUIRED and name not in self.words:
                words.append(UNKNOWN)
        return words


def _call_text(name: str, words: list[str]) -> str:
    if name in SIGNS and len(words) == 2:
        return f"{words[0]} {SIGNS[name]} {words[1]}"
    if name == "negative":
        return f"-{words[0]}"
    return f"{name}({', '.join(words)})"


@functools.cache
def _defaults(op: Primitive) -> dict[str, Any]:
    """Return default values by argument, those of the function around it first."""
    around = operations.get(op.name.strip("_"), op.forward)
    own = dict(zip(op.names, op.defaults, strict=True))
    public = inspect.signature(around).parameters
    return own | {n: public[n].default for n in op.names if n in public}


def _is_default(value: Any, default: Any) -> bool:
    if value is None or value is False or value is default:
        return True
    return isinstance(value, int | float | str) and bool(value == default)


def _word(value: Any, names: Names) -> str:
    """Return how a constant is written: by its name, its value, or its shape."""
    if isinstance(value, np.ndarray) and value.ndim:
        return names.get(id(value)) or f"array{value.shape}"
    if isinstance(value, np.ndarray | np.generic):
        value = value.item()
    if isinstance(value, slice) or value is Ellipsis or type(value) is tuple:
        return f"[{indexed(value)}]" if _holds_slice(value) else _cut(repr(value))
    return _cut(f"{value:.6g}" if isinstance(value, float) else repr(value))


def _holds_slice(value: Any) -> bool:
    items = value if type(value) is tuple else (value,)
    odd = slice | np.ndarray
    return any(isinstance(item, odd) or item is Ellipsis for item in items)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 24 else f"{text[:21]}..."
