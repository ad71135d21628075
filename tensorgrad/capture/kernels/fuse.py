"""Fusion: calls become kernels, products of matrices one each, the others in groups.

A fused call takes arrays and numbers, then the arrays for its results, and returns
nothing. Its function has ``into = True``, which says so, ``group``, what it is made of,
and ``kernel``, which those have in common that differ in sizes and places alone. No
argument shares memory with another, results included: each stands for the owner of its
memory, so views are not among them. Arrays must be laid out as in the recording.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import accumulate

from ...core.errors import PerformanceWarning
from ...core.place import user_level
from ...facts import facts_of
from ..program import Call, Live, Number, Program, Result, Value, owner
from . import cores
from .codegen import Kernel, write
from .compile import installed, prepared, require_llvm, unusable
from .elements import Element
from .factors import factored
from .groups import fusible, grouped
from .means import without_means
from .nests import Nest, nested
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
    program = without_means(without_scratch(program))
    fit = fusible(program)
    groups = grouped(program, fit)
    users = _users(program, groups)
    calls: list[Call] = []
    for number, group in enumerate(groups):
        first = program.calls[group[0]]
        if len(group) == 1 and not (group[0] in fit and _is_slow(first)):
            calls.append(alone(first))
        else:
            elements = [element for i in group for element in fit[i]]
            outside = {v for v in _owners(elements) if users.get(v) != {number}}
            together = {i: program.calls[i] for i in group}
            calls += _fused(together, nested(elements), outside)
    return replace(program, calls=_calm(calls))


def _is_slow(call: Call) -> bool:
    """Whether NumPy takes longer for a call than a kernel of it alone."""
    known = facts_of(call.function)
    if known.name == "matmul":
        # Of many small matrices: NumPy multiplies them one by one.
        return any(isinstance(r, Value) and len(r.shape) > 2 for r in call.results)
    vectorised = known.rounded and not known.costly
    return vectorised or known.rereads or known.name == "add_at"


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
        return fuse(factored(program), alone)
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
    calls: Mapping[int, Call], nests: list[Nest], outside: Collection[Value]
) -> Iterator[Call]:
    """Yield the call of a kernel for all nests, or several where threads share some."""
    portions = [*cores.portions(nests)]
    owners = [{v for nest in portion for v in nest.owners()} for portion in portions]
    new = {r for call in calls.values() for r in call.results}
    for k, portion in enumerate(portions):
        others = set[Value]().union(*owners[:k], *owners[k + 1 :])
        numbers = dict.fromkeys(p.element.call for nest in portion for p in nest.placed)
        made = [call for number, call in calls.items() if number in numbers]
        yield _kernel(made, portion, {*outside, *others}, new)
        new -= owners[k]


def _kernel(
    calls: list[Call],
    nests: list[Nest],
    outside: Collection[Value],
    new: Collection[Value | Number],
) -> Call:
    """Return the call of a kernel, whose results are those that are `new`."""
    part = cores.axis(nests[0]) if len(nests) == 1 else ""
    kernel = Kernel(part=part)
    write(kernel, nests, outside)
    results = tuple(v for v in kernel.arrays if v in new)
    args = [v for v in kernel.arrays if v not in new]
    writes = tuple(v for v in args if v in kernel.written)
    arrays, integers = [*args, *results], kernel.integers()
    parts = cores.bounds(nests[0]) if part else [()]
    function = prepared(
        kernel.text(arrays), arrays, len(integers) + len(parts[0]), len(kernel.numbers)
    )
    group = tuple(call.label for call in calls)
    bound = [function(*integers, *part, name="fused", group=group) for part in parts]
    origins = dict.fromkeys(call.origin for call in calls if call.origin)
    return Call(
        bound[0] if len(bound) == 1 else cores.Together(bound),
        (*kernel.numbers, *args),
        results=results,
        writes=writes,
        pure=not any(isinstance(v, Live) for v in writes),
        origin=", ".join(origins),
        place=next((call.place for call in calls if call.place), None),
    )
