"""The process a library is measured in: it reads requests, a line of JSON each.

    python -m benchmarks.worker PEER CASE

PEER and CASE are JSON as :func:`describe` writes it. What the library prints goes to
standard error, so that standard output carries answers alone.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, TextIO

import numpy as np

from . import memory
from .cases import Case, Chain, Memory
from .fair import confine, threads_told
from .peers import Peer

PROBES = 3


def describe(thing: Peer | Case) -> str:
    """Return a peer or a case as an argument for the process."""
    kind = type(thing)
    return json.dumps([kind.__module__, kind.__name__, asdict(thing)])


def described(text: str) -> Any:
    """Return the peer or the case of a description."""
    module, name, fields = json.loads(text)
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return getattr(importlib.import_module(module), name)(**fields)


class Measured:
    """A step of a case by a peer, and what is asked about it."""

    def __init__(self, peer: Peer, case: Case) -> None:
        self.case = case
        module = peer.load()
        self.finish: Callable[[Any], Any] | None = module.finish
        self.baseline = baseline(peer, module, case) if isinstance(case, Memory) else 0
        self.step = peer.step(module, case)

    def check(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take the first steps; return the numbers that must agree, if it has any."""
        # Each value is read before the next step: a library may reuse its memory.
        steps = range(self.case.checked)
        numbers = [n for _ in steps for n in self.numbers(self.step())]
        return {"numbers": numbers if self.finish else None}

    def numbers(self, value: Any) -> list[float]:
        """Return a value as it is, and an array as its products with fixed vectors."""
        if self.finish is None:
            return []
        members = value[:2] if isinstance(value, tuple) else (value,)
        return [n for m in members for n in projections(np.asarray(self.finish(m)))]

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return seconds per call of a batch that takes about as long as asked."""
        # Not before: they start side by side, and some compile.
        confine(threads_told())
        calls = 1
        while True:
            taken, cores = self.batch(calls)
            if taken * calls >= request["seconds"] / 2:
                return {"seconds": taken, "calls": calls, "cores": cores}
            calls = max(2 * calls, int(request["seconds"] / taken))

    def batch(self, calls: int) -> tuple[float, float]:
        """Return seconds per call, and the cores that were busy meanwhile."""
        processor, start = time.process_time(), time.perf_counter()
        taken = self.apart(calls) if isinstance(self.case, Chain) else self.loop(calls)
        elapsed = time.perf_counter() - start
        return taken, (time.process_time() - processor) / elapsed

    def loop(self, calls: int) -> float:
        """Return seconds per call of a loop that waits for its last value."""
        step, start, value = self.step, time.perf_counter(), None
        for _ in range(calls):
            value = step()
        if self.finish is not None:
            self.finish(value[0] if isinstance(value, tuple) else value)
        return (time.perf_counter() - start) / calls

    def apart(self, calls: int) -> float:
        """Return seconds per call, without the time in which graphs are freed."""
        total = 0.0
        for _ in range(calls):
            start = time.perf_counter()
            kept = self.step()
            total += time.perf_counter() - start
            del kept
        return total / calls

    def memory(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the peak of a few steps, in bytes beyond the baseline."""
        memory.forget_peak()
        for _ in range(3):
            self.loop(1)
        return {"bytes": memory.peak() - self.baseline}


def baseline(peer: Peer, module: Any, case: Memory) -> int:
    """Return what the process holds once a tiny step has loaded all it needs."""
    step = peer.step(module, replace(case, widths=(8,) * len(case.widths), batch=8))
    for _ in range(3):
        step()
    return memory.resident()


def projections(array: np.ndarray[Any, Any]) -> list[float]:
    """Return a few numbers that another array would not have."""
    values = array.astype(np.float64).ravel()
    if values.size == 1:
        return [float(values[0])]
    directions = np.random.default_rng(0).standard_normal((PROBES, values.size))
    return [float(d) for d in directions @ values]


def serve(measured: Callable[[], Measured], answers: TextIO) -> None:
    """Answer what is asked, until the input ends or something fails."""
    try:
        found = measured()
        for line in sys.stdin:
            request = json.loads(line)
            answer = getattr(found, request["do"])(request)
            print(json.dumps(answer), file=answers, flush=True)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        print(json.dumps({"error": text.strip()}), file=answers, flush=True)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(lambda: Measured(*map(described, sys.argv[1:3])), answers)


if __name__ == "__main__":
    main()
