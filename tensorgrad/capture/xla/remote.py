"""State whose newest values are on a device, until somebody looks.

A tensor holds a `Remote` meanwhile. Whoever asks it for values, or calls a function of
NumPy's with it, brings all state back to where it was: into the same ndarrays, so that
aliases, other captured steps and optimizers go on with them.
"""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from ...core.duck import DuckArray
from ...core.foreign import AWAY, fetch
from ...core.node import root
from ...core.tensor import Tensor
from ...core.tree import mapped
from ..program import Array
from ..recording.watch import Watch, Watched


class Remote(DuckArray):
    """Stands in a tensor for an array whose newest values are on a device.

    Attributes
    ----------
    home : ndarray
        Where they come back to.
    """

    __slots__ = ("home",)

    def __init__(self, home: Array) -> None:
        self.home = home

    # An array to those who ask, as the operations do.
    __class__ = property(lambda self: np.ndarray)
    shape = property(lambda self: self.home.shape)
    dtype = property(lambda self: self.home.dtype)
    strides = property(lambda self: self.home.strides)
    flags = property(lambda self: self.home.flags)
    base = property(lambda self: self.home.base)
    memory = property(lambda self: self.home)
    scalar = False

    def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        """Call a function with the values, which come back for it."""
        fetch()
        args, kwargs = mapped((args, kwargs), _home)
        return function(*args, **kwargs)

    def readable(self, how: str) -> Array:
        """Return the values for Python to look at."""
        fetch()
        return self.home

    def unassignable(self) -> None:
        """Let ``.data`` be assigned: the values come back first."""
        fetch()

    def __deepcopy__(self, memo: Any) -> Array:
        return self.readable("copying").copy()

    def __reduce__(self) -> Any:
        return self.readable("pickling").__reduce__()


def _home(x: Any) -> Any:
    return x.home if type(x) is Remote else x


class State:
    """Memory outside that a step on a device uses, and its values there.

    Parameters
    ----------
    home : ndarray
        What owns the memory. Values of tensors lie in it, and arrays that only a
        holder shows, an optimizer, which brings them back first.

    Attributes
    ----------
    array : array of JAX or None
        The values, while they are away.
    is_seen : bool
        Whether somebody may look at the memory without asking, so that the values come
        home after each step.
    """

    def __init__(self, home: Array) -> None:
        self.home = home
        self.array: Any = None
        self._is_new = self.is_seen = False
        self._places: list[tuple[weakref.ref[Tensor], Array, Remote]] = []
        self._shown: list[Array] = []
        self._holders: weakref.WeakSet[Any] = weakref.WeakSet()
        self._counts: list[int] = []

    def join(self, tensors: Iterable[Tensor], own: Iterable[tuple[Any, Array]]) -> None:
        """Show it in the tensors and the arrays of holders that a step has, too."""
        known = {id(t()) for t, _, _ in self._places}
        for tensor in {id(t): t for t in tensors if id(t) not in known}.values():
            x = tensor._value
            if root(x) is self.home:
                self._places.append((weakref.ref(tensor), x, Remote(x)))
                self._show(x)
        for holder, x in own:
            if root(x) is self.home:
                self._holders.add(holder)
                self._show(x)

    def _show(self, array: Array) -> None:
        if not any(x is array for x in self._shown):
            self._shown.append(array)
            if self._counts:
                self._counts.append(sys.getrefcount(array))

    @property
    def arrays(self) -> list[Array]:
        """The memory itself, and what lies in it as far as the package knows."""
        return [self.home, *self._shown]

    def references(self, watched: Counter[int]) -> list[int]:
        """Return how many there are to each array, without those of watches."""
        return [sys.getrefcount(x) - watched[id(x)] for x in self.arrays]

    def look(self, watched: Counter[int], strange: Counter[int]) -> None:
        """See whether somebody may look at the memory without asking a tensor."""
        now = self.references(watched)
        if not self._counts:
            self._counts = [
                n - strange[id(x)] for n, x in zip(now, self.arrays, strict=True)
            ]
        pairs = [*zip(now, self._counts, strict=True)]
        self._counts = [min(pair) for pair in pairs]
        unseen = self._shown and all(a <= b for a, b in pairs)
        self.is_seen = self.home.flags.writeable and not unseen

    def _without(self, strange: Counter[int], counts: list[int]) -> list[int]:
        pairs = zip(counts, self.arrays, strict=True)
        return [count - strange[id(x)] for count, x in pairs]

    def own_references(self, watched: Counter[int], strange: Counter[int]) -> list[int]:
        """Return how many references to each array are the package's."""
        return self._without(strange, self.references(watched))

    def credit(self, before: list[int], now: list[int]) -> None:
        """Take it that what came to refer to it meanwhile is the package's."""
        if self._counts:
            counts = zip(self._counts, now, before, strict=True)
            self._counts = [known + new - old for known, new, old in counts]

    def _leave(self, upload: Callable[[Array], Any]) -> None:
        self.array = upload(self.home)
        AWAY[id(self)] = self
        if not self.is_seen:
            for tensor, home, remote in self._places:
                t = tensor()
                if t is not None and t._value is home:
                    t._value = remote

    def receive(self, array: Any) -> None:
        """Have new values from a step."""
        self.array, self._is_new = array, True
        self.settle()

    def belongs_to(self, holder: Any) -> bool:
        """Whether an optimizer shows it."""
        return holder in self._holders

    def settle(self) -> None:
        """Come home at once where somebody may look unseen."""
        if self.is_seen:
            self.come_home()

    def come_home(self) -> None:
        """Bring the values back, and have tensors hold them again."""
        with LOCK:
            self._come_home()

    def _come_home(self) -> None:
        if self._is_new:
            self.home[...] = np.asarray(self.array.addressable_data(0))
        self.array, self._is_new = None, False
        AWAY.pop(id(self), None)
        for tensor, home, remote in self._places:
            t = tensor()
            if t is not None and t._value is remote:
                t._value = home


WATCHES: weakref.WeakSet[Watch] = weakref.WeakSet()
"""What compares the things that steps read, and refers to some of them in turn."""

_states: weakref.WeakValueDictionary[int, State] = weakref.WeakValueDictionary()
"""By the id of what owns the memory: several steps have the same."""


def state_of(
    home: Array, tensors: Iterable[Tensor], own: Iterable[tuple[Any, Array]]
) -> State:
    """Return the state of some memory, which is at home now."""
    state = _states.get(id(home))
    if state is None:
        state = _states[id(home)] = State(home)
    state.join(tensors, own)
    return state


LOCK = threading.RLock()
"""Held while a step runs: in the midst of it a device has given the state away."""


def leave(states: Iterable[State], upload: Callable[[Array], Any]) -> None:
    """Let a device have the values of states."""
    home = [state for state in states if state.array is None]
    watched, strange = _watched(), _strangers([s for s in home if not s._counts])
    # Before an upload, which may refer to the memory for a while.
    for state in home:
        state.look(watched, strange)
    for state in home:
        state._leave(upload)


def _watched() -> Counter[int]:
    """Return how often watches refer to objects, by their ids."""
    return Counter(id(x) for watch in [*WATCHES] for x in watch.compared().values())


def _strangers(states: list[State]) -> Counter[int]:
    """Return how many objects of others refer to arrays, by the ids of these."""
    if not states:
        return Counter()
    arrays = [x for state in states for x in state.arrays]
    own = {id(t()) for state in states for t, _, _ in state._places}
    skip = {id(arrays), *map(id, _scopes())}
    skip |= {id(watch.compared()) for watch in [*WATCHES]}
    strange = _strange(gc.get_referrers(*arrays), own, skip)
    counts = Counter(id(x) for other in strange for x in gc.get_referents(other))
    for x in (x for scope in _scopes() for x in [*scope.values()]):
        if type(x) is np.ndarray:
            counts[id(x if root(x) is None else root(x))] += 1
    return counts


def _scopes() -> list[dict[str, Any]]:
    """Return the variables of code that is running, the package's aside."""
    frame: Any = sys._getframe(1)
    scopes: dict[int, Any] = {}
    while frame is not None:
        if not frame.f_globals.get("__name__", "").startswith("tensorgrad."):
            for scope in (frame.f_globals, frame.f_locals):
                scopes[id(scope)] = scope
        frame = frame.f_back
    return [*scopes.values()]


def _strange(things: list[Any], own: set[int], skip: set[int], depth: int = 3) -> Any:
    """Return those of some objects that are no part of the package."""
    things = [x for x in things if id(x) not in skip]
    nests = [x for x in things if type(x) in _NESTS]
    skip |= {id(things), id(nests)}
    above = gc.get_referrers(*nests) if nests and depth else []
    skip.add(id(above))
    strange = {id(x) for x in _strange(above, own, skip, depth - 1)} if above else set()
    ours = [x for x in above if id(x) not in strange | skip]
    held = {id(x) for holder in ours for x in gc.get_referents(holder)}
    return [
        x for x in things if not (id(x) in held if type(x) in _NESTS else _ours(x, own))
    ]


_NESTS = (list, tuple, dict)
_PARTS = ("tensorgrad.capture.", "tensorgrad.core.", "tensorgrad.optim")


def _ours(x: Any, own: set[int]) -> bool:
    """Whether an object is the package's; local variables are looked at elsewhere."""
    if type(x) is Tensor:
        return id(x) in own
    return type(x) is FrameType or (
        type(x) is not Watched and f"{type(x).__module__}.".startswith(_PARTS)
    )


@contextmanager
def recording() -> Iterator[None]:
    """Take it that what is made meanwhile and refers to state is a recording of it."""
    states = [state for state in [*_states.values()] if state._counts]
    before = _own_references(states)
    yield
    if states:
        gc.collect()
    for state, old, new in zip(states, before, _own_references(states), strict=True):
        state.credit(old, new)


def _own_references(states: list[State]) -> list[list[int]]:
    """Return how many references to the arrays of states are the package's."""
    if not states:
        return []
    watched, strange = _watched(), _strangers(states)
    return [state.own_references(watched, strange) for state in states]
