"""The problem of plain functions of NumPy arrays, with a gradient written by hand or
in another framework.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any

import numpy as np

from .identities import changed, coarse, present, shared, unreached, varying
from .problem import (
    Array,
    Arrays,
    Back,
    Finding,
    GradientShapeError,
    Problem,
    Shape,
    UnusableError,
    reported,
)

Function = Callable[..., Any]


@dataclass
class VjpProblem(Problem):
    """The problem of `f` with the gradient ``claim(g, *inputs)``."""

    f: Function
    claim: Function
    # The inputs in the precision in which they came.
    originals: Sequence[Array] = ()
    takes_complex: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        self.originals = self.originals or self.inputs
        super().__post_init__()

    def call(self, arrays: list[Array]) -> list[Array]:
        """Return the values."""
        return as_outputs(self.f(*_numbers(arrays)))

    def analytic(self, arrays: list[Array]) -> list[Array]:
        """Return the values, of any kind of numbers."""
        return [as_array(y) for y in _several(self.f(*_numbers(arrays)))]

    def pullback(self, arrays: list[Array]) -> Back:
        """Return the claim for the arrays, called for each cotangent."""
        return lambda cotangents: self.gradients(
            as_arguments(cotangents), as_arguments(arrays)
        )

    def gradients(self, seeds: list[Any], arguments: list[Any]) -> list[Array | None]:
        """Return the gradients claimed for cotangents and arguments."""
        shapes = [a.shape for a in arguments]
        return as_gradients(self.claim(only(seeds), *arguments), shapes)

    def in_dtypes(self, kinds: Sequence[Any]) -> Problem:
        """Return the problem of functions called with arrays of some dtypes."""
        f, claim = _cast_first(self.f, kinds), _cast_first(self.claim, kinds)
        return replace(self, f=f, claim=claim)

    def inspect(self) -> list[Finding]:
        """Return what one call of `f` and one of the claim do besides."""
        inputs, arguments = self.originals, as_arguments(self.originals)
        outputs = as_outputs(self.f(*arguments))
        again = as_arguments(inputs)
        findings = changed(arguments, inputs, "f")
        findings = findings or varying(outputs, as_outputs(self.f(*again)))
        findings += shared(outputs, arguments, "output", "input")
        findings += coarse(outputs, arguments, "output") + _integer_outputs(outputs)
        if any(f.fatal for f in findings):
            return findings
        return findings + self._of_claim(outputs, as_arguments(inputs))

    def _of_claim(self, outputs: Arrays, arguments: list[Any]) -> list[Finding]:
        """Return what one call of the claim does besides."""
        inputs, cotangents = self.originals, [np.ones_like(y) for y in outputs]
        seeds = as_arguments(cotangents)
        with reported():
            gradients = self.gradients(seeds, arguments)
        who, arrived = "the gradient function", present(gradients)
        # Where the function itself computes in lower precision its gradient may, too.
        fine = not coarse(outputs, arguments, "output")
        return [
            *changed(arguments, inputs, who),
            *changed(seeds, cotangents, who, "cotangent"),
            *coarse(arrived, arguments, "gradient", fatal=fine),
            *unreached(gradients, CONSTANT),
            *shared(arrived, arguments, "gradient", "input"),
            *shared(arrived, seeds, "gradient", "cotangent"),
        ]


CONSTANT = "the gradient of input {} is None: it is taken not to reach the output"


def _integer_outputs(outputs: Arrays) -> list[Finding]:
    sentence = "output {} is {}, which has no derivative; return floating-point numbers"
    return [
        Finding("dtype", sentence.format(k, y.dtype))
        for k, y in enumerate(outputs)
        if y.dtype.kind != "f"
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


class GradientProblem(VjpProblem):
    """The problem of `f` with the derivative ``claim(*inputs)``."""

    def _at(self, arguments: list[Any]) -> tuple[list[Any], list[Shape]]:
        """Return the derivatives, and the shapes of the arguments."""
        shapes = [a.shape for a in arguments]
        several = _several(self.claim(*arguments), len(arguments))
        if len(several) != len(arguments):
            raise _count(len(several), len(arguments))
        # Copies: the claim may write what it returns next into the same memory.
        return [
            copy(d) if d is None or is_operator(d) else as_array(d).copy()
            for d in several
        ], shapes

    def pullback(self, arrays: list[Array]) -> Back:
        """Return the derivative times each cotangent."""
        derivatives, shapes = self._at(as_arguments(arrays))
        return lambda cotangents: _all_applied(
            only(as_arguments(cotangents)), derivatives, shapes
        )

    def gradients(self, seeds: list[Any], arguments: list[Any]) -> list[Array | None]:
        """Return the derivative at the arguments times the cotangents."""
        return _all_applied(only(seeds), *self._at(arguments))

    def inspect(self) -> list[Finding]:
        """Return what function and derivative do besides, and what cuts fractions."""
        findings = super().inspect()
        with reported():
            several, _ = self._at(as_arguments(self.originals))
        sentence = "the derivative in input {} is {}: fractions are cut off"
        return findings + [
            Finding("dtype", sentence.format(k, d.dtype), fatal=False)
            for k, d in enumerate(several)
            if isinstance(d, np.ndarray) and d.dtype.kind in "iub" and d.any()
        ]


def _all_applied(
    g: Any, derivatives: list[Any], shapes: Sequence[Shape]
) -> list[Array | None]:
    if isinstance(g, tuple):
        raise UnusableError(
            "shape",
            f"f returns {len(g)} outputs and check_gradient takes functions of one; "
            "return one array, or use check_vjp",
        )
    pairs = enumerate(zip(derivatives, shapes, strict=True))
    gradients = tuple(
        None if d is None else _in_its_dtype(d, _applied(k, g, d, shape))
        for k, (d, shape) in pairs
    )
    return as_gradients(gradients, shapes)


def _in_its_dtype(derivative: Array, gradient: Array) -> Array:
    """Return the gradient in the precision of the derivative."""
    return (
        gradient.astype(derivative.dtype) if derivative.dtype.kind == "f" else gradient
    )


def _applied(k: int, g: Any, derivative: Array, shape: Shape) -> Array:
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


def _by_operator(g: Any, jacobian: Any, shape: Shape) -> Array:
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


def _cast_first(function: Function, kinds: Sequence[Any]) -> Function:
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


def only(several: Sequence[Any]) -> Any:
    """Return one array by itself, more of them as a tuple."""
    return several[0] if len(several) == 1 else tuple(several)


def _numbers(arrays: Arrays) -> list[Any]:
    return [a if a.ndim else a[()] for a in arrays]


def _several(result: Any, count: int = 2) -> list[Any]:
    """Return the items of a tuple, and of a list where several are expected."""
    if isinstance(result, tuple) or (isinstance(result, list) and count > 1):
        return list(result)
    return [result]


def as_outputs(result: Any) -> list[Array]:
    """Return what a plain function gave as a list of floating-point arrays."""
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


def as_gradients(result: Any, shapes: Sequence[Shape]) -> list[Array | None]:
    """Return gradients, one for each of the shapes, and real."""
    gradients = _several(result, len(shapes))
    if len(gradients) != len(shapes):
        raise _count(len(gradients), len(shapes))
    pairs = enumerate(zip(gradients, shapes, strict=True))
    return [None if g is None else _checked(k, g, shape) for k, (g, shape) in pairs]


def _checked(k: int, gradient: Any, shape: Shape) -> Array:
    sparse = hasattr(gradient, "toarray")
    g = as_array(gradient.toarray() if sparse else gradient)
    if g.dtype.kind not in "fiub":
        raise _not_real(k, g)
    if g.shape != shape:
        raise GradientShapeError(k, g, shape)
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
