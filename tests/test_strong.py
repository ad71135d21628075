"""Zero annihilates infinity: what nothing flows back to gets 0, to second order."""

import itertools
import math

import numpy as np
import pytest
from derivatives import derivatives, slopes
from tensors import leaf

import tensorgrad as tg
from tensorgrad.ops.support.registry import registry
from tensorgrad.ops.support.strong import divided, hushed, scaled

INF, NAN = math.inf, math.nan

UNARY = [
    n
    for n, e in registry.items()
    if e.elementwise and e.arity == 1 and n != "modf" and e.kind != "constant"
]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -30.0, 1e3, -1e3, 1e200, INF, -INF, NAN]
BINARY = [
    "add",
    "arctan2",
    "copysign",
    "divide",
    "fmax",
    "fmin",
    "fmod",
    "heaviside",
    "hypot",
    "logaddexp",
    "logaddexp2",
    "maximum",
    "minimum",
    "multiply",
    "power",
    "remainder",
]


@pytest.mark.parametrize("name", [*UNARY, "gelu", "silu", "elu", "leaky_relu"])
@pytest.mark.parametrize("wrap", [float, lambda v: [v]], ids=["scalar", "array"])
def test_zero_gradient_stays_zero_in_one_argument(name, wrap):
    for value in SPECIAL:
        x = leaf(wrap(value))
        with np.errstate(all="ignore"):
            y = registry[name].function(x)
            y.backward(np.zeros(y.shape))
        assert (x.grad.numpy() == 0).all(), value


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("wrap", [float, lambda v: [v]], ids=["scalar", "array"])
def test_zero_gradient_stays_zero_in_two_arguments(name, wrap):
    for a, b in itertools.product(SPECIAL, repeat=2):
        xs = leaf(wrap(a)), leaf(wrap(b))
        with np.errstate(all="ignore"):
            y = registry[name].function(*xs)
            y.backward(np.zeros(y.shape))
        assert all((x.grad.numpy() == 0).all() for x in xs), (a, b)


@pytest.mark.parametrize(
    ("function", "good", "bad"),
    [
        (np.log, 2.0, 0.0),
        (np.log, 2.0, -1.0),
        (np.sqrt, 4.0, 0.0),
        (np.sqrt, 4.0, -1.0),
        (np.cbrt, 8.0, 0.0),
        (np.log1p, 1.0, -1.0),
        (np.arcsin, 0.5, 1.0),
        (np.arccos, 0.5, 2.0),
        (np.arccosh, 2.0, 0.5),
        (np.arctanh, 0.5, 1.0),
        (np.reciprocal, 2.0, 0.0),
        (lambda x: x**0.5, 4.0, 0.0),
        (lambda x: x**0.5, 4.0, -1.0),
        (lambda x: x**-1, 4.0, 0.0),
        (lambda x: x**1.5, 4.0, -1.0),
        (lambda x: np.sin(x) / x, 4.0, 0.0),
        (lambda x: x * np.log(x), 4.0, 0.0),
        (lambda x: np.exp(x) * 2, 1.0, 1e3),
        (lambda x: np.exp(x * x), 1.0, 1e3),
        (lambda x: x * x, 3.0, NAN),
        (lambda x: np.tanh(x) * 3, 3.0, NAN),
        (lambda x: 1 / (x - 1) ** 2, 3.0, 1.0),
    ],
)
@pytest.mark.parametrize("order", [1, 2])
def test_the_branch_not_taken_leaks_nothing(function, good, bad, order):
    """As from the function itself where it is taken, 0 elsewhere, without a warning."""
    x = leaf([good, bad])
    with np.errstate(all="ignore"):
        y = np.where([True, False], function(x), 0.0)
    for _ in range(order):
        x.grad = None
        y.sum().backward(create_graph=True)
        y = x.grad
    expected = derivatives(function, good, order)[-1]
    np.testing.assert_allclose(y.numpy(), [expected, 0.0], rtol=1e-14)


@pytest.mark.parametrize(
    ("residual", "at", "curvature"),
    [
        (lambda x: np.sqrt(x) - 1, 1.0, 0.25),
        (lambda x: x * x - 4, 2.0, 16.0),
        (lambda x: 1 / x - 1, 1.0, 1.0),
        (lambda x: x**3.0 - 8, 2.0, 144.0),
        (lambda x: np.log(x), 1.0, 1.0),
        (lambda x: np.exp(x) - 1, 0.0, 1.0),
        (lambda x: np.hypot(x, 3.0) - 5, 4.0, 0.64),
        (lambda x: np.arctan2(x, 1.0), 0.0, 1.0),
    ],
)
def test_a_gradient_of_zero_keeps_its_curvature(residual, at, curvature):
    """At the minimum of r^2 / 2 the gradient is 0; its derivative is (r')^2."""
    _, first, second = derivatives(lambda x: residual(x) ** 2 / 2, at, 2)
    assert first == 0
    assert second == pytest.approx(curvature, rel=1e-14)


@pytest.mark.parametrize(
    "norm",
    [
        lambda x: np.sqrt(np.sum(x * x)),
        lambda x: np.sqrt(np.sum(x**2)),
        lambda x: np.sum(np.square(x)) ** 0.5,
        lambda x: np.sum(np.abs(x) ** 3) ** (1 / 3),
        lambda x: np.hypot(x[0], x[1]),
        lambda x: np.sqrt(x @ x),
        lambda x: np.sqrt(np.dot(x, x)),
        lambda x: np.sqrt(np.vdot(x, x)),
        lambda x: np.sqrt(np.inner(x, x)),
        lambda x: np.sqrt(np.vecdot(x, x)),
        lambda x: np.sqrt(np.tensordot(x, x, 1)),
        lambda x: np.sqrt(np.einsum("i,i", x, x)),
        lambda x: np.sum(np.sqrt(np.einsum("ij,ij->i", x[None], x[None]))),
    ],
)
def test_a_norm_written_out_has_the_gradient_zero_at_zero(norm):
    np.testing.assert_array_equal(slopes(norm, [0.0, 0.0]), [0, 0])
    np.testing.assert_allclose(slopes(norm, [0.0, -2.0]), [0, -1])


def test_a_gradient_that_is_nan_stays_nan():
    x = leaf([0.0, 1.0])
    np.square(x).backward([NAN, NAN])
    assert np.isnan(x.grad.numpy()).all()
    x = leaf(0.0)
    np.square(x).backward(NAN)
    assert np.isnan(float(x.grad))


def test_a_planted_mask_on_the_gradient_is_caught():
    """A strong zero made by a mask on g == 0 loses the curvature at a minimum."""
    sqrt = registry["sqrt"].function
    right = sqrt.rules[0][0]
    masked = lambda g, y: np.where(g == 0, 0, g / (2 * np.where(g == 0, 1, y)))  # noqa: E731
    try:
        sqrt.vjp(x=masked)
        with pytest.raises(AssertionError):
            test_a_gradient_of_zero_keeps_its_curvature(
                lambda x: np.sqrt(x) - 1, 1.0, 0.25
            )
        sqrt.vjp(x=lambda g, y: g / (2 * y))
        with pytest.raises((AssertionError, RuntimeWarning)):
            test_the_branch_not_taken_leaks_nothing(np.sqrt, 4.0, 0.0, 1)
    finally:
        sqrt.vjp(x=right)


@pytest.mark.parametrize("fused", [False, True], ids=["numpy", "kernels"])
@pytest.mark.parametrize("function", [scaled, divided, hushed], ids=["*", "/", "0"])
def test_a_recording_holds_one_call_whatever_the_values(function, fused):
    if fused:
        pytest.importorskip("llvmlite")
    a, b = (
        np.array(x) for x in zip(*itertools.product(SPECIAL, repeat=2), strict=True)
    )
    g, slope = a.reshape(13, 13), b.reshape(13, 13)
    step = tg.compile(lambda g, slope: (function(g, slope), g - slope), fused=fused)
    with np.errstate(all="ignore"):
        expected = function(g, slope)
        for _ in range(3):
            y, _ = step(g, slope)
    np.testing.assert_array_equal(y, expected)
    assert (np.signbit(y) == np.signbit(expected))[~np.isnan(expected)].all()
    assert len(step.programs[0].calls) == 2


@pytest.mark.parametrize("function", [scaled, hushed], ids=["*", "0"])
@pytest.mark.parametrize("special", [2.0, INF, NAN, 0.0])
def test_products_that_are_much_larger_than_their_factors(function, special):
    a, b = np.ones((100, 1)), np.ones((1, 100))
    a[3, 0], b[0, 5] = special, 0.0
    for largest in (1.0, np.finfo(float).max):
        # Of the largest no sum is finite, and they hold no NaN.
        a[:2] = largest
        with np.errstate(all="ignore"):
            expected = np.stack([function(row, b[0]) for row in a])
            assert function(a, b).tobytes() == expected.tobytes()
