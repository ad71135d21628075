"""The calls of a described operation: every form that its description names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tensorgrad import Tensor
from tensorgrad.ops.support.registry import Entry
from tensorgrad.testing.calls import Call, Shapes

BROADCASTS: Mapping[int, Sequence[Shapes]] = {
    1: [[()], [(3,)], [(3, 3)], [(2, 1, 3)], [(0, 2)]],
    2: [
        [(3, 3), (3, 3)],
        [(2, 3), (3,)],
        [(), (4,)],
        [(2, 1), (1, 3)],
        [(), ()],
        [(3,), (2, 0, 3)],
    ],
    3: [[(3, 3), (3, 3), (3, 3)], [(2, 3), (3,), (2, 1)], [(), (2,), (3, 1)]],
}
"""Shapes for operations that work element by element, by the number of arguments."""


def forms(entry: Entry) -> list[tuple[Shapes, Mapping[str, Any]]]:
    """Return the shapes and keywords of the calls to make of an operation."""
    if not entry.elementwise:
        return [(c.shapes, c.kwargs) for c in entry.cases]
    one: list[Shapes] = [[(2, 3)] * entry.arity]
    return [(s, {}) for s in BROADCASTS.get(entry.arity, one)]


def calls(
    entry: Entry, rng: np.random.Generator, layout: str = "C", tied: bool = False
) -> Iterator[Call]:
    """Yield one call of each form of an operation, with newly drawn values, and one as
    a function of its keywords too, where a gradient arrives at them.
    """
    for shapes, kwargs in forms(entry):
        yield Call(entry, shapes, kwargs, rng, layout, tied)
        names = differentiable(entry, shapes, kwargs)
        if names:
            yield Call(entry, shapes, kwargs, rng, layout, tied, names)


def differentiable(
    entry: Entry, shapes: Shapes, kwargs: Mapping[str, Any]
) -> list[str]:
    """Return the floating-point keywords at which a gradient arrives."""
    return [
        name
        for name, value in kwargs.items()
        if _is_floating(value) and _arrives(entry, shapes, kwargs, name)
    ]


def _is_floating(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.dtype.kind == "f")
    return isinstance(value, float)


def _arrives(
    entry: Entry, shapes: Shapes, kwargs: Mapping[str, Any], name: str
) -> bool:
    call = Call(entry, shapes, kwargs, np.random.default_rng(0), lifted=[name])
    *rest, last = call.arrays
    leaf = Tensor(last, requires_grad=True)
    try:
        y = call(*(Tensor(a) for a in rest), leaf)
    except (TypeError, ValueError):
        return False
    several = y if isinstance(y, tuple) else (y,)
    return any(isinstance(t, Tensor) and t.requires_grad for t in several)
