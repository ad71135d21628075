"""The problem of plain functions of NumPy arrays, with a gradient written by hand or
in another framework.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np

from .identities import changed, coarse, shared, varying
from .problem import (
    Array,
    Arrays,
    Back,
    Finding,
    GradientShapeError,
    Problem,
    UnusableError,
    reported,
)

Function = Callable[..., Any]


def vjp_problem(f: Function, vjp: Function, inputs: Sequence[Array]) -> Problem:
    """Return the problem of `f` with the gradient ``vjp(g, *inputs)``."""

    def call(arrays: list[Array]) -> list[Array]:
        return as_outputs(f(*_numbers(arrays)))

    def pullback(arrays: list[Array]) -> Back:
        def back(cotangents: Arrays) -> list[Array | None]:
            seeds = as_arguments(cotangents)
            g = seeds[0] if len(seeds) == 1 else tuple(seeds)
            return as_gradients(vjp(g, *as_arguments(arrays)), arrays)

        return back

    def analytic(arrays: list[Array]) -> list[Array]:
        return [as_array(y) for y in _several(f(*_numbers(arrays)))]

    def inspect() -> list[Finding]:
        return inspected(f, vjp, inputs)

    points = [np.asarray(x, dtype=np.float64) for x in inputs]
    return Problem(points, call, pullback, analytic=analytic, inspect=inspect)


def inspected(f: Function, vjp: Function, inputs: Sequence[Array]) -> list[Finding]:
    """Return findings about the side effects of one call of `f` and one of `vjp`."""
    arguments = as_arguments(inputs)
    outputs = as_outputs(f(*arguments))
    findings = changed(arguments, inputs, "f")
    findings = findings or varying(outputs, as_outputs(f(*as_arguments(inputs))))
    findings += shared(outputs, arguments, "output", "input")
    findings += coarse(outputs, arguments, "output") + _integer_outputs(outputs)
    if any(f.fatal for f in findings):
        return findings
    cotangents = [np.ones_like(y) for y in outputs]
    arguments, seeds = as_arguments(inputs), as_arguments(cotangents)
    g = seeds[0] if len(seeds) == 1 else tuple(seeds)
    with reported():
        gradients = as_gradients(vjp(g, *arguments), inputs)
    findings += changed(arguments, inputs, "the gradient function")
    findings += changed(seeds, cotangents, "the gradient function", "cotangent")
    arrived = [a for a in gradients if a is not None]
    # Where the function itself computes in lower precision its gradient may, too.
    fine = not coarse(outputs, arguments, "output")
    findings += coarse(arrived, arguments, "gradient", fatal=fine) + _constants(
        gradients
    )
    findings += shared(arrived, arguments, "gradient", "input")
    return findings + shared(arrived, seeds, "gradient", "cotangent")


def _integer_outputs(outputs: Arrays) -> list[Finding]:
    sentence = "output {} is {}, which has no derivative; return floating-point numbers"
    return [
        Finding("dtype", sentence.format(k, y.dtype))
        for k, y in enumerate(outputs)
        if y.dtype.kind != "f"
    ]


def _constants(gradients: Sequence[Array | None]) -> list[Finding]:
    sentence = "the gradient of input {} is None: it is taken not to reach the output"
    return [
        Finding("unreached", sentence.format(k), fatal=False)
        for k, g in enumerate(gradients)
        if g is None
    ]


def value_and_derivative(f: Function, df: Any) -> tuple[Function, Function]:
    """Return the two parts of a function that gives both, as with SciPy's jac=True."""
    if df is not True:
        raise TypeError(
            "check_gradient: df must be a function, or True where f returns value and "
            f"derivative, got {df!r:.60}"
        )

    def part(k: int) -> Function:
        @wraps(f)
        def of(*arrays: Any) -> Any:
            both = f(*arrays)
            if not isinstance(both, tuple | list) or len(both) != 2:
                raise TypeError(
                    "check_gradient: with df=True f must return the value and the "
                    f"derivative, as for SciPy's jac=True, got {type(both).__name__}"
                )
            return both[k]

        return of

    return part(0), part(1)


def gradient_problem(f: Function, df: Function, inputs: Sequence[Array]) -> Problem:
    """Return the problem of `f` with the derivative ``df(*inputs)``."""

    def derivatives_at(arrays: Sequence[Any]) -> list[Any]:
        several = _several(df(*arrays), len(arrays))
        if len(several) != len(arrays):
            raise _count(len(several), len(arrays))
        # Copies: df may write what it returns next into the same memory.
        return [
            copy(d) if d is None or is_operator(d) else as_array(d).copy()
            for d in several
        ]

    def vjp(g: Any, *arrays: Array) -> tuple[Any, ...]:
        return _all_applied(g, derivatives_at(arrays), arrays)

    def pullback(arrays: list[Array]) -> Back:
        derivatives = derivatives_at(as_arguments(arrays))

        def back(cotangents: Arrays) -> list[Array | None]:
            (g,) = as_arguments(cotangents)
            return as_gradients(_all_applied(g, derivatives, arrays), arrays)

        return back

    def inspect() -> list[Finding]:
        return inspected(f, vjp, inputs) + _coarse_derivatives(derivatives_at, inputs)

    return replace(vjp_problem(f, vjp, inputs), pullback=pullback, inspect=inspect)


def _coarse_derivatives(derivative: Function, inputs: Arrays) -> list[Finding]:
    """Return a note for each derivative that is cut off to whole numbers."""
    with reported():
        several = derivative(as_arguments(inputs))
    sentence = "the derivative in input {} is {}: fractions are cut off"
    return [
        Finding("dtype", sentence.format(k, d.dtype), fatal=False)
        for k, d in enumerate(several)
        if isinstance(d, np.ndarray) and d.dtype.kind in "iub" and d.any()
    ]


def _all_applied(g: Any, derivatives: list[Any], arrays: Arrays) -> tuple[Any, ...]:
    if isinstance(g, tuple):
        raise UnusableError(
            "shape",
            f"f returns {len(g)} outputs and check_gradient takes functions of one; "
            "return one array, or use check_vjp",
        )
    pairs = enumerate(zip(derivatives, arrays, strict=True))
    return tuple(
        None if d is None else _in_its_dtype(d, _applied(k, g, d, np.shape(x)))
        for k, (d, x) in pairs
    )


def _in_its_dtype(derivative: Array, gradient: Array) -> Array:
    """Return the gradient in the precision of the derivative."""
    return (
        gradient.astype(derivative.dtype) if derivative.dtype.kind == "f" else gradient
    )


def _applied(k: int, g: Any, derivative: Array, shape: tuple[int, ...]) -> Array:
    """Return the gradient for cotangent `g`: of a gradient, of the derivative of a
    function of single elements, or of a Jacobian.
    """
    if derivative.dtype.kind not in "fiub":
        raise _not_real(k, derivative)
    if is_operator(derivative):
        return _by_operator(g, derivative, shape)
    if np.ndim(g) == 0 and derivative.shape == shape:
        return np.asarray(g * derivative)
    if derivative.shape == np.shape(g) + shape:
        return np.asarray(np.tensordot(g, derivative, np.ndim(g)))
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


def is_operator(derivative: Any) -> bool:
    """Whether a derivative is a sparse matrix or a linear operator of SciPy."""
    return hasattr(derivative, "toarray") or hasattr(derivative, "rmatvec")


def _by_operator(g: Any, jacobian: Any, shape: tuple[int, ...]) -> Array:
    """Return the gradient by a Jacobian of two axes: all of `f` by all of the input."""
    if jacobian.shape == shape and np.ndim(g) == 0:
        return np.asarray(g * jacobian.toarray())
    expected = (np.size(g), math.prod(shape))
    if jacobian.shape != expected:
        raise UnusableError(
            "shape",
            f"df returns a matrix of shape {jacobian.shape} for an output of shape "
            f"{np.shape(g)} and an input of shape {shape}; expected {expected}",
        )
    return np.asarray(jacobian.T @ np.ravel(g)).reshape(shape)


def in_dtypes(function: Function, kinds: Sequence[Any]) -> Function:
    """Return a function that calls `function` with arrays of the given dtypes, and
    cotangents before them of the first.
    """

    def cast(*arguments: Any) -> Any:
        several = [None] * (len(arguments) - len(kinds)) + list(kinds)
        return function(*map(_cast, arguments, [k or kinds[0] for k in several]))

    return cast


def _cast(argument: Any, kind: Any) -> Any:
    if isinstance(argument, tuple):
        return tuple(_cast(a, kind) for a in argument)
    return np.asarray(argument).astype(kind)[()]


def as_arguments(arrays: Arrays) -> list[Any]:
    """Return copies of arrays, numbers in place of arrays of no axes."""
    return _numbers([a.copy("K") for a in arrays])


def _numbers(arrays: Arrays) -> list[Any]:
    return [a if a.ndim else a[()] for a in arrays]


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
        # A list of numbers is one output, a tuple or a list of arrays several.
        listed = isinstance(result, list) and any(map(_has_axes, result))
        several = isinstance(result, tuple) or listed
        outputs = [as_array(y) for y in (result if several else [result])]
    except (ValueError, TypeError, RuntimeError):
        outputs = [np.empty(0, dtype=object)]
    for y in outputs:
        if y.dtype.kind not in "fiub":
            raise UnusableError(
                "dtype",
                f"f returns {y.dtype}, expected real numbers: an array, a number, or a "
                "tuple of them",
            )
    return outputs


def _has_axes(result: Any) -> bool:
    return int(getattr(result, "ndim", 0)) > 0


def as_array(result: Any) -> Array:
    """Return an array of numbers, or of another framework's tensor without its graph,
    in single precision what NumPy has no kind of number for.
    """
    detach = getattr(result, "detach", None)
    if detach is not None:
        result = detach()
    try:
        array = np.asarray(result)
    except TypeError:
        array = np.asarray(result.float())
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def as_gradients(result: Any, arrays: Arrays) -> list[Array | None]:
    """Return checked gradients, one for each of `arrays`.

    Raises
    ------
    UnusableError
        If their number or their kind is wrong.
    GradientShapeError
        If one has another shape than its input.
    """
    gradients = _several(result, len(arrays))
    if len(gradients) != len(arrays):
        raise _count(len(gradients), len(arrays))
    pairs = enumerate(zip(gradients, arrays, strict=True))
    return [None if g is None else _checked(k, g, x) for k, (g, x) in pairs]


def _checked(k: int, gradient: Any, x: Array) -> Array:
    sparse = hasattr(gradient, "toarray")
    g = as_array(gradient.toarray() if sparse else gradient)
    if g.dtype.kind not in "fiub":
        raise _not_real(k, g)
    if g.shape != x.shape:
        raise GradientShapeError(k, g, x.shape)
    return g


def _not_real(k: int, gradient: Array) -> UnusableError:
    return UnusableError(
        "dtype", f"the gradient of input {k} is {gradient.dtype}, expected real numbers"
    )


def _count(count: int, expected: int) -> UnusableError:
    return UnusableError(
        "shape",
        f"the gradient function returns {count} gradients for {expected} inputs; "
        "return a tuple with one for each, None for a constant",
    )
