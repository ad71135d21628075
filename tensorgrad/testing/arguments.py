"""What a check is asked for: the seed, the point, which inputs are checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..core.tree import MISSING, Kind, leaves, mapped, named_leaves, nest, refilled
from .problem import Array, Finding, UnusableError

Seed = int | np.random.Generator | None


def as_seed(rng: Seed) -> int:
    """Return the seed to check with: given, or drawn and told in the report."""
    if isinstance(rng, int | np.integer):
        return int(rng)
    return int(np.random.default_rng(rng).integers(2**32))


@dataclass(frozen=True)
class Point:
    """The floating-point arrays at which a function is checked."""

    arrays: list[Array]
    # What was done to make them so.
    notes: list[Finding]
    # How the function takes them, where it is not one by one.
    nesting: Nesting | None = None
    # Whether no smaller arrays can stand for these.
    fixed: bool = False

    @classmethod
    def of(cls, nesting: Nesting) -> Point:
        """Return the point at the leaves of a nest."""
        arrays = [nesting.leaves[k] for k in nesting.live]
        return cls(arrays, nesting.notes(), nesting)

    @property
    def names(self) -> dict[str, str]:
        """What to call each input, where not by its number."""
        return self.nesting.labels() if self.nesting else {}


def point_of(who: str, f: Callable[..., Any], x: Any) -> Point:
    """Return the point `x`: an array, a nest of arrays, or a tuple of them for a
    function of several arguments. Whole numbers beside others are held constant.
    """
    arguments = x if type(x) is tuple else (x,)
    if not any(map(nested, arguments)) and not _mixed(arguments):
        return Point(*points_of(who, x))
    return Point.of(Nesting(who, f, arguments))


def _mixed(arguments: Sequence[Any]) -> bool:
    """Whether some arguments are floating point and some whole numbers, as indices."""
    kinds = {np.asarray(a).dtype.kind for a in arguments}
    return "f" in kinds and bool(kinds & set("iub"))


def points_of(who: str, x: Any) -> tuple[list[Array], list[Finding]]:
    """Return the arrays to check at, and a note for each that was not floating."""
    points = [np.asarray(a) for a in (x if isinstance(x, tuple) else (x,))]
    if not points:
        raise TypeError(
            f"{who}: x must be an array or a tuple of arrays, got an empty tuple; pass "
            "what to differentiate by"
        )
    for a in points:
        if a.dtype.kind not in "fiub":
            raise TypeError(
                f"{who}: x must be real numbers, or a tuple of arrays of them, got "
                f"{a.dtype}"
            )
    notes = [
        Finding("integers", f"input {k} is {a.dtype}: it is taken to float64", False)
        for k, a in enumerate(points)
        if a.dtype.kind != "f"
    ]
    return [a if a.dtype.kind == "f" else a.astype(np.float64) for a in points], notes


Function = Callable[..., Any]


def nested(x: Any) -> bool:
    """Whether an argument is a nest of arrays, and no array written as a list."""
    return nest(x) is not None and not _numbers(x)


def _numbers(x: Any) -> bool:
    if isinstance(x, list) or type(x) is tuple:
        return all(map(_numbers, x))
    return isinstance(x, int | float | complex | np.generic)


def unnested(f: Function) -> tuple[Function, Function]:
    """Return `f` with what it returns as a tuple, where that is nested, and a function
    that nests cotangents as `f` did last.
    """
    last: list[Any] = [None]

    def flat(*arrays: Any) -> Any:
        y = last[0] = f(*arrays)
        return tuple(filter(_may_vary, leaves(y, nest))) if nested(y) else y

    def nested_alike(g: Any) -> Any:
        alone = isinstance(last[0], tuple | list) and len(last[0]) == 1
        if alone or not nested(last[0]):
            return g
        parts = iter(g if isinstance(g, tuple) else (g,))
        return mapped(last[0], lambda y: next(parts) if _may_vary(y) else None, nest)

    return flat, nested_alike


class Nesting:
    """The arguments of a function, as a row of leaves, each with a name: its path, such
    as ``params['w']``, or if not `named` the number of its argument.

    Those leaves are `live`, and checked, that are floating point, of the arguments
    that `argnums` names; `who` is the check, for messages.
    """

    def __init__(
        self,
        who: str,
        f: Function,
        arguments: Sequence[Any],
        argnums: int | Sequence[int] | None = None,
        named: bool = True,
    ) -> None:
        self.arguments, self.named = [_unless_nested(a) for a in arguments], named
        count = len(arguments)
        roots = (
            argument_names(f, count) if named else [f"input {k}" for k in range(count)]
        )
        pairs = enumerate(zip(roots, self.arguments, strict=True))
        leaves = [(k, *leaf) for k, pair in pairs for leaf in named_leaves(*pair, nest)]
        self.names = [name for _, name, _ in leaves]
        self.leaves = [_array(leaf) for _, _, leaf in leaves]
        kinds = [getattr(getattr(a, "dtype", None), "kind", "") for a in self.leaves]
        if named and "c" in kinds:
            name = self.names[kinds.index("c")]
            raise TypeError(f"{who}: {name} is complex, expected real numbers")
        numbers = chosen(argnums, count)
        floats = [
            (k, owner) for k, (owner, _, _) in enumerate(leaves) if kinds[k] == "f"
        ]
        self.live = [k for k, owner in floats if owner in numbers]
        lacking = set(numbers).difference(owner for _, owner in floats)
        if argnums is not None and lacking:
            raise TypeError(
                f"{who}: argnums names input {min(lacking)}, which is not floating "
                "point; leave it out"
            )
        if named and not self.live:
            raise TypeError(
                f"{who}: expected floating-point numbers at the leaves of the point, "
                f"got {', '.join(self.names) or 'none'}; pass 2.0 for 2"
            )

    def filled(self, arrays: Sequence[Any], constants: Sequence[Any]) -> Any:
        """Return the arguments with `arrays` for the leaves that are checked."""
        values = list(constants)
        for k, a in zip(self.live, arrays, strict=True):
            values[k] = a
        return refilled(self.arguments, values, nest)

    def function(self, f: Function) -> Function:
        """Return `f` as a function of the leaves that are checked."""
        return lambda *arrays: f(*self.filled(arrays, self.leaves))

    def derivative(self, df: Function) -> Function:
        """Return the derivative by each of those leaves, as a tuple; `df` takes, and
        passes on, what comes before the arrays.
        """

        def flat(*values: Any) -> tuple[Any, ...]:
            before = len(values) - len(self.live)
            filled = self.filled(values[before:], self.leaves)
            return self.select(df(*values[:before], *filled))

        return flat

    def pushforward(self, jvp: Function) -> Function:
        """Return `jvp` as a function of tangents of those leaves, and of the leaves."""
        still = [np.zeros_like(a) if _is_array(a) else None for a in self.leaves]

        def flat(u: Any, *arrays: Array) -> Any:
            tangents = self.filled(u if isinstance(u, tuple) else (u,), still)
            one = tangents[0] if len(tangents) == 1 else tuple(tangents)
            return jvp(one, *self.filled(arrays, self.leaves))

        return flat

    def select(self, gradient: Any) -> tuple[Any, ...]:
        """Return what a gradient nested as the arguments holds for each live leaf."""
        several = len(self.arguments) > 1
        tree = tuple(self.arguments) if several else self.arguments[0]
        parts = list(_matched(tree, gradient))
        for k in self.live:
            if parts[k] is MISSING:
                raise UnusableError(
                    "shape",
                    f"the gradient holds nothing for {self.names[k]}: return it nested "
                    "as the point is, with None for a constant",
                )
        return tuple(parts[k] for k in self.live)

    def labels(self) -> dict[str, str]:
        """Return what to call each input of the check."""
        named = enumerate(self.live) if self.named else ()
        return {f"input {i}": self.names[k] for i, k in named}

    def notes(self) -> list[Finding]:
        """Return a note for each array that has no gradient for its dtype."""
        sentence = (
            "{} is {}: it has no gradient and is held constant; pass floating-point "
            "numbers to check it"
        )
        return [
            Finding("integers", sentence.format(name, leaf.dtype), fatal=False)
            for name, leaf in zip(self.names, self.leaves, strict=True)
            if _is_array(leaf) and leaf.dtype.kind in "iuc"
        ]


def _matched(tree: Any, other: Any) -> Iterator[Any]:
    """Yield what `other` holds for each leaf of `tree`."""
    kind = nest(tree)
    if kind is None:
        yield other
        return
    beside = _beside(kind, [*kind.keys(tree)], other)
    for value, there in zip(kind.values(tree), beside, strict=True):
        yield from _matched(value, there)


def _beside(kind: Kind, keys: list[Any], other: Any) -> list[Any]:
    """Return what `other` holds for each of the keys of a nest."""
    if other is None:
        return [None] * len(keys)
    if isinstance(other, Mapping):
        return [other.get(key, MISSING) for key in keys]
    if isinstance(other, list | tuple | np.ndarray) and len(other) == len(keys):
        return list(other)
    by_attribute = kind.step.startswith(".")
    return [getattr(other, key, MISSING) if by_attribute else MISSING for key in keys]


def _may_vary(leaf: Any) -> bool:
    return not (leaf is None or isinstance(leaf, str | bytes) or callable(leaf))


def _unless_nested(argument: Any) -> Any:
    return argument if nested(argument) else _array(argument)


def _array(leaf: Any) -> Any:
    """Return real and complex numbers as an array, what is none as it is."""
    if isinstance(leaf, Tensor):
        return leaf.numpy()
    if not _may_vary(leaf):
        return leaf
    array = np.asarray(leaf)
    return array if array.dtype.kind in "fiubc" else leaf


def chosen(argnums: int | Sequence[int] | None, count: int) -> list[int]:
    """Return which of `count` arguments are asked for: all of them, but for argnums."""
    if argnums is None:
        return list(range(count))
    numbers = [argnums] if isinstance(argnums, int) else list(argnums)
    for k in numbers:
        if not -count <= k < count:
            raise ValueError(
                f"gradcheck: argnums names input {k}, expected one of {count}"
            )
    return [k % count for k in numbers]


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray)


def argument_names(f: Function, count: int) -> list[str]:
    """Return the names of the first parameters of `f`, x or x0, x1, ... for others."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [
        p.name
        for p in parameters
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(names) >= count:
        return names[:count]
    return ["x"] if count == 1 else [f"x{k}" for k in range(count)]
