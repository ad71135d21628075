"""Fusion: calls become kernels, products of matrices one each, the others in groups.

A fused call takes arrays and numbers, then the arrays for its results, and returns
nothing. Its function has ``into = True``, which says so, ``group``, what it is made of,
and ``kernel``, which those have in common that differ in sizes and places alone. No
argument shares memory with another, results included: each stands for the owner of its
memory, so views are not among them. Arrays must be laid out as in the recording.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from itertools import accumulate
from typing import Any

from ...core.errors import PerformanceWarning
from ...core.place import user_level
from ..program import Call, Live, Program, Result, Value, owner
from .codegen import Kernel, write
from .compile import installed, prepared, require_llvm, unusable
from .elements import Element
from .groups import fusible, grouped
from .nests import nested
from .scratch import without_scratch

Change = Callable[[Call], Call]


def _same(call: Call) -> Call:
    return call


def fuse(program: Program, alone: Change = _same) -> Program:
    """Return the program with runs of calls in kernels, compiled or from disk.

    Parameters
    ----------
    program : Program
        Pruned: what nobody reads would be computed.
    alone : callable
        Returns what is called in place of a call that is in no group.

    Raises
    ------
    ImportError
        If llvmlite is not installed.
    """
    require_llvm()
    program = without_scratch(program)
    fit = fusible(program)
    groups = grouped(program, fit)
    users = _users(program, groups)
    calls: list[Call] = []
    for number, group in enumerate(groups):
        if len(group) == 1:
            calls.append(alone(program.calls[group[0]]))
        else:
            elements = [element for i in group for element in fit[i]]
            outside = {v for v in _owners(elements) if users.get(v) != {number}}
            calls.append(_fused([program.calls[i] for i in group], elements, outside))
    return replace(program, calls=_calm(calls))


def in_kernels(program: Program, required: bool, alone: Change = _same) -> Program:
    """Return the program with kernels where they can be had, else as it is.

    Warns
    -----
    PerformanceWarning
        Once where llvmlite is installed but cannot be used, and for each program whose
        kernels cannot be built.

    Raises
    ------
    ImportError
        If kernels are `required` and llvmlite cannot be used.
    """
    if required:
        require_llvm()
    reason = unusable()
    if reason:
        if installed() and reason not in _warned:
            _warned.add(reason)
            _warn(f"{reason}. Until then steps are replayed with NumPy")
        return program
    try:
        return fuse(program, alone)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        _warn(
            "no kernels could be built for this step, which is replayed with NumPy "
            f"instead; please report it with the step ({' '.join(what.split())[:300]})"
        )
        return program


_warned: set[str] = set()
"""Why llvmlite cannot be used, as far as users know."""


def _warn(text: str) -> None:
    warnings.warn(f"tg.compile: {text}", PerformanceWarning, stacklevel=user_level())


def _calm(calls: list[Call]) -> list[Call]:
    """Return the calls with kernels quiet only between others that are.

    A kernel never warns, so what is said of warnings need not change for it alone.
    """
    quiet = [None if call.writes_last else call.quiet for call in calls]
    before, after = _last_known(quiet), _last_known(quiet[::-1])[::-1]
    return [
        replace(call, quiet=a and b) if call.writes_last else call
        for call, a, b in zip(calls, before, after, strict=True)
    ]


def _last_known(quiet: Iterable[bool | None]) -> list[bool]:
    """Return for each place what was known last, False before anything was."""
    known = accumulate(quiet, lambda last, x: last if x is None else x, initial=False)
    return [bool(x) for x in known][1:]


_AFTER = -1
"""The number of whoever calls the step."""


def _users(program: Program, groups: list[list[int]]) -> dict[Value, set[int]]:
    """Return which groups touch each value; what outlives a call has another user."""
    users: dict[Value, set[int]] = {}
    for number, group in enumerate(groups):
        for i in group:
            call = program.calls[i]
            for value in map(owner, (*call.reads, *call.writes, *call.results)):
                if isinstance(value, Value):
                    users.setdefault(value, set()).add(number)
    for value in map(owner, program.returned):
        if isinstance(value, Value):
            users.setdefault(value, set()).add(_AFTER)
    for value, numbers in users.items():
        if not isinstance(value, Result):
            numbers.add(_AFTER)
    return users


def _owners(elements: Iterable[Element]) -> set[Value]:
    return {access.owner for e in elements for access in e.accesses}


def _fused(
    calls: list[Call], elements: list[Element], outside: Collection[Value]
) -> Call:
    kernel = Kernel()
    write(kernel, nested(elements), outside)
    new = {r for call in calls for r in call.results}
    results = tuple(v for v in kernel.arrays if v in new)
    args = [v for v in kernel.arrays if v not in new]
    writes = tuple(v for v in args if v in kernel.written)
    arrays = [*args, *results]
    function = prepared(
        kernel.text(arrays),
        arrays,
        len(kernel.integers()),
        len(kernel.numbers),
    )
    origins = dict.fromkeys(call.origin for call in calls if call.origin)
    return Call(
        _bound(function, kernel.integers(), tuple(call.label for call in calls)),
        (*kernel.numbers, *args),
        results=results,
        writes=writes,
        pure=not any(isinstance(v, Live) for v in writes),
        origin=", ".join(origins),
        place=next((call.place for call in calls if call.place), None),
    )


def _bound(function: Any, integers: list[int], group: tuple[str, ...]) -> Any:
    """Return the kernel for these sizes and places."""
    bound: Any = functools.partial(function(*integers))
    bound.into, bound.group, bound.__name__ = True, group, "fused"
    bound.kernel = function
    return bound
