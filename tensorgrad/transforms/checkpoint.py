"""Compute again instead of storing."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ParamSpec

import numpy as np

from ..core.backward import differentiate
from ..core.errors import GraphError, MutationError
from ..core.foreign import memory_of
from ..core.hooks import hooks
from ..core.mode import enable_grad
from ..core.node import Leaf, Node, clock
from ..core.observe import current_recorder, recorded_by
from ..core.parts import Bundle, Parts
from ..core.place import Place
from ..core.saves import pick
from ..core.tensor import Tensor, detached, wrap
from ..core.writes import last_write

P = ParamSpec("P")


def checkpoint(f: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Return `f` with its intermediates computed again in backward, not stored.

    Parameters
    ----------
    f : callable
        Of tensors, returning one tensor. It may use tensors that are not arguments,
        such as parameters. It is called once in forward and once for each backward,
        and must compute the same both times: random numbers come from a generator
        made inside it from a seed, and what it uses is not written to in between.

    Returns
    -------
    callable
        The same function, that keeps only its arguments.

    Raises
    ------
    GraphError
        In backward, if the second call does not compute what the first did. All that
        its derivative depends on is compared, by checksum: also what does not show in
        the value.
    MutationError
        If the reason is a write to what the function uses.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> tg.checkpoint(lambda t: np.exp(np.exp(t)))(x).sum().backward()
    """

    @functools.wraps(f)
    def checkpointed(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        start = next(clock)
        y = f(*args, **kwargs)
        if type(y) is not Tensor:
            raise TypeError(
                f"checkpoint: expected a function that returns a Tensor, got "
                f"{type(y).__name__}"
            )
        inside, outside = _graph(y.node, start)
        if not inside or not outside:
            return y
        kind = tuple(n.shape for n in outside), tuple(n.dtype for n in outside)
        bundle = Node(Bundle(len(outside)), outside, (), *kind)
        again = functools.partial(f, *args, **kwargs)
        call = _Call(again, outside, next(clock), current_recorder())
        saved = call, _checksum(y, inside), tuple(map(detached, args))
        node = Node(_AGAIN, (bundle,), saved, y.shape, y.dtype)
        hooks[node] = [_unchanged]  # the rule runs the user's function
        return wrap(y._value, node)

    return checkpointed


def _graph(node: Any, start: int) -> tuple[list[Any], tuple[Any, ...]]:
    """Return the graph below `node` made since `start`, and what it takes from before.

    Both in the order of creation.
    """
    stack = [node] if node is not None and node.index > start else []
    seen: set[Any] = set(stack)
    inside, outside = list(stack), []
    while stack:
        for parent in stack.pop().parents:
            if parent in seen:
                continue
            seen.add(parent)
            if parent.index > start:
                stack.append(parent)
                inside.append(parent)
            else:
                outside.append(parent)
    inside.sort(key=_index)
    return inside, tuple(sorted(outside, key=_index))


_index = attrgetter("index")


def _checksum(y: Tensor, inside: list[Any]) -> int:
    """Return a checksum of the value and of all that its derivative depends on."""
    total = _added(0, y._value)
    for node in inside:
        if type(node) is Node:
            total = zlib.crc32(node.name.encode(), total)
            total = _added(total, node.saved)
    return total


def _added(total: int, value: Any) -> int:
    """Return a checksum continued over a saved value."""
    value = memory_of(value)
    if isinstance(value, np.ndarray | np.generic):
        total = zlib.crc32(f"{value.shape} {value.dtype}".encode(), total)
        return zlib.crc32(np.ascontiguousarray(value).view(np.uint8).data, total)
    if isinstance(value, tuple | list):
        for item in value:
            total = _added(total, item)
        return total
    plain_values = int | float | str | slice | None
    text = repr(value) if isinstance(value, plain_values) else type(value).__name__
    return zlib.crc32(text.encode(), total)


def _unchanged(g: Any) -> Any:
    return g


@dataclass
class _Call:
    """How to call again, the outside nodes that the call uses, its time, and who took
    part in it.
    """

    function: Callable[[], Any]
    outside: tuple[Any, ...]
    stamp: int
    recorder: Any

    def taking_part(self) -> AbstractContextManager[None]:
        """Let the same take part again."""
        there = self.recorder in (None, current_recorder())
        return nullcontext() if there else recorded_by(self.recorder)


class _Again:
    """The plan of a checkpointed call: its one rule calls again, and goes back.

    What belongs to one call is saved by its node, and freed with it.
    """

    inputs = ()
    name = "checkpoint"

    def __init__(self) -> None:
        self.steps = ((_rule, pick(range(2))),)

    @property
    def op(self) -> Any:
        """Itself, for its name."""
        return self

    def lifted(self, node: Node, lift: Callable[..., Any]) -> Any:
        """Return what the node saved: the call lifts it itself."""
        return node.saved


def _rule(g: Any, call: _Call, first: int) -> Parts:
    """Return the gradients in everything that the call uses from outside."""
    targets = call.outside
    with enable_grad(), call.taking_part():
        start = next(clock)
        y = call.function()
        inside, outside = _graph(y.node if type(y) is Tensor else None, start)
        if outside != targets or _checksum(y, inside) != first:
            raise _another(inside, call)
        lift = wrap if type(g) is Tensor else None
        roots: dict[Any, Any] = {y.node: g}
        grads = differentiate(
            roots, targets=targets, lift=lift, retain_graph=bool(lift), total=False
        )
    kind = tuple(n.shape for n in targets), tuple(n.dtype for n in targets)
    return Parts(*kind, {i: grads[n] for i, n in enumerate(targets) if n in grads})


def _another(inside: list[Any], call: _Call) -> GraphError:
    """Return the error for a second call unlike the first, and its reason if known."""
    arrays = [a for n in inside if type(n) is Node for a in n.saved]
    tensors = [n.tensor() for n in (*inside, *call.outside) if type(n) is Leaf]
    arrays += [t._value for t in tensors if t is not None]
    for array in arrays:
        write = last_write(array) if isinstance(array, np.ndarray) else None
        if write is not None and write.stamp > call.stamp:
            return MutationError(
                "checkpoint: the function computed another value the second time, "
                f"because {write.what} at {Place(*write.place)} has written to an "
                f"array of shape {array.shape} that it uses; call backward before the "
                "write"
            )
    return GraphError(
        "checkpoint: the function computed another value the second time; make its "
        "random numbers from a generator it creates from a seed, and do not change "
        "what it uses before backward"
    )


_AGAIN = _Again()
