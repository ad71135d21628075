"""Nests: containers of containers of anything, walked by one set of functions.

The caller chooses what counts as a nest, by a function that returns its `Kind`, and
None for a leaf: `container` or `nest`.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """How a nest of one kind is taken apart and put together.

    Attributes
    ----------
    keys, values : callable
        From a nest to the keys under which its items stand, and to the items.
    rebuild : callable
        From a nest and other items to a nest of the same kind with these.
    step : str
        Format of a key, as it is written behind the name of a nest.
    """

    keys: Callable[[Any], Iterable[Any]]
    values: Callable[[Any], Collection[Any]]
    rebuild: Callable[[Any, list[Any]], Any]
    step: str


Look = Callable[[Any], Kind | None]


def _range(x: Any) -> range:
    return range(len(x))


def _itself(x: Any) -> Any:
    return x


def _ends(x: slice) -> tuple[Any, ...]:
    return x.start, x.stop, x.step


def _copied(x: Any, values: list[Any]) -> Any:
    # A copy first: a defaultdict keeps its factory, a subclass its attributes.
    clone = copy.copy(x)
    for key, value in zip(x, values, strict=True):
        clone[key] = value
    return clone


def _fields(x: Any) -> list[str]:
    """Return the names of the fields of the constructor; the others are computed."""
    return [f.name for f in dataclasses.fields(x) if f.init]


_TUPLE = Kind(_range, _itself, lambda x, values: tuple(values), "[{!r}]")
_LIST = Kind(_range, _itself, lambda x, values: values, "[{!r}]")
_SEQUENCE = Kind(_range, _itself, lambda x, values: type(x)(values), "[{!r}]")
_NAMED = Kind(
    lambda x: x._fields, _itself, lambda x, values: type(x)._make(values), ".{}"
)
_DEQUE = Kind(_range, _itself, lambda x, values: deque(values, x.maxlen), "[{!r}]")
_DICT = Kind(
    _itself,
    lambda x: x.values(),
    lambda x, values: dict(zip(x, values, strict=True)),
    "[{!r}]",
)
_MAPPING = _DICT._replace(rebuild=_copied)
_SLICE = Kind(
    lambda x: ("start", "stop", "step"), _ends, lambda x, values: slice(*values), ".{}"
)
_RECORD = Kind(
    _fields,
    lambda x: [getattr(x, name) for name in _fields(x)],
    lambda x, values: dataclasses.replace(
        x, **dict(zip(_fields(x), values, strict=True))
    ),
    ".{}",
)


class _Containers(dict[type, Kind | None]):
    """The kinds of containers, by class."""

    def __missing__(self, kind: type) -> Kind | None:
        named = issubclass(kind, tuple) and hasattr(kind, "_fields")
        self[kind] = _NAMED if named else None
        return self[kind]


_of_class = _Containers(
    {
        tuple: _TUPLE,
        list: _LIST,
        dict: _DICT,
        OrderedDict: _MAPPING,
        defaultdict: _MAPPING,
        Counter: _MAPPING,
        deque: _DEQUE,
        slice: _SLICE,
    }
)


def container(x: Any) -> Kind | None:
    """Return the kind of what is known to hold nothing but its items: namedtuples, and
    Python's own tuples, lists, dicts, deques and slices, but no subclasses of those.
    """
    return _of_class[type(x)]


def nest(x: Any) -> Kind | None:
    """Return the kind of a nest of arrays: of tuples, lists, dicts and deques, their
    subclasses, and dataclasses.
    """
    if isinstance(x, tuple):
        exact = _TUPLE if type(x) is tuple else _SEQUENCE
        return _NAMED if _is_named(x) else exact
    if isinstance(x, list):
        return _LIST if type(x) is list else _SEQUENCE
    if isinstance(x, dict):
        return _DICT if type(x) is dict else _MAPPING
    if isinstance(x, deque):
        return _DEQUE
    return _RECORD if hasattr(type(x), "__dataclass_fields__") else None


def _is_named(x: Any) -> bool:
    return isinstance(x, tuple) and hasattr(x, "_fields")


def leaves(tree: Any, look: Look = container) -> list[Any]:
    """Return the leaves in order."""
    items: list[Any] = []
    kind = look(tree)
    _gather((tree,) if kind is None else kind.values(tree), look, items.append)
    return items


def _gather(values: Iterable[Any], look: Look, take: Callable[[Any], None]) -> None:
    for x in values:
        kind = look(x)
        if kind is None:
            take(x)
        else:
            _gather(kind.values(x), look, take)


def mapped(tree: Any, function: Callable[[Any], Any], look: Look = container) -> Any:
    """Return the same nest with `function` of each leaf, called in order."""
    kind = look(tree)
    return function(tree) if kind is None else _mapped(tree, function, look, kind)


def _mapped(tree: Any, function: Callable[[Any], Any], look: Look, kind: Kind) -> Any:
    items = []
    for x in kind.values(tree):
        inner = look(x)
        items.append(
            function(x) if inner is None else _mapped(x, function, look, inner)
        )
    return kind.rebuild(tree, items)


def refilled(tree: Any, values: Iterable[Any], look: Look = container) -> Any:
    """Return the same nest with `values` for its leaves, in order."""
    remaining = iter(values)
    return mapped(tree, lambda _: next(remaining), look)


def named_leaves(
    name: str, tree: Any, look: Look = container
) -> Iterator[tuple[str, Any]]:
    """Yield the leaves in order, each with its path from `name`: ``x['w'][0].b``."""
    kind = look(tree)
    if kind is None:
        yield name, tree
        return
    for key, value in zip(kind.keys(tree), kind.values(tree), strict=True):
        yield from named_leaves(name + kind.step.format(key), value, look)


MISSING = object()
"""Stands for a leaf that one of two nests does not have."""


def pairs(a: Any, b: Any, look: Look = container) -> Iterator[tuple[Any, Any]]:
    """Yield the leaves of two nests side by side, `MISSING` for what one of them lacks,
    and whole nests where they are of different types.
    """
    kind = look(a)
    if kind is None or type(a) is not type(b):
        yield a, b
        return
    if kind.keys is _range and len(a) == len(b):
        both: Iterable[tuple[Any, Any]] = zip(a, b, strict=True)
    else:
        ours, theirs = (_items(kind, x) for x in (a, b))
        keys = {**ours, **theirs}
        both = ((ours.get(k, MISSING), theirs.get(k, MISSING)) for k in keys)
    for x, y in both:
        yield from pairs(x, y, look)


def _items(kind: Kind, x: Any) -> Mapping[Any, Any]:
    return dict(zip(kind.keys(x), kind.values(x), strict=True))
