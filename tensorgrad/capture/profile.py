"""Profiles: where the time of a replayed step goes, call by call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Any

from ..core.errors import CaptureError
from .listing import table
from .program import Call, Program, Value

ENTRY = "arguments and checks"
LEAVING = "results"
_SHOWN = 30
"""Rows that are printed."""


@dataclass(frozen=True)
class Row:
    """Calls of a step that do the same for one line of the user's code.

    Parameters
    ----------
    name : str
        What is called, and what it is part of; of a kernel, the calls within it. Before
        the first call and after the last: "arguments and checks" and "results".
    calls : int
        How many in a step.
    seconds : float
        They take in a step.
    share : float
        Of the time of the step.
    nbytes : int
        Bytes of the arrays that they read and write in a step.
    line : str
        Of the user's code, as "file.py:12"; of a kernel, the first; "" where no line
        is known.
    is_product : bool
        Whether they are products of matrices, or other calls of linear algebra.
    """

    name: str
    calls: int
    seconds: float
    share: float
    nbytes: int = 0
    line: str = ""
    is_product: bool = False


class Profile:
    """Where the time of a step goes: printed, a table.

    Made by ``step.profile`` of a step that :func:`tensorgrad.compile` returns.

    Parameters
    ----------
    rows : sequence of Row
        The longest first. Their shares add up to 1.
    calls : int
        How many times the step was done; the faster half of them counts.

    Attributes
    ----------
    seconds : float
        A step takes, on average.
    products : float
        The share of matrix products that are calls of their own.
    nbytes : int
        Bytes of arrays that the calls of a step read and write.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> w = tg.Tensor(np.ones((64, 64)), requires_grad=True)
    >>> step = tg.compile(lambda x: np.tanh(x @ w).sum(), fused=False)
    >>> profile = step.profile(np.ones((32, 64)))
    >>> sorted(row.name for row in profile.rows)
    ['arguments and checks', 'matmul', 'results', 'sum', 'tanh']
    >>> round(sum(row.share for row in profile.rows), 6)
    1.0
    """

    def __init__(self, rows: Sequence[Row], calls: int) -> None:
        self.rows = sorted(rows, key=lambda row: -row.seconds)
        self.calls = calls
        self.seconds = sum(row.seconds for row in self.rows)
        self.products = sum(row.share for row in self.rows if row.is_product)
        self.nbytes = sum(row.nbytes for row in self.rows)

    def __repr__(self) -> str:
        title = (
            f"{1e6 * self.seconds:,.1f} us a step, {self.products:.0%} of it in matrix "
            f"products; {self.nbytes:,} bytes read and written ({self.calls} steps)"
        )
        return "\n".join(table(title, [*self._cells()]))

    def _cells(self) -> Iterator[tuple[str, ...]]:
        yield "      time", " share", "calls", "bytes", "line", "call"
        for row in self.rows[:_SHOWN]:
            yield *_figures(row), row.line, row.name
        rest = self.rows[_SHOWN:]
        if rest:
            sums = (sum(figures) for figures in zip(*map(_additive, rest), strict=True))
            yield *_figures(Row("", *sums)), "", f"{len(rest)} more rows"


def _additive(row: Row) -> tuple[Any, ...]:
    return row.calls, row.seconds, row.share, row.nbytes


def _figures(row: Row) -> tuple[str, str, str, str]:
    calls = f"{row.calls}" if row.calls else ""
    nbytes = f"{row.nbytes:,}" if row.nbytes else ""
    time = f"{1e6 * row.seconds:,.1f}"
    return f"{time:>7} us", f"{row.share:6.1%}", f"{calls:>5}", nbytes


Clock = Callable[[list[float]], AbstractContextManager[object]]
"""Of a program: within the block it enters the times between its calls in a list."""


def measured(
    step: Callable[[], object], program: Program, clock: Clock | None, calls: int
) -> Profile:
    """Return the profile of a step, done so many times.

    Parameters
    ----------
    step : callable
        Does it.
    program : Program
        What it computes; without a `clock` one row stands for all.
    clock : callable, optional
    calls : int

    Raises
    ------
    CaptureError
        If it is recorded anew each time.
    """
    runs: list[list[float]] = []
    inner: list[float] = []
    with clock(inner) if clock else nullcontext():
        for _ in range(calls):
            inner.clear()
            start = perf_counter()
            step()
            runs.append([start, *inner, perf_counter()])
    expected = 2 + (len(program.calls) + 1 if clock else 0)
    runs = [run for run in runs if len(run) == expected]
    if not runs:
        raise CaptureError(
            "profile: expected a step that is replayed, got one that was recorded anew "
            "in each call; keep what it reads the same from call to call"
        )
    runs.sort(key=lambda run: run[-1] - run[0])
    faster = runs[: (len(runs) + 1) // 2]
    columns = zip(*([b - a for a, b in pairwise(run)] for run in faster), strict=True)
    seconds = [sum(column) / len(faster) for column in columns]
    return Profile(_rows(program.calls if clock else None, seconds), calls)


def _rows(calls: Sequence[Call] | None, seconds: Sequence[float]) -> list[Row]:
    total = sum(seconds)
    if calls is None:
        return [Row("the step as a whole", 1, total, 1.0)]
    first, *inner, last = seconds
    groups: dict[Any, list[tuple[Call, float]]] = {}
    for call, time in zip(calls, inner, strict=True):
        groups.setdefault(_key(call), []).append((call, time))
    rows = [_row(group, total) for group in groups.values()]
    outer = [(ENTRY, first), (LEAVING, last)]
    return [*rows, *(Row(name, 0, time, time / total) for name, time in outer)]


def _key(call: Call) -> object:
    """Return what calls of one row have in common: a kernel is one, wherever called."""
    kernel = getattr(call.function, "kernel", None)
    place = call.place and (id(call.place.code), call.place.line)
    return kernel, _name(call), place


_PRODUCTS = "tiled_matmul", "convolved"


def _row(timed: Sequence[tuple[Call, float]], total: float) -> Row:
    first, seconds = timed[0][0], sum(time for _, time in timed)
    place = first.place
    return Row(
        _name(first),
        len(timed),
        seconds,
        seconds / total,
        sum(_moved(call) for call, _ in timed),
        f"{os.path.basename(place.code.co_filename)}:{place.line}" if place else "",
        first.kind == "linear algebra" or first.name.startswith(_PRODUCTS),
    )


def _name(call: Call) -> str:
    group: Iterable[str] = getattr(call.function, "group", ())
    names = [*dict.fromkeys(group)]
    if not names:
        return call.label
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"kernel of {len([*group])} calls: {', '.join(names[:4])}{more}"


def _moved(call: Call) -> int:
    """Return the bytes of the arrays that a call reads, and of those it writes."""
    reads = {v for v in call.reads if isinstance(v, Value)}
    written = {v for v in (*call.results, *call.writes) if isinstance(v, Value)}
    return sum(v.nbytes for some in (reads, written) for v in some)
