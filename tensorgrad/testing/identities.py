"""What must hold of a gradient without differences: identities, and that function and
gradient do nothing besides computing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .problem import Array, Back, Finding, Problem, UnusableError


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays are equal, NaN to NaN and -0 to -0."""
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def changed(
    after: Sequence[Any], before: Sequence[Array], who: str, what: str = "input"
) -> list[Finding]:
    """Return a finding for each array that has changed."""
    pairs = enumerate(zip(after, before, strict=True))
    return [
        Finding(
            "mutates",
            f"{who} changes {what} {k} in place; work on a copy, or build a new array",
        )
        for k, (a, b) in pairs
        if not same_bits(np.asarray(a, dtype=np.float64), b.astype(np.float64))
    ]


def shared(
    arrays: Sequence[Array],
    others: Sequence[Any],
    what: str,
    whose: str,
    fatal: bool = False,
) -> list[Finding]:
    """Return a finding for each array that shares memory with one of `others`."""
    return [
        Finding(
            "aliases",
            f"{what} {k} shares memory with {whose} {i}: a write to one changes both",
            fatal,
        )
        for k, a in enumerate(arrays)
        for i, other in enumerate(others)
        if isinstance(other, np.ndarray) and np.may_share_memory(a, other)
    ]


def coarse(
    arrays: Sequence[Array], inputs: Sequence[Any], what: str, fatal: bool = False
) -> list[Finding]:
    """Return a finding for each array of lower precision than all the inputs."""
    finest = min((np.finfo(x.dtype).eps for x in inputs), default=np.inf)
    return [
        Finding(
            "dtype",
            f"{what} {k} is {a.dtype} for inputs of {_names(inputs)}: its rounding "
            "limits what can be told",
            fatal,
        )
        for k, a in enumerate(arrays)
        if a.dtype.kind == "f" and np.finfo(a.dtype).eps > finest
    ]


def varying(first: Sequence[Array], second: Sequence[Array]) -> list[Finding]:
    """Return a finding where two calls at one point give different shapes."""
    before, after = [y.shape for y in first], [y.shape for y in second]
    if before == after:
        return []
    here, there = (", ".join(map(str, shapes)) for shapes in (before, after))
    return [
        Finding(
            "nondeterministic",
            f"f is not deterministic: it returns shape {here} and then {there} at the "
            "same point",
        )
    ]


def narrowed(gradient: Array) -> str:
    """Return the name of a coarser kind of number that holds all of a gradient."""
    values = gradient[gradient != 0]
    with np.errstate(all="ignore"):
        single = values.astype(np.float32)
    if not values.size or not np.isfinite(values).all() or (single != values).any():
        return ""
    return "integers" if (values == np.round(values)).all() else "float32"


def _names(arrays: Sequence[Any]) -> str:
    return ", ".join(sorted({str(a.dtype) for a in arrays}))


def present(gradients: Sequence[Array | None]) -> list[Array]:
    """Return the gradients that arrived."""
    return [g for g in gradients if g is not None]


def unreached(gradients: Sequence[Array | None], sentence: str) -> list[Finding]:
    """Return a note for each input to which no gradient arrives."""
    return [
        Finding("unreached", sentence.format(k), fatal=False)
        for k, g in enumerate(gradients)
        if g is None
    ]


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
        problem.pull_back(back, w) for w in (u, v, a * u + b * v, 0 * u)
    )
    terms = np.abs(a * of_u) + np.abs(b * of_v)
    scale = terms + 1e-3 * np.max(terms, initial=0) + np.finfo(np.float64).tiny
    findings = []
    apart = differ(of_sum, a * of_u + b * of_v, scale)
    if apart > max(ROUNDING, 256 * problem.rounding) and np.isfinite(terms).all():
        findings.append(
            Finding(
                "nonlinear",
                "the gradient is not linear in the incoming gradient g: the rule must "
                "multiply by g, once",
            )
        )
    if of_zero.any() and np.isfinite(terms).all():
        findings.append(
            Finding("nonlinear", "the gradient for an incoming gradient of 0 is not 0")
        )
    return findings


def repeatable(problem: Problem, back: Back, rng: np.random.Generator) -> list[Finding]:
    """Check that function and gradient give the same bits when called again."""
    v = rng.normal(size=problem.out.size)
    again = problem.pulled()
    first, second = problem.pull_back(back, v), problem.pull_back(back, v)
    third = problem.pull_back(again, v)
    findings = _same(first, second, third, "the gradient")
    one, two = (problem.value(problem.point) for _ in range(2))
    base = problem.out.pack(problem.outputs)
    return _same(base, one, two, "f") + findings


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
        pulled = problem.pull_back(back, v)
        scale = np.abs(v) @ np.abs(pushed) + np.abs(pulled) @ np.abs(u)
        worst = max(worst, differ(v @ pushed, pulled @ u, scale or 1.0))
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
    back = problem.derivative(cotangents).pullback([*problem.inputs, *cotangents])
    count = len(problem.inputs)

    def jvp(us: list[Array]) -> list[Array]:
        pairs = zip(back(us)[count:], cotangents, strict=True)
        return [np.zeros_like(c) if g is None else g for g, c in pairs]

    return jvp


def symmetric(problem: Problem, count: int, rng: np.random.Generator) -> list[Finding]:
    """Check the derivative of a gradient in `count` inputs and in cotangents."""
    back = problem.pulled()
    size = problem.packing.ends[count]
    u, w = rng.normal(size=(2, size))
    of_u: Array = problem.pull_back(back, u)[:size]
    of_w: Array = problem.pull_back(back, w)[:size]
    scale = np.abs(w) @ np.abs(of_u) + np.abs(u) @ np.abs(of_w)
    # What rounding leaves of terms of the gradient's size that cancel is not symmetric.
    largest = max(np.max(np.abs(y), initial=0) for y in problem.outputs)
    residue = 64 * problem.rounding * largest * np.abs(u).sum() * np.abs(w).sum()
    if not np.abs(w @ of_u - u @ of_w) > 1e-8 * scale + residue:
        return []
    return [
        Finding(
            "asymmetric",
            "the second derivative is not symmetric: the gradient is not the gradient "
            "of any function, or a rule is not right when it is recorded",
        )
    ]


def in_low_precision(
    problem: Problem, dtype: np.dtype[np.floating], rng: np.random.Generator
) -> list[Finding]:
    """Compare the gradient computed in `dtype` with that computed in float64.

    What the rounding of the inputs does to the gradient is measured, and allowed.
    """
    low = problem.in_dtypes([dtype] * len(problem.inputs))
    back = problem.pulled()
    eps = float(np.finfo(dtype).eps)
    try:
        low_back = low.pulled()
        for _ in range(4):
            v = rng.normal(size=problem.out.size).astype(dtype).astype(np.float64)
            exact, coarse = problem.pull_back(back, v), low.pull_back(low_back, v)
            allowed = _rounding(problem, back, v, exact, eps, rng)
            if not (np.abs(coarse - exact) <= allowed)[np.isfinite(exact)].all():
                return [_only_low(problem, dtype, exact, coarse, allowed)]
    except UnusableError as error:
        return [Finding("float32", f"right in float64; in {dtype} {error.sentence}")]
    return []


def _rounding(
    problem: Problem,
    back: Back,
    v: Array,
    exact: Array,
    eps: float,
    rng: np.random.Generator,
) -> Array:
    moves, size = np.zeros(exact.shape), np.abs(exact)
    for _ in range(4):
        # Terms that cancel in one sum do not with other signs.
        signs = rng.choice([-1.0, 1.0], v.shape)
        size = np.fmax(size, np.abs(problem.pull_back(back, signs * v)))
    for _ in range(3):
        x = problem.point * (1 + eps * rng.choice([-1.0, 1.0], problem.point.shape))
        moved = problem.at(problem.packing.unpack(x))
        moves = np.fmax(moves, np.abs(moved.pull_back(moved.pulled(), v) - exact))
    largest = np.zeros(exact.shape)
    for k in range(len(problem.inputs)):
        part = problem.packing.part(k)
        largest[part] = np.max(size[part], initial=0)
        moves[part] = np.max(moves[part], initial=0)
    allowed = 16 * moves + 64 * eps * largest + np.finfo(np.float32).tiny
    # Terms that cancel in float64 but for rounding do no better in low precision.
    scale = np.abs(v) @ np.abs(problem.out.pack(problem.outputs))
    residue = np.where(np.abs(exact) <= 64 * problem.rounding * scale, eps * scale, 0)
    return np.asarray(allowed + 64 * residue)


def _only_low(
    problem: Problem,
    dtype: np.dtype[np.floating],
    exact: Array,
    coarse: Array,
    allowed: Array,
) -> Finding:
    k = int(np.argmax(np.nan_to_num(np.abs(coarse - exact) / allowed, nan=np.inf)))
    number, index = problem.packing.entry(k)
    return Finding(
        "float32",
        f"right in float64, wrong in {dtype}: entry {list(index)} of the gradient of "
        f"input {number} is {coarse[k]:.6g} there instead of {exact[k]:.6g}",
    )
