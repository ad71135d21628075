"""Variance, standard deviation, averages and covariance."""

import numpy as np
import pytest
from derivatives import gradient, second_of
from tensors import normal

import tensorgrad as tg
from tensorgrad.core.dispatch import operations
from tensorgrad.testing import gradgradcheck

MASK = np.array([[True, False, True], [False, True, True]])


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_a_given_mean_is_an_argument_of_its_own(name):
    f = operations[name]
    x = normal(2, 3)
    gradgradcheck(lambda a, m: f(a, axis=1, mean=m), x, [[0.1], [0.9]])
    gradgradcheck(lambda a, m: f(a, mean=m, ddof=1, where=MASK), x, [[0.3]])
    gradgradcheck(lambda a: f(a, axis=1, mean=np.mean(a, axis=1, keepdims=True)), x)


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_correction_is_another_name_of_ddof(name):
    f = getattr(np, name)
    x = tg.Tensor(normal(4))
    assert f(x, correction=1).item() == f(x.numpy(), ddof=1)
    with pytest.raises(ValueError, match="not both"):
        f(x, ddof=1, correction=1)


@pytest.mark.parametrize("name", ["std", "nanstd"])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e-9, 1e9 / 3])
def test_the_deviation_of_equal_elements_is_flat(name, value):
    """Also where their mean is not exactly equal to them."""
    f = getattr(np, name)
    for n in (2, 3, 7):
        x = np.full(n, value)
        assert np.abs(gradient(f, x)).max() < 1e-12
        g = gradient(lambda t: f(t, axis=0, ddof=1), np.stack([x, normal(n)], 1))
        assert np.abs(g[:, 0]).max() < 1e-12
        assert np.abs(g[:, 1]).min() > 1e-3
    assert np.isfinite(second_of(f, np.full(4, 2.0))).all()


def test_var_far_from_zero_keeps_its_accuracy():
    """Mean of squares minus square of mean would lose all digits here."""
    x = np.array([1e8 + 1, 1e8 + 2, 1e8 + 4])
    np.testing.assert_allclose(gradient(np.var, x), [-8 / 9, -2 / 9, 10 / 9], rtol=1e-7)
    np.testing.assert_allclose(gradient(np.std, x).sum(), 0, atol=1e-15)


def test_no_degrees_of_freedom():
    for f in (np.var, np.std, np.nanvar, np.nanstd):
        x = tg.Tensor([1.0, 2.0], requires_grad=True)
        with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="freedom"):
            y = f(x, ddof=3)
        assert not np.isfinite(y.numpy())
        y.backward()
        assert np.isnan(x.grad.numpy()).all()


def test_average_is_differentiated_in_its_weights_too():
    f = operations["average"]
    x, w = normal(2, 3), np.abs(normal(2, 3)) + 0.1
    gradgradcheck(lambda a, b: f(a, weights=b), x, w)
    gradgradcheck(lambda a, b: f(a, axis=1, weights=b, keepdims=True), x, w)
    gradgradcheck(lambda a, b: f(a, 1, b, returned=True), x, w[0])
    gradgradcheck(lambda a, b: f(a, axis=(2, 0), weights=b), normal(2, 2, 3), w.T)
    y, total = np.average(
        tg.Tensor(x), axis=0, weights=tg.Tensor(w[:, 0]), returned=True
    )
    expected = np.average(x, axis=0, weights=w[:, 0], returned=True)
    np.testing.assert_array_equal([y.numpy(), total.numpy()], expected)


def test_average_refuses_what_has_no_value():
    x = tg.Tensor(normal(2, 3))
    with pytest.raises(ZeroDivisionError, match="sum to zero"):
        np.average(x, weights=tg.Tensor(np.zeros((2, 3))))
    with pytest.raises(TypeError, match="need an axis"):
        np.average(x, weights=tg.Tensor([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="do not match the axes"):
        np.average(x, axis=0, weights=tg.Tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"rowvar": False},
        {"bias": True},
        {"ddof": 0},
        {"fweights": np.array([1, 2, 3])},
        {"aweights": np.array([0.5, 2.0, 1.0])},
        {"fweights": np.array([1, 2, 3]), "aweights": np.array([0.5, 2.0, 1.0])},
        {"dtype": np.float32},
    ],
)
def test_covariance_as_numpy_spells_it(kwargs):
    shape = (3, 2) if kwargs.get("rowvar") is False else (2, 3)
    x, y = normal(*shape), normal(*shape)[::-1] ** 2
    for args in [(x,), (x, y), (x[:, 0] if shape == (3, 2) else x[0],)]:
        found = np.cov(*map(tg.Tensor, args), **kwargs)
        expected = np.cov(*args, **kwargs)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-12)
        if "dtype" not in kwargs:
            gradgradcheck(lambda *a: operations["cov"](*a, **kwargs), *args)


def test_covariance_is_differentiated_in_its_weights():
    f = operations["cov"]
    gradgradcheck(lambda m, w: f(m, aweights=w), normal(2, 4), [0.5, 1.0, 2.0, 0.7])


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"ddof": 0.5}, ValueError, "ddof must be an integer"),
        ({"fweights": [1.5, 1, 1]}, TypeError, "fweights must be integers"),
        ({"fweights": [1, 1]}, ValueError, "must be 3 numbers of at least 0"),
        ({"aweights": [-1, 1, 1]}, ValueError, "must be 3 numbers of at least 0"),
    ],
)
def test_covariance_refuses(kwargs, error, message):
    with pytest.raises(error, match=message):
        np.cov(tg.Tensor(normal(2, 3)), **kwargs)


def test_covariance_of_one_observation_warns():
    with pytest.warns(RuntimeWarning), np.errstate(all="ignore"):
        y = np.cov(tg.Tensor([[1.0], [2.0]]))
    assert np.isnan(y.numpy()).all()


def test_correlation():
    x = normal(3, 6)
    np.testing.assert_allclose(np.corrcoef(tg.Tensor(x)).numpy(), np.corrcoef(x))
    assert np.corrcoef(tg.Tensor(x[0])).item() == 1
    gradgradcheck(operations["corrcoef"], x, x[::-1] ** 2)
    exact = [[1.0, 2.0, 4.0], [2.0, 4.0, 8.0]]
    assert np.abs(gradient(np.corrcoef, exact)).max() < 1e-12
