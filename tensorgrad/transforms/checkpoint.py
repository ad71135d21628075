"""Compute again instead of storing."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.backward import differentiate
from ..core.errors import GraphError
from ..core.mode import enable_grad
from ..core.node import Node, clock
from ..core.parts import Bundle, Parts
from ..core.plan import pick
from ..core.recording import concrete
from ..core.tensor import Tensor, detached, wrap


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f` with its intermediates computed again in backward, not stored.

    Parameters
    ----------
    f : callable
        Of tensors, returning one tensor. It may use tensors that are not arguments,
        such as parameters. It is called once in forward and once for each backward,
        and must compute the same both times: random numbers come from a generator
        made inside it from a seed.

    Returns
    -------
    callable
        The same function, that keeps only its arguments.

    Raises
    ------
    GraphError
        In backward, if the second call does not give the value of the first.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> tg.checkpoint(lambda t: np.exp(np.exp(t)))(x).sum().backward()
    """

    @functools.wraps(f)
    def again(*args: Any, **kwargs: Any) -> Any:
        start = next(clock)
        y = f(*args, **kwargs)
        if type(y) is not Tensor:
            raise TypeError(
                f"checkpoint: expected a function that returns a Tensor, got "
                f"{type(y).__name__}"
            )
        outside = _taken_in(y.node, start)
        if not outside:
            return y
        kind = tuple(n.shape for n in outside), tuple(n.dtype for n in outside)
        bundle = Node(Bundle(len(outside)), outside, (), *kind)
        plan = _Again(lambda: f(*args, **kwargs), bundle, _checksum(y._value))
        arrays = tuple(map(detached, args))
        return wrap(y._value, Node(plan, (bundle,), arrays, y.shape, y.dtype))

    return again


def _taken_in(node: Any, start: int) -> tuple[Any, ...]:
    """Return what the graph below `node`, made since `start`, takes from before."""
    stack = [node] if node is not None else []
    seen: set[Any] = set()
    outside: list[Any] = []
    while stack:
        for parent in stack.pop().parents:
            if parent not in seen:
                seen.add(parent)
                (stack if parent.index > start else outside).append(parent)
    return tuple(sorted(outside, key=lambda n: n.index))


def _checksum(value: Any) -> int:
    value = concrete(value)
    return zlib.crc32(np.ascontiguousarray(value).view(np.uint8).data)


class _Again:
    """The plan of a checkpointed call: its one rule calls again, and goes back."""

    inputs = ()

    def __init__(self, call: Callable[[], Tensor], bundle: Node, checksum: int) -> None:
        self.op = self
        self.name = "checkpoint"
        self.call = call
        self.targets: dict[Any, None] = dict.fromkeys(bundle.parents)
        self.kind = bundle.shape, bundle.dtype
        self.checksum = checksum
        self.steps = ((self.rule, pick(())),)

    def lifted(self, node: Node, lift: Callable[..., Any]) -> Any:
        """Return what the node saved: the call makes its own tensors."""
        return node.saved

    def rule(self, g: Any) -> Parts:
        """Return the gradients in all that the call takes from outside."""
        with enable_grad():
            y = self.call()
            if _checksum(y._value) != self.checksum:
                raise GraphError(
                    "checkpoint: the function computed another value the second time; "
                    "make its random numbers from a generator it creates from a seed"
                )
            lift = wrap if type(g) is Tensor else None
            roots: dict[Any, Any] = {y.node: g}
            found = differentiate(
                roots, targets=self.targets, lift=lift, retain_graph=bool(lift)
            )
        numbered = enumerate(self.targets)
        return Parts(*self.kind, {i: found[n] for i, n in numbered if n in found})
