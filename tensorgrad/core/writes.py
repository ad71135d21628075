"""In-place writes the engine makes or is told of, and the check against them.

A write is stamped from the clock that numbers the nodes, under the array that owns
the memory, so views and detached tensors share it. A node is older than a write to
what it saved exactly when its index is smaller than the stamp: recording costs the
forward pass nothing, and a pass with no write since its oldest node one comparison.
"""

import weakref
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from .errors import MutationError
from .node import Node, clock, root
from .observe import observed
from .place import Place, user_place


class Write(NamedTuple):
    """One in-place write: its stamp, what wrote, and the line that asked for it."""

    stamp: int
    what: str
    place: tuple[CodeType, int]


_writes: dict[int, Write] = {}
_owners: dict[int, weakref.ref[Any]] = {}
_fingerprints: "weakref.WeakKeyDictionary[Node, tuple[int, ...]]"
_fingerprints = weakref.WeakKeyDictionary()
_last_stamp = 0


def record_write(values: Iterable[Any], what: str) -> None:
    """Note that `what` has written into each of `values` in place."""
    stamp(watched(values), what)


def watched(values: Iterable[Any]) -> list[int]:
    """Return the ids of the arrays that own the memory of `values`, for `stamp`.

    They are good for as long as `values` live.
    """
    owners = [owner for owner in map(root, values) if owner is not None]
    for owner in owners:
        if id(owner) not in _owners:
            _watch(owner)
    return [*map(id, owners)]


def stamp(owners: Iterable[int], what: str) -> None:
    """Note a write by `what` into watched memory, given by the ids of its owners."""
    global _last_stamp
    write = Write(next(clock), what, user_place())
    _last_stamp = max(_last_stamp, write.stamp)
    for owner in owners:
        _writes[owner] = write


def is_stamped(value: Any) -> bool:
    """Whether writes to the memory of `value` have been recorded."""
    return id(root(value)) in _writes


def _watch(owner: np.ndarray[Any, Any]) -> None:
    key = id(owner)

    def forget(_: object) -> None:
        _owners.pop(key, None)
        _writes.pop(key, None)

    _owners[key] = weakref.ref(owner, forget)


@contextmanager
def debug() -> Iterator[None]:
    """Fingerprint what each operation saves, so that raw NumPy writes are caught.

    Inside, every saved array is checksummed when it is saved and again before it is
    used; a difference raises :class:`MutationError` with the operation and its line,
    whichever alias the write went through. Costs a pass over every saved array.

    Yields
    ------
    None
        Nothing of use: the check is what changes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.debug():
    ...     y = (x * x).sum()
    ...     x.numpy()[0] = 5.0
    ...     y.backward()
    Traceback (most recent call last):
        ...
    tensorgrad.core.errors.MutationError: multiply, called at ..., saved ...
    """
    with observed(_fingerprint):
        yield


def _fingerprint(node: Node, arguments: Sequence[Any], output: Any) -> None:
    """Keep a checksum of what `node` saved, for `check_unwritten`."""
    _fingerprints[node] = _checksums(node)


def _checksums(node: Node) -> tuple[int, ...]:
    return tuple(
        zlib.crc32(np.ascontiguousarray(a).view(np.uint8).data) if a.size else 0
        for a in _saved_arrays(node)
    )


def _saved_arrays(node: Node) -> Iterator[np.ndarray[Any, Any]]:
    for value in node.saved:
        for item in value if type(value) is tuple else (value,):
            if isinstance(item, np.ndarray):
                yield item


def check_unwritten(nodes: Sequence[Node]) -> None:
    """Raise MutationError where `nodes` (newest first) saved what was written since."""
    if nodes and _last_stamp > nodes[-1].index:
        for node in nodes:
            _check_stamps(node)
    if _fingerprints:
        for node in nodes:
            if _fingerprints.get(node, None) not in (None, _checksums(node)):
                raise MutationError(
                    f"{node.name}, called at {node.place}, saved an array for backward "
                    "that was written to since, through NumPy; write to a copy, or run "
                    "backward before the write"
                )


def _check_stamps(node: Node) -> None:
    for array in _saved_arrays(node):
        write = _writes.get(id(root(array)))
        if write is not None and write.stamp > node.index:
            raise MutationError(
                f"{node.name}, called at {node.place}, saved an array of shape "
                f"{array.shape} for backward, and {write.what} at "
                f"{Place(*write.place)} has written to it since; call backward before "
                "the write, or let the operation use a copy"
            )
