"""The search for what a step read: from the code that ran, through objects, by name."""

from __future__ import annotations

import builtins
import gc
import io
import os
import random
import sys
from abc import ABCMeta
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import cached_property, partial
from types import (
    BuiltinMethodType,
    CellType,
    CodeType,
    FrameType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple
from weakref import ReferenceType

import numpy as np

from ...core.errors import CaptureError
from ...core.node import root
from ...core.place import PACKAGE
from ...core.tensor import Tensor
from ...core.tree import leaves
from ..program import Constant, written_by
from .bytecode import Names, joined, names_in
from .outside import checksum
from .reads import PLAIN, Draws, Ran, Reads, is_followed, is_users, reads_all
from .recording import Recording, tensors_of
from .watch import (
    AGAIN,
    FIRM,
    LOOSE,
    MISSING,
    NOTHING,
    OF_FUNCTIONS,
    Attributes,
    Called,
    Cell,
    Class,
    Contents,
    Entry,
    Function,
    Held,
    Items,
    Others,
    Registered,
    Slot,
    Watch,
    Watched,
    changeable,
    items,
    own_attributes,
    static,
)

_MOST = 200_000
"""Objects that are gone through at most."""

SURE, _MAYBE = 2, 1
_RANDOM = (np.random.Generator, np.random.RandomState, random.Random)
_STATELESS = ("builtins", "functools", "numpy", "operator", "re", "thread", "types")
"""Modules whose classes without attributes have no state, or none that matters."""


_ENTIRE = ("scipy",)
"""Modules whose code is not followed, and reads attributes of objects it made."""


def watch(
    step: Any,
    recording: Recording,
    before: Search,
    changed: set[int],
    draws: Draws,
    bare: list[Tensor],
    kept: dict[Any, Watched],
    arrays: list[Found],
) -> Watch:
    """Return a watch on what a step read, after two recordings of it.

    Parameters
    ----------
    step : callable
    recording : Recording
        The second.
    before : Search
        What the first one read.
    changed : set of int
        Arrays that held something else in the second call, by the ids of their owners.
    draws : Draws
        The generators that this found, during the second.
    bare : list of Tensor
        Those that must have no gradient yet when the step begins.
    kept : dict
        What earlier recordings read, by its place.
    arrays : list of Found
        Plain arrays that earlier recordings read.

    Raises
    ------
    CaptureError
        For what cannot be watched.
    """
    search = Search(step, recording, before.known)
    draws.look()
    if draws.drawn is not None:
        search.refused = f"draws random numbers from a {type(draws.drawn).__name__}"
    if recording.reads.asked is not None:
        search.refused = "{}, at {}".format(*recording.reads.asked)
    if search.refused:
        raise CaptureError(
            f"tg.compile: the step {search.refused}, which a replay does not do; pass "
            "what comes of it to the step as an argument"
        )
    search.arrays += arrays
    search.compare(recording, changed)
    search.forget_as(before)
    search.hold(tensors_of(recording.recorder), bare)
    # An earlier call may have read what a cache keeps since.
    search.watched += [w for place, w in kept.items() if not search.joins(place, w)]
    found = Watch(search.watched)
    found.prepare()
    return found


def names_of(ran: Ran) -> Names:
    """Return the names in code that ran."""
    return names_in(ran.code, reads_all(ran.code))


class Found(NamedTuple):
    """An object on the way.

    Attributes
    ----------
    x : object
    name : str
        What the step calls it.
    names : Names
        Those in the code that reads it.
    outside : int
        Whether it was there before the step, or hangs on what was: 2 where that is
        sure, 1 where it may be, 0 where the step made it.
    level : int
        That of what is watched on the way.
    """

    x: Any
    name: str
    names: Names
    outside: int
    level: int = FIRM


class Search:
    """What a recorded step read.

    Parameters
    ----------
    step : callable
    recording : Recording
    known : dict, optional
        Objects of an earlier recording, under their ids: others that only the step
        itself refers to were made by it, and are not watched. Without it all are.

    Attributes
    ----------
    known : dict
        The objects gone through, under their ids.
    watched : list of Watched
    sure : set of int
        Ids of those whose holder was surely there before the step.
    arrays : list of Found
        Plain arrays.
    random : list
        Generators of random numbers.
    refused : str or None
        What cannot be watched.
    """

    def __init__(
        self, step: Any, recording: Recording, known: dict[int, Any] | None = None
    ) -> None:
        reads = recording.reads
        self._received = recording.recorder.received
        self.known: dict[int, Any] = {}
        self.watched: list[Watched] = []
        self.sure: set[int] = set()
        self.arrays: list[Found] = []
        self.random: list[Any] = []
        self.forgotten: dict[Any, Any] = {}
        self.refused: str | None = None
        self._ran = {id(ran.code) for ran in reads.ran.values()}
        self._met: set[int] = set()
        self._there: set[int] = set()
        self._visited: dict[tuple[int, Names], tuple[int, int]] = {}
        self.merged: dict[Any, Watched] = {}
        self._queue: deque[Found] = deque()
        self._go(step, reads, known)
        self._settle()

    def _settle(self) -> None:
        """Watch each name once, and take what is there now for what was seen."""
        for (kind, holder, _), item in self.merged.items():
            if kind is Others:
                named = self.merged.get((Attributes, holder, None))
                apart = self.merged.get((Items, holder, None))
                item.key -= named.key if named else set()
                item.key &= apart.key if apart and apart.key else item.key
        for item in self.watched:
            item.refresh()
        self.sums = {id(root(a.x)): checksum(a.x) for a in self.arrays}

    def changed(self) -> set[int]:
        """Return which arrays hold something else now, by the ids of their owners."""
        sums = ((id(root(a.x)), checksum(a.x)) for a in self.arrays)
        return {owner for owner, found in sums if self.sums[owner] != found}

    def joins(self, place: Any, item: Watched) -> bool:
        """Whether the same is watched here; take the names of an item to it then."""
        here = self.merged.get(place)
        if here is not None and isinstance(here, Attributes | Class):
            here.key |= item.key
            here.refresh()
        return here is not None

    def kept(self) -> dict[Any, Watched]:
        """Return what was surely there before the step, by its place."""
        return {p: item for p, item in self.merged.items() if id(item) in self.sure}

    def forget(self, changed: list[Watched]) -> None:
        """Watch no longer what changed without consequence, here and from now on."""
        for place, item in [*self.merged.items()]:
            if any(item is other for other in changed):
                before = item.key
                gone = item.forget()
                self.forgotten[place] = None if gone else before - item.key
                if gone:
                    del self.merged[place]
                    self.watched.remove(item)

    def forget_as(self, before: Search) -> None:
        """Watch no longer what another search does not."""
        for place, names in before.forgotten.items():
            item = self.merged.get(place)
            if item is not None and names is None:
                self.watched.remove(item)
                del self.merged[place]
            elif item is not None:
                item.key -= names
                item.refresh()

    def _go(self, step: Any, reads: Reads, known: dict[int, Any] | None) -> None:
        self._add(step, "the step", _CALL, SURE)
        self._follow()
        for ran in reads.ran.values():
            names = names_in(ran.code, reads_all(ran.code))
            if not ran.code.co_filename.startswith(PACKAGE):
                self._variables(names, ran.variables)
        self._follow()
        self._work_on(reads, known)
        self._closures(reads)
        self._follow()

    def _work_on(self, reads: Reads, known: dict[int, Any] | None) -> None:
        """Go through what code worked on, first what was surely there before."""
        left = [
            (names_of(ran), *named)
            for ran in reads.ran.values()
            for named in ran.objects.values()
        ]
        left += [
            (joined(names_of(lender), names_of(taker)), *named)
            for lender, taker in reads.lent.values()
            for named in lender.objects.values()
        ]
        sure = [True]
        while any(sure):
            there = self._there if known is None else self._there | known.keys()
            sure = [id(x) in there for _, _, x in left]
            for (names, name, x), is_sure in zip(left, sure, strict=True):
                if is_sure:
                    self._add(x, name, names, SURE)
            left = [one for one, is_sure in zip(left, sure, strict=True) if not is_sure]
            self._follow()
        for names, name, x in left:
            self._add(x, name, names, _MAYBE if known is None else 0)
        self._follow()

    def _closures(self, reads: Reads) -> None:
        """Find the functions of code that no name led to, for their cells."""
        inner = {id(c) for ran in reads.ran.values() for c in ran.code.co_consts}
        for ran in reads.ran.values():
            code = ran.code
            if code.co_freevars and id(code) not in self._met | inner:
                for f in gc.get_referrers(code):
                    if type(f) is FunctionType and f.__code__ is code:
                        self._add(f, code.co_name, _CALL, SURE)

    def hold(self, tensors: list[Tensor], bare: list[Tensor]) -> None:
        """Watch tensors that a program uses, too."""
        for tensor in tensors:
            self._watch(Held, Found(tensor, "a Tensor", _CALL, SURE))
        for tensor in bare:
            found = Found(tensor, "a gradient left over from before", _CALL, SURE)
            self._watch(Slot, found, "_grad")

    def compare(self, recording: Recording, changed: set[int]) -> None:
        """Compare what is in arrays, as far as constants may have come of it.

        Not if it `changed` between recordings that are the same.
        """
        program = recording.recorder.program
        live = {id(root(known.array)) for known in recording.recorder.outside}
        written = {id(root(v.array)) for v in written_by(program)}
        used = recording.reads.computed_with
        frozen = _has_frozen(recording)
        for found in self.arrays:
            owner = id(root(found.x))
            read = owner not in live or frozen or found.names.compares
            maybe = read and owner not in changed
            if owner not in written and (maybe or owner in used):
                level = AGAIN if owner in used else LOOSE
                self._watch(Contents, found._replace(level=level))

    def _follow(self) -> None:
        while self._queue:
            self._visit(self._queue.popleft())

    def _add(
        self, x: Any, name: str, names: Names, outside: int, level: int = FIRM
    ) -> None:
        if isinstance(x, PLAIN) and not changeable(type(x)):
            return
        key = id(x), names
        rank = outside, -level
        if self._visited.get(key, (-1, 0)) >= rank:
            return
        self._visited[key] = rank
        if outside == SURE:
            self._there.add(id(x))
        self.known[id(x)] = x
        if len(self.known) > _MOST:
            self.refused = f"goes through more than {_MOST:,} objects"
            return
        self._queue.append(Found(x, name, names, outside, level))

    def _on(self, found: Found, x: Any, name: str) -> None:
        """Go on from one object to another."""
        self._add(x, name, found.names, found.outside, found.level)

    def _watch(self, kind: type[Watched], found: Found, key: Any = None) -> None:
        """Watch one thing, if it is outside; names of one object are put together."""
        if not found.outside:
            return
        apart = found.level if kind in (Others, Class) else None
        place = kind, id(found.x), key if isinstance(key, str) else apart
        item = self.merged.get(place)
        if item is None:
            item = self.merged[place] = kind(found.name, found.x, key, found.level)
            self.watched.append(item)
        elif isinstance(key, frozenset):
            item.key = item.key & key if kind is Items else item.key | key
        item.level = min(item.level, found.level)
        if found.outside == SURE:
            self.sure.add(id(item))

    # Where code starts from.

    def _variables(self, names: Names, variables: dict[str, Any]) -> None:
        module = Found(variables, "a module", names, SURE)
        for name in sorted(names.variables):
            here = module._replace(name=name)
            if name in variables:
                self._watch(Entry, here, name)
                self._add(variables[name], name, names, SURE)
            elif not names.all or hasattr(builtins, name):
                self._watch(Entry, here, name)
                if hasattr(builtins, name):
                    self._watch(Entry, here._replace(x=vars(builtins)), name)
        package = variables.get("__package__") or ""
        for name in names.modules:
            for full in (name, f"{package}.{name}".rstrip(".")):
                if full in sys.modules:
                    self._add(sys.modules[full], full, names, SURE)

    # What is on the way.

    def _visit(self, found: Found) -> None:
        kind = type(found.x)
        for base, visit in _VISITS:
            if issubclass(kind, base):
                visit(self, found)
                return
        if kind.__module__ == "tensorgrad.capture.recording.traced":
            return
        if hasattr(kind, "__next__"):
            if found.outside and found.level < LOOSE:
                self.refused = f"takes the next of {found.name}, an iterator"
            return
        self._object(found)

    def _module(self, found: Found) -> None:
        variables = vars(found.x)
        for name in self._wanted(found.names, variables):
            here = Found(variables, f"{found.name}.{name}", found.names, SURE)
            self._watch(Entry, here, name)
            self._add(variables[name], here.name, found.names, SURE)

    def _wanted(self, names: Names, there: Any) -> list[str]:
        return sorted(names.attributes & there.keys())

    def _function(self, found: Found) -> None:
        f = found.x
        # Of code that is not followed, what it closes over is read for all we know.
        unknown = f.__closure__ and not is_followed(f.__code__)
        ran = id(f.__code__) in self._ran
        if not (ran or unknown or not found.names.attributes.isdisjoint(OF_FUNCTIONS)):
            self._extras(found)
            return
        self._met.add(id(f.__code__))
        names = names_in(f.__code__, reads_all(f.__code__))
        if is_users(f.__code__):
            self._watch(Function, found)
            given = (*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values())
            for value in given:
                at = f"a default of {found.name}"
                self._on(found._replace(names=names), value, at)
            if f.__kwdefaults__:
                self._add(f.__kwdefaults__, f"defaults of {found.name}", names, SURE)
        cells = zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)
        for name, cell in cells:
            here = Found(cell, name, names, found.outside, found.level)
            self._watch(Cell, here)
            self.known[id(cell)] = cell
            content = Cell(name, cell).seen
            self._on(here, content, name)
        self._extras(found)

    def _extras(self, found: Found) -> None:
        """Go through what a function has as attributes, and what it wraps."""
        own = own_attributes(found.x)
        if "__wrapped__" in own:
            self._on(found, own["__wrapped__"], found.name)
        if self._wanted(found.names, own):
            self._own(found, own)

    def _method(self, found: Found) -> None:
        self._on(found, found.x.__func__, found.name)
        self._on(found, found.x.__self__, "self")

    def _builtin(self, found: Found) -> None:
        owner = found.x.__self__
        if owner is not None and not isinstance(owner, ModuleType):
            self._on(found, owner, found.name)

    def _partial(self, found: Found) -> None:
        p = found.x
        for what in ("func", "args", "keywords"):
            self._watch(Slot, found, what)
            at = found.name if what == "func" else f"an argument of {found.name}"
            self._on(found, getattr(p, what), at)

    def _container(self, found: Found) -> None:
        x = found.x
        if isinstance(x, dict | MappingProxyType):
            self._dict(found)
        else:
            if not isinstance(x, tuple | frozenset):
                self._watch(Items, found)
            for i, value in enumerate(x):
                self._on(found, value, f"{found.name}[{i}]")
        if changeable(type(x)):
            self._object(found)

    def _dict(self, found: Found) -> None:
        """Go through a dict; keys that do not stand in the code may not matter."""
        told = found.names.texts | found.names.attributes
        held = items(found.x)
        apart = {k for k, _ in held if type(k) is str and k not in told}
        self._watch(Items, found, frozenset(apart))
        if apart:
            self._watch(Others, found._replace(level=LOOSE), frozenset(apart))
        for key, value in held:
            self._on(found, key, f"a key of {found.name}")
            loose = type(key) is str and key in apart
            here = found._replace(level=LOOSE) if loose else found
            self._on(here, value, f"{found.name}[{key!r:.40}]")

    def _tensor(self, found: Found) -> None:
        self._watch(Held, found)
        reads_it = not found.names.attributes.isdisjoint(("grad", "_grad"))
        if reads_it and id(found.x) not in self._received:
            at = found._replace(name=f"the gradient of {found.name}")
            self._watch(Slot, at, "_grad")

    def _array(self, found: Found) -> None:
        if found.x.dtype.hasobject:
            self._watch(Items, found)
            for i, item in enumerate(found.x.flat):
                self._on(found, item, f"{found.name}[{i}]")
        elif found.outside:
            self.arrays.append(found)

    def _context(self, found: Found) -> None:
        get = found.x.get
        self.known[id(get)] = get
        self._watch(Called, found._replace(x=get), (MISSING,))
        self._on(found, get(MISSING), found.name)

    def _reference(self, found: Found) -> None:
        self._watch(Called, found, ())
        self._on(found, found.x(), found.name)

    def _generator(self, found: Found) -> None:
        if isinstance(found.x, random.SystemRandom):
            return
        if found.outside and all(found.x is not known for known in self.random):
            self.random.append(found.x)

    def _file(self, found: Found) -> None:
        read = found.outside and found.level < LOOSE
        if read and not found.x.closed and found.x.readable():
            self.refused = f"reads {found.name}, an open file"

    def _skip(self, found: Found) -> None:
        pass

    # Objects and their classes.

    def _class(self, found: Found) -> None:
        self._defined(found.x, found, found.names.attributes)
        if changeable(type(found.x)):
            self._defined(type(found.x), found, found.names.attributes)

    def _object(self, found: Found) -> None:
        x, names = found.x, found.names
        if isinstance(x, os.environ.__class__):
            self._on(found, own_attributes(x)["_data"], found.name)
            return
        kinds = type(x).__mro__ if "super" in names.variables else (type(x),)
        for kind in kinds:
            self._defined(kind, found, names.attributes)
        own = own_attributes(x)
        builtin = _builtin_base(type(x))
        if own is not NOTHING or builtin is not type(x):
            self._own(found, own)
        if _is_buffer(x):
            self._watch(Contents, found)
        elif found.outside and found.level == FIRM and _is_opaque(builtin):
            self.refused = f"reads {found.name}, a {type(x).__name__}, which hides it"
        elif own is NOTHING and builtin is type(x):
            # Views of dicts, methods of slots and the like.
            for part in gc.get_referents(x):
                self._on(found, part, found.name)
        for slot in _slots(type(x)):
            if names.all or slot in names.attributes:
                level = FIRM if slot in names.attributes else AGAIN
                at = found._replace(
                    name=f"{found.name}.{slot}", level=max(level, found.level)
                )
                self._watch(Slot, at, slot)
                self._on(at, getattr(x, slot, None), at.name)
        if hasattr(type(x), "__array__") and not isinstance(x, np.generic):
            self._watch(Contents, found)

    def _own(self, found: Found, own: dict[str, Any]) -> None:
        names = found.names
        wanted = names.attributes | ({"__wrapped__"} & own.keys())
        if _is_ours(type(found.x)):
            # Layers and optimizers: their public attributes decide what they do.
            wanted = frozenset(filter(_is_public, wanted | own.keys()))
        self._watch(Attributes, found, frozenset(wanted))
        self._values(found, own, wanted)
        entire = names.entire or type(found.x).__module__.split(".")[0] in _ENTIRE
        if (names.all or entire) and not _is_ours(type(found.x)):
            rest = own.keys() - wanted
            parts = [text for text in names.texts if len(text) > 1]
            near = {n for n in rest if entire or any(part in n for part in parts)}
            for level, some in ((AGAIN, near), (LOOSE, rest - near)):
                here = found._replace(level=max(level, found.level))
                holder = own if isinstance(found.x, dict) else found.x
                self._watch(Others, here._replace(x=holder), frozenset(some))
                self._values(here, own, some)

    def _values(self, found: Found, own: dict[str, Any], names: Iterable[str]) -> None:
        for name in sorted(own.keys() & names):
            self._on(found, own[name], f"{found.name}.{name}")

    def _defined(self, kind: type, found: Found, wanted: frozenset[str]) -> None:
        """Go through what a class defines under names that are read."""
        if not changeable(kind):
            return
        here = Found(kind, found.name, found.names, found.outside, found.level)
        if _is_ours(kind):
            wanted = frozenset(filter(_is_public, wanted))
        self.known[id(kind)] = kind
        if isinstance(kind, ABCMeta):
            # Of whom it says that they are instances, others may have told it.
            self._watch(Registered, here._replace(level=LOOSE))
        for some, level in self._levels(kind, found.names, wanted):
            at = here._replace(level=max(level, found.level))
            self._watch(Class, at, some)
            for name in sorted(some):
                for part in _parts_of(static(kind, name)):
                    self._on(at._replace(x=found.x), part, f"{found.name}.{name}")

    def _levels(
        self, kind: type, names: Names, wanted: frozenset[str]
    ) -> Iterator[tuple[frozenset[str], int]]:
        """Yield what is read of a class by its name, and what by any other."""
        yield wanted, FIRM
        if names.all and not _is_ours(kind):
            own = {n for base in kind.__mro__ if changeable(base) for n in vars(base)}
            yield frozenset(n for n in own - wanted if not n.startswith("__")), AGAIN


def _has_frozen(recording: Recording) -> bool:
    """Whether a program has arrays or numbers that plain NumPy may have computed."""
    for known in recording.recorder.outside:
        constant = isinstance(known.traced.value, Constant) and known.given
        if constant and not _counts(known.array):
            return True
    return any(
        isinstance(x, np.generic)
        for call in recording.recorder.program.calls
        if not call.origin.startswith("gradient of")
        for x in leaves((call.args, call.kwargs))
    )


def _counts(x: Any) -> bool:
    """Whether an array is that of ``np.arange(n)``, and so of no other's making."""
    plain = x.ndim == 1 and x.dtype.kind == "i"
    return plain and bool((x == np.arange(x.size)).all())


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith(("tensorgrad.nn", "tensorgrad.optim"))


def _is_public(name: str) -> bool:
    return not name.startswith("_") or name == "__call__"


def _is_buffer(x: Any) -> bool:
    try:
        memoryview(x)
    except TypeError:
        return False
    return True


def _builtin_base(kind: type) -> type:
    """Return the class of C code that the objects of a class are made of."""
    return next(base for base in kind.__mro__ if not changeable(base))


def _is_opaque(kind: type) -> bool:
    """Whether a class of an extension module has objects with a state nobody sees."""
    known = kind.__module__.split(".")[0].strip("_")
    by_identity: bool = static(kind, "__hash__") is vars(object)["__hash__"]
    # Functions and descriptors.
    used = static(kind, "__get__") is not MISSING
    return by_identity and not used and known not in _STATELESS


def _slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        if changeable(base):
            for name, value in vars(base).items():
                if isinstance(value, MemberDescriptorType):
                    yield name


def _parts_of(value: Any) -> Iterator[Any]:
    """Yield what code may run, or be read, for something that a class defines."""
    if isinstance(value, property):
        yield from (value.fget, value.fset)
    elif isinstance(value, classmethod | staticmethod):
        yield value.__func__
    elif isinstance(value, cached_property):
        yield value.func
    elif value is not MISSING and not isinstance(value, MemberDescriptorType):
        yield value


_CALL = Names(attributes=frozenset(["__call__"]))

_VISITS: list[tuple[Any, Callable[[Search, Found], None]]] = [
    (Tensor, Search._tensor),
    (np.ndarray, Search._array),
    (ModuleType, Search._module),
    (FunctionType, Search._function),
    (MethodType, Search._method),
    (BuiltinMethodType, Search._builtin),
    (partial, Search._partial),
    (type, Search._class),
    (dict | list | tuple | set | frozenset | deque, Search._container),
    (MappingProxyType, Search._container),
    (ContextVar, Search._context),
    (ReferenceType, Search._reference),
    (_RANDOM, Search._generator),
    (io.IOBase, Search._file),
    ((np.dtype, np.ufunc, CellType, CodeType, FrameType), Search._skip),
]
