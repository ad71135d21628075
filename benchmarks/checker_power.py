"""What the gradient checker finds, and what it cries wolf over.

Mutants of every gradient rule of every described operation are planted one by one and
checked; so are thousands of calls of the right rules. A plain central difference (step
1e-6, atol 1e-5, rtol 1e-3), over the whole Jacobian and along one random direction, is
given the same calls.

    python benchmarks/checker_power.py [--cases 10000] [--only name,name] [--list]
"""

import argparse
import collections
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import tensorgrad as tg
from tensorgrad.core.primitive import Primitive
from tensorgrad.core.registry import Entry, registry
from tensorgrad.testing import gradcheck
from tensorgrad.testing.calls import LAYOUTS, Call, calls, forms
from tensorgrad.testing.mutants import (
    MUTANTS,
    Mutant,
    comparisons,
    overwriting_walk,
    planted,
    primitives_below,
)
from tensorgrad.testing.tensors import floating, tensor_problem

EXACT = ("linear", "multilinear")


UNORDERED = ("partition",)
"""At ties they give elements in an order that no point close by has."""


class Target(NamedTuple):
    """A rule to change, and the calls that may show it."""

    op: Primitive
    argument: int
    calls: list[Call]


# The arms that are compared.


def ours(call: Any, order: int = 1, dtype: Any = np.float64, seed: int = 0) -> bool:
    """Whether the checker passes a call."""
    arrays = [a.astype(dtype) for a in call.arrays]
    linear = getattr(call, "linear", False)
    return bool(
        gradcheck(
            call,
            *arrays,
            order=order,
            rng=seed,
            linear=linear,
            explain=False,
            raise_on_failure=False,
        )
    )


class Plain:
    """A central difference with one step and one tolerance, as is usual."""

    def __init__(self, call: Any, order: int, rng: np.random.Generator) -> None:
        problem = tensor_problem(call, call.arrays)
        if order == 2:
            cotangents = [np.asarray(rng.normal(size=y.shape)) for y in problem.outputs]
            assert problem.derivative is not None
            problem = problem.derivative(cotangents)
        self.problem, x = problem, problem.point
        self.u = rng.normal(size=x.size)
        self.u /= np.linalg.norm(self.u) or 1.0
        self.v = rng.normal(size=problem.out.size)
        self.jacobian = np.array([self._slope(d) for d in np.eye(x.size, dtype=float)])
        self.projected = self.v @ self._slope(self.u)

    def _slope(self, d: Any) -> Any:
        x, f = self.problem.point, self.problem.value
        return (f(x + 1e-6 * d) - f(x - 1e-6 * d)) / 2e-6

    def passes(self) -> tuple[bool, bool]:
        """Whether the whole Jacobian passes, and one random projection."""
        problem = self.problem
        try:
            back = problem.pulled()
            rows = np.eye(problem.out.size, dtype=float)
            found = [problem.taken_back(back, row) for row in rows]
            claimed = np.array(found).reshape(problem.out.size, problem.point.size).T
            full = np.allclose(
                claimed, self.jacobian.reshape(claimed.shape), 1e-3, 1e-5
            )
            one = problem.taken_back(back, self.v) @ self.u
        except Exception:
            return False, False
        return full, bool(np.allclose(one, self.projected, 1e-3, 1e-5))


# What is checked.


def described(only: list[str]) -> list[Entry]:
    """Return the operations that have a gradient."""
    entries = [e for _, e in sorted(registry.items()) if e.kind != "constant"]
    return [e for e in entries if not only or e.name in only]


def reached(call: Any) -> list[Primitive]:
    """Return the primitives whose rules a call runs."""
    try:
        outputs = call(*(tg.Tensor(a, requires_grad=True) for a in call.arrays))
        return primitives_below(floating(outputs))
    except Exception:
        return []


def targets(entries: list[Entry], most: int = 12) -> list[Target]:
    """Return every rule with calls that run its primitive, its own operation first."""
    by_op: dict[int, tuple[Primitive, list[Call]]] = {}
    rng = np.random.default_rng(1)
    for entry in entries:
        for call in with_hint(calls(entry, rng)):
            for op in reached(call):
                by_op.setdefault(id(op), (op, []))[1].append(call)
    found = []
    for op, every in by_op.values():
        every.sort(key=lambda c: (c.entry.function is not op, c.entry.name))
        found += [Target(op, argument, every[:most]) for argument in op.rules]
    return found


def with_hint(several: Iterator[Call]) -> Iterator[Call]:
    """Yield calls that know whether a large step is exact for them."""
    for call in several:
        call.linear = call.entry.kind in EXACT
        yield call


def tied(target: Target) -> list[Call]:
    """Return calls of the same operations at their kinks and ties."""
    entries = {c.entry.name: c.entry for c in target.calls}
    rng = np.random.default_rng(2)
    every = [c for e in entries.values() for c in calls(e, rng, tied=True)]
    return [c for c in every if steady(c, rng)]


class Repeated:
    """A call of an operation of two arguments with the same one twice."""

    def __init__(self, entry: Entry, x: Any) -> None:
        self.entry, self.arrays = entry, [x]

    def __call__(self, t: Any) -> Any:
        return self.entry.function(t, t)

    def __repr__(self) -> str:
        return f"{self.entry.name}(x, x), x {self.arrays[0].shape}"


def repeated(entries: list[Entry], rng: np.random.Generator) -> list[Repeated]:
    """Return calls with a repeated argument."""
    shapes = [(3,), (2, 3)]
    two = [e for e in entries if e.elementwise and e.arity == 2]
    found = []
    for entry in two:
        for shape in shapes:
            x = entry.domain(0).sample(rng, shape)
            if x.dtype.kind == "f":
                x = np.abs(x) + 0.5
                found.append(Repeated(entry, x))
    return found


# Mutants.


class Outcome(NamedTuple):
    """What became of one mutant."""

    killed: bool
    plain: bool
    one_direction: bool
    why_equivalent: str = ""


class Numbers:
    """Plain differences of calls, made once: mutants do not change the function."""

    def __init__(self) -> None:
        self.made: dict[tuple[int, int], Plain] = {}

    def of(self, call: Any, order: int) -> Plain:
        key = id(call), order
        if key not in self.made:
            self.made[key] = Plain(call, order, np.random.default_rng(0))
        return self.made[key]


def outcome(target: Target, mutant: Mutant, numbers: Numbers) -> Outcome | None:
    """Return what became of a mutant, None where no call runs its rule."""
    ran: list[bool] = []
    watched = mutant._replace(make=watching(mutant.make, ran))
    arms = [numbers.of(c, mutant.order) for c in target.calls]
    several = target.calls + (tied(target) if mutant.kind == "comparison" else [])
    killed = found_by_checker(target, watched, several)
    if not ran:
        return None
    plain = one = False
    for arm in arms:
        if plain and one:
            break
        with planted(target.op, target.argument, mutant):
            full, projected = arm.passes()
        plain, one = plain or not full, one or not projected
    why = "" if killed else equivalent(target, mutant, several)
    if not killed and not why:
        # It shows at some points only: draw more of them.
        killed = found_by_checker(target, mutant, redrawn(target, 20))
    return Outcome(killed, plain, one, why)


def found_by_checker(target: Target, mutant: Mutant, several: list[Call]) -> bool:
    """Whether the checker fails one of several calls with a mutant planted."""
    dtype = np.float32 if mutant.kind == "float32" else np.float64
    for call in several:
        with planted(target.op, target.argument, mutant):
            if not ours(call, mutant.order, dtype):
                return True
    return False


def redrawn(target: Target, count: int) -> list[Call]:
    """Return more calls of the operations of a target."""
    entries = {c.entry.name: c.entry for c in target.calls}
    rng = np.random.default_rng(7)
    every = [c for _ in range(count) for e in entries.values() for c in calls(e, rng)]
    return list(with_hint(iter(every)))


def watching(make: Any, ran: list[bool]) -> Any:
    """Return a maker of mutants that note that they ran."""

    def watched(rule: Any, lead: int) -> Any:
        mutated = make(rule, lead)

        def noting(*args: Any) -> Any:
            ran.append(True)
            return mutated(*args)

        return noting

    return watched


def equivalent(target: Target, mutant: Mutant, several: list[Call]) -> str:
    """Return why no check of gradients could tell a mutant from the right rule, or ""
    where it gives other numbers."""
    dtype = np.float32 if mutant.kind == "float32" else np.float64
    different = []
    for call in several:
        right = gradients(call, mutant.order, dtype)
        with planted(target.op, target.argument, mutant):
            wrong = gradients(call, mutant.order, dtype)
        if not same(right, wrong):
            different.append(call)
    if not different:
        return _why(several, mutant.order, dtype)
    if mutant.kind == "comparison" and all(c in several for c in different):
        return "another valid choice at a kink" if at_kinks(different) else ""
    return ""


def _why(several: list[Call], order: int, dtype: Any) -> str:
    found = (g for c in several for g in gradients(c, order, dtype))
    if not any(np.any(g) for g in found):
        return "the gradient is 0 in every call"
    return "gives the same numbers in every call"


def at_kinks(several: list[Call]) -> bool:
    """Whether the calls are all at kinks, where any one-sided mixture is right."""
    found = (
        gradcheck(c, *c.arrays, explain=False, raise_on_failure=False) for c in several
    )
    return all(r.verdict == "kink" for r in found)


def gradients(call: Any, order: int, dtype: Any) -> list[Any]:
    """Return gradients at two points in turn, the first again at the end."""
    found = []
    for turn in (1, -1, 1):
        arrays = [a.reshape(-1)[::turn].reshape(a.shape) for a in call.arrays]
        try:
            problem = tensor_problem(call, arrays, [np.dtype(dtype)] * len(arrays))
            if order == 2:
                assert problem.derivative is not None
                ones = [np.ones_like(y) for y in problem.outputs]
                problem = problem.derivative(ones)
            back = problem.pulled()
            v = np.random.default_rng(4).normal(size=problem.out.size)
            found += [problem.taken_back(back, v), problem.taken_back(back, v)]
        except Exception as error:
            found.append(np.array(float(len(str(error)))))
    return found


def same(right: list[Any], wrong: list[Any]) -> bool:
    """Whether gradients are equal to rounding."""
    pairs = zip(right, wrong, strict=True)
    return all(np.allclose(a, b, 1e-12, 1e-14, equal_nan=True) for a, b in pairs)


def measure_mutants(entries: list[Entry], listing: bool) -> None:
    """Plant every mutant and print the rates."""
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(
        collections.Counter
    )
    survivors, equivalents, unrun = [], collections.Counter(), []
    numbers = Numbers()
    for target in targets(entries):
        rule = f"{target.op.name}.{target.op.names[target.argument]}"
        for mutant in (*MUTANTS, *comparisons(target.op, target.argument)):
            found = outcome(target, mutant, numbers)
            if found is None:
                unrun.append(rule)
                break
            count = counts[mutant.kind]
            if found.why_equivalent:
                count["equivalent"] += 1
                equivalents[mutant.kind, found.why_equivalent] += 1
                if listing:
                    print(f"  equivalent: {rule}, {mutant.kind}, {mutant.name}")
                continue
            count["mutants"] += 1
            count["ours"] += found.killed
            count["plain"] += found.plain
            count["one"] += found.one_direction
            if not found.killed:
                survivors.append(f"{rule}, {mutant.kind}: {mutant.name}")
    measure_walk(entries, counts["overwritten walk"], survivors)
    print_mutants(counts, equivalents, survivors, unrun)


def measure_walk(
    entries: list[Entry], count: collections.Counter[str], survivors: list[str]
) -> None:
    """Let the walk overwrite where it accumulates, for f(x, x) of every operation."""
    for call in repeated(entries, np.random.default_rng(5)):
        arm = Plain(call, 1, np.random.default_rng(0))
        right = gradients(call, 1, np.float64)
        with overwriting_walk():
            wrong = gradients(call, 1, np.float64)
            killed, (full, one) = not ours(call), arm.passes()
        if same(right, wrong):
            count["equivalent"] += 1
            continue
        count.update(mutants=1, ours=killed, plain=not full, one=not one)
        if not killed:
            survivors.append(f"{call}: overwritten walk")


def print_mutants(
    counts: dict[str, collections.Counter[str]],
    equivalents: collections.Counter[tuple[str, str]],
    survivors: list[str],
    unrun: list[str],
) -> None:
    """Print the table of kill rates."""
    print(
        f"{'fault':18}{'mutants':>9}{'ours':>9}{'plain':>9}{'one dir.':>9}  equivalent"
    )
    total: collections.Counter[str] = collections.Counter()
    for kind, c in (*counts.items(), ("all", total)):
        n = c["mutants"]
        rates = "".join(
            f"{100 * c[arm] / n:8.1f}%" if n else f"{'':>9}"
            for arm in ("ours", "plain", "one")
        )
        print(f"{kind:18}{n:9}{rates}{c['equivalent']:12}")
        total.update(c)
    for (kind, why), n in sorted(equivalents.items()):
        print(f"  {n} of {kind}: {why}")
    for name in unrun:
        print(f"  not run by any described call: {name}")
    for name in survivors:
        print(f"  SURVIVES: {name}")


# Right rules.


def right_cases(entries: list[Entry], count: int) -> Iterator[tuple[Any, int, Any]]:
    """Yield calls of right rules with an order and a dtype."""
    rng = np.random.default_rng(6)
    twice = repeated(entries, rng)
    for k in range(count):
        kind = k % 20
        entry = entries[int(rng.integers(len(entries)))]
        if kind == 0 and twice:
            yield twice[int(rng.integers(len(twice)))], 1, np.float64
            continue
        several = forms(entry)
        shapes, kwargs = several[int(rng.integers(len(several)))]
        layout = LAYOUTS[int(rng.integers(len(LAYOUTS)))]
        at_ties = kind == 1 and entry.kind == "piecewise" and entry.name not in UNORDERED
        call = Call(entry, shapes, kwargs, rng, layout, at_ties)
        if at_ties and not steady(call, rng):
            call = Call(entry, shapes, kwargs, rng, layout)
        call.linear = entry.kind in EXACT
        order = 2 if kind in (2, 3) else 1
        yield call, order, np.float32 if kind in (4, 5, 6) else np.float64


def steady(call: Call, rng: np.random.Generator) -> bool:
    """Whether a call gives numbers, and of the same shape a little to the side."""
    moved = [a + 1e-6 * rng.normal(size=a.shape) for a in call.arrays]
    with np.errstate(all="ignore"):
        both = call(*call.arrays), call(*moved)
    here, there = (y if isinstance(y, tuple) else (y,) for y in both)
    pairs = zip(here, there, strict=True)
    return all(np.isfinite(a).all() and np.shape(a) == np.shape(b) for a, b in pairs)


def measure_right(entries: list[Entry], count: int) -> None:
    """Check right rules and print the rates of false alarms."""
    alarms: collections.Counter[str] = collections.Counter()
    plain_count = 0
    for k, (call, order, dtype) in enumerate(right_cases(entries, count)):
        if not ours(call, order, dtype, seed=k):
            alarms["ours"] += 1
            print(f"  FALSE ALARM: {call}, order {order}, {np.dtype(dtype)}, rng={k}")
        if order == 1:
            plain_count += 1
            full, one = Plain(call, 1, np.random.default_rng(k)).passes()
            alarms["plain"] += not full
            alarms["one"] += not one
    print(f"false alarms of the checker: {alarms['ours']} of {count} right cases")
    print(
        f"of the plain difference: {alarms['plain']} of {plain_count}, along one "
        f"direction {alarms['one']}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="right cases")
    parser.add_argument("--only", default="", help="names of operations")
    parser.add_argument("--list", action="store_true", help="list equivalent mutants")
    options = parser.parse_args()
    entries = described([n for n in options.only.split(",") if n])
    start = time.perf_counter()
    with np.errstate(all="ignore"):
        if options.cases:
            measure_right(entries, options.cases)
        middle = time.perf_counter()
        measure_mutants(entries, options.list)
    end = time.perf_counter()
    print(f"{len(entries)} operations; {middle - start:.0f} s and {end - middle:.0f} s")


if __name__ == "__main__":
    main()
