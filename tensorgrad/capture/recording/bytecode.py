"""The names by which code reads what is around it."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from types import CodeType

_GLOBAL = (
    "LOAD_GLOBAL",
    "LOAD_NAME",
    "LOAD_FROM_DICT_OR_GLOBALS",
    "STORE_GLOBAL",
    "DELETE_GLOBAL",
)
_ATTRIBUTES = (
    "LOAD_ATTR",
    "LOAD_METHOD",
    "LOAD_SUPER_ATTR",
    "STORE_ATTR",
    "DELETE_ATTR",
    "IMPORT_FROM",
)
_ENTIRE = {"__dict__", "asdict", "astuple", "vars"}
"""Who names one of these may read all attributes of an object."""

_ANY = {"__getattribute__", "attrgetter", "getattr", "globals", "hasattr"}
_ANY |= {"methodcaller", "setattr"}
"""Who names one of these reads attributes by names that are texts in its code."""

_NUMBERS = {"abs", "all", "any", "bool", "divmod", "float", "int", "max", "min"}
_NUMBERS |= {"round", "sorted", "sum"}
"""What makes a Python number of what is in an array."""


@dataclass(frozen=True, eq=False)
class Names:
    """Names in code.

    Attributes
    ----------
    variables : frozenset of str
        Global variables.
    attributes : frozenset of str
    modules : frozenset of str
        What it imports.
    all : bool
        Whether other attributes may be read, not only these.
    entire : bool
        Whether all are.
    texts : frozenset of str
        Texts in the code: keys, and parts of names.
    compares : bool
        Whether it may choose by a value, or make a number of it.
    """

    variables: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    all: bool = False
    entire: bool = False
    texts: frozenset[str] = frozenset()
    compares: bool = False


@lru_cache(maxsize=4096)
def names_in(code: CodeType, reads_all: bool | None = None) -> Names:
    """Return the names in code.

    Parameters
    ----------
    code : code
    reads_all : bool, optional
        Whether it reads attributes by names that do not stand in it; by default if it
        uses ``getattr`` and the like.
    """
    variables, modules, compares = set(), set(), False
    # A method is found by its own name on its object.
    attributes, texts = {code.co_name}, set(_texts(code.co_consts))
    for instruction in dis.get_instructions(code):
        name, does = instruction.argval, instruction.opname
        if does.startswith(_GLOBAL):
            variables.add(name)
        elif does == "IMPORT_NAME":
            modules.add(name)
        elif does in _ATTRIBUTES:
            attributes.add(name)
        elif does == "MATCH_CLASS":
            attributes |= texts
        compares |= does in ("COMPARE_OP", "CONTAINS_OP", "GET_ITER")
    used = variables | attributes
    if "import_module" in used or "__import__" in used:
        modules |= texts
    entire = reads_all or (reads_all is None and not _ENTIRE.isdisjoint(used))
    every = not _ANY.isdisjoint(used)
    if entire or every:
        attributes |= {p for text in texts for p in text.split(".") if p.isidentifier()}
        variables |= {text for text in texts if text.isidentifier()}
    return Names(
        variables=frozenset(variables),
        attributes=frozenset(attributes),
        modules=frozenset(modules),
        all=entire or (every and reads_all is None),
        entire=entire,
        texts=frozenset(texts),
        compares=compares or not _NUMBERS.isdisjoint(variables),
    )


def _texts(constants: tuple[object, ...]) -> Iterator[str]:
    for constant in constants:
        if type(constant) is str:
            yield constant
        elif type(constant) in (tuple, frozenset):
            yield from _texts(tuple(constant))  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
def joined(one: Names, other: Names) -> Names:
    """Return the names of two pieces of code together."""
    both = ((getattr(one, f.name), getattr(other, f.name)) for f in fields(Names))
    return Names(*(a | b for a, b in both))
