"""Identities that a gradient must obey and that need no differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .findings import Finding
from .inspection import same_bits
from .problem import Array, Back, Problem

ROUNDING = 1e-9
"""Relative difference above which two ways to compute the same are different."""


def differ(a: Array, b: Array, scale: Array | float) -> float:
    """Return how much `a` and `b` differ relative to `scale`; NaN equals NaN."""
    both = np.isnan(a) & np.isnan(b)
    with np.errstate(all="ignore"):
        apart = np.where(both | (a == b), 0, np.abs(a - b) / scale)
    return float(np.max(np.where(np.isnan(apart), np.inf, apart), initial=0))


def linear_in_cotangent(
    problem: Problem, back: Back, rng: np.random.Generator
) -> list[Finding]:
    """Check J'(au + bv) = a J'u + b J'v, and J'0 = 0."""
    u, v = rng.normal(size=(2, problem.out.size))
    a, b = 0.7, -1.9
    of_u, of_v, of_sum, of_zero = (
        problem.taken_back(back, w) for w in (u, v, a * u + b * v, 0 * u)
    )
    terms = np.abs(a * of_u) + np.abs(b * of_v)
    scale = terms + 1e-3 * np.max(terms, initial=0) + np.finfo(np.float64).tiny
    found = []
    apart = differ(of_sum, a * of_u + b * of_v, scale)
    if apart > max(ROUNDING, 256 * problem.rounding) and np.isfinite(terms).all():
        found.append(
            Finding(
                "nonlinear",
                "the gradient is not linear in the incoming gradient g: the rule must "
                "multiply by g, once",
            )
        )
    if of_zero.any() and np.isfinite(terms).all():
        found.append(
            Finding("nonlinear", "the gradient for an incoming gradient of 0 is not 0")
        )
    return found


def repeatable(problem: Problem, back: Back, rng: np.random.Generator) -> list[Finding]:
    """Check that function and gradient give the same bits when asked again."""
    v = rng.normal(size=problem.out.size)
    again = problem.pulled()
    first, second = problem.taken_back(back, v), problem.taken_back(back, v)
    third = problem.taken_back(again, v)
    found = _same(first, second, third, "the gradient")
    one, two = (problem.value(problem.point) for _ in range(2))
    base = problem.out.pack(problem.outputs)
    return _same(base, one, two, "f") + found


def _same(first: Array, second: Array, third: Array, who: str) -> list[Finding]:
    if same_bits(first, second) and same_bits(first, third):
        return []
    scale = np.max(np.abs(first), initial=0) or 1.0
    apart = max(differ(first, second, scale), differ(first, third, scale))
    if apart <= 1e-12:
        sentence = f"{who} differs in its last bits from call to call"
        return [Finding("nondeterministic", sentence, fatal=False)]
    return [
        Finding(
            "nondeterministic",
            f"{who} is not deterministic: calls at the same point differ by "
            f"{apart:.1e} of its size; draw random numbers outside, or from a "
            "generator made anew with the same seed in every call",
        )
    ]


def adjoint(
    problem: Problem,
    jvp: Callable[[list[Array]], list[Array]],
    rng: np.random.Generator,
) -> list[Finding]:
    """Check <v, Ju> = <J'v, u> for a function `jvp` that gives Ju."""
    back = problem.pulled()
    worst = 0.0
    for _ in range(4):
        v, u = rng.normal(size=problem.out.size), rng.normal(size=problem.packing.size)
        pushed = problem.out.pack(jvp(problem.packing.unpack(u)))
        taken = problem.taken_back(back, v)
        scale = np.abs(v) @ np.abs(pushed) + np.abs(taken) @ np.abs(u)
        worst = max(worst, differ(v @ pushed, taken @ u, scale or 1.0))
    if worst <= max(ROUNDING, 256 * problem.rounding):
        return []
    return [
        Finding(
            "adjoint",
            f"<v, Ju> and <J'v, u> differ by {worst:.1e} of their size: the forward "
            "and the reverse derivative are not of the same function",
        )
    ]


def forward_by_transposing(problem: Problem) -> Callable[[list[Array]], list[Array]]:
    """Return u -> Ju: the gradient of J'v, which is linear, in v."""
    cotangents = [np.zeros_like(y, dtype=np.float64) for y in problem.outputs]
    assert problem.derivative is not None
    second = problem.derivative(cotangents)
    back = second.pullback([*problem.inputs, *cotangents])
    count = len(problem.inputs)

    def jvp(us: list[Array]) -> list[Array]:
        pairs = zip(back(us)[count:], cotangents, strict=True)
        return [np.zeros_like(c) if g is None else g for g, c in pairs]

    return jvp
