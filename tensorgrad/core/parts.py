"""Operations with several outputs.

Each output is a node of its own, below which the operation's node collects what
arrived at any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .saves import pick

if TYPE_CHECKING:
    from .node import Node
    from .primitive import Primitive


class Parts:
    """Gradients of some of several outputs; adds like one array of the walk."""

    __slots__ = ("dtype", "parts", "shape")

    def __init__(self, shape: Any, dtype: Any, parts: dict[int, Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self.parts = parts

    def __add__(self, other: Parts) -> Parts:
        joined = dict(self.parts)
        for i, g in other.parts.items():
            joined[i] = joined[i] + g if i in joined else g
        return Parts(self.shape, self.dtype, joined)

    def filled(self) -> tuple[Any, ...]:
        """Return a gradient for each output, zeros where none arrived."""
        return tuple(_part_of(i, self) for i in range(len(self.shape)))


class PartPlan:
    """The plan of one of several outputs: pass its gradient on under its number."""

    inputs = ((0, 0),)

    def __init__(self, op: Primitive, number: int) -> None:
        self.op = op
        self.number = number
        self.steps: tuple[tuple[Any, Any], ...]
        self.steps = ((partial(_under, number), pick((0, 1))),)

    def lifted(self, node: Node, lift: Callable[..., Any]) -> Any:
        """Return what the node saved: nothing that a rule could differentiate."""
        return node.saved


def _under(number: int, g: Any, shape: Any, dtype: Any) -> Parts:
    return Parts(shape, dtype, {number: g})


class Bundle:
    """The plan of a node that stands for several, and gives each its part back."""

    inputs = ()
    name = "bundle"

    def __init__(self, count: int) -> None:
        self.steps = [(partial(_part_of, i), pick(())) for i in range(count)]

    @property
    def op(self) -> Any:
        """Itself, for its name: kept, it would be a reference cycle."""
        return self

    def lifted(self, node: Node, lift: Callable[..., Any]) -> Any:
        """Return what the node saved: nothing."""
        return node.saved


def _part_of(number: int, g: Parts) -> Any:
    if number in g.parts:
        return g.parts[number]
    return np.zeros(g.shape[number], dtype=g.dtype[number])
