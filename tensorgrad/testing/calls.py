"""A call of a described operation, with arrays drawn from its description."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

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
    """One call of an operation: a function of its floating-point `arrays`.

    `shapes` holds the shape of each array argument, or a list of shapes for a list of
    arrays; `kwargs` the other arguments. If `tied` it draws values that meet kinks and
    each other. It is a function of the keywords that are `lifted` as well, and `linear`
    if it is so in every single entry.
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
