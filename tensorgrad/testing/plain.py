"""The problem of plain functions of NumPy arrays, with a gradient written by hand or
in another framework.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .findings import Finding
from .inspection import changed, coarse, shared
from .problem import (
    Array,
    Arrays,
    Back,
    GradientShapeError,
    Problem,
    UnusableError,
    reported,
)

Function = Callable[..., Any]


def vjp_problem(f: Function, vjp: Function, inputs: Sequence[Array]) -> Problem:
    """Return the problem of `f` with the gradient ``vjp(g, *inputs)``."""

    def call(arrays: list[Array]) -> list[Array]:
        return as_outputs(f(*as_given(arrays)))

    def pullback(arrays: list[Array]) -> Back:
        def back(cotangents: Arrays) -> list[Array | None]:
            given = as_given(cotangents)
            g = given[0] if len(given) == 1 else tuple(given)
            return as_gradients(vjp(g, *as_given(arrays)), arrays)

        return back

    def analytic(arrays: list[Array]) -> list[Array]:
        return [np.asarray(y) for y in _several(f(*as_given(arrays)))]

    def inspect() -> list[Finding]:
        return inspected(f, vjp, inputs)

    points = [np.asarray(x, dtype=np.float64) for x in inputs]
    return Problem(points, call, pullback, analytic=analytic, inspect=inspect)


def inspected(f: Function, vjp: Function, inputs: Sequence[Array]) -> list[Finding]:
    """Return what one call of `f` and one of `vjp` do besides."""
    given = as_given(inputs)
    outputs = as_outputs(f(*given))
    found = changed(given, inputs, "f")
    found += shared(outputs, given, "output", "input") + coarse(
        outputs, given, "output"
    )
    cotangents = [np.ones_like(y) for y in outputs]
    given, seeds = as_given(inputs), as_given(cotangents)
    g = seeds[0] if len(seeds) == 1 else tuple(seeds)
    with reported():
        gradients = as_gradients(vjp(g, *given), inputs)
    found += changed(given, inputs, "the gradient function")
    found += changed(seeds, cotangents, "the gradient function", "cotangent")
    arrived = [a for a in gradients if a is not None]
    found += coarse(arrived, given, "gradient")
    return found + shared(arrived, [*given, *seeds], "gradient", "input or cotangent")


def gradient_problem(f: Function, df: Function, inputs: Sequence[Array]) -> Problem:
    """Return the problem of `f` with the derivative ``df(*inputs)``."""

    def applied(g: Any, found: list[Any], arrays: Arrays) -> tuple[Any, ...]:
        if len(found) != len(arrays):
            raise _count(len(found), len(arrays))
        pairs = enumerate(zip(found, arrays, strict=True))
        return tuple(_applied(k, g, np.asarray(d), np.shape(x)) for k, (d, x) in pairs)

    def vjp(g: Any, *arrays: Array) -> tuple[Any, ...]:
        found: Any = _several(df(*arrays), len(arrays))
        return tuple(applied(g, found, arrays))

    def pullback(arrays: list[Array]) -> Back:
        found = _several(df(*as_given(arrays)), len(arrays))
        return lambda vs: as_gradients(applied(as_given(vs)[0], found, arrays), arrays)

    return replace(vjp_problem(f, vjp, inputs), pullback=pullback)


def _applied(k: int, g: Any, derivative: Array, shape: tuple[int, ...]) -> Array:
    """Return the gradient for cotangent `g`: of a gradient, of the derivative of a
    function of single elements, or of a Jacobian.
    """
    if np.ndim(g) == 0 and derivative.shape == shape:
        return np.asarray(g * derivative)
    if derivative.shape == np.shape(g) + shape:
        return np.tensordot(g, derivative, np.ndim(g))
    if derivative.shape == shape == np.shape(g):
        return np.asarray(g * derivative)
    if np.ndim(g) == 0:
        raise GradientShapeError(k, np.asarray(g * derivative), shape)
    raise UnusableError(
        "shape",
        f"df returns shape {derivative.shape} for an output of shape {np.shape(g)} and "
        f"an input of shape {shape}; expected the Jacobian, {np.shape(g) + shape}, or "
        "for a function of single elements the derivative of each",
    )


def as_given(arrays: Arrays) -> list[Any]:
    """Return copies of arrays, numbers in place of arrays of no axes."""
    return [a.copy("K") if a.ndim else a[()] for a in arrays]


def _several(result: Any, count: int = 2) -> list[Any]:
    """Return the items of a tuple, and of a list where several are expected."""
    if isinstance(result, tuple) or (isinstance(result, list) and count > 1):
        return list(result)
    return [result]


def as_outputs(result: Any) -> list[Array]:
    """Return what a plain function gave as a list of floating-point arrays.

    Raises
    ------
    UnusableError
        If it is not real numbers.
    """
    try:
        # A list of numbers is one output, a list or tuple of arrays several.
        nested = isinstance(result, list | tuple) and any(np.ndim(r) for r in result)
        several = isinstance(result, tuple) or nested
        found = [np.asarray(y) for y in (result if several else [result])]
    except ValueError:
        found = [np.asarray(result, dtype=object)]
    for y in found:
        if y.dtype.kind not in "fiub":
            raise UnusableError(
                "dtype",
                f"f returns {y.dtype}, expected real numbers: an array, a number, or a "
                "tuple of them",
            )
    return found


def as_gradients(result: Any, arrays: Arrays) -> list[Array | None]:
    """Return checked gradients, one for each of `arrays`.

    Raises
    ------
    UnusableError
        If their number or their kind is wrong.
    GradientShapeError
        If one has another shape than its input.
    """
    found = _several(result, len(arrays))
    if len(found) != len(arrays):
        raise _count(len(found), len(arrays))
    pairs = enumerate(zip(found, arrays, strict=True))
    return [None if g is None else _checked(k, g, x) for k, (g, x) in pairs]


def _checked(k: int, gradient: Any, x: Array) -> Array:
    g = np.asarray(gradient)
    if g.dtype.kind not in "fiub":
        raise UnusableError(
            "dtype", f"the gradient of input {k} is {g.dtype}, expected real numbers"
        )
    if g.shape != x.shape:
        raise GradientShapeError(k, g, x.shape)
    return g


def _count(found: int, expected: int) -> UnusableError:
    return UnusableError(
        "shape",
        f"the gradient function returns {found} gradients for {expected} inputs; "
        "return a tuple with one for each, None for a constant",
    )
