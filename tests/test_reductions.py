"""Reductions: keywords as NumPy spells them, empties, ties and NaN."""

import inspect
import itertools
import warnings

import numpy as np
import pytest
from derivatives import gradient, second_of
from tensors import normal

import tensorgrad as tg
from tensorgrad.core.dispatch import operations
from tensorgrad.testing import gradgradcheck

NAN, INF = np.nan, np.inf
MASK = np.array([[True, False, True], [False, True, True]])

REDUCTIONS = [
    "sum",
    "mean",
    "max",
    "min",
    "ptp",
    "prod",
    "var",
    "std",
    "median",
    "nansum",
    "nanmean",
    "nanmax",
    "nanmin",
    "nanprod",
    "nanvar",
    "nanstd",
    "nanmedian",
]
WITH_Q = ["quantile", "percentile", "nanquantile", "nanpercentile"]
SCANS = ["cumsum", "cumprod", "nancumsum", "nancumprod"]
OTHERS = ["average", "cov", "corrcoef", "cumulative_sum", "cumulative_prod"]


@pytest.mark.parametrize("name", [*REDUCTIONS, *WITH_Q, *SCANS, *OTHERS])
def test_parameters_are_those_of_numpy(name):
    if not hasattr(np, name):
        pytest.skip("newer than this NumPy")
    ours = inspect.signature(operations[name]).parameters.values()
    theirs = inspect.signature(getattr(np, name)).parameters.values()
    gone = {"interpolation"} | ({"bias", "ddof"} if name == "corrcoef" else set())
    theirs = [p for p in theirs if p.name not in gone]
    assert [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in theirs]


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_positional_and_keyword_calls_equal_numpy(name, axis, keepdims):
    x = normal(3, 4)
    expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
    t = tg.Tensor(x)
    found = getattr(np, name)(t, axis=axis, keepdims=keepdims)
    np.testing.assert_array_equal(found.numpy(), expected)
    np.testing.assert_array_equal(
        getattr(np, name)(a=t, axis=axis).numpy().sum(), expected.sum()
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.sum(x, 0, None, None, True),
        lambda x: np.prod(x, 1, None, None, True, 2.0, MASK),
        lambda x: np.max(x, 0, None, True),
        lambda x: np.amax(x, axis=1),
        lambda x: np.amin(x),
        lambda x: np.mean(x, 1, np.float64, None, True),
        lambda x: np.var(x, 1, None, None, 1, True),
        lambda x: np.add.reduce(x),
        lambda x: np.add.reduce(x, 1, None, None, True),
        lambda x: np.add.reduce(x, axis=None, where=MASK, initial=3.0),
        lambda x: np.maximum.reduce(x),
        lambda x: np.minimum.reduce(x, 1, None, None, True),
        lambda x: np.fmax.reduce(x, axis=1),
        lambda x: np.fmin.reduce(x),
        lambda x: np.multiply.reduce(x),
        lambda x: np.multiply.reduce(x, axis=(0, 1)),
        lambda x: np.logaddexp.reduce(x),
        lambda x: np.logaddexp.reduce(x, axis=1, keepdims=True),
        lambda x: np.add.accumulate(x),
        lambda x: np.add.accumulate(x, 1),
        lambda x: np.multiply.accumulate(x),
        lambda x: np.maximum.accumulate(x, axis=1),
        lambda x: np.minimum.accumulate(x),
        lambda x: np.logaddexp.accumulate(x, axis=1),
        lambda x: np.cumsum(x),
        lambda x: np.cumprod(x, 1),
        lambda x: np.nancumsum(a=x, axis=0),
    ],
)
def test_calls_without_names_and_ufunc_methods(call):
    x = normal(2, 3)
    found = call(tg.Tensor(x))
    np.testing.assert_array_equal(found.numpy(), call(x))
    gradgradcheck(call, x)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.sum(x, out=np.empty(())),
        lambda x: np.mean(x, 0, None, np.empty(3)),
        lambda x: np.max(x, out=np.empty(())),
        lambda x: np.prod(x, out=np.empty(())),
        lambda x: np.var(x, out=np.empty(())),
        lambda x: np.nanstd(x, out=np.empty(())),
        lambda x: np.median(x, out=np.empty(())),
        lambda x: np.percentile(x, 50, out=np.empty(())),
        lambda x: np.nansum(x, out=np.empty(())),
        lambda x: np.cumsum(x, out=np.empty(6)),
        lambda x: np.ptp(x, out=np.empty(())),
        lambda x: np.add.reduce(x, out=np.empty(3)),
    ],
)
def test_an_output_array_is_refused(call):
    with pytest.raises(TypeError, match="out= is not supported"):
        call(tg.Tensor(normal(2, 3), requires_grad=True))


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "nanmean", "cumsum"])
@pytest.mark.parametrize("dtype", [int, complex])
def test_a_dtype_without_gradient_is_refused(name, dtype):
    with pytest.raises(TypeError, match=f"{name}: a .* result has no gradient"):
        getattr(np, name)(tg.Tensor(normal(3), requires_grad=True), dtype=dtype)


def test_integers_are_summed_as_integers():
    t = tg.Tensor([1, 2, 3])
    assert np.sum(t, dtype=np.int16).dtype == np.int16
    assert t.sum().item() == 6
    assert np.cumprod(t).numpy().tolist() == [1, 2, 6]


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "std", "cumsum"])
def test_a_wider_dtype_computes_in_it_and_the_gradient_is_that_of_the_tensor(name):
    x = tg.Tensor(normal(5).astype(np.float32), requires_grad=True)
    y = getattr(np, name)(x, dtype=np.float64)
    assert y.dtype == np.float64
    assert y.numpy().tolist() == getattr(np, name)(x.numpy(), dtype=np.float64).tolist()
    y.backward(np.ones(y.shape))
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("name", [*REDUCTIONS, *SCANS])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_narrow_types_stay(name, dtype):
    x = tg.Tensor(normal(2, 3), requires_grad=True, dtype=dtype)
    y = getattr(np, name)(x, axis=1)
    expected = getattr(np, name)(x.numpy(), axis=1)
    assert y.dtype == expected.dtype == dtype
    np.testing.assert_array_equal(y.numpy(), expected)
    y.backward(np.ones(y.shape, dtype=dtype))
    assert x.grad.dtype == dtype


def test_a_mean_of_many_halves_has_a_gradient():
    """The count is beyond the range of float16."""
    g = gradient(np.mean, np.ones(100_000, dtype=np.float16))
    np.testing.assert_allclose(g.astype(float), 1e-5, rtol=0.01)


def test_a_mean_of_many_is_that_of_numpy():
    for n in (2**24 - 1, 2**24 + 3):
        x = np.random.default_rng(0).random(n, dtype=np.float32)
        assert tg.mean(x) == np.mean(x)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.sum(x, where=MASK),
        lambda x: np.mean(x, axis=1, where=MASK, keepdims=True),
        lambda x: np.max(x, axis=0, where=MASK, initial=-9.0),
        lambda x: np.min(x, where=MASK, initial=9.0),
        lambda x: np.prod(x, axis=1, where=MASK),
        lambda x: np.var(x, axis=1, where=MASK),
        lambda x: np.std(x, where=MASK, ddof=1, keepdims=True),
        lambda x: np.nansum(x, where=MASK),
        lambda x: np.nanprod(x, where=MASK, initial=0.5),
        lambda x: np.nanmean(x, axis=0, where=MASK),
        lambda x: np.nanmax(x, axis=0, where=MASK, initial=-9.0),
        lambda x: np.nanvar(x, axis=1, where=MASK),
        lambda x: np.nanstd(x, where=MASK),
        lambda x: np.logaddexp.reduce(x, axis=1, where=MASK, initial=-2.0),
    ],
)
def test_what_where_leaves_out_changes_nothing(call):
    """Its gradient is 0 to second order, and it leaks into no other."""
    x = normal(2, 3)
    gradgradcheck(call, x)
    expected = call(x), gradient(call, x), second_of(call, x)
    assert (expected[1][~MASK] == 0).all()
    for bad in (NAN, INF, 1e100):
        y = np.where(MASK, x, bad)
        found = call(tg.Tensor(y)).numpy(), gradient(call, y), second_of(call, y)
        for f, e in zip(found, expected, strict=True):
            np.testing.assert_array_equal(f, e)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, i: operations["sum"](x, initial=i),
        lambda x, i: operations["sum"](x, axis=1, initial=i, where=MASK),
        lambda x, i: operations["prod"](x, initial=i),
        lambda x, i: operations["prod"](x, axis=0, initial=i, where=MASK),
        lambda x, i: operations["max"](x, axis=0, initial=i),
        lambda x, i: operations["min"](x, axis=1, initial=i, where=MASK),
        lambda x, i: operations["nanmax"](x, axis=0, initial=i),
        lambda x, i: operations["logaddexp_reduce"](x, axis=0, initial=i),
    ],
)
def test_the_initial_value_is_differentiated(function):
    gradgradcheck(function, normal(2, 3), 0.1)


@pytest.mark.parametrize("name", [*REDUCTIONS, *SCANS])
def test_a_number(name):
    f = getattr(np, name)
    y = f(tg.Tensor(1.5))
    assert y.shape == np.shape(f(1.5))
    assert np.array_equal(y.numpy(), f(1.5))
    g = gradient(f, 1.5)
    assert g.shape == ()
    flat = ("ptp", "var", "std", "nanvar", "nanstd")
    assert g == (0 if name in flat else 1)


@pytest.mark.parametrize("name", ["sum", "max", "prod", "nansum", "ptp"])
@pytest.mark.parametrize("axis", [0, -1, ()])
def test_axes_of_a_number_that_numpy_takes(name, axis):
    f = getattr(np, name)
    assert f(tg.Tensor(1.5), axis=axis).numpy() == f(np.float64(1.5), axis=axis)
    assert gradient(lambda t: f(t, axis=axis), 1.5) == (name != "ptp")


@pytest.mark.parametrize("name", ["sum", "prod", "nansum", "nanprod"])
def test_empty(name):
    for shape, axis in itertools.product([(0,), (2, 0), (0, 2)], [None, 0, -1]):
        g = gradient(lambda t, i=axis: getattr(np, name)(t, axis=i), np.empty(shape))
        assert g.shape == shape


def test_the_extremum_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="zero-size"):
        np.max(tg.Tensor(np.empty(0)))


@pytest.mark.parametrize("name", ["max", "min", "nanmax", "nanmin"])
def test_ties_share_equally(name):
    f = getattr(np, name)
    assert gradient(f, [2.0, 2.0, 2.0, 2.0]).tolist() == [0.25] * 4
    x = np.array([[1.0, 3.0], [1.0, 3.0]])
    assert gradient(lambda t: f(t, axis=0), x).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    g = gradient(lambda t: f(t, initial=2.0), [2.0, 2.0])
    np.testing.assert_allclose(g, 1 / 3)


@pytest.mark.parametrize("name", ["max", "min"])
def test_the_gradient_of_a_nan_extremum_goes_to_the_nan(name):
    f = getattr(np, name)
    assert gradient(f, [1.0, NAN, 3.0]).tolist() == [0, 1, 0]
    assert gradient(f, [NAN, 5.0, NAN]).tolist() == [0.5, 0, 0.5]
    g = gradient(lambda t: f(t, axis=1), [[1.0, NAN], [2.0, 2.0]])
    assert g.tolist() == [[0, 1], [0.5, 0.5]]
    g = gradient(lambda t: f(t, initial=NAN), [1.0, NAN])
    assert g.tolist() == [0, 0.5]


def test_ptp_of_equal_elements_is_flat():
    assert gradient(np.ptp, [2.0, 2.0]).tolist() == [0, 0]
    assert gradient(np.ptp, [1.0, 5.0, 3.0]).tolist() == [-1, 1, 0]


@pytest.mark.parametrize(
    "name", [n for n in [*REDUCTIONS, *SCANS] if n.startswith("nan")]
)
def test_nan_gets_exactly_zero_and_the_rest_what_it_gets_without(name):
    f = getattr(np, name)
    x = normal(5)
    x[[1, 3]] = NAN
    rest = ~np.isnan(x)
    y = f(tg.Tensor(x))
    np.testing.assert_array_equal(y.numpy(), f(x))
    v = np.arange(1.0, 1 + y.size).reshape(y.shape)
    g = gradient(f, x, v)
    assert (g[~rest] == 0).all()
    if y.shape == ():
        plain = getattr(np, name.removeprefix("nan"))
        np.testing.assert_allclose(g[rest], gradient(plain, x[rest], v), rtol=1e-12)
    second = second_of(f, x)
    assert np.isfinite(second).all()
    assert (second[:5][~rest] == 0).all()


@pytest.mark.parametrize(
    "name", ["nanmean", "nanmax", "nanmin", "nanvar", "nanstd", "nanmedian"]
)
def test_nothing_but_nan(name):
    f = getattr(np, name)
    x = np.array([[NAN, NAN], [1.0, 3.0]])
    t = tg.Tensor(x, requires_grad=True)
    with pytest.warns(RuntimeWarning):
        y = f(t, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y.backward(np.ones(2))
    g = t.grad.numpy()
    assert g[0].tolist() == [0, 0]
    assert g[1].tolist() == gradient(f, [1.0, 3.0]).tolist()


def test_counts_are_constants():
    t = tg.Tensor([[1.0, 0.0], [2.0, 3.0]], requires_grad=True)
    assert np.count_nonzero(t) == 3
    for f in (np.all, np.any, np.count_nonzero):
        y = f(t, axis=0)
        assert not y.requires_grad
        assert y.numpy().tolist() == f(t.numpy(), axis=0).tolist()


def test_logical_reductions_are_constants():
    t = tg.Tensor([[1.0, 0.0], [2.0, 3.0]], requires_grad=True)
    for ufunc in (np.logical_and, np.logical_or):
        for kwargs in ({}, {"axis": None}, {"axis": 1, "keepdims": True}):
            y = ufunc.reduce(t, **kwargs)
            assert not y.requires_grad
            assert y.numpy().tolist() == ufunc.reduce(t.numpy(), **kwargs).tolist()


@pytest.mark.parametrize("name", ["histogram", "bincount"])
def test_histograms_are_refused(name):
    with pytest.raises(TypeError, match=rf"{name} .*counts have no derivative"):
        getattr(np, name)(tg.Tensor([1.0, 2.0]))


@pytest.mark.parametrize(
    ("name", "argument", "wrong"),
    [
        (
            "_sum",
            "a",
            lambda g, a_shape, axis, keepdims: 2 * np.broadcast_to(g, a_shape),
        ),
        ("_sum", "a", lambda g, a_shape: np.broadcast_to(-g, a_shape)),
    ],
)
def test_a_planted_fault_is_caught(name, argument, wrong):
    from tensorgrad.ops.reductions import reduce

    op = getattr(reduce, name)
    right = op.rules[op.position[argument]][0]
    try:
        op.vjp(**{argument: wrong})
        with pytest.raises(AssertionError):
            gradgradcheck(operations["sum"], normal(3))
    finally:
        op.vjp(**{argument: right})
    gradgradcheck(operations["sum"], normal(3))
