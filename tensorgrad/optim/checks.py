"""What an optimizer is given, checked."""

from __future__ import annotations

from collections.abc import Container
from itertools import chain
from typing import Any

import numpy as np

from ..core.node import Leaf
from ..core.tensor import Tensor, memories
from ..core.writes import addresses

Array = np.ndarray[Any, Any]


def as_parameters(name: str, params: Any) -> list[Any]:
    """Return parameters as a list; raise TypeError for a model in their place."""
    if hasattr(params, "parameters"):
        raise TypeError(
            f"{name}: expected parameters, got a {type(params).__name__}; pass its "
            ".parameters()"
        )
    return list(params)


def check_parameters(
    name: str, params: list[Tensor], known: Container[Tensor] = ()
) -> None:
    """Raise for parameters that an optimizer cannot update; `known` may be frozen."""
    if not params:
        raise ValueError(f"{name}: expected at least one parameter, got none")
    for i, p in enumerate(params):
        if type(p) is not Tensor or (type(p.node) is not Leaf and p not in known):
            raise TypeError(
                f"{name}: parameter {i} must be a Tensor made with "
                f"requires_grad=True, got {p!r:.60}"
            )
    if len(set(params)) < len(params):
        raise ValueError(f"{name}: a parameter is passed twice; pass each once")


def check_saved(name: str, saved: dict[str, Any], params: list[Tensor]) -> None:
    """Raise for a saved state that is not of these parameters."""
    if saved.get("optimizer") != name:
        raise ValueError(
            f"{name}.load_state_dict: expected the state of {name}, got that of "
            f"{saved.get('optimizer')}"
        )
    shapes = [sorted({np.shape(a) for a in row}) for row in saved["state"]]
    expected = [p.shape for p in params]
    if len(shapes) != len(params) or any(
        found not in ([], [shape])
        for found, shape in zip(shapes, expected, strict=True)
    ):
        raise ValueError(
            f"{name}.load_state_dict: expected arrays of the shapes of the parameters, "
            f"{expected!s:.200}, got {shapes!s:.200}"
        )


def check_state(
    name: str,
    params: list[Tensor],
    state: list[list[Array]],
    count: int,
    rows: dict[Tensor, list[Array]],
) -> None:
    """Raise for state that does not fit the parameters, or belongs to others."""
    if len(state) != len(params):
        raise ValueError(
            f"{name}.state: expected a list for each of {len(params)} parameters, got "
            f"{len(state)}; give the state of all, or change params alone"
        )
    owner = {id(row): p for p, row in rows.items()}
    for i, (p, row) in enumerate(zip(params, state, strict=True)):
        kinds = [(getattr(a, "shape", None), getattr(a, "dtype", None)) for a in row]
        arrays = all(type(a) is np.ndarray for a in row)
        if not arrays or len(row) < count or {*kinds} - {(p.shape, p.dtype)}:
            raise ValueError(
                f"{name}.state: expected {count} arrays of shape {p.shape} and dtype "
                f"{p.dtype} for parameter {i}, got {row!r:.60}"
            )
        if owner.get(id(row), p) is not p:
            raise ValueError(
                f"{name}.state: the state of parameter {i} is that of another one; "
                "keep the order of params and state the same"
            )
    check_apart(name, [*memories(params), *chain.from_iterable(state)], len(params))


def check_apart(name: str, arrays: list[Array], count: int) -> None:
    """Raise where state is the same memory as what comes before it among `arrays`.

    The first `count` are the parameters, which may share theirs.
    """
    seen = {*map(addresses, arrays[:count])}
    for a in arrays[count:]:
        if a.size and addresses(a) in seen:
            raise ValueError(
                f"{name}.state: two arrays are the same memory, which an update of one "
                "would change for the other; give each one of its own, as .copy() does"
            )
        seen.add(addresses(a))
