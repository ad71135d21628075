"""Gradients with the mistakes people make when they write them by hand.

Backward functions of plain NumPy arrays and rules of primitives, each with the name of
its class of fault.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tensorgrad as tg
from tensorgrad.testing import Result, check_gradient, check_vjp, gradcheck


class Fault(NamedTuple):
    """A wrong gradient: its class, what is done, and the check of it by seed."""

    kind: str
    name: str
    check: Callable[[int], Result]


Draw = Callable[[np.random.Generator], Any]


def normal(*shape: int) -> Draw:
    return lambda rng: rng.normal(size=shape)


def by_vjp(kind: str, name: str, f: Any, vjp: Any, *draws: Draw) -> Fault:
    """Return a fault in a backward function of plain arrays."""

    def check(seed: int) -> Result:
        rng = np.random.default_rng(seed)
        x = tuple(draw(rng) for draw in draws)
        return check_vjp(f, vjp, x, rng=seed, raise_on_failure=False)

    return Fault(kind, name, check)


def by_gradient(kind: str, name: str, f: Any, df: Any, draw: Draw) -> Fault:
    """Return a fault in the gradient of a plain function with one number as output."""

    def check(seed: int) -> Result:
        x = draw(np.random.default_rng(seed))
        return check_gradient(f, df, x, rng=seed, raise_on_failure=False)

    return Fault(kind, name, check)


def by_rule(
    kind: str, name: str, forward: Any, rules: dict[str, Any], *draws: Draw
) -> Fault:
    """Return a fault in a gradient rule of a primitive."""
    op = tg.primitive(forward)
    op.vjp(**rules)

    def check(seed: int) -> Result:
        rng = np.random.default_rng(seed)
        xs = [draw(rng) for draw in draws]
        return gradcheck(op, *xs, rng=seed, raise_on_failure=False)

    return Fault(kind, name, check)


LABELS = np.array([1, 0, 2, 1, 1])
ROWS = np.array([2, 0, 2, 1, 2])
KERNEL = np.array([0.5, -1.0, 2.0])


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def cross_entropy(z: Any) -> Any:
    return -np.log(softmax(z)[np.arange(5), LABELS]).mean()


FACTORS = [
    by_gradient(
        "factor",
        "squared error without the 2",
        lambda x: np.mean((x - 1) ** 2),
        lambda x: (x - 1) / x.size,
        normal(4, 3),
    ),
    by_gradient(
        "factor",
        "cross-entropy without the 1/N",
        cross_entropy,
        lambda z: softmax(z) - np.eye(3)[LABELS],
        normal(5, 3),
    ),
    by_rule(
        "factor",
        "cosine without its sign",
        lambda x: np.cos(x),
        {"x": lambda g, x: g * np.sin(x)},
        normal(2, 3),
    ),
    by_vjp(
        "factor",
        "a mean for a sum over rows",
        lambda x: x.sum(axis=0),
        lambda g, x: np.broadcast_to(g / len(x), x.shape).copy(),
        normal(7, 2),
    ),
]

TRANSPOSED = [
    by_vjp(
        "transposed",
        "g w for g w^T",
        lambda x: x @ np.array([[1.0, 2.0], [-0.5, 3.0]]),
        lambda g, x: g @ np.array([[1.0, 2.0], [-0.5, 3.0]]),
        normal(3, 2),
    ),
    by_vjp(
        "transposed",
        "g^T x for x^T g",
        lambda x, w: x @ w,
        lambda g, x, w: (g @ w.T, g.T @ x),
        normal(4, 3),
        normal(3, 2),
    ),
    by_rule(
        "transposed",
        "an inverse not transposed",
        lambda a: np.linalg.inv(a),
        {"a": lambda g, y: -y @ g @ y.T},
        lambda rng: rng.normal(size=(3, 3)) + 4 * np.eye(3),
    ),
    by_vjp(
        "transposed",
        "batched, axes not swapped",
        lambda a, b: a @ b,
        lambda g, a, b: (g @ b, a.swapaxes(-1, -2) @ g),
        normal(2, 3, 3),
        normal(2, 3, 3),
    ),
    by_vjp(
        "transposed",
        "g b for g b^T, not square",
        lambda a, b: a @ b,
        lambda g, a, b: (g @ b, a.T @ g),
        normal(2, 3),
        normal(3, 4),
    ),
]

MISSING_SUMS = [
    by_vjp(
        "missing sum",
        "the first row for a bias",
        lambda x, b: np.tanh(x + b),
        lambda g, x, b: _dense(g, x, b, lambda d: d[0]),
        normal(4, 3),
        normal(3),
    ),
    by_vjp(
        "missing sum",
        "a bias as the rows are",
        lambda x, b: np.tanh(x + b),
        lambda g, x, b: _dense(g, x, b, lambda d: d),
        normal(4, 3),
        normal(3),
    ),
    by_rule(
        "missing sum",
        "the first row for a gain",
        lambda x, c: x * c,
        {"x": lambda g, c: g * c, "c": lambda g, x: (g * x)[0]},
        normal(4, 3),
        normal(3),
    ),
    by_vjp(
        "missing sum",
        "the first entry for a number",
        lambda s: s * np.arange(1.0, 5.0),
        lambda g, s: g[0] * 1.0,
        normal(),
    ),
    by_vjp(
        "missing sum",
        "the first column for a column",
        lambda c: np.sin(c) * np.ones(4),
        lambda g, c: (g * np.cos(c))[:, :1],
        normal(3, 1),
    ),
]


def _dense(g: Any, x: Any, b: Any, summed: Any) -> Any:
    d = g * (1 - np.tanh(x + b) ** 2)
    return d, summed(d)


def _embedding_back(g: Any, w: Any) -> Any:
    dw = np.zeros_like(w)
    dw[ROWS] = g
    return dw


def _windows(x: Any) -> Any:
    return np.array([x[i : i + 3] @ KERNEL for i in range(len(x) - 2)])


def _windows_back(g: Any, x: Any) -> Any:
    dx = np.zeros_like(x)
    for i, each in enumerate(g):
        dx[i : i + 3] = each * KERNEL
    return dx


def _repeated_back(g: Any, x: Any) -> Any:
    dx = np.zeros_like(x)
    for part in np.split(g, 3):
        dx[:] = part
    return dx


OVERWRITTEN = [
    by_vjp(
        "overwritten",
        "rows of a table",
        lambda w: w[ROWS],
        _embedding_back,
        normal(4, 2),
    ),
    by_vjp("overwritten", "windows that overlap", _windows, _windows_back, normal(6)),
    by_vjp("overwritten", "copies", lambda x: np.tile(x, 3), _repeated_back, normal(4)),
    by_vjp(
        "overwritten",
        "two outputs",
        lambda x: (np.sin(x), x**2),
        lambda g, x: g[1] * 2 * x,
        normal(4),
    ),
    by_rule(
        "overwritten",
        "rows in a rule",
        lambda w: w[ROWS],
        {"w": _embedding_back},
        normal(4, 2),
    ),
    by_vjp(
        "overwritten",
        "two paths into one output",
        lambda x: x + np.sin(x),
        lambda g, x: g * np.cos(x),
        normal(4),
    ),
]

ZEROS = [
    by_vjp("zero", "zeros", np.sin, lambda g, x: np.zeros_like(x), normal(3)),
    by_vjp(
        "zero",
        "one of two inputs",
        lambda a, b: a @ b,
        lambda g, a, b: (g @ b.T, 0 * b),
        normal(2, 3),
        normal(3, 2),
    ),
    by_rule(
        "zero",
        "a dead rule",
        lambda x: x**3,
        {"x": lambda g, x: 0 * g * x},
        normal(2, 3),
    ),
    by_gradient(
        "zero", "of a loss", cross_entropy, lambda z: np.zeros_like(z), normal(5, 3)
    ),
]


def _sorted_back(g: Any, x: Any) -> Any:
    return g[np.argsort(x)]


def _cyclic(rng: np.random.Generator) -> Any:
    """Draw numbers whose order is not its own inverse."""
    return np.roll(np.sort(rng.normal(size=6)), rng.integers(1, 3))


PERMUTED = [
    by_vjp("permuted", "order for its inverse", np.sort, _sorted_back, _cyclic),
    by_vjp(
        "permuted",
        "rolled on, not back",
        lambda x: np.roll(np.tanh(x), 2),
        lambda g, x: np.roll(g, 2) * (1 - np.tanh(x) ** 2),
        normal(5),
    ),
    by_rule(
        "permuted",
        "not flipped back",
        lambda x: x[::-1] ** 2,
        {"x": lambda g, x: g * 2 * x[::-1]},
        normal(4, 2),
    ),
    by_vjp(
        "permuted",
        "reshaped in the other order",
        lambda x: np.sin(x).ravel(),
        lambda g, x: (g * np.cos(x).ravel()).reshape(x.shape, order="F"),
        normal(2, 3),
    ),
]

WRITTEN = (
    *FACTORS,
    *TRANSPOSED,
    *MISSING_SUMS,
    *OVERWRITTEN,
    *ZEROS,
    *PERMUTED,
)
"""All of them; those that are wrong only now and then are in conditional_faults.py."""
