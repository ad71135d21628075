"""Median, percentiles and quantiles: their weights, ties and NaN."""

from functools import partial

import numpy as np
import pytest
from derivatives import gradient
from tensors import normal

import tensorgrad as tg
from tensorgrad.ops.reductions.quantiles import METHODS

NAN = np.nan
WITH_Q = ["quantile", "percentile", "nanquantile", "nanpercentile"]


def weights_of(call, x):
    """Return the weights with which elements enter, row by row of the output."""
    y = call(x)
    rows = [gradient(call, x, v.reshape(y.shape)) for v in np.eye(np.size(y))]
    return y, np.array(rows)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", WITH_Q)
def test_quantiles_are_their_weighted_elements(name, method):
    """The gradient holds the very weights with which NumPy made the value."""
    scale = 100 if "percentile" in name else 1
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 4, 7, 10):
        x = rng.permutation(n) + 0.25
        q = scale * np.concatenate([np.linspace(0, 1, 11), rng.random(5)])
        f = partial(getattr(np, name), q=q, method=method)
        y, w = weights_of(f, x)
        np.testing.assert_allclose(w @ x, y, rtol=1e-12)
        np.testing.assert_allclose(w.sum(1), 1, rtol=1e-12)
        assert (w >= 0).all()
        assert ((w > 0).sum(1) <= 2).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", WITH_Q)
def test_quantiles_of_narrow_types(name, dtype):
    x = np.random.default_rng(2).normal(size=9).astype(dtype)
    for method in METHODS:
        y = getattr(np, name)(tg.Tensor(x), 0.3, method=method)
        expected = getattr(np, name)(x, 0.3, method=method)
        assert y.dtype == expected.dtype
        assert y.numpy() == expected
        g = gradient(partial(getattr(np, name), q=0.3, method=method), x)
        assert g.dtype == dtype
        np.testing.assert_allclose(
            g.astype(float) @ x, expected, rtol=4 * np.finfo(dtype).eps, atol=1e-3
        )


@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
def test_weighted_quantiles(name):
    rng = np.random.default_rng(5)
    x, w = rng.normal(size=(3, 6)), rng.random((3, 6))
    w[0, :3] = 0
    for q in (0.0, 0.4, 1.0):
        kwargs = {"axis": 1, "weights": w, "method": "inverted_cdf"}
        y, part = weights_of(partial(getattr(np, name), q=q, **kwargs), x)
        np.testing.assert_array_equal((part * x).sum((1, 2)), y)
        assert ((part == 0) | (part == 1)).all()
        assert (part.sum((1, 2)) == 1).all()


def test_tied_quantiles_follow_the_stable_order():
    assert gradient(np.median, [2.0, 2.0, 2.0]).tolist() == [0, 1, 0]
    assert gradient(np.median, [2.0, 1.0, 2.0, 2.0]).tolist() == [0.5, 0, 0.5, 0]
    g = gradient(lambda t: np.quantile(t, 1.0), [3.0, 3.0])
    assert g.tolist() == [0, 1]


@pytest.mark.parametrize("n", [100, 1000])
def test_ties_follow_the_stable_order_in_long_arrays_too(n):
    x = np.random.default_rng(n).integers(0, 3, n).astype(float)
    place = np.argsort(x, kind="stable")[n // 4]
    g = gradient(lambda t: np.quantile(t, n // 4 / (n - 1), method="lower"), x)
    assert np.flatnonzero(g).tolist() == [place]


def test_a_quantile_with_nan_goes_to_the_last_nan():
    x = np.array([[NAN, 1.0, NAN], [1.0, 2.0, 3.0]])
    for f in (np.median, lambda t, axis: np.quantile(t, 0.5, axis=axis)):
        g = gradient(partial(f, axis=1), x)
        assert g.tolist() == [[0, 0, 1], [0, 1, 0]]


def test_rows_of_different_numbers_of_nan():
    x = normal(3, 6)
    x[0, :2] = x[1, 3:] = NAN
    for method in METHODS:
        y, w = weights_of(partial(np.nanquantile, q=0.4, axis=1, method=method), x)
        np.testing.assert_allclose((w * np.nan_to_num(x)).sum((1, 2)), y)
        assert (w[:, np.isnan(x)] == 0).all()


def test_the_probability_is_a_constant():
    q = tg.Tensor(0.5, requires_grad=True)
    with pytest.raises(TypeError, match="no gradient rule for argument 'q'"):
        np.quantile(tg.Tensor(normal(3)), q)
    assert np.quantile(tg.Tensor([1.0, 2.0]), q.detach()).item() == 1.5


def test_overwriting_the_input_is_not_done():
    x = tg.Tensor([3.0, 1.0, 2.0], requires_grad=True)
    np.median(x, overwrite_input=True).backward()
    assert x.numpy().tolist() == [3, 1, 2]
    assert x.grad.numpy().tolist() == [0, 0, 1]
