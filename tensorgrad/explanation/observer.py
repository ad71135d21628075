"""Values for explanations that a graph does not hold."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

from ..core.node import Node
from ..core.observe import observed
from ..nn import Module


class Note(NamedTuple):
    """What an operation was called with, what came out, and inside which layers."""

    arguments: tuple[Any, ...]
    output: Any
    modules: tuple[int, ...]


notes: weakref.WeakKeyDictionary[Node, Note] = weakref.WeakKeyDictionary()

layers: weakref.WeakValueDictionary[int, Module] = weakref.WeakValueDictionary()
"""The layers that notes speak of, by their id."""


@contextmanager
def watching() -> Iterator[None]:
    """Keep the value of every operation that is recorded inside, for `explain`.

    Without it an explanation tells the values that backward needs, which the graph
    keeps, and no other. Memory for all results is held as long as their graph.

    Yields
    ------
    None

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.watching():
    ...     loss = (x + 3).sum()
    >>> [step.value.tolist() for step in tg.explain(loss).steps]
    [[4.0, 5.0], 9.0]
    """
    with observed(_note):
        yield


def _note(node: Node, arguments: Sequence[Any], output: Any) -> None:
    notes[node] = Note(tuple(arguments), output, _modules(sys._getframe(2)))


def _modules(frame: FrameType | None) -> tuple[int, ...]:
    """Return the layers whose call the frame is inside of, outermost first."""
    modules = []
    while frame is not None:
        if frame.f_code is Module.__call__.__code__:
            layer = frame.f_locals["self"]
            layers[id(layer)] = layer
            modules.append(id(layer))
        frame = frame.f_back
    return tuple(reversed(modules))
