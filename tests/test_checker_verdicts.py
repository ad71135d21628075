"""What the gradient checker says of functions whose verdict is known."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing import GradientError, check_gradient, check_vjp, gradcheck

X = np.array([0.5, -1.2, 2.0])


def verdict(f, *inputs, **options):
    return gradcheck(f, *inputs, raise_on_failure=False, **options)


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


def wrong(factor):
    @tg.primitive
    def op(x):
        return np.sin(x)

    op.vjp(x=lambda g, x: factor * g * np.cos(x))
    return op


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


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (tg.relu, [0.0, 1.0]),
        (np.absolute, [0.0, -1.0]),
        (lambda x: np.max(x), [1.0, 2.0, 2.0]),
        (lambda x: np.maximum(x[0], x[1]), [1.5, 1.5]),
    ],
)
def test_kinks_are_called_kinks(f, x):
    assert verdict(f, np.array(x)).verdict == "kink"


def test_noise_is_called_noise():
    def noisy(x):
        return x + 1e-3 * np.sin(1e13 * x)

    def smooth_gradient(g, x):
        return g

    result = check_vjp(noisy, smooth_gradient, X, raise_on_failure=False)
    assert result.verdict in ("too noisy", "noisy", "agrees")


def test_wrong_shape_and_dtype_of_a_plain_gradient():
    with pytest.raises(GradientError, match="shape"):
        check_gradient(lambda x: np.sum(x * x), lambda x: 2 * x[:1], X)


def test_plain_functions():
    assert check_gradient(lambda x: np.sum(x**3), lambda x: 3 * x**2, X)
    a = np.arange(6.0).reshape(2, 3)
    assert check_vjp(lambda x: a @ x, lambda g, x: a.T @ g, X)
    with pytest.raises(GradientError, match="constant factor"):
        check_gradient(lambda x: np.mean(x**2), lambda x: 2 * x, X)


def test_function_that_is_not_deterministic_is_named():
    rng = np.random.default_rng(0)
    with pytest.raises(GradientError, match="(?i)determin|repeat|same"):
        gradcheck(lambda x: x * rng.normal(), X)


def test_function_that_writes_to_its_input_is_named():
    def f(x):
        x += 1.0
        return np.sum(x * x)

    with pytest.raises(GradientError, match="(?i)writ|chang|modif|mutat"):
        check_gradient(f, lambda x: 2 * x, X.copy())


def test_integer_and_unreached_inputs_are_named():
    result = verdict(lambda x, n: x * n, X, np.array([1, 2, 3]))
    assert result
    assert verdict(lambda x, w: np.sum(x), X, X)
