"""Verdicts at every scale: random smooth functions with derivatives in closed form, in
three precisions, right and with a fault planted; and what is no kink, is flat or ends.
"""

import collections

import numpy as np
import pytest
from profiles import NIGHTLY

from tensorgrad.testing import check_vjp

ROUNDS = 20_000 if NIGHTLY else 36

# Functions with their derivatives, smooth where the argument is positive.
PARTS = {
    "log": (np.log, lambda u: 1 / u),
    "sqrt": (np.sqrt, lambda u: 0.5 / np.sqrt(u)),
    "reciprocal": (lambda u: 1 / u, lambda u: -1 / u**2),
    "square": (lambda u: u * u, lambda u: 2 * u),
    "tanh": (np.tanh, lambda u: 1 - np.tanh(u) ** 2),
    "sin": (np.sin, np.cos),
    "exp": (lambda u: np.exp(-u), lambda u: -np.exp(-u)),
    "arctan": (np.arctan, lambda u: 1 / (1 + u * u)),
    "log1p": (np.log1p, lambda u: 1 / (1 + u)),
    "hypot": (lambda u: np.hypot(1, u), lambda u: u / np.hypot(1, u)),
}
FACTORS = (1 + 1e-6, 1.001, 1.5, 2.0, 3.0, 1 / 3, -1.0)


def composed(rng):
    """Return a function of positive numbers around 1, and its derivative."""
    names = rng.choice(list(PARTS), size=2)
    (f, df), (g, dg) = (PARTS[n] for n in names)
    return (
        lambda u: f(1.5 + np.tanh(g(u))),
        lambda u: df(1.5 + np.tanh(g(u))) * (1 - np.tanh(g(u)) ** 2) * dg(u),
    )


def case(rng, dtype):
    """Return a function of numbers of any scale, its derivative, and a point."""
    f, df = composed(rng) if rng.random() < 0.5 else PARTS[rng.choice(list(PARTS))]
    low, high = (-12, 12) if dtype is np.float64 else (-3, 3)
    scale = 10.0 ** rng.uniform(low, high, size=3 if rng.random() < 0.3 else 1)
    outer = 10.0 ** rng.uniform(low, high)
    x = rng.uniform(0.5, 2, size=3) * scale

    def inside(x):
        u = (x / scale).astype(dtype)
        return outer * f(u).astype(x.dtype)

    return inside, lambda x: outer * df(x / scale) / scale, x


def verdict(f, vjp, x):
    return check_vjp(f, vjp, x, explain=False, raise_on_failure=False).verdict


def counts(dtype, factors, seed=0):
    """Return how often each verdict comes, of right and of wrong gradients."""
    rng = np.random.default_rng(seed)
    found = collections.Counter()
    for _ in range(ROUNDS // 3):
        f, df, x = case(rng, dtype)
        factor = factors[rng.integers(len(factors))]
        found["right", verdict(f, lambda g, x, df=df: g * df(x), x)] += 1

        def wrong(g, x, df=df, factor=factor):
            return g * df(x) * factor

        found["wrong", verdict(f, wrong, x)] += 1
    return found


@pytest.mark.parametrize(
    ("dtype", "factors", "lost"),
    [
        (np.float64, FACTORS, 0.1),
        (np.float32, (1.5, 2.0, 3.0, 1 / 3, -1.0), 0.3),
        (np.float16, (3.0, -1.0), 1.0),
    ],
)
def test_smooth_functions_of_any_scale(dtype, factors, lost):
    found = counts(dtype, factors)
    assert found["right", "disagrees"] == 0, found
    assert found["right", "kink"] == found["wrong", "kink"] == 0, found
    assert found["wrong", "agrees"] <= 0.02 * ROUNDS, found
    assert found["right", "too noisy"] <= lost * ROUNDS / 3, found
    assert found["wrong", "too noisy"] <= lost * ROUNDS / 3, found


SMALL = np.array([1e-5, 2.3e-5, 0.7e-5])
MIXED = np.array([1e-8, 1.0, 1e8])


@pytest.mark.parametrize("name", ["log", "sqrt", "reciprocal", "arctan"])
@pytest.mark.parametrize("x", [SMALL, MIXED, 1e-12 * SMALL, 1e12 * SMALL])
def test_factor_of_three_is_seen_at_any_scale(name, x):
    f, df = PARTS[name]
    assert verdict(f, lambda g, x: g * df(x), x) == "agrees"
    assert verdict(f, lambda g, x: 3 * g * df(x), x) == "disagrees"


@pytest.mark.parametrize("rate", [30.0, 1e4, 1e8])
@pytest.mark.parametrize("f", [np.sin, np.tanh])
def test_steep_functions_have_no_kink(f, rate):
    x = np.array([0.3, -0.7, 1.1]) / (rate if f is np.tanh else 1)
    df = np.cos if f is np.sin else (lambda u: 1 - np.tanh(u) ** 2)
    for factor, expected in ((1, "agrees"), (3, "disagrees")):
        found = verdict(
            lambda x: f(rate * x),
            lambda g, x, c=factor: c * rate * g * df(rate * x),
            x,
        )
        assert found == expected


FLAT = {
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "fifth power": (lambda x: x**5, lambda x: 5 * x**4),
    "1 - cos": (lambda x: 1 - np.cos(x), np.sin),
    "relu squared": (
        lambda x: np.maximum(x, 0) ** 2,
        lambda x: 2 * np.maximum(x, 0),
    ),
    "x |x|": (lambda x: x * np.abs(x), lambda x: 2 * np.abs(x)),
    "nothing": (lambda x: 0 * x, lambda x: 0 * x),
}


@pytest.mark.parametrize("name", FLAT)
@pytest.mark.parametrize("x", [[0.0, 0.0], [0.0, 1.0, -1.0], [0.0, 1e-5, 1.0]])
def test_what_is_flat_at_zero_agrees(name, x):
    f, df = FLAT[name]
    assert verdict(f, lambda g, x: g * df(x), np.array(x)) == "agrees"
    wrong = verdict(f, lambda g, x: g * (df(x) + 1e-3), np.array(x))
    assert wrong == "disagrees"


ENDS = {
    "log": (np.log, lambda x: 1 / x, [1e-300]),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x), [1e-16, 3e-16]),
    "arcsin": (np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)), [1 - 1e-12]),
    "relu": (
        lambda x: np.maximum(x, 0),
        lambda x: 1.0 * (x > 0),
        [1e-9, -1e-9, 1e-13],
    ),
    "offset": (lambda x: 1e10 + np.sin(x), np.cos, [0.5, 1.0]),
    "tiny": (lambda x: 1e-250 * np.sin(x), lambda x: 1e-250 * np.cos(x), [0.5]),
}


@pytest.mark.parametrize("name", ENDS)
def test_next_to_an_end_or_a_kink(name):
    f, df, x = ENDS[name]
    assert verdict(f, lambda g, x: g * df(x), np.array(x)) == "agrees"
    for factor in (-1, 3):
        wrong = verdict(f, lambda g, x, c=factor: c * g * df(x), np.array(x))
        assert wrong == "disagrees"


@pytest.mark.parametrize("returned", [np.float32, np.float64])
def test_relu_in_single_precision_has_slopes_of_zero(returned):
    def f(x):
        return np.maximum(x.astype(np.float32), 0).astype(returned)

    for x in ([0.5, -1.2, 2.0], [-0.5, -0.3], [-0.05, 0.5]):
        assert verdict(f, lambda g, x: g * (x > 0), np.array(x)) == "agrees"
        if np.max(x) > 0:
            assert verdict(f, lambda g, x: 3 * g * (x > 0), np.array(x)) == "disagrees"


def test_values_of_zero_at_a_minimum():
    def rosen(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def slopes(x):
        found = np.append(-2 * (1 - x[:-1]), 0)
        found[:-1] -= 400 * x[:-1] * (x[1:] - x[:-1] ** 2)
        found[1:] += 200 * (x[1:] - x[:-1] ** 2)
        return found

    assert verdict(rosen, lambda g, x: g * slopes(x), np.ones(4)) == "agrees"
    assert verdict(rosen, lambda g, x: g * (slopes(x) + 1e-3), np.ones(4)) != "agrees"


@pytest.mark.parametrize("condition", [1e4, 1e8])
def test_ill_conditioned_systems(condition):
    rng = np.random.default_rng(0)
    u, _, v = np.linalg.svd(rng.normal(size=(4, 4)))
    a, b = u @ np.diag(np.geomspace(1, 1 / condition, 4)) @ v, rng.normal(size=4)

    def vjp(g, a, b):
        of_b = np.linalg.solve(a.T, g)
        return -np.outer(of_b, np.linalg.solve(a, b)), of_b

    assert verdict(np.linalg.solve, vjp, (a, b)) == "agrees"
    wrong = verdict(np.linalg.solve, lambda *args: [3 * d for d in vjp(*args)], (a, b))
    assert wrong == "disagrees"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e8])
@pytest.mark.parametrize(
    ("dtype", "least"), [(np.float32, 1.001), (np.float16, 1.25)], ids=str
)
def test_precision_within_the_function(scale, dtype, least):
    def f(x):
        return np.exp((x / scale).astype(dtype)).astype(np.float64)

    def vjp(factor):
        return lambda g, x: factor * g * np.exp(x / scale) / scale

    x = scale * np.array([0.3, -0.7, 1.3])
    right = check_vjp(f, vjp(1.0), x)
    assert right.verdict == "agrees"
    assert any("float16" in note for note in right.notes) == (dtype == np.float16)
    assert verdict(f, vjp(least), x) not in ("agrees", "kink")


@pytest.mark.parametrize("size", [1e-8, 1e-4])
def test_what_oscillates_over_the_size_of_the_point_is_no_noise(size):
    def f(x):
        return x / size + np.sin(3 * x / size)

    def slope(x):
        return (1 + 3 * np.cos(3 * x / size)) / size

    x = size * np.array([0.4, 1.7, -0.9])
    assert verdict(f, lambda g, x: g * slope(x), x) == "agrees"
    assert verdict(f, lambda g, x: g / size, x) == "disagrees"
