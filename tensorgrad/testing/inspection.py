"""What a function and its gradient do besides computing: writes, shared memory,
dtypes, inputs that are not reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .findings import Finding
from .problem import Array


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays are equal, NaN to NaN and -0 to -0."""
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def changed(
    after: Sequence[Any], before: Sequence[Array], who: str, what: str = "input"
) -> list[Finding]:
    """Return a finding for each array that is not what it was."""
    pairs = enumerate(zip(after, before, strict=True))
    return [
        Finding(
            "mutates",
            f"{who} changes {what} {k} in place; work on a copy, or build a new array",
        )
        for k, (a, b) in pairs
        if not same_bits(np.asarray(a, dtype=np.float64), b.astype(np.float64))
    ]


def shared(
    arrays: Sequence[Array],
    others: Sequence[Any],
    what: str,
    whose: str,
    fatal: bool = False,
) -> list[Finding]:
    """Return a finding for each array that shares memory with one of `others`."""
    return [
        Finding(
            "aliases",
            f"{what} {k} shares memory with {whose} {i}: a write to one changes both",
            fatal,
        )
        for k, a in enumerate(arrays)
        for i, other in enumerate(others)
        if isinstance(other, np.ndarray) and np.may_share_memory(a, other)
    ]


def coarse(
    arrays: Sequence[Array], inputs: Sequence[Any], what: str, fatal: bool = False
) -> list[Finding]:
    """Return a finding for each array of lower precision than all the inputs."""
    finest = min((np.finfo(x.dtype).eps for x in inputs), default=np.inf)
    return [
        Finding(
            "dtype",
            f"{what} {k} is {a.dtype} for inputs of {_names(inputs)}: its rounding "
            "limits what can be told",
            fatal,
        )
        for k, a in enumerate(arrays)
        if a.dtype.kind == "f" and np.finfo(a.dtype).eps > finest
    ]


def varying(first: Sequence[Array], second: Sequence[Array]) -> list[Finding]:
    """Return a finding where two calls at one point give arrays of other shapes."""
    before, after = [y.shape for y in first], [y.shape for y in second]
    if before == after:
        return []
    here, there = (", ".join(map(str, shapes)) for shapes in (before, after))
    return [
        Finding(
            "nondeterministic",
            f"f is not deterministic: it returns shape {here} and then {there} at the "
            "same point",
        )
    ]


def narrowed(gradient: Array) -> str:
    """Return the name of a coarser kind of number that holds all of a gradient."""
    values = gradient[gradient != 0]
    with np.errstate(all="ignore"):
        single = values.astype(np.float32)
    if not values.size or not np.isfinite(values).all() or (single != values).any():
        return ""
    return "integers" if (values == np.round(values)).all() else "float32"


def _names(arrays: Sequence[Any]) -> str:
    return ", ".join(sorted({str(a.dtype) for a in arrays}))


def unreached(gradients: Sequence[Array | None]) -> list[Finding]:
    """Return a note for each input to which no gradient arrives."""
    return [
        Finding(
            "unreached",
            f"input {k} does not reach the output: no gradient arrives at it",
            fatal=False,
        )
        for k, g in enumerate(gradients)
        if g is None
    ]
