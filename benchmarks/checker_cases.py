"""The calls and rules on which the checker's power is measured, and the two arms."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

import tensorgrad as tg
from tensorgrad.core.primitive import Primitive
from tensorgrad.ops.support.registry import Entry, registry
from tensorgrad.testing import gradcheck
from tensorgrad.testing.calls import LAYOUTS, Call
from tensorgrad.testing.problem import Problem
from tensorgrad.testing.tensors import TensorProblem, floating

from .described import calls, differentiable, forms
from .mutants import Mutant, planted, primitives_below

UNORDERED = ("partition",)
"""At ties they give elements in an order that no point close by has."""


class Target(NamedTuple):
    """A rule to change, and the calls that may show it."""

    op: Primitive
    argument: int
    calls: list[Call]

    @property
    def name(self) -> str:
        """The name of the rule."""
        return f"{self.op.name}.{self.op.names[self.argument]}"


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
        problem: Problem = TensorProblem(call.arrays, call)
        if order == 2:
            cotangents = [np.asarray(rng.normal(size=y.shape)) for y in problem.outputs]
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
            found = [problem.pull_back(back, row) for row in rows]
            claimed = np.array(found).reshape(problem.out.size, problem.point.size).T
            full = np.allclose(
                claimed, self.jacobian.reshape(claimed.shape), 1e-3, 1e-5
            )
            one = problem.pull_back(back, self.v) @ self.u
        except Exception:
            return False, False
        return full, bool(np.allclose(one, self.projected, 1e-3, 1e-5))


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
    """Return every rule with calls that run it, those of its own operation first."""
    by_op: dict[int, tuple[Primitive, list[Call]]] = {}
    rng = np.random.default_rng(1)
    for entry in entries:
        for call in calls(entry, rng):
            for op in reached(call):
                by_op.setdefault(id(op), (op, []))[1].append(call)
    found = []
    for op, every in by_op.values():
        every.sort(key=lambda c: (c.entry.function is not op, c.entry.name))
        for argument in op.rules:
            running = (c for c in every if runs(op, argument, c))
            found.append(Target(op, argument, list(islice(running, most))))
    return found


def runs(op: Primitive, argument: int, call: Call) -> bool:
    """Whether the gradient of a call runs a rule."""
    ran: list[bool] = []

    def noting(rule: Any, lead: int) -> Any:
        return lambda *args: (ran.append(True), rule(*args))[1]

    with planted(op, argument, Mutant("", "none", noting)):
        gradients(call, 1, np.float64)
    return bool(ran)


def redrawn(target: Target, count: int) -> list[Call]:
    """Return more calls of the operations of a target."""
    entries = {c.entry.name: c.entry for c in target.calls}
    rng = np.random.default_rng(7)
    return [c for _ in range(count) for e in entries.values() for c in calls(e, rng)]


def gradients(call: Any, order: int, dtype: Any) -> list[Any]:
    """Return gradients at two points in turn, the first again at the end."""
    found = []
    for turn in (1, -1, 1):
        arrays = [a.reshape(-1)[::turn].reshape(a.shape) for a in call.arrays]
        try:
            problem: Problem = TensorProblem(arrays, call, [dtype] * len(arrays))
            if order == 2:
                ones = [np.ones_like(y) for y in problem.outputs]
                problem = problem.derivative(ones)
            back = problem.pulled()
            v = np.random.default_rng(4).normal(size=problem.out.size)
            found += [problem.pull_back(back, v), problem.pull_back(back, v)]
        except Exception as error:
            found.append(np.array(float(len(str(error)))))
    return found


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
        """Call the operation with one array twice."""
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
        at_ties = (
            kind == 1 and entry.kind == "piecewise" and entry.name not in UNORDERED
        )
        names = differentiable(entry, shapes, kwargs) if k % 2 else []
        call = Call(entry, shapes, kwargs, rng, layout, at_ties, names)
        if at_ties and not steady(call, rng):
            call = Call(entry, shapes, kwargs, rng, layout, lifted=names)
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
