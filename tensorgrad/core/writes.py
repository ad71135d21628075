"""In-place writes by the engine or reported to it, and the check against them.

A write is stamped from the clock that numbers the nodes, under the array that owns
the memory, so views and detached tensors share it. A node is older than a write to
what it saved exactly when its index is smaller than the stamp: recording costs the
forward pass nothing, and a pass with no write since its oldest node one comparison.

Memory that no array owns (a mapped file, what another library or a pointer shows) is
known by its addresses. These are compared, not forgotten: what a node saved has been
alive since, so that a later write to its addresses was a write to it.
"""

import weakref
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from types import CodeType
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import byte_bounds

from .errors import MutationError
from .finite import finite_outputs, unchecked
from .foreign import memory_of
from .node import Node, clock, root
from .observe import observed
from .place import Place, user_place


class Write(NamedTuple):
    """One in-place write: its stamp, what wrote, and the line that asked for it."""

    stamp: int
    what: str
    place: tuple[CodeType, int]


Key = int | tuple[int, int]
"""Memory: the id of the array that owns it, or addresses where none does."""

_writes: dict[int, Write] = {}
_owners: dict[int, weakref.ref[Any]] = {}
_elsewhere: dict[tuple[int, int], Write] = {}
"""Writes to memory that no array owns, by its addresses."""

_MANY = 256
"""Separate address ranges; more are merged into one."""

_fingerprints: "weakref.WeakKeyDictionary[Node, tuple[int, ...]]"
_fingerprints = weakref.WeakKeyDictionary()
_last_stamp = 0
_stamping = Lock()


def record_write(values: Iterable[Any], what: str) -> None:
    """Note that `what` has written into each of `values` in place."""
    stamp(watched(values), what)


def watched(values: Iterable[Any]) -> list[Key]:
    """Return what `stamp` knows the memory of `values` by, while they live."""
    arrays = map(memory_of, values)
    return [_key(array) for array in arrays if isinstance(array, np.ndarray)]


def _key(value: np.ndarray[Any, Any]) -> Key:
    owner = root(value)
    if owner is None or not owner.flags.owndata:
        return addresses(value)
    if id(owner) not in _owners:
        _watch(owner)
    return id(owner)


def stamp(keys: Iterable[Key], what: str) -> None:
    """Note a write by `what` into watched memory, by its keys."""
    global _last_stamp
    place = user_place()
    with _stamping:
        write = Write(next(clock), what, place)
        _last_stamp = write.stamp
        for key in keys:
            if isinstance(key, int):
                _writes[key] = write
            else:
                _note_elsewhere(key, write)


def _note_elsewhere(key: tuple[int, int], write: Write) -> None:
    """Note a write to addresses; of many, merge the oldest into one range.

    That may blame a write for what only lies between, in a graph as old.
    """
    _elsewhere.pop(key, None)
    if len(_elsewhere) >= _MANY:
        oldest = list(_elsewhere)[: _MANY // 2]
        low, high = zip(*oldest, strict=True)
        span = min(low), max(high)
        _elsewhere[span] = max(_elsewhere[k] for k in {*oldest, span} & {*_elsewhere})
        for k in oldest:
            if k != span:
                del _elsewhere[k]
    _elsewhere[key] = write


def is_stamped(value: Any) -> bool:
    """Whether writes to the memory of `value` have been recorded."""
    value = memory_of(value)
    return id(root(value)) in _writes or (
        bool(_elsewhere) and addresses(value) in _elsewhere
    )


def addresses(array: np.ndarray[Any, Any]) -> tuple[int, int]:
    """Return where the memory of an array begins and ends."""
    return byte_bounds(array) if array.size else (0, 0)


def _watch(owner: np.ndarray[Any, Any]) -> None:
    key = id(owner)

    def forget(_: object) -> None:
        _owners.pop(key, None)
        _writes.pop(key, None)

    _owners[key] = weakref.ref(owner, forget)


@contextmanager
def debug(*, nan: bool = True) -> Iterator[None]:
    """Find raw NumPy writes, and the first operation that makes NaN or infinity.

    Every array that an operation saves is checksummed when it is saved and again before
    it is used, whichever alias it was written through. An operation whose result, or
    whose gradient, is not finite although all it is made of is finite raises, with the
    line of the operation, the first such element, and the range of what it is made of.
    What is made inside is watched in a later ``backward`` outside too. Costs passes
    over every array. It belongs to the thread or task that enters it.

    Parameters
    ----------
    nan : bool
        Whether to look for NaN and infinity. False allows both, where they are meant,
        also within a block that looks for them:
        ``np.where(p > 0, p * np.log(p), 0.0)`` has them in the branch not taken.

    Yields
    ------
    None
        Nothing of use: the checks are what changes.

    Raises
    ------
    MutationError
        In ``backward``, if a saved array was written to.
    NonFiniteError
        Where NaN or infinity is made of finite numbers, forward or backward.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.debug():
    ...     y = (x * x).sum()
    ...     x.numpy()[0] = 5.0
    ...     y.backward()
    Traceback (most recent call last):
        ...
    tensorgrad.MutationError: multiply, called at ..., saved ...
    >>> with tg.debug(), np.errstate(divide="ignore"):
    ...     np.log(x * 0)
    Traceback (most recent call last):
        ...
    tensorgrad.NonFiniteError: log, called at ..., made -inf at ...
    """
    with observed(_fingerprint), finite_outputs() if nan else unchecked():
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
        for item in map(memory_of, value if type(value) is tuple else (value,)):
            if isinstance(item, np.ndarray):
                yield item


def check_unwritten(nodes: Sequence[Node]) -> None:
    """Raise MutationError where `nodes` (newest first) saved what was written since."""
    if nodes and _last_stamp > nodes[-1].index:
        for node in nodes:
            _check_stamps(node)
    if _fingerprints:
        for node in nodes:
            before = _fingerprints.get(node)
            if before is not None and before != _checksums(node):
                raise MutationError(
                    f"{node.name}, called at {node.place}, saved an array for backward "
                    "that was written to since, through NumPy; write to a copy, or run "
                    "backward before the write"
                )


def are_fingerprinted() -> bool:
    """Whether nodes made in debug mode are alive, in any thread."""
    return bool(_fingerprints)


def _check_stamps(node: Node) -> None:
    for array in _saved_arrays(node):
        write = last_write(array)
        if write is not None and write.stamp > node.index:
            raise MutationError(
                f"{node.name}, called at {node.place}, saved an array of shape "
                f"{array.shape} for backward, and {write.what} at "
                f"{Place(*write.place)} has written to it since; call backward before "
                "the write, or let the operation use a copy"
            )


def last_write(array: np.ndarray[Any, Any]) -> Write | None:
    """Return the newest write to the memory of an array, None where there is none."""
    array = memory_of(array)
    owner: Any = root(array)
    write = _writes.get(id(owner))
    if not _elsewhere and owner.flags.owndata:
        return write
    low, high = addresses(array)
    writes = [] if write is None else [write]
    # `list` takes the keys at once; later, owners may be freed, and with them
    # their writes.
    for start, end in list(_elsewhere):
        if start < high and low < end:
            writes += filter(None, [_elsewhere.get((start, end))])
    for key in [] if owner.flags.owndata else list(_writes):
        start, end = _where(key)
        if start < high and low < end:
            writes += filter(None, [_writes.get(key)])
    return max(writes, default=None)


def _where(key: int) -> tuple[int, int]:
    reference = _owners.get(key)
    owner = None if reference is None else reference()
    return (0, 0) if owner is None else addresses(owner)
