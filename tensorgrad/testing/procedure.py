"""The course of a check: order after order, in lower precision, then the diagnosis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from .arguments import Point
from .diagnosis import diagnose
from .examine import Examination, Settings, main
from .experiment import fits
from .identities import adjoint, forward_by_transposing, in_low_precision, symmetric
from .locate import shrink
from .problem import Array, Finding, Problem
from .result import GradientError, Result
from .verdict import DISAGREES


def invalid(
    fault: str,
    sentence: str,
    inputs: list[Array],
    seed: int,
    names: Mapping[str, str] = MappingProxyType({}),
) -> Result:
    """Return the result for inputs at which nothing can be checked."""
    finding = Finding(fault, sentence)
    examination = Examination(Problem(inputs), findings=[finding])
    return Result("invalid", 1, seed, inputs, [examination], finding, names=dict(names))


def of_integers(values: Sequence[Any], seed: int) -> Result:
    """Return the result where no input is floating point."""
    kinds = ", ".join(str(getattr(v, "dtype", type(v).__name__)) for v in values)
    sentence = (
        f"no input is floating point ({kinds or 'there is none'}), and other numbers "
        "have no gradient; pass x.astype(float)"
    )
    return invalid("integers", sentence, [], seed)


def _computable(problem: Problem, point: Point) -> tuple[Problem, list[Any]]:
    """Return the problem in float64, and the lower precisions to check in as well; in
    the precision of the inputs where the function takes no other.
    """
    kinds = [x.dtype for x in point.arrays]
    low = [k for k in dict.fromkeys(kinds) if k.itemsize < 8]
    if low:
        try:
            _ = problem.outputs
        except Exception:
            return problem.in_dtypes(kinds), []
    return problem, low if problem.compares_precisions else []


_MANY = 10_000
"""Numbers in all inputs, of which a check does not try many other points."""


def run(
    claim: Problem, point: Point, settings: Settings, seed: int, order: int = 1
) -> Result:
    """Return the result of examining order after order, up to the first that fails."""
    problem, dtypes = _computable(claim, point)
    for k, x in enumerate(problem.inputs):
        if not np.isfinite(x).all():
            sentence = f"input {k} holds NaN or infinity: there is no derivative there"
            return invalid("not finite", sentence, problem.inputs, seed, point.names)
    rng = np.random.default_rng(seed)
    examinations = list(_orders(problem, dtypes, settings, order, rng))
    last = examinations[-1]
    examinations[0].findings[:0] = point.notes
    verdict = last.verdict
    if verdict == "agrees" and any(e.verdict == "kink" for e in examinations):
        verdict = "kink"
    result = Result(
        verdict, len(examinations), seed, point.arrays, examinations, names=point.names
    )
    if settings.explain and verdict != "agrees":
        at_kink = (e for e in examinations if e.verdict == "kink")
        result.diagnosed = diagnose(last if verdict != "kink" else next(at_kink))
        result.located = last.located
        # Where one entry of very many is named, smaller inputs would tell little more.
        one_entry = result.located is not None and problem.point.size > _MANY
        if not point.fixed and not one_entry:
            _find_smaller(result, settings)
    return result


def _orders(
    problem: Problem,
    dtypes: Sequence[Any],
    settings: Settings,
    order: int,
    rng: np.random.Generator,
) -> Iterator[Examination]:
    """Yield the examination of each order, up to the first that fails."""
    lower: Problem | None = None
    for k in range(1, order + 1):
        examination = Examination(problem, settings, k)
        examination.run(rng)
        if lower is not None and examination.verdict == "agrees":
            examination.findings += symmetric(problem, len(lower.inputs), rng)
            examination.findings += adjoint(lower, forward_by_transposing(lower), rng)
        if examination.verdict == "agrees":
            for dtype in dtypes:
                examination.findings += in_low_precision(problem, dtype, rng)
        yield examination
        if k == order or examination.verdict not in ("agrees", "kink"):
            return
        # One order higher, with random cotangents.
        v = [np.asarray(rng.normal(size=y.shape)) for y in problem.outputs]
        lower, problem = problem, problem.derivative(v)


def _find_smaller(result: Result, settings: Settings) -> None:
    """Find a smaller input that fails too."""
    last = result.last
    if last.numbers != "disagrees" or last.error is not None:
        return
    rng = np.random.default_rng(result.seed)

    def fails(inputs: list[Array]) -> bool:
        at = last.problem.at(inputs)
        try:
            comparison = main(at, at.pulled(), settings, rng)
        except Exception:
            return False
        return comparison.worst_state == DISAGREES

    if not fails(last.problem.inputs):
        return
    small = shrink(last.problem.inputs, fails)
    # Of a higher order the cotangents come last, and are drawn anew.
    pairs = zip(small, result.inputs, strict=False)
    result.shrunk = [s.astype(x.dtype) for s, x in pairs]
    if fits(last.problem, settings.largest):
        return
    smaller = Examination(last.problem.at(small), settings, last.order)
    smaller.run(rng)
    diagnosis = diagnose(smaller)
    if smaller.numbers == "disagrees" and diagnosis is not None:
        result.diagnosed = diagnosis


def raise_failure(result: Result, raise_on_failure: bool) -> Result:
    """Return the result; raise a failure if `raise_on_failure` is set."""
    __tracebackhide__ = True
    if raise_on_failure and not result.ok:
        error = result.last.error
        cause = error.__cause__ if error else None
        raise GradientError(result) from _from_outside(cause)
    return result


def _from_outside(error: BaseException | None) -> BaseException | None:
    """Return an exception with what it passed of the checked code alone."""
    if error is None:
        return None
    trace = error.__traceback__
    while trace and trace.tb_frame.f_globals.get("__package__") == __package__:
        trace = trace.tb_next
    return error.with_traceback(trace)
