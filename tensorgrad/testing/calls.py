"""Calls of a described operation, drawn from its description in the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..ops.support.registry import Entry
from .problem import Array

Shapes = Sequence[Any]

LAYOUTS = ("C", "F", "strided", "reversed", "read-only")


def lay_out(x: Array, layout: str) -> Array:
    """Return the same values in another memory layout, one of :data:`LAYOUTS`."""
    if layout == "F":
        return np.asfortranarray(x) if x.ndim else x
    if layout == "strided" and x.ndim:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), dtype=x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "reversed" and x.ndim:
        return np.ascontiguousarray(x[::-1])[::-1]
    if layout == "read-only":
        x = x.copy()
        x.flags.writeable = False
    return x


class Call:
    """One call of an operation: a function of its floating-point arrays.

    Parameters
    ----------
    entry : Entry
        Of the registry.
    shapes : sequence
        Shape of each array argument, or a list of shapes for a list of arrays.
    kwargs : mapping
        The other arguments.
    rng : Generator
    layout : str
    tied : bool
        Whether to draw values that meet kinks and each other.
    lifted : sequence of str
        The keywords that the call is a function of as well.

    Attributes
    ----------
    arrays : list of arrays
        What the call is a function of; call it with others in their place.
    linear : bool
        Whether it is linear in every single entry of these.
    """

    def __init__(
        self,
        entry: Entry,
        shapes: Shapes,
        kwargs: Mapping[str, Any],
        rng: np.random.Generator,
        layout: str = "C",
        tied: bool = False,
        lifted: Sequence[str] = (),
    ) -> None:
        self.lifted = tuple(lifted)
        self.entry, self.kwargs, self.layout = entry, dict(kwargs), layout
        self.linear = entry.kind in ("linear", "multilinear") and not lifted
        self.nested = [isinstance(s, list) for s in shapes]
        self.counts = [len(s) if isinstance(s, list) else 1 for s in shapes]
        flat = [s for one in shapes for s in (one if isinstance(one, list) else [one])]
        drawn = [
            entry.domain(i).sample(rng, s, (i + 1) / (len(flat) + 1))
            for i, s in enumerate(flat)
        ]
        if tied:
            drawn = [self._tied(i, x, rng) for i, x in enumerate(drawn)]
        self.values = [lay_out(x, layout) for x in drawn]
        self.live = [i for i, v in enumerate(self.values) if v.dtype.kind == "f"]
        self.arrays = [self.values[i] for i in self.live]
        self.arrays += [np.asarray(kwargs[name], dtype=float) for name in lifted]

    def _tied(self, i: int, x: Array, rng: np.random.Generator) -> Array:
        """Return few different numbers of the argument's domain, its bounds too."""
        domain = self.entry.domain(i)
        if x.dtype.kind != "f" or domain.shaped is not None:
            return x
        bounds = [v for v in self.kwargs.values() if isinstance(v, float)]
        points = np.array([0.0, 1.0, -1.0, *bounds])
        points = points[(points >= domain.low) & (points <= domain.high)]
        return np.asarray(rng.choice(points, x.shape)) if points.size else x

    def __call__(self, *arrays: Any, function: Callable[..., Any] | None = None) -> Any:
        """Call the operation, or `function`, with `arrays` for the drawn ones."""
        flat = list(self.values)
        for i, a in zip(self.live, arrays, strict=False):
            flat[i] = a
        last = arrays[len(self.live) :]
        kwargs = {**self.kwargs, **dict(zip(self.lifted, last, strict=True))}
        args, at = [], 0
        for nested, n in zip(self.nested, self.counts, strict=True):
            args.append(flat[at : at + n] if nested else flat[at])
            at += n
        return (function or self.entry.function)(*args, **kwargs)

    def __repr__(self) -> str:
        shapes = [v.shape for v in self.values]
        return f"{self.entry.name}{shapes} {self.kwargs} {self.layout}" + (
            f" of {', '.join(self.lifted)} too" if self.lifted else ""
        )


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
