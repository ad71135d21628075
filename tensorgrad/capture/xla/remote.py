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
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ...core.duck import DuckArray
from ...core.foreign import AWAY, HOLDERS, fetch
from ...core.node import root
from ...core.tensor import Tensor
from ...core.tree import mapped
from ..program import Array
from .private import RECORDED, Walk


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
        What owns the memory. Values of tensors lie in it, or arrays of an optimizer,
        which brings them back before it shows them.

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
        self._counts: list[int] = []
        self._calls, self._patience = 0, 1
        self._places: list[tuple[weakref.ref[Tensor], Array, Remote]] = []

    def join(self, tensors: Iterable[Tensor]) -> None:
        """Show it in the tensors that a step has, too."""
        known = {id(t()) for t, _, _ in self._places}
        for tensor in {id(t): t for t in tensors if id(t) not in known}.values():
            x = tensor._value
            if root(x) is self.home:
                self._places.append((weakref.ref(tensor), x, Remote(x)))

    @property
    def tensors(self) -> list[Tensor]:
        """Those that show it."""
        tensors = [t() for t, _, _ in self._places]
        return [t for t in tensors if t is not None]

    def _references(self) -> list[int]:
        return [*map(sys.getrefcount, [self.home, *(x for _, x, _ in self._places)])]

    def look(self, private: set[int]) -> None:
        """See whether somebody may look at the memory without asking a tensor."""
        self.is_seen = self.home.flags.writeable and id(self.home) not in private
        self._patience = min(2 * self._patience, _LONGEST) if self.is_seen else 1
        self._calls = 0

    def is_settled(self) -> bool:
        """Whether somebody may look, as was found not long ago."""
        before, self._counts = self._counts, self._references()
        if self._counts != before:
            self._patience = 1
        self._calls += 1
        return self.is_seen and self._calls < self._patience

    def leave(self, array: Any) -> None:
        """Let a device have the values."""
        self.array = array
        AWAY[id(self.home)] = self
        if not self.is_seen:
            for tensor, home, remote in self._places:
                t = tensor()
                if t is not None and t._value is home:
                    t._value = remote

    def receive(self, array: Any) -> None:
        """Have new values from a step."""
        self.array, self._is_new = array, True
        self.settle()

    def settle(self) -> None:
        """Come home at once where somebody may look unseen."""
        if self.is_seen:
            self.come_home()

    def come_home(self) -> None:
        """Bring the values back, and have tensors hold them again."""
        with LOCK:
            if self._is_new:
                self.home[...] = np.asarray(self.array.addressable_data(0))
            self.array, self._is_new = None, False
            AWAY.pop(id(self.home), None)
            for tensor, home, remote in self._places:
                t = tensor()
                if t is not None and t._value is remote:
                    t._value = home


_LONGEST = 64
"""Calls after which it is seen at the latest that nobody looks any more."""

_states: weakref.WeakValueDictionary[int, State] = weakref.WeakValueDictionary()
"""By the id of what owns the memory: several steps have the same."""


def state_of(home: Array, tensors: Iterable[Tensor]) -> State:
    """Return the state of some memory, which is at home now."""
    state = _states.get(id(home))
    if state is None:
        state = _states[id(home)] = State(home)
    state.join(tensors)
    return state


LOCK = threading.RLock()
"""Held while a step runs: in the midst of it a device has given the state away."""


def leave(states: Iterable[State], upload: Callable[[Array], Any]) -> None:
    """Let a device have the values of states."""
    home = [state for state in states if state.array is None]
    # Before an upload, which may refer to the memory for a while.
    if not all(state.is_settled() for state in home):
        _look(home)
    for state in home:
        state.leave(upload(state.home))


def _look(states: list[State]) -> None:
    """See to which of the states somebody has references."""
    if RECORDED.is_set():
        gc.collect()
        RECORDED.clear()
    every = [*_states.values()]
    tensors = {id(t): t for state in every for t in state.tensors}.values()
    kept = (x for holder in [*HOLDERS] for x in holder.kept())
    private = Walk((t._value for t in tensors), kept).private()
    for state in states:
        state.look(private)
