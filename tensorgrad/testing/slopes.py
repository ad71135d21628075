"""Derivatives and remainders of plain functions, without a check."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.types import Nest
from .arguments import Seed, points_of
from .experiment import entry_lines
from .plain import GradientProblem, VjpProblem
from .problem import Array, Problem, UnusableError
from .scales import look

STEPS = tuple(0.1 * 0.5**k for k in range(24))


def numerical_jacobian(f: Callable[..., Any], x: ArrayLike) -> tuple[Array, Array]:
    """Return the Jacobian of a plain function by differences, with error bars.

    Parameters
    ----------
    f : callable
        From an array to an array or a number.
    x : array_like
        The point; taken to float64.

    Returns
    -------
    jacobian : array
        Of the shapes of ``f(x)`` and `x` joined.
    error : array
        An error bar for each entry, infinite where the derivative is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from tensorgrad.testing import numerical_jacobian
    >>> jacobian, error = numerical_jacobian(lambda x: x**2, [1.0, 3.0])
    >>> np.round(jacobian, 6)
    array([[2., 0.],
           [0., 6.]])
    >>> bool((np.abs(jacobian - [[2.0, 0.0], [0.0, 6.0]]) <= error).all())
    True
    """
    points, _ = points_of("numerical_jacobian", x)
    if len(points) != 1:
        raise TypeError(
            f"numerical_jacobian: x must be one array, got a tuple of {len(points)}; "
            "hold the others constant"
        )
    problem = _of_one("numerical_jacobian", VjpProblem(points, f, _no_gradient))
    lines = entry_lines(problem)
    looks = [look(lines, j).both for j in range(lines.count)]
    estimates: Array = np.array(looks).reshape(lines.count, 2, -1)
    shape = (*problem.out.shapes[0], *problem.packing.shapes[0])
    parts = (estimates / problem.scale[:, None, None]).transpose(1, 2, 0)
    jacobian, error = (part.reshape(shape) for part in parts)
    return jacobian, error


def _no_gradient(g: Any, *arrays: Array) -> Any:
    raise NotImplementedError


def _of_one(who: str, problem: Problem) -> Problem:
    try:
        count = len(problem.outputs)
    except UnusableError as error:
        raise TypeError(f"{who}: {error.sentence}") from None
    if count != 1:
        raise TypeError(
            f"{who}: f must return one array, got {count}; pass one function for each"
        )
    return problem


def taylor_slope(
    f: Callable[..., Any], df: Callable[..., Any], x: Nest, *, rng: Seed = 0
) -> float:
    """Return how the remainder of the first Taylor polynomial falls with the step.

    ``|f(x + h v) - f(x) - h <df(x), v>|`` falls as ``h**2`` where `df` is the gradient,
    slope 2, and as ``h`` where it is not, slope 1. No tolerance is involved.

    Parameters
    ----------
    f, df : callable
        As in :func:`check_gradient`.
    x : array_like, or tuple of them
        The point.
    rng : int, Generator or None
        Of the directions `v`, and of the weights that make a number of an array.

    Returns
    -------
    float
        The smallest slope along four random directions; infinity where there is no
        remainder but rounding, as for a linear function.

    Examples
    --------
    >>> import numpy as np
    >>> from tensorgrad.testing import taylor_slope
    >>> x = np.array([0.5, 1.5])
    >>> round(taylor_slope(lambda x: np.sum(np.exp(x)), np.exp, x), 1)
    2.0
    >>> round(taylor_slope(lambda x: np.sum(np.exp(x)), lambda x: 2 * np.exp(x), x), 1)
    1.0
    """
    points, _ = points_of("taylor_slope", x)
    problem = _of_one("taylor_slope", GradientProblem(points, f, df))
    draws = np.random.default_rng(rng)
    return min(_slope(problem, draws) for _ in range(4))


def _slope(problem: Problem, rng: np.random.Generator) -> float:
    weights = rng.normal(size=problem.out.size)
    v = rng.normal(size=problem.packing.size) * problem.scale
    slope = problem.pull_back(problem.pulled(), weights) @ v
    base = problem.value(problem.point)
    steps = np.array(STEPS)
    moved = np.array([problem.value(problem.point + h * v) for h in STEPS])
    remainder = np.abs((moved - base) @ weights - steps * slope)
    size = np.abs(weights) @ np.abs(base) + steps * np.abs(slope)
    visible = np.isfinite(remainder) & (remainder > 1e4 * problem.precision * size)
    # The smallest steps that show it: at large ones higher terms weigh in.
    last = np.flatnonzero(visible)[-6:]
    if len(last) < 3:
        return math.inf
    return float(np.polyfit(np.log(steps[last]), np.log(remainder[last]), 1)[0])
