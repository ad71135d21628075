"""What a check is asked for: the seed, the point, which inputs are checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from .findings import Finding
from .nesting import Nesting, chosen, nested
from .problem import Array

Seed = int | np.random.Generator | None


def as_seed(rng: Seed) -> int:
    """Return the seed to check with: given, or drawn and told in the report."""
    if isinstance(rng, int | np.integer):
        return int(rng)
    return int(np.random.default_rng(rng).integers(2**32))


@dataclass(frozen=True)
class Point:
    """Where a plain function is checked.

    Attributes
    ----------
    arrays : list of arrays
        Floating-point ones.
    notes : list of Finding
        What was done to make them so.
    nesting : Nesting or None
        How the function takes them, where it is not one by one.
    fixed : bool
        Whether no smaller arrays can stand for these.
    """

    arrays: list[Array]
    notes: list[Finding]
    nesting: Nesting | None = None
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

    Raises
    ------
    TypeError
        For what is not real numbers.
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
    """Return the arrays to check at, and a note for each that was not floating point.

    Raises
    ------
    TypeError
        For what is not real numbers, or no arrays at all.
    """
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


def constant_or_array(x: Any) -> Any:
    """Return what an input is as an array; what is none stays as it is."""
    if isinstance(x, Tensor):
        return x.numpy()
    array = np.asarray(x)
    return array if array.dtype.kind in "fiub" else x


def live_inputs(
    values: Sequence[Any], argnums: int | Sequence[int] | None
) -> list[int]:
    """Return the numbers of the inputs to check: the floating-point ones, or those of
    them that `argnums` names.
    """
    floats = [
        k
        for k, v in enumerate(values)
        if isinstance(v, np.ndarray) and v.dtype.kind == "f"
    ]
    if argnums is None:
        return floats
    wanted = chosen(argnums, len(values))
    for k in wanted:
        if k not in floats:
            raise TypeError(
                f"gradcheck: argnums names input {k}, which is not floating point; "
                "leave it out"
            )
    return wanted


def held_constant(values: Sequence[Any]) -> list[Finding]:
    """Return a note for each array that has no gradient for its dtype."""
    sentence = "input {} is {}: it has no gradient and is held constant"
    return [
        Finding("integers", sentence.format(k, v.dtype), fatal=False)
        for k, v in enumerate(values)
        if isinstance(v, np.ndarray) and v.dtype.kind != "f"
    ]
