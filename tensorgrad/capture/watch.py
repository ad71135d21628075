"""What a step refers to, and whether it is still what it was when it was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from ..core.errors import CaptureError
from ..core.tensor import Tensor

LENGTH = object()
"""Stands for the number of items, where a key is expected."""

_CONFIGURED = ("tensorgrad.nn", "tensorgrad.optim")
"""Layers and optimizers: their public attributes decide what they do."""

_LONG = 200
"""Of longer lists and dicts only the length is watched."""

_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)


@dataclass(frozen=True, eq=False)
class Watched:
    """One thing that a step refers to.

    Attributes
    ----------
    name : str
        What the step calls it.
    holder : cell, dict, list, tuple or Tensor
        What it is found in.
    key : str or int
        Where in a dict or list; LENGTH for how much is in there.
    seen : object
        What it was.
    """

    name: str
    holder: Any
    key: Any
    seen: Any

    def changed(self) -> bool:
        """Whether it is something else now."""
        now = self.now()
        if now is self.seen:
            return False
        same_type = type(now) is type(self.seen) and isinstance(now, _PLAIN)
        return not (same_type and (now == self.seen or now != now))

    def now(self) -> Any:
        """Return what it is now, the holder itself where it is gone."""
        try:
            return content(self.holder, self.key)
        except (KeyError, IndexError, ValueError):
            return self.holder

    def test(self, i: int) -> str:
        """Return Python for whether what h{i} holds is the very object s{i}."""
        if self.key is LENGTH:
            return f"len(h{i}) == s{i}"
        if isinstance(self.holder, CellType):
            return f"h{i}.cell_contents is s{i}"
        if type(self.holder) is Tensor:
            return f"h{i}._value is s{i}"
        return f"h{i}[{self.key!r}] is s{i}"


def content(holder: Any, key: Any) -> Any:
    """Return what is in a cell or a Tensor, or at a key."""
    if key is LENGTH:
        return len(holder)
    if isinstance(holder, CellType):
        return holder.cell_contents
    return holder._value if type(holder) is Tensor else holder[key]


class Watch:
    """All that a step refers to.

    Parameters
    ----------
    watched : iterable of Watched
    """

    def __init__(self, watched: Iterable[Watched]) -> None:
        self.watched = list(watched)

    @cached_property
    def unchanged(self) -> Callable[[], bool]:
        """Tell fast whether everything is the very object it was."""
        return _check_of(self.watched)

    def check(self, when: str, remedy: str) -> None:
        """Raise CaptureError for what has been replaced, or holds another number."""
        for item in self.watched:
            if item.changed():
                raise CaptureError(
                    f"tg.compile: {item.name}, which the step refers to, {when}: it "
                    f"was {_told(item.seen)} and is {_told(item.now())}, which a "
                    f"replay does not see; {remedy}"
                )


def _told(x: Any) -> str:
    if isinstance(x, _PLAIN):
        return f"{x!r:.40}"
    return f"a {type(x).__name__}"


def _check_of(watched: list[Watched]) -> Callable[[], bool]:
    """Return a function that is True if everything is the very object it was."""
    names: dict[str, Any] = {}
    terms = ["True"]
    for i, item in enumerate(watched):
        names[f"h{i}"], names[f"s{i}"] = item.holder, item.seen
        terms.append(item.test(i))
    parts = [" and ".join(terms[k : k + 50]) for k in range(0, len(terms), 50)]
    lines = [f"    if not ({part}): return False" for part in parts]
    head, tail = ["def unchanged():", "  try:"], ["  except Exception: return False"]
    text = "\n".join([*head, *lines, *tail, "  return True"])
    exec(text, names)
    check: Callable[[], bool] = names["unchanged"]
    return check


def watch(step: Callable[..., Any], tensors: Iterable[Tensor] = ()) -> Watch:
    """Return a watch on what a function refers to, and on the arrays of tensors."""
    found = [*_Search().function(step)]
    found += [Watched("a Tensor", t, "", t._value) for t in tensors]
    return Watch(found)


class _Search:
    """Goes through what functions refer to: variables around them, globals, objects."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def function(self, f: Any) -> Iterator[Watched]:
        """Yield what a function refers to."""
        if not isinstance(f, FunctionType | MethodType | partial):
            f = f.__call__
        if isinstance(f, MethodType):
            names = frozenset(_names(f.__func__.__code__))
            yield from self.within(f.__self__, "self", names)
            f = f.__func__
        if isinstance(f, partial):
            yield from self.function(f.func)
        if not isinstance(f, FunctionType) or not self._is_new(f):
            return
        names = frozenset(_names(f.__code__))
        cells = zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)
        for name, cell in cells:
            yield from self.variable(name, cell, "", names)
        for name in sorted(names & f.__globals__.keys()):
            yield from self.variable(name, f.__globals__, name, names)

    def variable(
        self, name: str, holder: Any, key: Any, names: frozenset[str]
    ) -> Iterator[Watched]:
        """Yield a variable and what is in it."""
        try:
            value = content(holder, key)
        except ValueError:
            return  # a cell that is still empty
        yield Watched(name, holder, key, value)
        yield from self.within(value, name, names)

    def within(self, x: Any, name: str, names: frozenset[str]) -> Iterator[Watched]:
        """Yield what is in a list, a dict, an object or a function of the user's."""
        if isinstance(x, FunctionType | MethodType):
            if not _is_library(x):
                yield from self.function(x)
        elif isinstance(x, list | tuple | dict):
            yield from self._items(x, name, names)
        elif not isinstance(x, Tensor | type) and self._is_new(x):
            for attribute in _attributes(x, names):
                at = f"{name}.{attribute}"
                yield from self.variable(at, vars(x), attribute, names)

    def _items(self, x: Any, name: str, names: frozenset[str]) -> Iterator[Watched]:
        if not self._is_new(x):
            return
        yield Watched(f"the length of {name}", x, LENGTH, len(x))
        if len(x) <= _LONG:
            for key in x if isinstance(x, dict) else range(len(x)):
                if isinstance(key, int | str):
                    at = f"{name}[{key!r}]"
                    yield from self.variable(at, x, key, names)

    def _is_new(self, x: Any) -> bool:
        new = id(x) not in self.seen
        self.seen.add(id(x))
        return new


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names that code uses, also in functions within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _attributes(x: Any, names: frozenset[str]) -> list[str]:
    """Return the attributes that matter: those named, all public ones of ours."""
    found = getattr(x, "__dict__", {})
    if isinstance(x, ModuleType) or type(x).__module__.startswith("numpy"):
        return []
    ours = any(c.__module__.startswith(_CONFIGURED) for c in type(x).__mro__)
    return [a for a in found if a in names or (ours and not a.startswith("_"))]


def _is_library(function: Any) -> bool:
    module = getattr(function, "__module__", None) or ""
    return module.partition(".")[0] in ("numpy", "tensorgrad")
