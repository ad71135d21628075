"""Gradients with mistakes that show at some points, calls or precisions alone: stale
values, ties and kinks, float32.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorgrad.testing import Result, check_vjp

from .written_faults import Draw, Fault, by_rule, by_vjp, normal


def stale(name: str, make: Callable[[Any], tuple[Any, Any]], draw: Draw) -> Fault:
    """Return a fault of a function and its gradient that remember an input."""

    def check(seed: int) -> Result:
        x = draw(np.random.default_rng(seed))
        f, vjp = make(x)
        return check_vjp(f, vjp, x, rng=seed, raise_on_failure=False)

    return Fault("stale", name, check)


def _of_first_input(x: Any) -> tuple[Any, Any]:
    kept = x.copy()
    return np.sin, lambda g, x: g * np.cos(kept)


def _of_first_call(x: Any) -> tuple[Any, Any]:
    cache: dict[str, Any] = {}

    def vjp(g: Any, x: Any) -> Any:
        return g * np.exp(cache.setdefault("x", x.copy()))

    return np.exp, vjp


def _of_call_before(x: Any) -> tuple[Any, Any]:
    cache = {"x": x.copy()}

    def vjp(g: Any, x: Any) -> Any:
        used, cache["x"] = cache["x"], x.copy()
        return 2 * g * used

    return np.square, vjp


def _of_other_weights(x: Any) -> tuple[Any, Any]:
    w = x.copy()
    return lambda x: x @ x, lambda g, x: g @ w.T + w.T @ g


STALE = [
    stale("a copy of the first input", _of_first_input, normal(3)),
    stale("kept from the first call", _of_first_call, normal(2, 3)),
    stale("kept from the call before", _of_call_before, normal(4)),
    stale("weights copied once", _of_other_weights, normal(2, 2)),
]


def tied(*shape: int, at: float = 0.0) -> Draw:
    """Draw numbers of which two are at a kink, and equal."""

    def draw(rng: np.random.Generator) -> Any:
        x = rng.normal(size=shape)
        x.ravel()[rng.permutation(x.size)[:2]] = at
        return x

    return draw


def _largest_twice(rng: np.random.Generator) -> Any:
    x = rng.normal(size=5)
    x[rng.permutation(5)[:2]] = 3.0
    return x


def _unit(x: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _one_row_zero(rng: np.random.Generator) -> Any:
    x = rng.normal(size=(3, 2))
    x[rng.integers(3)] = 0
    return x


TIES = [
    by_rule(
        "tie",
        "slope 2 of relu at 0",
        lambda x: np.maximum(x, 0),
        {"x": lambda g, x: g * ((x > 0) + 2 * (x == 0))},
        tied(2, 3),
    ),
    by_vjp(
        "tie",
        "slope -2 of |x| at 0",
        np.abs,
        lambda g, x: g * np.where(x, np.sign(x), -2),
        tied(5),
    ),
    by_vjp(
        "tie",
        "a maximum to each of two",
        lambda x: np.max(x),
        lambda g, x: g * (x == x.max()) * (x == x.max()).sum(),
        _largest_twice,
    ),
    by_vjp(
        "tie",
        "a whole share for each equal maximum",
        lambda x: np.max(x),
        lambda g, x: g * (x == x.max()),
        _largest_twice,
    ),
    by_rule(
        "tie",
        "clip, both sides at the bound",
        lambda x: np.clip(x, -1, 1),
        {"x": lambda g, x: g * ((x >= -1) * 1.0 + (x >= 1) - 2 * (x > 1))},
        tied(2, 3, at=1.0),
    ),
    by_vjp(
        "tie",
        "0 / 0 of a length at 0",
        lambda x: np.linalg.norm(x, axis=-1),
        lambda g, x: g[:, None] * _unit(x),
        _one_row_zero,
    ),
]


def single(*shape: int, scale: float = 1.0) -> Draw:
    """Draw float32 numbers."""
    return lambda rng: (scale * rng.uniform(0.5, 1, shape)).astype(np.float32)


def _naive_tanh_back(g: Any, x: Any) -> Any:
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(2 * x)
        return g * (1 - ((e - 1) / (e + 1)) ** 2)


def _by_a_step(g: Any, x: Any) -> Any:
    h = 2.0**-30
    with np.errstate(all="ignore"):
        return g * 2 * x * h / ((x + h) - x)


FLOAT32 = [
    by_rule(
        "float32",
        "exp that overflows",
        lambda x: np.tanh(x),
        {"x": _naive_tanh_back},
        single(3, scale=100),
    ),
    by_rule(
        "float32",
        "a step lost in rounding",
        lambda x: x**2,
        {"x": lambda g, x: _by_a_step(g, x)},
        single(4),
    ),
    by_rule(
        "float32",
        "a square that overflows",
        lambda x: x**3,
        {"x": lambda g, x: g * 3 * (x * 1e30) ** 2 / 1e30 / 1e30},
        single(2, 3),
    ),
]


CONDITIONAL = (*STALE, *TIES, *FLOAT32)
"""All of them."""
