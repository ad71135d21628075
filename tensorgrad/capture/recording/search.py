"""The search for what a step read: from the code that ran, through objects, by name."""

from __future__ import annotations

import builtins
import gc
import io
import os
import random
import sys
from abc import ABCMeta, get_cache_token
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
from typing import Any, NamedTuple, TypeAlias
from weakref import ReferenceType

import numpy as np

from ...core.draws import Draws
from ...core.errors import CaptureError
from ...core.node import root
from ...core.place import PACKAGE
from ...core.tensor import Tensor
from ...core.tree import leaves
from ..program import Constant, written_by
from .bytecode import Names, joined, names_in
from .outside import checksum
from .reads import PLAIN, Reads, is_followed, is_users, reads_all
from .recording import Recording, tensors_of
from .watch import (
    AGAIN,
    ARRAY,
    ATTRIBUTES,
    BOUND,
    BYTES,
    CELL,
    CLASS,
    CLASS_OF,
    CONTEXT,
    ENTRY,
    FIRM,
    FUNCTION,
    HOOKS,
    ITEM,
    ITEMS,
    LOOSE,
    MISSING,
    NAMES,
    NODE,
    NOTHING,
    REFERENT,
    SLOT,
    SUBCLASSES,
    Change,
    Holder,
    Part,
    Watch,
    Watched,
    changeable,
    own_attributes,
    pairs,
    slots,
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
    recording: Recording, before: Search, past: Past, without_grad: list[Tensor]
) -> Watch:
    """Return a watch on everything a step read, after two recordings of it.

    Parameters
    ----------
    recording : Recording
        The second.
    before : Search
        What the first one read.
    past : Past
        What earlier ones did.
    without_grad : list of Tensor
        Those that must have no gradient yet when the step begins.

    Raises
    ------
    CaptureError
        For what cannot be watched.
    """
    search = Search(before.step, recording, before)
    before.draws.look()
    if before.draws.drawn is not None:
        kind = type(before.draws.drawn).__name__
        search.refused = f"draws random numbers from a {kind}"
    if recording.reads.asked is not None:
        search.refused = "{}, at {}".format(*recording.reads.asked)
    if search.refused:
        raise CaptureError(
            f"tg.compile: the step {search.refused}, which a replay does not do; pass "
            "what comes of it to the step as an argument"
        )
    search.arrays += past.arrays
    search.compare(recording, before.changed)
    # An earlier call may have read what a cache keeps since.
    _join(search.watched, past.watched)
    search.forget_as(before)
    search.hold(tensors_of(recording.recorder), without_grad)
    result = Watch(search.watched.values())
    result.prepare()
    return result


Place: TypeAlias = tuple[Holder, int]
"""A kind and the id of a holder."""


def _names_of(code: CodeType) -> Names:
    return names_in(code, reads_all(code))


class Reference(NamedTuple):
    """An object that the search has reached.

    Attributes
    ----------
    x : object
    name : str
        The name under which the step reaches it.
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
    before : Search, optional
        That of an earlier recording: what it has not gone through, and only the step
        itself refers to, was made by the step, and is not watched. Without it all is.

    Attributes
    ----------
    objects : dict
        Those gone through, under their ids.
    watched : dict of Watched
        By kind and the id of the holder.
    sure : set of tuple
        Which of these were surely there before the step.
    arrays : list of Reference
        Plain arrays.
    random : list
        Generators of random numbers.
    changed : set of int
        Arrays that changed before the next call, by the ids of their owners.
    draws : Draws
        The generators, during that call.
    refused : str or None
        What cannot be watched.
    """

    def __init__(
        self, step: Any, recording: Recording, before: Search | None = None
    ) -> None:
        self.step, reads = step, recording.reads
        self._received = recording.recorder.received
        self.objects: dict[int, Any] = {}
        self.watched: dict[Place, Watched] = {}
        self.sure: set[Place] = set()
        self.arrays: list[Reference] = []
        self.random: list[Any] = []
        self.forgotten: list[tuple[Place, Any]] = []
        self.refused: str | None = None
        self._ran = {id(ran.code) for ran in reads.ran.values()}
        self._met: set[int] = set()
        self._there: set[int] = set()
        self._visited: dict[tuple[int, Names], tuple[int, int]] = {}
        self._queue: deque[Reference] = deque()
        self.changed: set[int] = set()
        self._go(step, reads, None if before is None else before.objects)
        self._sums = {id(root(a.x)): checksum(a.x) for a in self.arrays}

    def mark(self) -> None:
        """Note, before the next call, which arrays have changed, and the generators."""
        sums = ((id(root(a.x)), checksum(a.x)) for a in self.arrays)
        self.changed = {owner for owner, n in sums if self._sums[owner] != n}
        self.draws = Draws(self.random)

    def forget(self, changes: list[Change]) -> None:
        """Watch no longer what changed without consequence, here and from now on."""
        for change in changes:
            item = change.item
            item.parts.pop(change.key, None)
            self.forgotten.append((_place(item.kind, item.holder), change.key))

    def forget_as(self, before: Search) -> None:
        """Watch no longer what another search does not."""
        for place, key in before.forgotten:
            if place in self.watched:
                self.watched[place].parts.pop(key, None)

    def _go(self, step: Any, reads: Reads, before: dict[int, Any] | None) -> None:
        self._add(step, "the step", _CALL, SURE)
        self._follow()
        for ran in reads.ran.values():
            if not ran.code.co_filename.startswith(PACKAGE):
                self._variables(_names_of(ran.code), ran.variables)
        self._follow()
        self._work_on(reads, before)
        self._closures(reads)
        self._follow()

    def _work_on(self, reads: Reads, before: dict[int, Any] | None) -> None:
        """Go through the objects of code that ran, first those surely there before."""
        left = [
            (_names_of(ran.code), *objects)
            for ran in reads.ran.values()
            for objects in ran.objects.values()
        ]
        left += [
            (joined(_names_of(lender.code), _names_of(taker.code)), *objects)
            for lender, taker in reads.lent.values()
            for objects in lender.objects.values()
        ]
        sure = [True]
        while any(sure):
            there = self._there if before is None else self._there | before.keys()
            sure = [id(x) in there for _, _, x in left]
            for (names, name, x), is_sure in zip(left, sure, strict=True):
                if is_sure:
                    self._add(x, name, names, SURE)
            left = [one for one, is_sure in zip(left, sure, strict=True) if not is_sure]
            self._follow()
        for names, name, x in left:
            self._add(x, name, names, _MAYBE if before is None else 0)
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

    def hold(self, tensors: list[Tensor], without_grad: list[Tensor]) -> None:
        """Watch tensors that a program uses, too."""
        for tensor in tensors:
            self._state(Reference(tensor, "a Tensor", _CALL, SURE))
        for tensor in without_grad:
            ref = Reference(tensor, "a gradient left over from before", _CALL, SURE)
            self._watch(SLOT, ref, ("_grad",))

    def compare(self, recording: Recording, changed: set[int]) -> None:
        """Watch the contents of arrays that constants may have come from.

        Not if it `changed` between recordings that are the same.
        """
        program = recording.recorder.program
        live = {id(root(array.array)) for array in recording.recorder.outside}
        written = {id(root(v.array)) for v in written_by(program)}
        used = recording.reads.computed_with
        frozen = _has_frozen(recording)
        for ref in self.arrays:
            owner = id(root(ref.x))
            is_read = owner not in live or frozen or ref.names.compares
            maybe = is_read and owner not in changed
            if owner not in written and (maybe or owner in used):
                level = AGAIN if owner in used else LOOSE
                self._watch(BYTES, ref._replace(level=level))

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
        self.objects[id(x)] = x
        if len(self.objects) > _MOST:
            self.refused = f"goes through more than {_MOST:,} objects"
            return
        self._queue.append(Reference(x, name, names, outside, level))

    def _on(self, ref: Reference, x: Any, name: str) -> None:
        """Go on from one object to another."""
        self._add(x, name, ref.names, ref.outside, ref.level)

    def _watch(
        self, kind: Holder, ref: Reference, keys: Iterable[Any] | None = None
    ) -> None:
        """Watch parts of a holder, if it is outside."""
        if not ref.outside:
            return
        place = _place(kind, ref.x)
        keys = kind.keys if keys is None else sorted(keys)
        if place not in self.watched:
            self.watched[place] = Watched(kind, ref.x)
        self.watched[place].add(dict.fromkeys(keys, Part(ref.name, ref.level)))
        if ref.outside == SURE:
            self.sure.add(place)

    # Where code starts from.

    def _variables(self, names: Names, variables: dict[str, Any]) -> None:
        module = Reference(variables, "a module", names, SURE)
        for name in sorted(names.variables):
            here = module._replace(name=name)
            if name in variables:
                self._watch(ENTRY, here, (name,))
                self._add(variables[name], name, names, SURE)
            elif not names.all or hasattr(builtins, name):
                self._watch(ENTRY, here, (name,))
                if hasattr(builtins, name):
                    self._watch(ENTRY, here._replace(x=vars(builtins)), (name,))
        package = variables.get("__package__") or ""
        for name in names.modules:
            for full in (name, f"{package}.{name}".rstrip(".")):
                if full in sys.modules:
                    self._add(sys.modules[full], full, names, SURE)

    # What is on the way.

    def _visit(self, ref: Reference) -> None:
        kind = type(ref.x)
        for base, visit in _VISITS:
            if issubclass(kind, base):
                visit(self, ref)
                return
        if kind.__module__ == "tensorgrad.capture.recording.traced":
            return
        if hasattr(kind, "__next__"):
            if ref.outside and ref.level < LOOSE:
                self.refused = f"takes the next of {ref.name}, an iterator"
            return
        self._object(ref)

    def _module(self, ref: Reference) -> None:
        variables = vars(ref.x)
        for name in self._wanted(ref.names, variables):
            here = Reference(variables, f"{ref.name}.{name}", ref.names, SURE)
            self._watch(ENTRY, here, (name,))
            self._add(variables[name], here.name, ref.names, SURE)

    def _wanted(self, names: Names, there: Any) -> list[str]:
        return sorted(names.attributes & there.keys())

    def _function(self, ref: Reference) -> None:
        f = ref.x
        # Of code that is not followed, what it closes over is read for all we know.
        unknown = f.__closure__ and not is_followed(f.__code__)
        ran = id(f.__code__) in self._ran
        if not (ran or unknown or not ref.names.attributes.isdisjoint(FUNCTION.keys)):
            self._extras(ref)
            return
        self._met.add(id(f.__code__))
        inner = ref._replace(names=_names_of(f.__code__))
        if is_users(f.__code__):
            self._watch(FUNCTION, ref)
            defaults = (*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values())
            for value in defaults:
                self._on(inner, value, f"a default of {ref.name}")
            if f.__kwdefaults__:
                at = f"defaults of {ref.name}"
                self._add(f.__kwdefaults__, at, inner.names, SURE)
        cells = zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)
        for name, cell in cells:
            self._on(inner, cell, name)
        self._extras(ref)

    def _extras(self, ref: Reference) -> None:
        """Go through the attributes of a function, and what it wraps."""
        own = own_attributes(ref.x)
        if "__wrapped__" in own:
            self._on(ref, own["__wrapped__"], ref.name)
        if self._wanted(ref.names, own):
            self._own(ref, own)

    def _builtin(self, ref: Reference) -> None:
        owner = ref.x.__self__
        if owner is not None and not isinstance(owner, ModuleType):
            self._on(ref, owner, ref.name)

    def _container(self, ref: Reference) -> None:
        if not isinstance(ref.x, tuple | frozenset):
            self._watch(ITEMS, ref)
        for key, value in pairs(ref.x):
            here = ref._replace(name=f"{ref.name}[{key!r:.40}]")
            if isinstance(ref.x, dict | MappingProxyType):
                here = self._entry(ref, key, here)
            self._on(here, value, here.name)
        if changeable(type(ref.x)):
            self._object(ref)

    def _entry(self, ref: Reference, key: Any, here: Reference) -> Reference:
        """Watch an entry of a dict; keys that the code does not contain may not matter.

        Return how its value is reached.
        """
        self._on(ref, key, f"a key of {ref.name}")
        if type(key) is str:
            if key not in ref.names.texts | ref.names.attributes:
                here = here._replace(level=LOOSE)
            self._watch(ITEM if changeable(type(ref.x)) else ENTRY, here, (key,))
        return here

    def _tensor(self, ref: Reference) -> None:
        self._state(ref)
        reads_it = not ref.names.attributes.isdisjoint(("grad", "_grad"))
        if reads_it and id(ref.x) not in self._received:
            at = ref._replace(name=f"the gradient of {ref.name}")
            self._watch(SLOT, at, ("_grad",))

    def _state(self, ref: Reference) -> None:
        for part in (ARRAY, NODE, HOOKS):
            self._watch(part, ref)

    def _array(self, ref: Reference) -> None:
        if ref.x.dtype.hasobject:
            self._container(ref)
        elif ref.outside:
            self.arrays.append(ref)

    def _generator(self, ref: Reference) -> None:
        if ref.outside and all(ref.x is not generator for generator in self.random):
            self.random.append(ref.x)

    def _file(self, ref: Reference) -> None:
        is_read = ref.outside and ref.level < LOOSE
        if is_read and not ref.x.closed and ref.x.readable():
            self.refused = f"reads {ref.name}, an open file"

    def _skip(self, ref: Reference) -> None:
        pass

    # Objects and their classes.

    def _class(self, ref: Reference) -> None:
        self._defined(ref.x, ref, ref.names.attributes)
        if changeable(type(ref.x)):
            self._defined(type(ref.x), ref, ref.names.attributes)

    def _object(self, ref: Reference) -> None:
        x, names = ref.x, ref.names
        if isinstance(x, os.environ.__class__):
            self._on(ref, own_attributes(x)["_data"], ref.name)
            return
        kinds = type(x).__mro__ if "super" in names.variables else (type(x),)
        for kind in kinds:
            self._defined(kind, ref, names.attributes)
        own = own_attributes(x)
        builtin = _builtin_base(type(x))
        if own is not NOTHING or builtin is not type(x):
            self._own(ref, own)
        if _is_buffer(x):
            self._watch(BYTES, ref)
        elif ref.outside and ref.level == FIRM and _is_opaque(builtin):
            self.refused = f"reads {ref.name}, a {type(x).__name__}, which hides it"
        elif own is NOTHING and builtin is type(x):
            # Views of dicts, methods of slots and the like.
            for part in gc.get_referents(x):
                self._on(ref, part, ref.name)
        for slot in slots(type(x)):
            if names.all or slot in names.attributes:
                level = FIRM if slot in names.attributes else AGAIN
                at = ref._replace(
                    name=f"{ref.name}.{slot}", level=max(level, ref.level)
                )
                self._watch(SLOT, at, (slot,))
                self._on(at, getattr(x, slot, None), at.name)
        if hasattr(type(x), "__array__") and not isinstance(x, np.generic):
            self._watch(BYTES, ref)

    def _own(self, ref: Reference, own: dict[str, Any]) -> None:
        names = ref.names
        watched = names.attributes | ({"__wrapped__"} & own.keys())
        if _is_ours(type(ref.x)):
            watched = _deciding(type(ref.x), watched | own.keys())
        self._watch(CLASS_OF, ref)
        self._attributes(ref, own, watched)
        entire = names.entire or type(ref.x).__module__.split(".")[0] in _ENTIRE
        if (names.all or entire) and not _is_ours(type(ref.x)):
            rest = own.keys() - watched
            parts = [text for text in names.texts if len(text) > 1]
            near = {n for n in rest if entire or any(part in n for part in parts)}
            again = ref._replace(level=max(AGAIN, ref.level))
            self._attributes(again, own, near)
            if again.level == AGAIN:
                # Who reads all of them sees new ones, too.
                self._watch(NAMES, again._replace(x=own))
            self._attributes(ref._replace(level=LOOSE), own, rest - near)

    def _attributes(
        self, ref: Reference, own: dict[str, Any], names: Iterable[str]
    ) -> None:
        self._watch(ATTRIBUTES, ref, names)
        for name in sorted(own.keys() & names):
            self._on(ref, own[name], f"{ref.name}.{name}")

    def _defined(self, kind: type, ref: Reference, names: frozenset[str]) -> None:
        """Go through what a class defines under names that are read."""
        if not changeable(kind):
            return
        here = Reference(kind, ref.name, ref.names, ref.outside, ref.level)
        if _is_ours(kind):
            names = _deciding(kind, names)
        self.objects[id(kind)] = kind
        if isinstance(kind, ABCMeta):
            # Other code may register classes as its subclasses.
            self._watch(SUBCLASSES, here._replace(x=get_cache_token, level=LOOSE))
        levels = [(names, FIRM)]
        if ref.names.all and not _is_ours(kind):
            own = {n for base in kind.__mro__ if changeable(base) for n in vars(base)}
            more = frozenset(n for n in own - names if not n.startswith("__"))
            levels.append((more, AGAIN))
        for some, level in levels:
            at = here._replace(level=max(level, ref.level))
            self._watch(CLASS, at._replace(name=kind.__qualname__), some)
            for name in sorted(some):
                for part in _parts_of(static(kind, name)):
                    self._on(at._replace(x=ref.x), part, f"{ref.name}.{name}")


class Past:
    """What earlier recordings of a step read that was there before it."""

    def __init__(self) -> None:
        self.watched: dict[Place, Watched] = {}
        self.arrays: list[Reference] = []

    def add(self, search: Search) -> None:
        """Add what was surely there before; all of it is compared with what is now."""
        _join(self.watched, {place: search.watched[place] for place in search.sure})
        for item in self.watched.values():
            item.refresh()
        self.arrays += [a for a in search.arrays if a.outside == SURE]


def _join(watched: dict[Place, Watched], others: dict[Place, Watched]) -> None:
    """Watch what others do, too."""
    for place, item in others.items():
        watched.setdefault(place, Watched(item.kind, item.holder)).add(item.parts)


def _place(kind: Holder, holder: Any) -> Place:
    return kind, id(holder)


def _has_frozen(recording: Recording) -> bool:
    """Whether a program has arrays or numbers that plain NumPy may have computed."""
    for array in recording.recorder.outside:
        constant = isinstance(array.traced.value, Constant) and array.from_user
        if constant and not _counts(array.array):
            return True
    return any(
        isinstance(x, np.generic)
        for call in recording.recorder.program.calls
        if not call.origin.startswith("gradient of")
        for x in leaves((call.args, call.kwargs))
    )


def _counts(x: Any) -> bool:
    """Whether an array equals ``np.arange(n)``, and so depends on nothing."""
    plain = x.ndim == 1 and x.dtype.kind == "i"
    return plain and bool((x == np.arange(x.size)).all())


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith(("tensorgrad.nn", "tensorgrad.optim"))


def _deciding(kind: type, names: Iterable[str]) -> frozenset[str]:
    """Return those names of a layer or optimizer that decide what it does."""
    ignored = getattr(kind, "_set_in_each_step", ())
    public = (n for n in names if not n.startswith("_") or n == "__call__")
    return frozenset(n for n in public if n not in ignored)


def _is_buffer(x: Any) -> bool:
    try:
        memoryview(x)
    except TypeError:
        return False
    return True


def _builtin_base(kind: type) -> type:
    """Return the base class of a class that is written in C."""
    return next(base for base in kind.__mro__ if not changeable(base))


def _is_opaque(kind: type) -> bool:
    """Whether objects of an extension class have a state that cannot be read."""
    package = kind.__module__.split(".")[0].strip("_")
    by_identity: bool = static(kind, "__hash__") is vars(object)["__hash__"]
    # Functions and descriptors.
    used = static(kind, "__get__") is not MISSING
    return by_identity and not used and package not in _STATELESS


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

Visit: TypeAlias = Callable[[Search, Reference], None]


def _visit_of(kind: Holder, **names: str) -> Visit:
    """Return a visit that watches parts and goes on from them, whatever code reads.

    `names` says what each of them goes by.
    """
    names = names or {"": "{}"}

    def visit(search: Search, ref: Reference) -> None:
        search._watch(kind, ref, names)
        for key, value in kind.values(ref.x, names).items():
            search._on(ref, value, names[key].format(ref.name))

    return visit


_ARGUMENT = "an argument of {}"
_VISITS: list[tuple[Any, Visit]] = [
    (Tensor, Search._tensor),
    (np.ndarray, Search._array),
    (ModuleType, Search._module),
    (FunctionType, Search._function),
    (MethodType, _visit_of(BOUND, __func__="{}", __self__="self")),
    (BuiltinMethodType, Search._builtin),
    (partial, _visit_of(SLOT, func="{}", args=_ARGUMENT, keywords=_ARGUMENT)),
    (ContextVar, _visit_of(CONTEXT)),
    (ReferenceType, _visit_of(REFERENT)),
    (CellType, _visit_of(CELL)),
    (type, Search._class),
    (dict | list | tuple | set | frozenset | deque, Search._container),
    (MappingProxyType, Search._container),
    (random.SystemRandom, Search._skip),
    (_RANDOM, Search._generator),
    (io.IOBase, Search._file),
    ((np.dtype, np.ufunc, CodeType, FrameType), Search._skip),
]
