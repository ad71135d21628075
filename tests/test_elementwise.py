"""Elementwise operations where they are hard: kinks, extremes, types, refusals."""

import math

import numpy as np
import pytest
from derivatives import derivatives, slopes
from tensors import leaf

import tensorgrad as tg
from tensorgrad.ops.elementwise.special import erf, erfc
from tensorgrad.ops.support.registry import registry

INF, NAN = math.inf, math.nan
UNARY = [
    n
    for n, e in registry.items()
    if e.elementwise and e.arity == 1 and n != "modf" and e.kind != "constant"
]


# Kinks and ties.


@pytest.mark.parametrize(
    ("function", "values", "expected"),
    [
        (np.maximum, (1.0, 1.0), (0.5, 0.5)),
        (np.minimum, (1.0, 1.0), (0.5, 0.5)),
        (np.fmax, (1.0, 1.0), (0.5, 0.5)),
        (np.fmin, (1.0, 1.0), (0.5, 0.5)),
        (np.fmax, (1.0, NAN), (1.0, 0.0)),
        (np.fmax, (NAN, -INF), (0.0, 1.0)),
        (np.fmin, (NAN, 1.0), (0.0, 1.0)),
        (np.fmin, (2.0, 1.0), (0.0, 1.0)),
        (np.maximum, (0.0, -0.0), (0.5, 0.5)),
        (np.maximum, (INF, INF), (0.5, 0.5)),
        (np.absolute, (0.0,), (0.0,)),
        (np.fabs, (-2.0,), (-1.0,)),
        (np.sign, (0.0,), (0.0,)),
        (np.sqrt, (0.0,), (INF,)),
        (np.cbrt, (-8.0,), (1 / 12,)),
        (np.hypot, (0.0, 0.0), (0.0, 0.0)),
        (np.hypot, (3.0, -4.0), (0.6, -0.8)),
        (np.hypot, (1e200, 1e200), (math.sqrt(0.5), math.sqrt(0.5))),
        (np.hypot, (-INF, 1.0), (-1.0, 0.0)),
        (np.arctan2, (0.0, 0.0), (0.0, 0.0)),
        (np.arctan2, (1.0, 2.0), (0.4, -0.2)),
        (np.arctan2, (1e200, 1e200), (5e-201, -5e-201)),
        (np.arctan2, (INF, 1.0), (0.0, 0.0)),
        (np.heaviside, (0.0, 0.5), (0.0, 1.0)),
        (np.heaviside, (1.0, 0.5), (0.0, 0.0)),
        (np.copysign, (2.0, -3.0), (-1.0, 0.0)),
        (np.copysign, (-2.0, -0.0), (1.0, 0.0)),
        (np.copysign, (0.0, 1.0), (0.0, 0.0)),
        (np.power, (0.0, 0.0), (0.0, 0.0)),
        (np.power, (0.0, 1.0), (1.0, 0.0)),
        (np.power, (0.0, 2.0), (0.0, 0.0)),
        (np.power, (0.0, 0.5), (INF, 0.0)),
        (np.power, (INF, -1.0), (0.0, 0.0)),
        (np.power, (-2.0, 3.0), (12.0, NAN)),
        (np.float_power, (2.0, 3.0), (12.0, 8 * math.log(2))),
        (np.remainder, (7.0, 2.0), (1.0, -3.0)),
        (np.remainder, (-7.0, 2.0), (1.0, 4.0)),
        (np.fmod, (-7.0, 2.0), (1.0, 3.0)),
        (np.fmod, (1.0, INF), (1.0, 0.0)),
        (np.floor_divide, (7.0, 2.0), (0.0, 0.0)),
        (np.nextafter, (1.0, 2.0), (1.0, 0.0)),
        (np.logaddexp, (-INF, -INF), (0.5, 0.5)),
        (np.logaddexp, (INF, INF), (0.5, 0.5)),
        (np.logaddexp, (0.0, -INF), (1.0, 0.0)),
        (np.logaddexp, (1e3, 1e3), (0.5, 0.5)),
        (np.logaddexp2, (3.0, 3.0), (0.5, 0.5)),
    ],
)
def test_slope_at(function, values, expected):
    with np.errstate(divide="ignore"):
        found = slopes(function, *values)
    np.testing.assert_allclose(found, np.squeeze(expected), rtol=1e-14)


def test_power_with_a_number_as_exponent():
    for b, expected in ((2, 0.0), (1, 1.0), (0, 0.0), (0.0, 0.0)):
        assert slopes(lambda x, b=b: x**b, 0.0) == expected
    assert derivatives(lambda x: x**3, 2.0, 4) == [8.0, 12.0, 12.0, 6.0, 0.0]
    assert derivatives(lambda x: x**1, 0.0, 2) == [0.0, 1.0, 0.0]
    np.testing.assert_array_equal(slopes(lambda x: 0**x, [0.0, 1.0]), [0, 0])
    np.testing.assert_allclose(slopes(lambda x: 2**x, [0.0, 1.0]), np.log([2, 4]))


def test_mixed_derivative_of_power_where_the_exponent_is_zero():
    """d/db of b a^(b-1) at b = 0 is 1 / a, though b a^(b-1) is 0."""
    a, b = leaf(4.0), leaf(0.0)
    (a**b).backward(create_graph=True)
    g = a.grad
    a.grad = b.grad = None
    g.backward()
    assert float(b.grad) == 0.25


# Extreme arguments: value, slope and curvature, and no warning on the way back.

TINY = 5e-324


@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (np.exp, -1e3, (0, 0, 0)),
        (np.expm1, -50.0, (-1, math.exp(-50), math.exp(-50))),
        (np.tanh, 1e3, (1, 0, 0)),
        (np.tanh, -INF, (-1, 0, 0)),
        (np.arctan, 1e200, (math.pi / 2, 0, 0)),
        (np.arctan, 1e100, (math.pi / 2, 1e-200, -2e-300)),
        (np.arctan, INF, (math.pi / 2, 0, 0)),
        (np.arctan, 1.0, (math.pi / 4, 0.5, -0.5)),
        (np.arcsinh, -1e200, (math.asinh(-1e200), 1e-200, 0)),
        (np.arcsinh, 1e100, (math.asinh(1e100), 1e-100, -1e-200)),
        (np.arccosh, 1e200, (math.acosh(1e200), 1e-200, 0)),
        (np.arcsin, 1 - 1e-16, (math.asin(1 - 1e-16), 2.0**26, 2.0**78)),
        (np.log, 1e300, (math.log(1e300), 1e-300, 0)),
        (np.log10, 1e-100, (-100, 1e100 / math.log(10), -1e200 / math.log(10))),
        (np.log2, 4.0, (2, 0.25 / math.log(2), -0.0625 / math.log(2))),
        (np.log1p, 1e-20, (1e-20, 1, -1)),
        (np.sqrt, 1e-300, (1e-150, 5e149, -INF)),
        (np.reciprocal, 1e200, (1e-200, 0, 0)),
        (lambda x: np.logaddexp(x, 0.0), 1e3, (1e3, 1, 0)),
        (lambda x: np.logaddexp(x, 0.0), -1e3, (0, 0, 0)),
        (lambda x: np.logaddexp(x, 0.0), -INF, (0, 0, 0)),
        (lambda x: np.logaddexp(x, 1e6), 1e6 - 1,
         (1e6 + math.log1p(math.exp(-1)), 1 / (1 + math.e), 0.19661193324148185)),
        (lambda x: np.hypot(x, 1e200), 1e200, (math.sqrt(2) * 1e200, math.sqrt(0.5),
                                               math.sqrt(0.5) / 2e200)),
        (lambda x: np.hypot(x, 1.0), 1e-200, (1, 1e-200, 1)),
        (erf, 40.0, (1, 0, 0)),
        (erf, INF, (1, 0, 0)),
        (erf, -1e200, (-1, 0, 0)),
        (erfc, 1e200, (0, 0, 0)),
        (erfc, -INF, (2, 0, 0)),
        (np.sinc, 0.0, (1, 0, -math.pi**2 / 3)),
        (np.sinc, 1e-9, (1, -math.pi**2 / 3 * 1e-9, -math.pi**2 / 3)),
        (np.sinc, 1.0, (0, -1, 2)),
        (np.i0, 0.0, (1, 0, 0.5)),
        (np.i0, 1e-9, (1, 5e-10, 0.5)),
        (np.i0, -2.0, (2.2795853023360673, -1.5906368546373291, 1.4842668750174022)),
        (np.i0, 100.0, (1.0737517071310738e42, 1.0683693903381625e42,
                        1.0630680132276922e42)),
    ],
)  # fmt: skip
def test_extreme(function, at, expected):
    if expected[2] == -INF:
        with np.errstate(over="ignore"):
            found = derivatives(function, at, 2)
    else:
        found = derivatives(function, at, 2)
    np.testing.assert_allclose(found, expected, rtol=4e-14, atol=1e-16 * (at == 1))


@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (
            np.sinc,
            0.0,
            [1, 0, -(math.pi**2) / 3, 0, math.pi**4 / 5, 0, -(math.pi**6) / 7],
        ),
        (np.i0, 0.0, [1, 0, 1 / 2, 0, 3 / 8, 0, 5 / 16]),
        (np.arctan, 0.0, [0, 1, 0, -2, 0, 24]),
        (np.arcsinh, 0.0, [0, 1, 0, -1, 0, 9]),
        (np.tanh, 0.0, [0, 1, 0, -2, 0, 16]),
        (erf, 0.0, [0, *(2 / math.sqrt(math.pi) * c for c in (1, 0, -2, 0, 12))]),
        (np.cbrt, 1.0, [1, 1 / 3, -2 / 9, 10 / 27]),
        (np.log2, 1.0, [c / math.log(2) for c in (0, 1, -1, 2, -6)]),
    ],
)
def test_derivatives_of_higher_order(function, at, expected):
    found = derivatives(function, at, len(expected) - 1)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


# Types, names and what is refused.


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", UNARY)
def test_narrow_types_stay_narrow(name, dtype):
    entry = registry[name]
    at = entry.domain(0).sample(np.random.default_rng(0), (4,)).astype(dtype)
    expected = entry.reference(at)
    for value in (at, at[0]):
        x = leaf(value)
        y = entry.function(x)
        assert y.dtype == dtype
        y.backward(np.ones(y.shape, dtype=dtype), create_graph=True)
        assert x.grad.dtype == dtype
    wide = leaf(at.astype(float))
    entry.function(wide).sum().backward()
    narrow = leaf(at)
    entry.function(narrow).sum().backward()
    np.testing.assert_allclose(
        narrow.grad.numpy(), wide.grad.numpy(), rtol=16 * np.finfo(dtype).eps,
        atol=4 * np.finfo(dtype).eps,
    )  # fmt: skip
    np.testing.assert_array_equal(y.numpy(), expected[0])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x**2,
        lambda x: x**0.5,
        lambda x: 2**x,
        lambda x: x % 1.5,
        lambda x: np.maximum(x, 0.5),
        lambda x: np.fmod(x, 0.7),
        lambda x: np.copysign(x, -1.0),
        lambda x: np.hypot(x, 2.0),
        lambda x: np.arctan2(x, 2.0),
        lambda x: np.logaddexp(x, 0.0),
        lambda x: np.clip(x, 0.1, 0.9),
        lambda x: np.where(x > 1, x, 0.0),
        lambda x: np.heaviside(x, 0.5),
        lambda x: np.ldexp(x, 2),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_python_numbers_are_weak(function, dtype):
    x = leaf([0.5, 2.0], dtype)
    y = function(x)
    assert y.dtype == dtype
    y.sum().backward()
    assert x.grad.dtype == dtype


def test_aliases_of_the_array_api():
    x, above = leaf([0.5]), leaf([1.5])
    for alias, name in (
        ("acos", "arccos"),
        ("acosh", "arccosh"),
        ("asin", "arcsin"),
        ("asinh", "arcsinh"),
        ("atan", "arctan"),
        ("atanh", "arctanh"),
        ("abs", "absolute"),
        ("conj", "conjugate"),
        ("bitwise_invert", "invert"),
    ):
        assert getattr(np, alias) is getattr(np, name)
    assert np.acos(x).requires_grad
    assert np.acosh(above).requires_grad
    assert np.pow(x, 2)[0].item() == 0.25
    assert np.atan2(x, 0.5)[0].item() == pytest.approx(math.pi / 4)
    assert np.mod(x, 0.4)[0].item() == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.sin(x, out=np.zeros(2)), "out= is not supported"),
        (lambda x: np.sin(x, dtype=np.float32), "sin: unexpected argument 'dtype'"),
        (lambda x: np.add(x, 1, where=[True, False]), "unexpected argument 'where'"),
        (lambda x: np.round(x, out=np.zeros(2)), "unexpected argument 'out'"),
        (lambda x: np.clip(x, 0, 1, out=np.zeros(2)), "unexpected keyword argument"),
        (lambda x: np.where(x, x), "where: missing argument 'b'"),
        (lambda x: np.ldexp(x, x), "ldexp"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call(leaf([1.0, 2.0]))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.isclose(x, 1.0),
        lambda x: np.isposinf(x),
        lambda x: np.isneginf(x),
        lambda x: np.signbit(x),
        lambda x: np.isreal(x),
        lambda x: np.logical_xor(x, 0),
        lambda x: np.spacing(x),
        lambda x: np.greater(2.0, x),
        lambda x: np.zeros_like(x),
    ],
)
def test_constants_equal_numpy(call):
    x = leaf([1.0, -2.0, NAN])
    y = call(x)
    assert isinstance(y, tg.Tensor)
    assert not y.requires_grad
    np.testing.assert_array_equal(y.numpy(), call(x.numpy()))


def test_questions_are_answered_in_python():
    x = leaf([1.0, 2.0])
    assert np.allclose(x, [1, 2])
    assert np.array_equal(x, [1, 2])
    assert np.array_equiv(x, [1, 2])
    assert not np.iscomplexobj(x)
    assert np.isrealobj(x)
    assert np.result_type(x, np.float32(1)) == np.float64
    i = tg.Tensor([6, 9])
    np.testing.assert_array_equal(np.gcd(i, 6).numpy(), [6, 3])
    np.testing.assert_array_equal(np.bitwise_and(i, 3).numpy(), [2, 1])
    np.testing.assert_array_equal(np.invert(i).numpy(), [-7, -10])


def test_the_gradient_of_a_square_makes_no_copy_of_its_base():
    step = tg.compile(tg.grad(lambda x: np.sum(x**2)), fused=False)
    x = np.array([1.5, -2.0, 0.0])
    for _ in range(3):
        np.testing.assert_array_equal(step(x), 2 * x)
    assert "positive" not in str(step.plan)
