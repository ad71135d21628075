"""What the evals share: what a message brings, how it is run, timed and answered."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tensorgrad as tg

Input = dict[str, Any]

MODES: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "eager": lambda compute: compute,
    "replay": partial(tg.compile, fused=False),
    "kernels": partial(tg.compile, fused=True),
}

WORTH = 100
"""Runs that recording may take the time of."""


@dataclass(frozen=True)
class Function:
    """A function of an eval: what it computes, and of what in the message."""

    compute: Callable[..., Any]
    arguments: Callable[[Any], tuple[Any, ...]]
    answer: Callable[[Any], Any] = lambda value: value
    """What the eval reads of a value, if not all of it."""
    captured: bool = True
    """Whether it may be compiled: not where Python decides by values."""

    def run(self, message: Any, mode: str) -> dict[str, Any]:
        """Return the output for a message, and what each run took."""
        least = least_of(message)
        compute = partial(self.compute, *self.arguments(message))
        # What is to run once is not worth recording.
        if self.captured and least != (1, 0):
            way = MODES[chosen(mode, compute, *least)]
            compute = partial(way(self.compute), *compute.args)
        *timings, output = runs(compute, *least)
        return {"output": plain(self.answer(output)), "timings": timings}


def chosen(mode: str, compute: Callable[[], Any], count: int, seconds: float) -> str:
    """Return a mode; in place of "auto" one that pays for so many runs."""
    if mode != "auto":
        return mode
    run, _ = runs(compute, 1, 0.0)
    count = max(count, round(seconds * 1e9 / run["nanoseconds"]))
    return "replay" if count > WORTH else "eager"


def least_of(message: Any) -> tuple[int, float]:
    """Return how many runs, and seconds, a message asks for at the least."""
    if not isinstance(message, dict):
        return 1, 0.0
    return message.get("min_runs", 1), message.get("min_seconds", 0.0)


def runs(compute: Callable[[], Any], count: int, seconds: float) -> Iterator[Any]:
    """Yield the time of each run, and the last output after them."""
    done, total = 0, 0
    while done < max(count, 1) or total < seconds * 1e9:
        start = time.perf_counter_ns()
        output = compute()
        taken = time.perf_counter_ns() - start
        done, total = done + 1, total + taken
        yield {"name": "evaluate", "nanoseconds": taken}
    yield output


def fields(*names: str) -> Callable[[Input], tuple[np.ndarray[Any, Any], ...]]:
    """Return what takes fields of these names out of a message, as arrays."""
    return lambda message: tuple(np.array(message[n], np.float64) for n in names)


def plain(value: Any) -> Any:
    """Return arrays as lists, within dicts and tuples too."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    return np.asarray(value).tolist()
