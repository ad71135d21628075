"""What a step read when it was recorded, and whether it is still the same.

`Holder` is the table: a line for each kind of thing that holds others tells how a part
of it is read and compared, in Python that is both run and written into the check before
each replay, and what a message calls it. The search says which parts of what it reaches
are watched.
"""

from __future__ import annotations

import threading
import timeit
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from types import (
    BuiltinMethodType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
)
from typing import Any, NamedTuple

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
"""What a change means: an error; that the step is recorded again; or so, but for what
changes between two recordings that are the same."""

_OURS = ("tensorgrad.nn", "tensorgrad.optim")
"""Of these classes only what is used is looked at, not whether more was added."""

_FEW = 16
"""So many items are compared one by one, which is faster than a loop."""


@dataclass(frozen=True, eq=False)
class Holder:
    """A kind of thing that holds others: how its parts are read, compared and named.

    Parameters
    ----------
    label : str
        What a message calls a part: of its `name`, or its holder's, and its `key`.
    read : str
        Python for a part of the holder `h`.
    missing : str
        Python that is true as long as nothing is there.
    sign : str
        How what is read is compared with what was; "" for not in each replay.
    keys : tuple
        The parts, where there are no others.
    shown : callable
        Returns what a message says of a value.
    """

    label: str
    read: str = ""
    missing: str = ""
    sign: str = "is"
    keys: tuple[str, ...] = ("",)
    shown: Callable[[Any], Any] = lambda value: value

    def values(self, x: Any, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return what the parts of a holder are now."""
        return {key: _read(self.read.format(h="h", key=key), x) for key in keys}

    def tests(self, x: Any, keys: Iterable[Any], bind: Bind) -> Iterator[str]:
        """Yield Python expressions that are true as long as nothing has changed."""
        for key, value in self.values(x, keys).items():
            same = f"{self.read} {self.sign} {{value}}" if self.sign else ""
            text = self.missing if value is MISSING else same
            if text:
                yield text.format(h=bind(x), key=key, value=bind(value))

    def differences(
        self, name: str, key: Any, was: Any, now: Any
    ) -> Iterator[tuple[str, Any, Any]]:
        """Yield in what a part differs: a name, the old value and the new one."""
        if not same(now, was):
            label = self.label.format(name=name, key=key)
            yield label, self.shown(was), self.shown(now)


def _read(text: str, x: Any) -> Any:
    try:
        return _reader(text)(x)
    except (AttributeError, KeyError, ValueError):
        return MISSING


@lru_cache(maxsize=4096)
def _reader(text: str) -> Callable[[Any], Any]:
    reader: Callable[[Any], Any] = eval(f"lambda h: {text}", _SCOPE)
    return reader


class _Attributes(Holder):
    """What an object has of its own, without code of its class."""

    def values(self, x: Any, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return the attributes of these names."""
        own = own_attributes(x)
        return {name: own.get(name, MISSING) for name in keys}

    def tests(self, x: Any, keys: Iterable[Any], bind: Bind) -> Iterator[str]:
        """Yield that there are as many, and that they are the same."""
        kind: Any = type(x)
        own = own_attributes(x)
        if own is not NOTHING:
            yield f"len({bind(own)}) == {len(own)}"
        simple: bool = kind.__getattribute__ is object.__getattribute__
        for name, value in self.values(x, keys).items():
            if value is not MISSING:
                plain = simple and not hasattr(static(kind, name), "__set__")
                h = bind(x)
                at = f"{h}.{name}" if plain else f"own({h})[{name!r}]"
                yield f"{at} is {bind(value)}"


class _Class(Holder):
    """What a class and its bases define."""

    def values(self, x: Any, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return what is defined under these names."""
        return {name: static(x, name) for name in keys}

    def tests(self, x: Any, keys: Iterable[Any], bind: Bind) -> Iterator[str]:
        """Yield that no class has more in it, and that what was read is the same."""
        for kind in x.__mro__:
            if changeable(kind) and not kind.__module__.startswith(_OURS):
                yield f"len({bind(vars(kind))}) == {len(vars(kind))}"
        for name, value in self.values(x, keys).items():
            place = _defining(x, name)
            if place and changeable(place):
                direct = isinstance(value, (FunctionType, property, *PLAIN))
                if direct and _is_direct(x, name):
                    yield f"{bind(x)}.{name} is {bind(value)}"
                else:
                    yield f"{bind(vars(place))}[{name!r}] is {bind(value)}"


class _Items(Holder):
    """What is in a container; values of a dict under texts are entries of their own."""

    def values(self, x: Any, keys: Iterable[Any]) -> dict[Any, Any]:
        """Return all as one part."""
        return {key: items(x) for key in keys}

    def tests(self, x: Any, keys: Iterable[Any], bind: Bind) -> Iterator[str]:
        """Yield comparisons one by one of what is short."""
        for now in self.values(x, keys).values():
            h, short = bind(x), len(now) <= _FEW and type(x) in (list, dict)
            if short and all(type(key) in (int, str) for key, _ in now):
                names = bind(tuple(key for key, _ in now))
                is_dict = type(x) is dict
                yield f"tuple({h}) == {names}" if is_dict else f"len({h}) == {len(now)}"
                for key, value in now:
                    if type(key) is int:
                        yield f"{h}[{key!r}] is {bind(value)}"
            else:
                yield f"alike({h}, {bind(now)})"

    def differences(
        self, name: str, key: Any, was: Any, now: Any
    ) -> Iterator[tuple[str, Any, Any]]:
        """Yield the first difference in length, or all in keys and values."""
        if len(now) != len(was):
            yield f"the length of {name}", len(was), len(now)
            return
        for (key, value), (key_before, before) in zip(now, was, strict=True):
            if not same(key, key_before):
                yield f"a key of {name}", key_before, key
            elif not same(value, before):
                yield f"{name}[{key!r:.40}]", before, value


def _hooks_of(tensor: Any) -> tuple[Any, ...]:
    return tuple(hooks.get(tensor.node, ()) if tensor.node else ())


def _is_there(x: Any) -> bool:
    return x is not None


ENTRY = Holder("{name}", "{h}[{key!r}]", "{key!r} not in {h}")
ITEM = Holder("{name}", "getitem({h}, {key!r})", "not contains({h}, {key!r})")
SLOT = Holder("{name}", "{h}.{key}", "not hasattr({h}, {key!r})")
CELL = Holder("{name}", "{h}.cell_contents")
CONTEXT = Holder("{name}", "{h}.get(MISSING)", "{h}.get(MISSING) is MISSING")
# Neither is ever another: a method, nor a referent which the watch keeps alive.
BOUND = Holder("{name}", "{h}.{key}", sign="")
REFERENT = Holder("{name}", "{h}()", sign="")
BYTES = Holder("what is in {name}", "contents({h})", sign="==")
SUBCLASSES = Holder("{name}", "{h}()", sign="==")
FUNCTION = Holder(
    "{key} of {name}", "{h}.{key}", keys=("__code__", "__defaults__", "__kwdefaults__")
)
ARRAY = Holder("the array of {name}, a Tensor", "{h}._value")
NODE = Holder("requires_grad of {name}, a Tensor", "{h}.node", shown=_is_there)
HOOKS = Holder("the hooks of {name}, a Tensor", "hooks_of({h})", sign="", shown=len)
CLASS_OF = Holder("the class of {name}", "{h}.__class__")
NAMES = Holder("{name}.*", "tuple({h})", sign="==")
ATTRIBUTES = _Attributes("{name}.{key}")
CLASS = _Class("{name}.{key}")
ITEMS = _Items("{name}")


class Part(NamedTuple):
    """What the step calls a part or its holder, and what a change means."""

    name: str
    level: int


class Watched:
    """What a step read of one holder.

    Parameters
    ----------
    kind : Holder
    holder : object

    Attributes
    ----------
    parts : dict of Part
        By key.
    seen : dict
        What they were, by key.
    """

    def __init__(self, kind: Holder, holder: Any) -> None:
        self.kind, self.holder = kind, holder
        self.parts: dict[Any, Part] = {}
        self.seen: dict[Any, Any] = {}

    def add(self, parts: Mapping[Any, Part]) -> None:
        """Watch these parts too; those that are watched, at the stricter level."""
        new = [key for key in parts if key not in self.parts]
        self.seen |= self.kind.values(self.holder, new)
        for key, part in parts.items():
            if part.level < self.parts.setdefault(key, part).level:
                self.parts[key] = part

    def refresh(self) -> None:
        """Compare with the present values from now on."""
        self.seen = self.kind.values(self.holder, self.parts)

    def changes(self) -> Iterator[Change]:
        """Yield what is not as it was."""
        for key, now in self.kind.values(self.holder, self.parts).items():
            name, level = self.parts[key]
            for how in self.kind.differences(name, key, self.seen[key], now):
                yield Change(self, key, level, *how)

    def tests(self, bind: Bind) -> Iterator[str]:
        """Yield Python expressions that are true as long as nothing has changed."""
        yield from self.kind.tests(self.holder, self.parts, bind)


class Change(NamedTuple):
    """A part that is not what it was."""

    item: Watched
    key: Any
    level: int
    name: str
    was: Any
    now: Any


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


def slots(kind: type) -> Iterator[str]:
    """Yield the names of the slots of a class and its bases."""
    for base in kind.__mro__:
        if changeable(base):
            for name, value in vars(base).items():
                if isinstance(value, MemberDescriptorType):
                    yield name


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
    """Return the items of a container with their keys, without entries of their own."""
    if isinstance(x, dict | MappingProxyType):
        return [(k, None if type(k) is str else v) for k, v in pairs(x)]
    return [*pairs(x)]


def pairs(x: Any) -> Iterable[tuple[Any, Any]]:
    """Return the keys and items of a container, without code of its class."""
    if isinstance(x, MappingProxyType):
        return x.items()
    if isinstance(x, dict):
        return dict.items(x)
    return enumerate(x.flat if isinstance(x, np.ndarray) else _own_iter(x))


def _own_iter(x: Any) -> Iterator[Any]:
    """Iterate as the builtin class does, even for a subclass."""
    builtin: Any = next(base for base in type(x).__mro__ if not changeable(base))
    iterator: Iterator[Any] = builtin.__iter__(x)
    return iterator


def alike(x: Any, before: list[tuple[Any, Any]]) -> bool:
    """Whether a container has the same items as before."""
    now = items(x)
    pairs = zip(now, before, strict=False)
    return len(now) == len(before) and all(
        a is c and b is d for (a, b), (c, d) in pairs
    )


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

    def compared(self) -> dict[str, Any]:
        """Return what `unchanged` refers to, by the names it has there."""
        names: dict[str, Any] = getattr(self.unchanged, "__globals__", {})
        return names

    def __str__(self) -> str:
        """Return what is compared before each replay, and what that costs."""
        microseconds = 1e5 * min(timeit.repeat(self.unchanged, number=10, repeat=20))
        arrays = [item for item in self.watched if item.kind is BYTES]
        compared = [total for item in arrays for total in item.seen.values()]
        text = f"  {self._comparisons} comparisons, {microseconds:.1f} us"
        if compared:
            text += f", {sum(map(len, compared)):,} bytes of arrays among them"
        return f"checked before each replay\n{text}"

    def check(self, when: str, remedy: str, most: int = FIRM) -> list[Change]:
        """Return what has changed, and raise CaptureError where that is an error.

        Parameters
        ----------
        when, remedy : str
            For the message.
        most : int
            Up to this level a change is an error.

        Returns
        -------
        list of Change
            Those of higher levels.
        """
        changes = [change for item in self.watched for change in item.changes()]
        for change in changes:
            if change.level <= most:
                raise CaptureError(
                    f"tg.compile: {change.name}, which the step refers to, {when}: it "
                    f"was {_shown(change.was)} and is {_shown(change.now)}, which a "
                    f"replay does not see; {remedy}"
                )
        # Equal objects stand where others stood: from now on these are expected.
        self._missed += not changes
        again = self._missed & (self._missed - 1) == 0
        if again and not changes and self.unchanged is not _never:
            self.prepare()
        return changes


def _never() -> bool:
    return False


def _shown(x: Any) -> str:
    if isinstance(x, PLAIN) or x is MISSING:
        return f"{x!r:.40}"
    return f"a {type(x).__name__}"


def _check_of(watched: list[Watched]) -> tuple[Callable[[], bool], int]:
    """Return a test whether all objects are the same, and its comparisons."""
    scope = dict(_SCOPE)
    names: dict[int, str] = {}
    numbers = count()

    def bind(x: Any) -> str:
        if id(x) not in names:
            names[id(x)] = f"x{next(numbers)}"
            scope[names[id(x)]] = x
        return names[id(x)]

    tensors = [item for item in watched if item.kind is HOOKS]
    terms = [f"(registered[0] == {registered[0]} or hooked({bind(tensors)}))"]
    for item in watched:
        terms += item.tests(bind)
    terms = [*dict.fromkeys(terms)]
    parts = [" and ".join(terms[k : k + 50]) for k in range(0, len(terms), 50)]
    lines = [f"    if not ({part}): return False" for part in parts]
    head, tail = ["def unchanged():", "  try:"], ["  except Exception: return False"]
    text = "\n".join([*head, *lines, *tail, "  return True"])
    exec(text, scope)
    # Popped, or it would be part of a cycle that keeps arrays until a collection.
    check: Callable[[], bool] = scope.pop("unchanged")
    return check, len(terms)


def _hooked_as_before(tensors: list[Watched]) -> bool:
    return not any(change for item in tensors for change in item.changes())


_SCOPE: dict[str, Any] = {
    "MISSING": MISSING,
    "alike": alike,
    "contains": dict.__contains__,
    "contents": contents,
    "getitem": dict.__getitem__,
    "hooked": _hooked_as_before,
    "hooks_of": _hooks_of,
    "own": own_attributes,
    "registered": registered,
}
"""What Python that reads and compares parts may name."""
