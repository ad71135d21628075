"""What a step read when it was recorded, and whether it is still the same."""

from __future__ import annotations

import threading
import timeit
from abc import get_cache_token
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from types import BuiltinMethodType, FunctionType, MappingProxyType, MethodType
from typing import Any

import numpy as np

from ...core.errors import CaptureError
from ...core.hooks import hooks, registered
from .reads import PLAIN

Bind = Callable[[Any], str]
"""Gives an object a name by which a generated check knows it."""


class _Missing:
    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()
"""Stands for what is not there."""

FIRM, AGAIN, LOOSE = range(3)

_OURS = ("tensorgrad.nn", "tensorgrad.optim")
"""Of these classes only what is used is looked at, not whether more was added."""

_DICTS = (dict, MappingProxyType)

_FEW = 16
"""So many items are compared one by one, which is faster than a loop."""


class Watched:
    """One thing that a step read.

    Parameters
    ----------
    name : str
        What the step calls it.
    holder : object
        What it was found in.
    key : object
        Where in it.

    Attributes
    ----------
    seen : object
        What was there.
    level : int
        FIRM where a change is an error, AGAIN where the step is recorded again, and
        LOOSE where it need not be if two recordings with a change between are the same.
    """

    def __init__(
        self, name: str, holder: Any, key: Any = None, level: int = FIRM
    ) -> None:
        self.name, self.holder, self.key, self.level = name, holder, key, level
        self.seen = self._now()

    def refresh(self) -> None:
        """Compare with the present value from now on."""
        self.seen = self._now()

    def forget(self) -> bool:
        """Watch no longer what has changed; whether nothing is left to watch."""
        return True

    def _now(self) -> Any:
        """Return the present value."""
        raise NotImplementedError

    def _changes(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield what has changed: its name, its old value and its new one."""
        now = self._now()
        if not same(now, self.seen):
            yield self.name, self.seen, now

    def _tests(self, bind: Bind) -> Iterator[str]:
        """Yield Python expressions that are true as long as nothing has changed."""
        raise NotImplementedError


class Entry(Watched):
    """The value of a key of a dict, as a rule a variable of a module."""

    def _now(self) -> Any:
        return self.holder.get(self.key, MISSING)

    def _tests(self, bind: Bind) -> Iterator[str]:
        if self._now() is MISSING:
            yield f"{self.key!r} not in {bind(self.holder)}"
        else:
            yield f"{bind(self.holder)}[{self.key!r}] is {bind(self._now())}"


class Cell(Watched):
    """The value of a variable of a function around the step."""

    def _now(self) -> Any:
        try:
            return self.holder.cell_contents
        except ValueError:
            return MISSING

    def _tests(self, bind: Bind) -> Iterator[str]:
        if self._now() is not MISSING:
            yield f"{bind(self.holder)}.cell_contents is {bind(self._now())}"


class Slot(Watched):
    """An attribute whose access runs no user code."""

    def _now(self) -> Any:
        return getattr(self.holder, self.key, MISSING)

    def _tests(self, bind: Bind) -> Iterator[str]:
        if self._now() is MISSING:
            yield f"not hasattr({bind(self.holder)}, {self.key!r})"
        else:
            yield f"{bind(self.holder)}.{self.key} is {bind(self._now())}"


class Attributes(Watched):
    """What an object has of its own, and its class; `key` are names that code reads."""

    def _now(self) -> Any:
        own = own_attributes(self.holder)
        values = {name: own.get(name, MISSING) for name in sorted(self.key)}
        return type(self.holder), values

    def _changes(self) -> Iterator[tuple[str, Any, Any]]:
        kind, values = self._now()
        if kind is not self.seen[0]:
            yield f"the class of {self.name}", self.seen[0], kind
        for name, was in self.seen[1].items():
            if not same(values[name], was):
                yield f"{self.name}.{name}", was, values[name]

    def _tests(self, bind: Bind) -> Iterator[str]:
        kind, values = self._now()
        h, own = bind(self.holder), own_attributes(self.holder)
        yield f"{h}.__class__ is {bind(kind)}"
        simple = kind.__getattribute__ is object.__getattribute__
        if own is not NOTHING:
            yield f"len({bind(own)}) == {len(own)}"
        for name, value in values.items():
            if value is not MISSING:
                plain = simple and not hasattr(static(kind, name), "__set__")
                at = f"{h}.{name}" if plain else f"own({h})[{name!r}]"
                yield f"{at} is {bind(value)}"


class Others(Watched):
    """The values of an object or dict under names that the code does not contain."""

    def _own(self) -> Any:
        holder = self.holder
        return holder if isinstance(holder, _DICTS) else own_attributes(holder)

    def _now(self) -> Any:
        own = self._own()
        values = {name: own.get(name, MISSING) for name in self.key}
        # Who reads all of them sees new ones, too.
        return values if self.level > AGAIN else values | {"*": tuple(own)}

    def _changes(self) -> Iterator[tuple[str, Any, Any]]:
        for name, now in self._now().items():
            if not same(now, self.seen[name]):
                yield f"{self.name}.{name}", self.seen[name], now

    def forget(self) -> bool:
        """Watch no longer what has changed; whether nothing is left to watch."""
        now = self._now()
        self.key = frozenset(n for n in self.key if same(now[n], self.seen[n]))
        return not self.key

    def _tests(self, bind: Bind) -> Iterator[str]:
        own = bind(self._own())
        for name, value in self._now().items():
            if name == "*":
                yield f"tuple({own}) == {bind(value)}"
            elif value is not MISSING:
                yield f"{own}[{name!r}] is {bind(value)}"


class Class(Watched):
    """What a class and its bases define; `key` are names that code reads."""

    def _now(self) -> Any:
        return {name: static(self.holder, name) for name in sorted(self.key)}

    def _changes(self) -> Iterator[tuple[str, Any, Any]]:
        for name, now in self._now().items():
            if not same(now, self.seen[name]):
                yield f"{self.holder.__qualname__}.{name}", self.seen[name], now

    def _tests(self, bind: Bind) -> Iterator[str]:
        c = bind(self.holder)
        for kind in self.holder.__mro__:
            if changeable(kind) and not kind.__module__.startswith(_OURS):
                yield f"len({bind(vars(kind))}) == {len(vars(kind))}"
        for name, value in self._now().items():
            place = _defining(self.holder, name)
            if place and changeable(place):
                direct = isinstance(value, (FunctionType, property, *PLAIN))
                if direct and _is_direct(self.holder, name):
                    yield f"{c}.{name} is {bind(value)}"
                else:
                    yield f"{bind(vars(place))}[{name!r}] is {bind(value)}"


class Function(Watched):
    """The code of a function, and its defaults."""

    def _now(self) -> Any:
        f = self.holder
        return f.__code__, f.__defaults__, f.__kwdefaults__

    def _changes(self) -> Iterator[tuple[str, Any, Any]]:
        for what, was, now in zip(OF_FUNCTIONS, self.seen, self._now(), strict=True):
            if not same(now, was):
                yield f"{what} of {self.name}", was, now

    def _tests(self, bind: Bind) -> Iterator[str]:
        f = bind(self.holder)
        for what, now in zip(OF_FUNCTIONS, self._now(), strict=True):
            yield f"{f}.{what} is {bind(now)}"


OF_FUNCTIONS = ("__code__", "__defaults__", "__kwdefaults__")


class Items(Watched):
    """What is in a list, a dict, a set or a deque; `key` are keys watched apart."""

    def _now(self) -> Any:
        pairs = items(self.holder)
        if not self.key:
            return pairs
        return [(k, None if k in self.key else value) for k, value in pairs]

    def _changes(self) -> Iterator[tuple[str, Any, Any]]:
        now = self._now()
        if len(now) != len(self.seen):
            yield f"the length of {self.name}", len(self.seen), len(now)
            return
        for (key, value), (was_key, was) in zip(now, self.seen, strict=True):
            if not same(key, was_key):
                yield f"a key of {self.name}", was_key, key
            elif not same(value, was):
                yield f"{self.name}[{key!r:.40}]", was, value

    def _tests(self, bind: Bind) -> Iterator[str]:
        now, h = self._now(), bind(self.holder)
        kind = type(self.holder)
        short = len(now) <= _FEW and kind in (list, dict)
        if short and all(type(key) in (int, str) for key, _ in now):
            keys = bind(tuple(key for key, _ in now))
            yield f"tuple({h}) == {keys}" if kind is dict else f"len({h}) == {len(now)}"
            for key, value in now:
                if not self.key or key not in self.key:
                    yield f"{h}[{key!r}] is {bind(value)}"
        else:
            yield f"alike({h}, {bind(now)}, {bind(self.key)})"


class Contents(Watched):
    """The bytes of an array or of another buffer."""

    def _now(self) -> Any:
        return contents(self.holder)

    def _changes(self) -> Iterator[tuple[str, Any, Any]]:
        if self._now() != self.seen:
            yield f"what is in {self.name}", MISSING, MISSING

    def _tests(self, bind: Bind) -> Iterator[str]:
        yield f"contents({bind(self.holder)}) == {bind(self._now())}"


class Called(Watched):
    """The value of a context variable or a weak reference."""

    def _now(self) -> Any:
        return self.holder(*self.key)

    def _tests(self, bind: Bind) -> Iterator[str]:
        arguments = ", ".join(map(bind, self.key))
        yield f"{bind(self.holder)}({arguments}) is {bind(self._now())}"


class Registered(Watched):
    """The registered subclasses of abstract classes, in all of the process."""

    def _now(self) -> Any:
        return get_cache_token()

    def _tests(self, bind: Bind) -> Iterator[str]:
        yield f"{bind(get_cache_token)}() == {self._now()!r}"


class Held(Watched):
    """The array of a Tensor, whether it needs a gradient, and its hooks."""

    def _now(self) -> Any:
        node = self.holder.node
        return self.holder._value, node, tuple(hooks.get(node, ()) if node else ())

    def _changes(self) -> Iterator[tuple[str, Any, Any]]:
        (value, node, hooks), (was, was_node, were_hooks) = self._now(), self.seen
        if value is not was:
            yield f"the array of {self.name}, a Tensor", was, value
        if node is not was_node:
            needed = was_node is not None, node is not None
            yield f"requires_grad of {self.name}, a Tensor", *needed
        elif hooks != were_hooks:
            yield f"the hooks of {self.name}, a Tensor", len(were_hooks), len(hooks)

    def _tests(self, bind: Bind) -> Iterator[str]:
        value, node, _ = self._now()
        t = bind(self.holder)
        yield f"{t}._value is {bind(value)}"
        yield f"{t}.node is {bind(node)}"


def _hooked_as_before(tensors: list[Held]) -> bool:
    return all(item._now()[2] == item.seen[2] for item in tensors)


def same(now: Any, was: Any) -> bool:
    """Whether a value is the one that was there, or an equal constant."""
    if now is was:
        return True
    if type(now) is not type(was):
        return False
    if isinstance(now, float | complex):
        return repr(now) == repr(was)
    if isinstance(now, np.generic):
        return bool(now.tobytes() == was.tobytes())
    if isinstance(now, tuple):
        return len(now) == len(was) and all(map(same, now, was))
    constant = isinstance(now, (*PLAIN, MethodType, BuiltinMethodType))
    return constant and bool(now == was)


_HEAP, _IMMUTABLE = 1 << 9, 1 << 8
NOTHING: dict[str, Any] = {}


def changeable(kind: type) -> bool:
    """Whether a class is written in Python, and may be changed."""
    return kind.__flags__ & (_HEAP | _IMMUTABLE) == _HEAP


def own_attributes(x: Any) -> dict[str, Any]:
    """Return the attributes in an object, without code of its class."""
    try:
        attributes: dict[str, Any] = object.__getattribute__(x, "__dict__")
    except AttributeError:
        return x.__dict__ if isinstance(x, threading.local) else NOTHING
    return attributes


def _defining(kind: type, name: str) -> type | None:
    """Return which class, of one and its bases, defines a name."""
    return next((base for base in kind.__mro__ if name in base.__dict__), None)


def static(kind: type, name: str) -> Any:
    """Return what a class or one of its bases defines, without descriptors."""
    place = _defining(kind, name)
    return MISSING if place is None else place.__dict__[name]


def _is_direct(kind: type, name: str) -> bool:
    """Whether access to an attribute of a class runs no code of its metaclass."""
    meta = type(kind)
    usual = meta.__getattribute__ is type.__getattribute__
    return usual and not hasattr(static(meta, name), "__set__")


def items(x: Any) -> list[tuple[Any, Any]]:
    """Return the items of a container with their keys."""
    if isinstance(x, dict):
        return [*dict.items(x)]
    if isinstance(x, MappingProxyType):
        return [*x.items()]
    if isinstance(x, np.ndarray):
        return [*enumerate(x.flat)]
    if isinstance(x, list):
        return [*enumerate(list.__iter__(x))]
    return [*enumerate(_own_iter(x))]


def _own_iter(x: Any) -> Iterator[Any]:
    """Iterate as the builtin class does, even for a subclass."""
    builtin: Any = next(base for base in type(x).__mro__ if not changeable(base))
    iterator: Iterator[Any] = builtin.__iter__(x)
    return iterator


def alike(x: Any, seen: list[tuple[Any, Any]], apart: Any) -> bool:
    """Whether a container has the same items as before, but for separate keys."""
    now = items(x)
    if len(now) != len(seen):
        return False
    pairs = zip(now, seen, strict=True)
    if apart:
        return all(a is c and (b is d or a in apart) for (a, b), (c, d) in pairs)
    return all(a is c and b is d for (a, b), (c, d) in pairs)


def contents(x: Any) -> bytes:
    """Return the bytes of an array, a buffer, or what NumPy makes an array of."""
    if isinstance(x, np.ndarray):
        return x.tobytes()
    try:
        return bytes(memoryview(x))
    except TypeError:
        array = np.asarray(x)
        return (
            repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()
        )


class Watch:
    """Everything that a step read.

    Parameters
    ----------
    watched : iterable of Watched
    """

    def __init__(self, watched: Iterable[Watched]) -> None:
        self.watched = list(watched)
        self._missed = self._comparisons = 0
        self.unchanged: Callable[[], bool] = _never

    def prepare(self) -> None:
        """Make `unchanged`, a fast test whether all objects are those of now.

        Before anything can change: what stands there is taken for what was seen.
        """
        self.unchanged, self._comparisons = _check_of(self.watched)

    def __str__(self) -> str:
        """Return what is compared before each replay, and what that costs."""
        microseconds = 1e5 * min(timeit.repeat(self.unchanged, number=10, repeat=20))
        compared = [w.seen for w in self.watched if isinstance(w, Contents)]
        text = f"  {self._comparisons} comparisons, {microseconds:.1f} us"
        if compared:
            text += f", {sum(map(len, compared)):,} bytes of arrays among them"
        return f"checked before each replay\n{text}"

    def check(self, when: str, remedy: str, most: int = FIRM) -> list[Watched]:
        """Return what has changed, and raise CaptureError where that is an error.

        Parameters
        ----------
        when, remedy : str
            For the message.
        most : int
            Up to this level a change is an error.

        Returns
        -------
        list of Watched
            Those of higher levels.
        """
        changed = []
        for item in self.watched:
            for name, was, now in item._changes():
                if item.level > most:
                    changed.append(item)
                    break
                raise CaptureError(
                    f"tg.compile: {name}, which the step refers to, {when}: it "
                    f"was {_told(was)} and is {_told(now)}, which a "
                    f"replay does not see; {remedy}"
                )
        # Equal objects stand where others stood: from now on these are expected.
        self._missed += not changed
        again = self._missed & (self._missed - 1) == 0
        if again and not changed and self.unchanged is not _never:
            self.prepare()
        return changed


def _never() -> bool:
    return False


def _told(x: Any) -> str:
    if isinstance(x, PLAIN) or x is MISSING:
        return f"{x!r:.40}"
    return f"a {type(x).__name__}"


def _check_of(watched: list[Watched]) -> tuple[Callable[[], bool], int]:
    """Return a test whether all objects are the same, and its comparisons."""
    scope: dict[str, Any] = {
        "alike": alike,
        "contents": contents,
        "hooked": _hooked_as_before,
        "own": own_attributes,
        "registered": registered,
    }
    names: dict[int, str] = {}
    numbers = count()

    def bind(x: Any) -> str:
        if id(x) not in names:
            names[id(x)] = f"x{next(numbers)}"
            scope[names[id(x)]] = x
        return names[id(x)]

    tensors = [item for item in watched if isinstance(item, Held)]
    terms = [f"(registered[0] == {registered[0]} or hooked({bind(tensors)}))"]
    for item in watched:
        terms += item._tests(bind)
    terms = [*dict.fromkeys(terms)]
    parts = [" and ".join(terms[k : k + 50]) for k in range(0, len(terms), 50)]
    lines = [f"    if not ({part}): return False" for part in parts]
    head, tail = ["def unchanged():", "  try:"], ["  except Exception: return False"]
    text = "\n".join([*head, *lines, *tail, "  return True"])
    exec(text, scope)
    check: Callable[[], bool] = scope["unchanged"]
    return check, len(terms)
