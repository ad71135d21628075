"""What the gradient checker says of functions whose verdict is known."""

import numpy as np
import pytest
from checks import verdict, wrong
from profiles import some

import tensorgrad as tg
from tensorgrad.testing import GradientError, check_gradient, check_vjp, gradcheck
from tensorgrad.testing.identities import symmetric
from tensorgrad.testing.tensors import TensorProblem

X = np.array([0.5, -1.2, 2.0])


@pytest.mark.parametrize(
    "f",
    [
        np.sin,
        lambda x: np.sum(np.exp(x) * x),
        lambda x: tg.softmax(x),
        lambda x: np.linalg.norm(x),
        lambda x: (x * 2, x[:1]),
        lambda x: np.sort(x),
        lambda x: 1e-12 * np.sin(x),
        lambda x: 1e12 * np.sin(x),
        lambda x: np.stack([1e-12 * np.sin(x[0]), 1e12 * np.cos(x[1])]),
    ],
)
@pytest.mark.parametrize("order", [1, 2])
def test_right_gradients_agree(f, order):
    result = gradcheck(f, X, order=order)
    assert result
    assert result.verdict == "agrees"


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.0, 1 / 3, 1.001])
@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
def test_wrong_gradients_disagree(factor, scale):
    f = wrong(factor)
    with pytest.raises(GradientError) as error:
        gradcheck(lambda x: scale * f(x), X)
    text = str(error.value)
    assert "DISAGREES" in text
    assert "seed 0" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_small_wrong_entry_beside_large_right_ones():
    f = wrong(2.0)
    result = verdict(lambda x: np.stack([1e-9 * f(x[0]), 1e9 * np.sin(x[1])]), X)
    assert result.verdict == "disagrees"


# Scales.


def by_matrix(right, claimed):
    return check_vjp(
        lambda x: right @ np.sin(x),
        lambda g, x: (claimed.T @ g) * np.cos(x),
        X,
        raise_on_failure=False,
    )


WIDE = np.diag([1e-12, 1.0, 1e12])


@pytest.mark.parametrize("scales", [WIDE, WIDE[::-1], np.outer([1e-12, 1, 1e12], X)])
def test_gradients_of_widely_different_scale(scales):
    assert by_matrix(scales, scales).verdict == "agrees"
    for place in np.argwhere(scales):
        wrong = scales.copy()
        wrong[tuple(place)] *= 1.001
        assert by_matrix(scales, wrong).verdict == "disagrees"


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e100])
def test_values_of_any_scale(scale):
    for factor in (1.0, 1.001):
        result = check_gradient(
            lambda x: np.sum(scale * np.sin(x)),
            lambda x, factor=factor: factor * scale * np.cos(x),
            X,
            raise_on_failure=False,
        )
        assert result.verdict == ("agrees" if factor == 1 else "disagrees")


@pytest.mark.parametrize("x", [[0.0], [0.0, 0.0], [0.0, 1.0]])
@pytest.mark.parametrize(
    "f", [np.square, lambda x: np.sum(x**3), lambda x: x * x.sum()]
)
def test_minimum_of_zero(f, x):
    assert verdict(f, np.array(x)).verdict == "agrees"


# Kinks, jumps and ends.


def nearest(x):
    return np.floor(x + 0.5)


def jump(x):
    return np.where(x > 0, x + 1, x)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (tg.relu, [0.0, 1.0]),
        (np.absolute, [0.0, -1.0]),
        (np.absolute, [-0.0, 3.0]),
        (lambda x: np.max(x), [1.0, 2.0, 2.0]),
        (lambda x: np.min(x), [1.0, 1.0, 1.0]),
        (lambda x: np.maximum(x[0], x[1]), [1.5, 1.5]),
        (lambda x: np.clip(x, 0.0, 1.0), [0.0, 1.0, 0.5]),
        (lambda x: np.linalg.norm(x), [0.0, 0.0]),
        (np.floor, [1.0, 1.5]),
        (nearest, [0.5, 1.0]),
        (np.sign, [0.0, 2.0]),
        (jump, [0.0, 2.0]),
        (np.sqrt, [0.0, 1.0]),
    ],
)
def test_kinks_are_called_kinks(f, x):
    result = verdict(f, np.array(x))
    assert result
    assert (result.verdict, result.fault) == ("kink", "kink")


@pytest.mark.parametrize("f", [tg.relu, np.absolute, np.floor, np.sign, jump, nearest])
def test_no_kink_away_from_it(f):
    assert verdict(f, np.array([0.3, -1.2, 2.7])).verdict == "agrees"


def relu_with(at_zero):
    @tg.primitive
    def op(x):
        return np.maximum(x, 0)

    op.vjp(x=lambda g, x: g * np.where(x == 0, at_zero, x > 0))
    return op


@pytest.mark.parametrize("at_zero", [0.0, 0.3, 1.0])
def test_report_on_a_kink(at_zero):
    result = gradcheck(relu_with(at_zero), np.array([1.0, 0.0, -1.0]))
    assert result.verdict == "kink"
    (entry,) = result.entries("kink")
    assert entry.index == entry.output_index == (1,)
    assert entry.low <= entry.analytic == at_zero <= entry.high
    assert entry.low == pytest.approx(0, abs=1e-9)
    assert entry.high == pytest.approx(1, abs=1e-9)
    text = str(result)
    assert "KINK" in text
    assert "d output 0[1] / d input 0[1]" in text
    assert "the gradient is between them" in " ".join(text.split())
    assert "one-sided" in text


@pytest.mark.parametrize("at_zero", [-0.1, 1.1, 1 + 1e-6, -1e-6, 7.0])
def test_value_that_is_not_between_the_one_sided_ones(at_zero):
    result = verdict(relu_with(at_zero), np.array([1.0, 0.0, -1.0]))
    assert (result.verdict, result.fault) == ("disagrees", "tie")
    assert result.worst.index == (1,)


def test_nan_at_a_kink_has_a_name_of_its_own():
    result = verdict(relu_with(np.nan), np.array([1.0, 0.0, -1.0]))
    assert (result.verdict, result.fault) == ("disagrees", "not a number")
    assert result.worst.index == (1,)


def test_wrong_beside_a_kink():
    f = wrong(2.0)
    result = verdict(lambda x: np.absolute(x[0]) + f(x[1]), np.array([0.0, 1.0]))
    assert result.verdict == "disagrees"
    assert result.worst.index == (1,)


def test_straight_through_estimator_is_wrong():
    @tg.primitive
    def ste(x):
        return np.round(x)

    ste.vjp(x=lambda g: g)
    assert verdict(ste, np.array([0.2, 1.3])).verdict == "disagrees"


# Noise.


def test_noise_is_called_noise():
    def noisy(x):
        return x + 1e-3 * np.sin(1e13 * x)

    result = check_vjp(noisy, lambda g, x: 1 * g, X, raise_on_failure=False)
    assert not result
    assert (result.verdict, result.fault) == ("too noisy", "noise")
    assert "too noisy" in result.diagnosis


SMOOTH = [(np.sin, np.cos), (np.exp, np.exp), (lambda x: x**3, lambda x: 3 * x**2)]


@pytest.mark.parametrize("exponent", some(range(2, 14)))
@pytest.mark.parametrize(("f", "df"), SMOOTH)
def test_cancellation_noise(f, df, exponent):
    large = 10.0**exponent

    def cancelling(x):
        return (large + f(x)) - large

    result = check_gradient(cancelling, df, X, raise_on_failure=False)
    allowed = ["agrees", "too noisy"]
    assert result.verdict in allowed[: 1 if exponent < 10 else 2]
    # A fault far above the noise is seen through it.
    assert not check_gradient(
        cancelling, lambda x: 2 * df(x), X, raise_on_failure=False
    )


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (np.log, [-1.0, 1.0]),
        (np.log, [0.0, 1.0]),
        (lambda x: x / (x - x), [1.0, 2.0]),
        (np.arcsin, [2.0, 0.5]),
    ],
)
def test_function_that_is_not_a_number(f, x):
    result = verdict(f, np.array(x))
    assert (result.verdict, result.fault) == ("too noisy", "not finite")
    assert "NaN or infinite" in result.diagnosis


@pytest.mark.parametrize("largest", [4096, 1])
def test_gradient_that_is_not_a_number(largest):
    result = check_gradient(
        np.sin,
        lambda x: np.where(x > 0, np.cos(x), np.nan),
        X,
        largest=largest,
        raise_on_failure=False,
    )
    assert (result.verdict, result.fault) == ("disagrees", "not a number")


# Single precision.


def single(x):
    assert x.dtype == np.float32, "takes float32 alone"
    return np.sin(x)


@pytest.mark.parametrize("factor", [1.0, 1.1, -1.0])
def test_functions_that_take_float32_alone(factor):
    x = X.astype(np.float32)
    f = tg.primitive(lambda x: single(x))
    f.vjp(x=lambda g, x: np.float32(factor) * g * np.cos(x))
    for result in (
        verdict(f, x),
        check_gradient(single, lambda x: factor * np.cos(x), x, raise_on_failure=False),
        check_vjp(
            single, lambda g, x: factor * g * np.cos(x), x, raise_on_failure=False
        ),
    ):
        assert result.verdict == ("agrees" if factor == 1 else "disagrees")


def test_wrong_in_float32_alone():
    @tg.primitive
    def op(x):
        return np.sin(x)

    op.vjp(x=lambda g, x: g * np.cos(x) * (2 if x.dtype == np.float32 else 1))
    assert verdict(op, X)
    result = verdict(op, X.astype(np.float32))
    assert (result.verdict, result.fault) == ("disagrees", "float32")
    assert "right in float64, wrong in float32" in result.diagnosis


# Second order.


@pytest.mark.parametrize(
    "f",
    [lambda x: np.prod(x), lambda x: tg.softmax(x), lambda x: np.exp(np.outer(x, x))],
)
def test_second_order(f):
    result = tg.gradgradcheck(f, X)
    assert (result.verdict, result.order) == ("agrees", 2)
    assert len(result.examinations) == 2


def constant_residual():
    @tg.primitive
    def op(x):
        return np.sin(x)

    op.vjp(x=lambda g, x: g * np.cos(x.detach() if isinstance(x, tg.Tensor) else x))
    return op


def test_rule_that_is_right_to_first_order_alone():
    f = constant_residual()
    assert gradcheck(f, X)
    result = tg.gradgradcheck(f, X, raise_on_failure=False)
    assert (result.verdict, result.fault) == ("disagrees", "not recorded")
    assert str(result).startswith("gradient of order 2: DISAGREES")
    with pytest.raises(GradientError, match="order 2"):
        gradcheck(f, X, order=2)


def test_asymmetric_second_derivative():
    @tg.primitive
    def op(x):
        return x[0] * x[1]

    def rule(g, x):
        values = x.detach() if isinstance(x, tg.Tensor) else x
        return np.stack([g * x[1], g * values[0]])

    op.vjp(x=rule)
    problem = TensorProblem([np.array([1.5, 2.5])], op)
    second = problem.derivative([np.array(1.0)])
    (finding,) = symmetric(second, 1, np.random.default_rng(0))
    assert finding.fault == "asymmetric"
    right = TensorProblem([np.array([1.5, 2.5])], lambda x: x[0] * x[1])
    second = right.derivative([np.array(1.0)])
    assert symmetric(second, 1, np.random.default_rng(0)) == []
