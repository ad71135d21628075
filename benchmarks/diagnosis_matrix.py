"""What the gradient checker calls the faults that are planted.

For every gradient rule of every described operation, and for every seed, a mutant of
each class is planted and a call that shows it, with newly drawn values, is checked; so
are gradients written by hand with the mistakes people make (written_faults.py and
conditional_faults.py). Each row of the matrix is a class that was planted, each column
what the report named.

    python -m benchmarks.diagnosis_matrix [--seeds 2] [--only name,name] [--markdown]
"""

import argparse
import collections
import time
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.ops.support.registry import Entry
from tensorgrad.testing import Result, gradcheck

from .checker_cases import Target, described, gradients, repeated, steady, targets
from .checker_power import kind_of, same
from .conditional_faults import CONDITIONAL
from .described import calls
from .mutants import (
    MUTANTS,
    Mutant,
    comparisons,
    overwriting_walk,
    planted,
)
from .written_faults import WRITTEN

CLASSES = (
    "factor",
    "transposed",
    "missing sum",
    "overwritten",
    "zero",
    "stale",
    "tie",
    "float32",
    "permuted",
)

NOTES = (
    "Left out: calls in which the fault changes no number, and other valid choices of "
    "a slope at a kink; calls on empty arrays.",
    "A fault in one of several paths (a primitive inside a composed function, or x of "
    "x + f(x)) leaves the sum of a right and a wrong part, in no pattern: `other`.",
    "Some faults are the same numbers: where the first index of a broadcast axis gives "
    "nothing, a missing sum is a zero; where all give the same, a factor; a zero in "
    "one of several uses of an entry is what an overwritten one is; an operand "
    "transposed before a reshape is a permutation; of a 1 x N operand it may be a "
    "factor.",
    "A function with one number as output has one row of derivatives: a missing sum "
    "or an overwritten part cannot be told there from a wrong number, unless it is "
    "checked before that number is summed up.",
    "A rule that raises because its operands do not fit is named transposed where "
    "exchanging two axes of one makes them fit, else `shape`, counted under `other`.",
)


class Trial(NamedTuple):
    """A fault that was planted: its class, where, and what the report said."""

    kind: str
    op: str
    where: str
    result: Result

    @property
    def named(self) -> str:
        """The fault that the report named, else the verdict."""
        return self.result.fault or self.result.verdict


class Left(NamedTuple):
    """A fault that could not be told from the right rule, and why."""

    kind: str
    why: str


# Faults in the rules of operations.


def class_of(mutant: Mutant) -> str:
    return {"sign": "factor", "comparison": "tie"}.get(mutant.kind, mutant.kind)


def _at_ties(rule: Any, lead: int) -> Any:
    def mutated(*args: Any) -> Any:
        dx = rule(*args)
        return dx * 3 if any(map(_has_tie, args[lead + 1 :])) else dx

    return mutated


def _has_tie(saved: Any) -> bool:
    floats = isinstance(saved, np.ndarray) and saved.dtype.kind == "f"
    return floats and (np.unique(saved).size < saved.size or not saved.all())


AT_TIES = Mutant("tie", "times 3 where numbers are equal or 0", _at_ties)


def planted_trials(several: list[Target], seed: int) -> Iterator[Trial | Left]:
    """Plant a mutant of each class in every rule."""
    for target in several:
        drawn = redrawn(target, seed)
        for mutant in MUTANTS:
            if class_of(mutant) in CLASSES:
                yield trial(target, mutant, drawn, seed)
        yield from tie_trials(target, drawn, seed)


def redrawn(target: Target, seed: int, tied: bool = False) -> list[Any]:
    """Return newly drawn calls of the operations of a target, its own first."""
    rng = np.random.default_rng([seed, tied])
    entries = {c.entry.name: c.entry for c in target.calls}.values()
    several = [c for e in entries for c in calls(e, rng, tied=tied)]
    several = [c for c in several if all(a.size for a in c.arrays)]
    order = rng.permutation(len(several))
    several = [several[k] for k in order]
    return sorted(several, key=lambda c: c.entry.function is not target.op)


def trial(target: Target, mutant: Mutant, drawn: list[Any], seed: int) -> Trial | Left:
    """Check the first call that shows a mutant."""
    kind = class_of(mutant)
    for call in drawn:
        if shows(call, target, mutant):
            result = checked(call, target, mutant, seed)
            where = f"{target.name}, {mutant.name}: {call}"
            return Trial(kind, target.op.name, where, result)
    return Left(kind, "the same numbers in every call")


def shows(call: Any, target: Target, mutant: Mutant) -> bool:
    """Whether a mutant changes a number at the point of a call; at another one too
    where it keeps values from call to call.
    """
    dtype, count = kind_of(mutant), None if mutant.kind == "stale" else 2
    right = gradients(call, 1, dtype)
    with planted(target.op, target.argument, mutant):
        wrong = gradients(call, 1, dtype)
    return not same(right[:count], wrong[:count])


def checked(call: Any, target: Target, mutant: Mutant, seed: int) -> Result:
    arrays = [a.astype(kind_of(mutant)) for a in call.arrays]
    with planted(target.op, target.argument, mutant):
        return gradcheck(
            call, *arrays, rng=seed, linear=call.linear, raise_on_failure=False
        )


def tie_trials(target: Target, drawn: list[Any], seed: int) -> Iterator[Trial | Left]:
    """Plant what is wrong at ties and kinks alone, and check there."""
    if not any(c.entry.kind == "piecewise" for c in target.calls):
        return
    rng = np.random.default_rng(seed)
    tied = [c for c in redrawn(target, seed, tied=True) if steady(c, rng)]
    for mutant in (AT_TIES, *comparisons(target.op, target.argument)):
        if any(shows(call, target, mutant) for call in drawn):
            continue
        found = trial(target, mutant, tied, seed)
        if isinstance(found, Trial) and found.named == "kink":
            found = Left("tie", "another valid choice at a kink")
        yield found


def walk_trials(entries: list[Entry], seed: int) -> Iterator[Trial | Left]:
    """Let the walk back overwrite where it accumulates, for f(x, x)."""
    for call in repeated(entries, np.random.default_rng(seed)):
        right = gradients(call, 1, np.float64)
        with overwriting_walk():
            if same(right[:2], gradients(call, 1, np.float64)[:2]):
                yield Left("overwritten", "the same numbers in every call")
                continue
            result = gradcheck(call, *call.arrays, rng=seed, raise_on_failure=False)
        yield Trial("overwritten", call.entry.name, f"the walk: {call}", result)


def written_trials(seed: int) -> Iterator[Trial]:
    """Check the gradients that are written by hand."""
    for fault in (*WRITTEN, *CONDITIONAL):
        where = f"by hand: {fault.name}"
        yield Trial(fault.kind, where, where, fault.check(seed))


def all_trials(entries: list[Entry], seeds: int, written: bool) -> Iterator[Any]:
    several = targets(entries)
    for seed in range(seeds):
        yield from planted_trials(several, seed)
        yield from walk_trials(entries, seed)
        if written:
            yield from written_trials(seed)


# The matrix.


class Matrix:
    """Counts of what was planted by what was named."""

    def __init__(self) -> None:
        self.named: dict[str, collections.Counter[str]] = {
            kind: collections.Counter() for kind in CLASSES
        }
        self.ops: dict[str, set[str]] = {kind: set() for kind in CLASSES}
        self.left: collections.Counter[Left] = collections.Counter()
        self.missed: list[Trial] = []

    def add(self, found: Trial | Left) -> None:
        """Count a trial."""
        if isinstance(found, Left):
            self.left[found] += 1
            return
        self.named[found.kind][found.named] += 1
        self.ops[found.kind].add(found.op)
        if found.named != found.kind:
            self.missed.append(found)

    def rows(self) -> Iterator[list[str]]:
        """Yield the cells of the matrix, the heading first."""
        yield ["planted", "in", "trials", "right", *CLASSES, "other"]
        for kind, named in self.named.items():
            n = named.total()
            right = f"{100 * named[kind] / n:.1f}%" if n else "-"
            cells = [named[c] for c in CLASSES]
            counts = [str(c or ".") for c in (*cells, n - sum(cells))]
            yield [kind, str(len(self.ops[kind])), str(n), right, *counts]


def print_text(rows: Iterable[list[str]]) -> None:
    for first, *cells in rows:
        print(f"{first:12}" + "".join(f"{c[:8]:>9}" for c in cells))


def print_markdown(rows: Iterable[list[str]]) -> None:
    head, *body = rows
    print("| " + " | ".join(head) + " |")
    print("|---|" + "---:|" * (len(head) - 1))
    for row in body:
        print("| " + " | ".join(row) + " |")


def print_rest(matrix: Matrix, listing: bool) -> None:
    """Print what `other` is, what was left out, and why some must be confused."""
    print()
    for kind, named in matrix.named.items():
        others = [f"{k} {n}" for k, n in named.most_common() if k not in CLASSES]
        if others:
            print(f"- {kind}, other: {', '.join(others)}")
    for (kind, why), n in sorted(matrix.left.items()):
        print(f"- {kind}, left out: {n}, {why}")
    for note in NOTES:
        print(f"- {note}")
    for t in matrix.missed if listing else []:
        print(f"  {t.kind} named {t.named}: {t.where}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="trials of each fault")
    parser.add_argument("--only", default="", help="names of operations")
    parser.add_argument("--markdown", action="store_true", help="print for the docs")
    parser.add_argument("--list", action="store_true", help="list what is misnamed")
    options = parser.parse_args()
    names = [n for n in options.only.split(",") if n]
    matrix, start = Matrix(), time.perf_counter()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for found in all_trials(described(names), options.seeds, not names):
            matrix.add(found)
    (print_markdown if options.markdown else print_text)(matrix.rows())
    print_rest(matrix, options.list)
    if not options.markdown:
        print(f"{options.seeds} seeds, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
