"""State whose newest values are on a device, until somebody looks.

A tensor holds a `Remote` meanwhile. Whoever asks it for values, or calls a function of
NumPy's with it, brings all state back to where it was: into the same ndarrays, so that
aliases, other captured steps and optimizers go on with them.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ...core.duck import DuckArray
from ...core.foreign import AWAY, fetch
from ...core.node import root
from ...core.tensor import Tensor
from ...core.tree import mapped
from ..program import Array


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
        What owns the memory.
    tensors : list of Tensor
        Those whose values lie in it.
    own : list of (object, ndarray)
        Arrays in it that only a holder shows, an optimizer, which brings them back
        first.

    Attributes
    ----------
    array : array of JAX or None
        The values, while they are away.
    is_seen : bool
        Whether somebody may look at the memory without asking, so that the values come
        home after each step.
    """

    def __init__(
        self, home: Array, tensors: list[Tensor], own: list[tuple[Any, Array]]
    ) -> None:
        self.home = home
        self.array: Any = None
        self._is_new = self.is_seen = False
        held = [t._value for t in tensors]
        self._places = [
            (weakref.ref(t), x, Remote(x)) for t, x in zip(tensors, held, strict=True)
        ]
        self._shown = [*held, *(x for _, x in own)]
        self._holders = weakref.WeakSet(holder for holder, _ in own)
        self._counts: list[int] = []

    def _references(self) -> list[int]:
        return [*map(sys.getrefcount, (self.home, *self._shown))]

    def _look(self) -> bool:
        """Return whether somebody may look at the memory without asking a tensor."""
        if not self.home.flags.writeable:
            return False
        now = self._references()
        if not self._counts:
            own = [t() for t, _, _ in self._places]
            others = (x for x in _in_frames() if not any(x is t for t in own))
            named = sum(root(getattr(x, "_value", x)) is self.home for x in others)
            self._counts = [count - named for count in now]
        pairs = [*zip(now, self._counts, strict=True)]
        self._counts = [min(pair) for pair in pairs]
        return not self._shown or any(a > b for a, b in pairs)

    def leave(self, upload: Callable[[Array], Any]) -> None:
        """Let a device have the values."""
        if self.array is not None:
            return
        # Before the upload, which may refer to the memory for a while.
        self.is_seen = self._look()
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
        if self._is_new:
            self.home[...] = np.asarray(self.array.addressable_data(0))
        self.array, self._is_new = None, False
        AWAY.pop(id(self), None)
        for tensor, home, remote in self._places:
            t = tensor()
            if t is not None and t._value is remote:
                t._value = home


def _in_frames() -> Iterator[Array | Tensor]:
    """Yield arrays and tensors named in code that is running, the package's aside."""
    frame: Any = sys._getframe(1)
    scopes: dict[int, Any] = {}
    while frame is not None:
        if not frame.f_globals.get("__name__", "").startswith("tensorgrad."):
            scopes[id(frame.f_globals)] = frame.f_globals
            scopes[id(frame)] = frame.f_locals
        frame = frame.f_back
    for scope in scopes.values():
        yield from (x for x in [*scope.values()] if type(x) in (np.ndarray, Tensor))


_states: weakref.WeakValueDictionary[int, State] = weakref.WeakValueDictionary()
"""By the id of what owns the memory: several steps have the same."""


def state_of(
    home: Array, tensors: Iterable[Tensor], own: Iterable[tuple[Any, Array]]
) -> State:
    """Return the state of some memory, which is at home now."""
    state = _states.get(id(home))
    if state is None:
        state = _states[id(home)] = State(
            home,
            [t for t in tensors if root(t._value) is home],
            [(holder, x) for holder, x in own if root(x) is home],
        )
    return state
