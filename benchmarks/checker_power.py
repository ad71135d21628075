"""What the gradient checker finds, and what it cries wolf over.

Mutants of every gradient rule of every described operation are planted one by one and
checked; so are thousands of calls of the right rules. A plain central difference (step
1e-6, atol 1e-5, rtol 1e-3), over the whole Jacobian and along one random direction, is
given the same calls. A mutant counts as killed where the checker fails a call that it
passes with the right rule; one that gives the right numbers in every call is equivalent
and does not count. The exit status is 1 where a mutant survives or an alarm is false.

    python -m benchmarks.checker_power [--cases 10000] [--only name,name] [--list]
"""

import argparse
import collections
import sys
import time
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.ops.support.registry import Entry
from tensorgrad.ops.support.strong import nothing
from tensorgrad.testing import gradcheck
from tensorgrad.testing.calls import Call

from .checker_cases import (
    Plain,
    Target,
    described,
    gradients,
    ours,
    redrawn,
    repeated,
    right_cases,
    targets,
    tied,
)
from .mutants import (
    MUTANTS,
    Mutant,
    comparisons,
    overwriting_walk,
    planted,
)

IMPLIED = {
    "missing sum": "no call broadcasts the argument",
    "overwritten": "no two elements of g meet in one element of the gradient",
    "stale": "what the rule saves does not matter, or is the same at every point",
    "factor": "the gradient has no axis longer than 1 to take a mean over",
    "writes": "nothing that the rule saves is written to and read again",
    "not recorded": "what the rule saves does not depend on the inputs",
    "transposed": "what is transposed has no two axes, or is symmetric",
    "permuted": "the gradient has one element, or all are equal",
    "one entry": "the last element is 0, or there is none",
    "float32": "the numbers are the same in that precision",
    "comparison": "the two sides are never equal in a way that matters",
}
"""What it means that a mutant of a class gives the same numbers in every call."""


class Outcome(NamedTuple):
    """What became of one mutant: which arm killed it, or why it is equivalent."""

    ours: bool
    plain: bool
    one: bool
    late: bool = False
    why_equivalent: str = ""


class Reference:
    """What the right rules give, found once: mutants do not change the function."""

    def __init__(self) -> None:
        self.differences: dict[tuple[int, int], Plain] = {}
        self.right: dict[tuple[int, int, Any], bool] = {}

    def plain(self, call: Any, order: int) -> Plain:
        """Return the plain differences of a call."""
        key = id(call), order
        if key not in self.differences:
            self.differences[key] = Plain(call, order, np.random.default_rng(0))
        return self.differences[key]

    def passes(self, call: Any, order: int, dtype: Any) -> bool:
        """Whether the checker passes a call with the right rules."""
        key = id(call), order, dtype
        if key not in self.right:
            self.right[key] = ours(call, order, dtype)
        return self.right[key]


def outcome(target: Target, mutant: Mutant, reference: Reference) -> Outcome:
    """Return what became of a mutant."""
    several = target.calls + (tied(target) if mutant.kind == "comparison" else [])
    killed = found_by_checker(target, mutant, several, reference)
    plain, one = found_by_plain(target, mutant, reference)
    if killed:
        return Outcome(True, plain, one)
    why = equivalent(target, mutant, several)
    if why:
        return Outcome(False, plain, one, why_equivalent=why)
    # It shows at some points only: draw more of them.
    late = found_by_checker(target, mutant, redrawn(target, 20), Reference())
    return Outcome(late, plain, one, late)


def found_by_checker(
    target: Target, mutant: Mutant, several: list[Call], reference: Reference
) -> bool:
    """Whether the checker fails one of several calls with a mutant planted."""
    dtype = kind_of(mutant)
    for call in several:
        with planted(target.op, target.argument, mutant):
            failed = not ours(call, mutant.order, dtype)
        if failed and reference.passes(call, mutant.order, dtype):
            return True
    return False


def found_by_plain(
    target: Target, mutant: Mutant, reference: Reference
) -> tuple[bool, bool]:
    """Whether the plain difference does, over the whole Jacobian and along one line."""
    plain = one = False
    for call in target.calls:
        arm = reference.plain(call, mutant.order)
        with planted(target.op, target.argument, mutant):
            full, projected = arm.passes()
        plain, one = plain or not full, one or not projected
        if plain and one:
            break
    return plain, one


def kind_of(mutant: Mutant) -> Any:
    """Return the dtype at which a mutant shows."""
    return np.float32 if mutant.kind == "float32" else np.float64


def equivalent(target: Target, mutant: Mutant, several: list[Call]) -> str:
    """Return why no check of gradients could tell a mutant from the right rule, or ""
    where it gives other numbers.
    """
    different = []
    for call in several:
        right = gradients(call, mutant.order, kind_of(mutant))
        with planted(target.op, target.argument, mutant):
            wrong = gradients(call, mutant.order, kind_of(mutant))
        if not same(right, wrong):
            different.append(call)
    if not different:
        zero = gives_zero(target, several)
        return (
            "the gradient is 0 in every call"
            if zero
            else IMPLIED.get(mutant.kind, "same numbers")
        )
    if mutant.kind == "comparison" and at_kinks(different):
        return "another valid choice at a kink"
    return ""


def gives_zero(target: Target, several: list[Call]) -> bool:
    """Whether the right rule gives nothing but zeros in all calls."""
    seen: list[bool] = []

    def noting(rule: Any, lead: int) -> Any:
        def noted(*args: Any) -> Any:
            dx = rule(*args)
            seen.append(bool(np.any(np.asarray(dx))))
            return dx

        return noted

    with planted(target.op, target.argument, Mutant("", "none", noting)):
        for call in several:
            gradients(call, 1, np.float64)
    return not any(seen)


def at_kinks(several: list[Call]) -> bool:
    """Whether the calls are all at kinks, where any one-sided mixture is right."""
    found = (
        gradcheck(c, *c.arrays, explain=False, raise_on_failure=False) for c in several
    )
    return all(r.verdict == "kink" for r in found)


def same(right: list[Any], wrong: list[Any]) -> bool:
    """Whether gradients are equal to rounding; an error is another gradient."""
    pairs = zip(right, wrong, strict=False)
    return len(right) == len(wrong) and all(
        np.allclose(a, b, 1e-12, 1e-14, equal_nan=True) for a, b in pairs
    )


class Table:
    """Kill rates by class of mutant, and what stands beside them."""

    def __init__(self) -> None:
        self.counts: dict[str, collections.Counter[str]] = {}
        self.equivalents: collections.Counter[tuple[str, str]] = collections.Counter()
        self.survivors: list[str] = []
        self.late: list[str] = []
        self.unrun: list[str] = []

    def enter(self, kind: str, name: str, found: Outcome) -> None:
        """Enter what became of one mutant."""
        count = self.counts.setdefault(kind, collections.Counter())
        if found.why_equivalent:
            count["equivalent"] += 1
            self.equivalents[kind, found.why_equivalent] += 1
            return
        count.update(mutants=1, ours=found.ours, plain=found.plain, one=found.one)
        if not found.ours:
            self.survivors.append(name)
        if found.late:
            self.late.append(name)

    def show(self) -> None:
        """Print the table."""
        titles = ("mutants", "ours", "plain", "one dir.", "equivalent")
        print(f"{'fault':18}" + "".join(f"{title:>11}" for title in titles))
        total: collections.Counter[str] = collections.Counter()
        for kind, c in (*self.counts.items(), ("all", total)):
            n = c["mutants"]
            # Rounded down: one survivor of ten thousand is not 100 %.
            arms = (1000 * c[arm] // (n or 1) / 10 for arm in ("ours", "plain", "one"))
            rates = "".join(f"{rate:10.1f}%" if n else f"{'':11}" for rate in arms)
            print(f"{kind:18}{n:11}{rates}{c['equivalent']:11}")
            total.update(c)
        for (kind, why), n in sorted(self.equivalents.items()):
            print(f"  {n} of {kind} equivalent: {why}")
        for name in self.unrun:
            print(f"  not run: {name}")
        for name in self.late:
            print(f"  killed at newly drawn points only: {name}")
        for name in self.survivors:
            print(f"  SURVIVES: {name}")


def measure_mutants(entries: list[Entry], listing: bool) -> bool:
    """Plant every mutant and print the rates; return whether none survives."""
    table = Table()
    kill_all(entries, table, Reference(), listing)
    measure_walk(entries, table)
    table.show()
    return not table.survivors


def kill_all(
    entries: list[Entry], table: Table, reference: Reference, listing: bool = False
) -> None:
    """Plant every mutant in every rule, and enter what becomes of it."""
    for target in targets(entries):
        if not target.calls:
            table.unrun.append(why_not_run(target))
            continue
        for mutant in (*MUTANTS, *comparisons(target.op, target.argument)):
            found = outcome(target, mutant, reference)
            name = f"{target.name}, {mutant.kind}: {mutant.name}"
            table.enter(mutant.kind, name, found)
            if listing and found.why_equivalent:
                print(f"  equivalent: {name}: {found.why_equivalent}")


def why_not_run(target: Target) -> str:
    """Return the name of a rule that no call runs, and why."""
    if target.op.rules[target.argument][0] is nothing:
        return f"{target.name}, it gives 0 by definition and the calls pass booleans"
    return f"{target.name}, no described call passes a tensor there"


def measure_walk(entries: list[Entry], table: Table) -> None:
    """Let the walk overwrite where it accumulates, for f(x, x) of every operation."""
    for call in repeated(entries, np.random.default_rng(5)):
        arm = Plain(call, 1, np.random.default_rng(0))
        right = gradients(call, 1, np.float64)
        with overwriting_walk():
            wrong = gradients(call, 1, np.float64)
            killed, (full, one) = not ours(call), arm.passes()
        why = "one of the uses adds 0" if same(right, wrong) else ""
        found = Outcome(killed and ours(call), not full, not one, why_equivalent=why)
        table.enter("overwritten walk", f"{call}: overwritten walk", found)


def measure_right(entries: list[Entry], count: int) -> bool:
    """Check right rules and print the rates of false alarms; return whether none is."""
    alarms: collections.Counter[str] = collections.Counter()
    plain_count = 0
    for k, (call, order, dtype) in enumerate(right_cases(entries, count)):
        if not ours(call, order, dtype, seed=k):
            alarms["ours"] += 1
            print(f"  FALSE ALARM: {call}, order {order}, {np.dtype(dtype)}, rng={k}")
        if order == 1:
            plain_count += 1
            full, one = Plain(call, 1, np.random.default_rng(k)).passes()
            alarms.update(plain=not full, one=not one)
    print(f"false alarms of the checker: {alarms['ours']} of {count} right cases")
    print(
        f"of the plain difference: {alarms['plain']} of {plain_count}, along one "
        f"direction {alarms['one']}"
    )
    return not alarms["ours"]


def dense_layer(x: Any, w: Any, b: Any) -> Any:
    """Return what a dense layer gives."""
    return x @ w + b


def time_dense_layer() -> None:
    """Print how long the check of a dense layer takes, the best of three."""
    rng = np.random.default_rng(0)
    shapes = ((32, 100), (100, 100), (100,))
    inputs = [rng.normal(size=shape) for shape in shapes]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        found = gradcheck(dense_layer, *inputs)
        times.append(time.perf_counter() - start)
    count = found.last.problem.evaluations
    print(
        f"dense layer 100 x 100, batch 32, along random directions: {found.verdict} in "
        f"{1000 * min(times):.0f} ms, {count} evaluations"
    )


def main() -> int:
    """Measure and print; return 1 where a mutant survives or an alarm is false."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="right cases")
    parser.add_argument("--only", default="", help="names of operations")
    parser.add_argument("--list", action="store_true", help="list equivalent mutants")
    options = parser.parse_args()
    entries = described([n for n in options.only.split(",") if n])
    start = time.perf_counter()
    with np.errstate(all="ignore"):
        quiet = not options.cases or measure_right(entries, options.cases)
        middle = time.perf_counter()
        killed = measure_mutants(entries, options.list)
    end = time.perf_counter()
    time_dense_layer()
    print(f"{len(entries)} operations; {middle - start:.0f} s and {end - middle:.0f} s")
    return 0 if quiet and killed else 1


if __name__ == "__main__":
    sys.exit(main())
