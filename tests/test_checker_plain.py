"""Checks of gradients by hand, and derivatives and remainders without a check."""

import subprocess
import sys

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing import (
    check_gradient,
    check_vjp,
    gradcheck,
    numerical_jacobian,
    taylor_slope,
)

X = np.array([0.5, -1.2, 2.0])
A = np.array([[1.0, 2.0, -1.0], [0.5, -3.0, 2.0]])
SQUARE = np.array([[2.0, 0.3, -0.1], [0.2, 1.5, 0.4], [0.1, -0.6, 1.2]])


# What df may give.


def test_gradient_of_a_number():
    assert check_gradient(lambda x: np.sum(x**3), lambda x: 3 * x**2, X)
    assert check_gradient(lambda x: float(x**3), lambda x: 3 * x**2, 2.0)
    assert check_gradient(lambda x: sum(x), lambda x: [1.0, 1.0, 1.0], X)


def test_forgotten_mean_is_named():
    result = check_gradient(
        lambda x: np.mean(x**2), lambda x: 2 * x, X, raise_on_failure=False
    )
    assert (result.verdict, result.fault) == ("disagrees", "factor")
    assert "constant factor of 3" in result.diagnosis


def test_jacobian_of_an_array():
    assert check_gradient(lambda x: A @ np.sin(x), lambda x: A * np.cos(x), X)
    wrong = check_gradient(
        lambda x: SQUARE @ x, lambda x: SQUARE.T, X, raise_on_failure=False
    )
    assert wrong.fault == "transposed"


def test_derivative_of_each_element():
    assert check_gradient(np.sin, np.cos, np.ones((2, 3)) * X)
    assert not check_gradient(np.sin, np.sin, X, raise_on_failure=False)


def test_functions_of_several_arrays():
    def gradients(a, b):
        return b, a

    assert check_gradient(lambda a, b: np.sum(a * b), gradients, (X, X + 1))
    assert check_vjp(lambda a, b: a * b, lambda g, a, b: (g * b, g * a), (X, X + 1))
    exchanged = check_gradient(
        lambda a, b: np.sum(a * b),
        lambda a, b: (a, b),
        (X, X + 1),
        raise_on_failure=False,
    )
    assert exchanged.fault == "exchanged"


def test_functions_with_several_outputs():
    def vjp(g, x):
        of_sine, of_sum = g
        return of_sine * np.cos(x) + of_sum

    assert check_vjp(lambda x: (np.sin(x), np.sum(x)), vjp, X)
    assert check_vjp(lambda x: [np.sin(x), np.sum(x)], vjp, X)
    one_alone = check_vjp(
        lambda x: (np.sin(x), np.sum(x)),
        lambda g, x: g[0] * np.cos(x),
        X,
        raise_on_failure=False,
    )
    assert one_alone.fault == "overwritten"


def test_forward_derivative_that_is_no_adjoint():
    def check(jvp):
        return check_vjp(
            lambda x: A @ x, lambda g, x: A.T @ g, X, jvp=jvp, raise_on_failure=False
        )

    assert check(lambda u, x: A @ u)
    result = check(lambda u, x: 2 * A @ u)
    assert (result.verdict, result.fault) == ("disagrees", "adjoint")


def test_points_are_not_changed():
    x = X.copy()
    check_gradient(lambda x: np.sum(x**3), lambda x: 3 * x**2, x)
    assert (x == X).all()


# Numerical Jacobians.


def inverse_jacobian(x):
    inverse = np.linalg.inv(x)
    return -np.einsum("ik,lj->ijkl", inverse, inverse)


@pytest.mark.parametrize(
    ("f", "expected", "x"),
    [
        (np.exp, lambda x: np.diag(np.exp(x)), X),
        (lambda x: np.sum(np.exp(x)), np.exp, X),
        (lambda x: A @ np.sin(x), lambda x: A * np.cos(x), X),
        (np.linalg.inv, inverse_jacobian, SQUARE),
        (
            np.linalg.det,
            lambda x: np.linalg.det(x) * np.linalg.inv(x).T,
            SQUARE,
        ),
        (np.exp, np.exp, np.float64(0.7)),
        (lambda x: 1e12 * np.exp(x), lambda x: np.diag(1e12 * np.exp(x)), X),
        (lambda x: 1e-12 * np.exp(x), lambda x: np.diag(1e-12 * np.exp(x)), X),
        (np.abs, lambda x: np.diag(np.sign(x)), X),
        (lambda x: np.cos(50 * x), lambda x: np.diag(-50 * np.sin(50 * x)), X),
        (lambda x: (1e6 + np.sin(x)) - 1e6, lambda x: np.diag(np.cos(x)), X),
    ],
)
def test_jacobian_lies_within_its_error_bar(f, expected, x):
    jacobian, error = numerical_jacobian(f, x)
    real = expected(x)
    assert jacobian.shape == error.shape == np.shape(f(x)) + np.shape(x)
    assert (np.abs(jacobian - real) <= error + 1e-15 * np.abs(real)).all()
    assert (error <= 1e-5 * np.max(np.abs(real))).all()


def test_jacobian_of_what_numpy_cannot_take_complex():
    jacobian, error = numerical_jacobian(lambda x: np.array([*map(float, x)]) ** 2, X)
    assert (np.abs(jacobian - np.diag(2 * X)) <= error).all()
    assert error.max() < 1e-9


def test_error_is_infinite_where_there_is_no_derivative():
    _, error = numerical_jacobian(np.log, [-1.0, 1.0])
    assert np.isinf(error[0]).all()
    assert np.isfinite(error[1, 1])


@pytest.mark.parametrize(
    ("f", "x", "message"),
    [
        (
            np.sin,
            [1j],
            "x must be real numbers, or a tuple of arrays of them, got comp",
        ),
        (np.sin, "text", "x must be real numbers"),
        (np.sin, (X, X), "x must be one array, got a tuple of 2"),
        (lambda x: (x, x), X, "f must return one array, got 2"),
        (lambda x: None, X, "f returns object, expected real numbers"),
    ],
)
def test_bad_input_of_numerical_jacobian(f, x, message):
    with pytest.raises(TypeError, match=f"numerical_jacobian: {message}"):
        numerical_jacobian(f, x)


# Taylor remainders.


@pytest.mark.parametrize(
    ("f", "df", "x"),
    [
        (lambda x: np.sum(np.exp(x)), np.exp, X),
        (np.sin, np.cos, X),
        (lambda x: A @ np.sin(x), lambda x: A * np.cos(x), X),
        (lambda a, b: np.sum(a * b), lambda a, b: (b, a), (X, X + 1)),
        (lambda x: 1e9 * np.sum(np.exp(x)), lambda x: 1e9 * np.exp(x), X),
    ],
)
@pytest.mark.parametrize("rng", range(5))
def test_slope_is_two_where_the_gradient_is_right(f, df, x, rng):
    def wrong(*xs):
        gradients = df(*xs)
        several = isinstance(gradients, tuple)
        return tuple(1.01 * g for g in gradients) if several else 1.01 * gradients

    assert 1.9 <= taylor_slope(f, df, x, rng=rng) < 2.5
    assert 0.9 <= taylor_slope(f, wrong, x, rng=rng) < 1.1


def test_slope_without_a_remainder():
    assert taylor_slope(lambda x: A @ x, lambda x: A, X) == np.inf
    assert taylor_slope(lambda x: A @ x, lambda x: 2 * A, X) == pytest.approx(1)


def test_slope_is_repeatable_and_takes_a_generator():
    def slope(rng):
        return taylor_slope(lambda x: np.sum(np.exp(x)), np.exp, X, rng=rng)

    assert slope(3) == slope(3) == slope(np.random.default_rng(3))
    assert slope(None) >= 1.9


@pytest.mark.parametrize(
    ("f", "x", "message"),
    [
        (lambda x: (x, x), X, "f must return one array, got 2"),
        (np.sin, "text", "x must be real numbers"),
    ],
)
def test_bad_input_of_taylor_slope(f, x, message):
    with pytest.raises(TypeError, match=f"taylor_slope: {message}"):
        taylor_slope(f, np.cos, x)


# The top of the package.


def test_names_at_the_top():
    assert tg.testing.gradcheck is tg.gradcheck is gradcheck
    assert tg.gradgradcheck is tg.testing.gradgradcheck
    assert tg.GradientError is tg.testing.GradientError
    assert {"gradcheck", "gradgradcheck", "GradientError", "testing"} <= set(dir(tg))
    assert set(tg.testing.__all__) <= set(dir(tg.testing))
    for module in (tg, tg.testing):
        with pytest.raises(AttributeError, match="no attribute 'gradchek'"):
            _ = module.gradchek


def test_checker_is_imported_when_asked_for():
    code = (
        "import sys, tensorgrad as tg\n"
        "assert 'tensorgrad.testing' not in sys.modules\n"
        "assert tg.gradcheck(lambda x: x * x, 1.5)\n"
        "assert not {'hypothesis', 'matplotlib', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
