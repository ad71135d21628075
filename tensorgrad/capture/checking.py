"""Replay beside eager: the same step both ways, from the same state."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.errors import CaptureError
from ..core.tensor import Tensor
from ..core.tree import leaves
from .program import Array, Program
from .recording import bundles

_ULPS = 100
"""What fused kernels, which sum in another order, may be off by, of the largest."""


class State:
    """What a step changes: arrays outside, optimizers' counts, generators.

    Parameters
    ----------
    program : Program
    arrays : list of ndarray
        Those the program writes to.
    """

    def __init__(self, program: Program, arrays: list[Array]) -> None:
        self.arrays = arrays
        arguments = leaves([call.args for call in program.calls if not call.pure])
        self.hosts = [
            x for x in arguments if _is_generator(x) or hasattr(x, "__dict__")
        ]

    def snapshot(self) -> tuple[list[Array], list[Any]]:
        """Return a copy of the state."""
        return [a.copy() for a in self.arrays], [_numbers(h) for h in self.hosts]

    def restore(self, arrays: list[Array], numbers: list[Any]) -> None:
        """Restore a snapshot."""
        for array, before in zip(self.arrays, arrays, strict=True):
            array[...] = before
        for host, before in zip(self.hosts, numbers, strict=True):
            if _is_generator(host):
                host.bit_generator.state = before
            else:
                vars(host).update(before)


def _is_generator(x: Any) -> bool:
    return isinstance(x, np.random.Generator)


def _numbers(host: Any) -> Any:
    if _is_generator(host):
        return copy.deepcopy(host.bit_generator.state)
    return dict(vars(host))


def both(
    replayed: Callable[[], Any], eager: Callable[[], Any], state: State, exact: bool
) -> Any:
    """Return what a replay returns, after checking that eager mode does the same.

    Raises
    ------
    CaptureError
        Where results or the arrays the step writes to differ: in any bit if `exact`,
        else by more than rounding.
    """
    before = state.snapshot()
    result = replayed()
    after, _ = state.snapshot()
    state.restore(*before)
    expected = eager()
    pairs = [*zip(bundles.leaves(result), bundles.leaves(expected), strict=True)]
    for i, (a, b) in enumerate(pairs):
        if not _same(a, b, exact):
            raise _differs(f"returned value {i}", a, b)
    for a, b in zip(after, state.arrays, strict=True):
        if not _same(a, b, exact):
            raise _differs(f"an array of shape {b.shape} that the step writes to", a, b)
    return result


def _same(a: Any, b: Any, exact: bool) -> bool:
    a, b = (x.numpy() if type(x) is Tensor else x for x in (a, b))
    if not isinstance(b, np.ndarray | np.generic | float):
        return type(a) is type(b)
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if exact or a.dtype.kind != "f":
        return bool(a.tobytes() == b.tobytes())
    scale = np.abs(b).max(initial=0, where=np.isfinite(b))
    bound = _ULPS * np.finfo(b.dtype).eps * scale
    return bool(np.allclose(a, b, rtol=0, atol=bound, equal_nan=True))


def _differs(what: str, a: Any, b: Any) -> CaptureError:
    a, b = (x.numpy() if type(x) is Tensor else x for x in (a, b))
    apart = np.abs(np.subtract(a, b, dtype=float)).max() if np.size(a) else 0.0
    return CaptureError(
        f"tg.compile(check=True): {what} differs between replay and eager, by up to "
        f"{apart:.3g}; the step depends on something that the recording did not see: "
        "pass it to the step as an argument"
    )
