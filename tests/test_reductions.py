"""Sums, extrema, products, spreads and quantiles: kinks, NaN, zeros, keywords."""

import inspect
import itertools
import warnings
from functools import partial

import numpy as np
import pytest
from two_orders import check, gradient_of, hessian_of

import tensorgrad as tg
from tensorgrad.core.dispatch import operations
from tensorgrad.ops.quantiles import METHODS

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


def sample(*shape):
    return np.random.default_rng(3).normal(size=shape)


# Keywords, as NumPy spells them.


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
    x = sample(3, 4)
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
    x = sample(2, 3)
    found = call(tg.Tensor(x))
    np.testing.assert_array_equal(found.numpy(), call(x))
    check(call, x)


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
        call(tg.Tensor(sample(2, 3), requires_grad=True))


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "nanmean", "cumsum"])
@pytest.mark.parametrize("dtype", [int, complex])
def test_a_dtype_without_gradient_is_refused(name, dtype):
    with pytest.raises(TypeError, match=f"{name}: a .* result has no gradient"):
        getattr(np, name)(tg.Tensor(sample(3), requires_grad=True), dtype=dtype)


def test_integers_are_summed_as_integers():
    t = tg.Tensor([1, 2, 3])
    assert np.sum(t, dtype=np.int16).dtype == np.int16
    assert t.sum().item() == 6
    assert np.cumprod(t).numpy().tolist() == [1, 2, 6]


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "std", "cumsum"])
def test_a_wider_dtype_computes_in_it_and_the_gradient_is_that_of_the_tensor(name):
    x = tg.Tensor(sample(5).astype(np.float32), requires_grad=True)
    y = getattr(np, name)(x, dtype=np.float64)
    assert y.dtype == np.float64
    assert y.numpy().tolist() == getattr(np, name)(x.numpy(), dtype=np.float64).tolist()
    y.backward(np.ones(y.shape))
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("name", [*REDUCTIONS, *SCANS])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_narrow_types_stay(name, dtype):
    x = tg.Tensor(sample(2, 3), requires_grad=True, dtype=dtype)
    y = getattr(np, name)(x, axis=1)
    expected = getattr(np, name)(x.numpy(), axis=1)
    assert y.dtype == expected.dtype == dtype
    np.testing.assert_array_equal(y.numpy(), expected)
    y.backward(np.ones(y.shape, dtype=dtype))
    assert x.grad.dtype == dtype


def test_a_mean_of_many_halves_has_a_gradient():
    """The count is beyond the range of float16."""
    g = gradient_of(np.mean, np.ones(100_000, dtype=np.float16))
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
    x = sample(2, 3)
    check(call, x)
    expected = call(x), gradient_of(call, x), second_of(call, x)
    assert (expected[1][~MASK] == 0).all()
    for bad in (NAN, INF, 1e300):
        y = np.where(MASK, x, bad)
        with np.errstate(invalid="ignore", over="ignore"):
            found = call(tg.Tensor(y)).numpy(), gradient_of(call, y), second_of(call, y)
        for f, e in zip(found, expected, strict=True):
            np.testing.assert_array_equal(f, e)


def second_of(call, x):
    """Return the gradient, in x and the cotangent, of the norm of the gradient."""
    t = tg.Tensor(x, requires_grad=True)
    y = call(t)
    v = tg.Tensor(np.ones(y.shape), requires_grad=True)
    (y * v).sum().backward(create_graph=True)
    first, t.grad, v.grad = t.grad, None, None
    (first * first).sum().backward()
    grads = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in (t, v)]
    return np.concatenate([g.ravel() for g in grads])


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
    check(function, sample(2, 3), 0.1)


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_a_given_mean_is_an_argument_of_its_own(name):
    f = operations[name]
    x = sample(2, 3)
    check(lambda a, m: f(a, axis=1, mean=m), x, [[0.1], [0.9]])
    check(lambda a, m: f(a, mean=m, ddof=1, where=MASK), x, [[0.3]])
    check(lambda a: f(a, axis=1, mean=np.mean(a, axis=1, keepdims=True)), x)


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_correction_is_another_name_of_ddof(name):
    f = getattr(np, name)
    x = tg.Tensor(sample(4))
    assert f(x, correction=1).item() == f(x.numpy(), ddof=1)
    with pytest.raises(ValueError, match="not both"):
        f(x, ddof=1, correction=1)


# Empty arrays and arrays of no axes.


@pytest.mark.parametrize("name", [*REDUCTIONS, *SCANS])
def test_a_number(name):
    f = getattr(np, name)
    y = f(tg.Tensor(1.5))
    assert y.shape == np.shape(f(1.5))
    assert np.array_equal(y.numpy(), f(1.5))
    g = gradient_of(f, 1.5)
    assert g.shape == ()
    flat = ("ptp", "var", "std", "nanvar", "nanstd")
    assert g == (0 if name in flat else 1)


@pytest.mark.parametrize("name", ["sum", "prod", "nansum", "nanprod"])
def test_empty(name):
    for shape, axis in itertools.product([(0,), (2, 0), (0, 2)], [None, 0, -1]):
        g = gradient_of(lambda t, i=axis: getattr(np, name)(t, axis=i), np.empty(shape))
        assert g.shape == shape


def test_the_extremum_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="zero-size"):
        np.max(tg.Tensor(np.empty(0)))


# Kinks.


@pytest.mark.parametrize("name", ["max", "min", "nanmax", "nanmin"])
def test_ties_share_equally(name):
    f = getattr(np, name)
    assert gradient_of(f, [2.0, 2.0, 2.0, 2.0]).tolist() == [0.25] * 4
    x = np.array([[1.0, 3.0], [1.0, 3.0]])
    assert gradient_of(lambda t: f(t, axis=0), x).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    g = gradient_of(lambda t: f(t, initial=2.0), [2.0, 2.0])
    np.testing.assert_allclose(g, 1 / 3)


@pytest.mark.parametrize("name", ["max", "min"])
def test_the_gradient_of_a_nan_extremum_goes_to_the_nan(name):
    f = getattr(np, name)
    assert gradient_of(f, [1.0, NAN, 3.0]).tolist() == [0, 1, 0]
    assert gradient_of(f, [NAN, 5.0, NAN]).tolist() == [0.5, 0, 0.5]
    g = gradient_of(lambda t: f(t, axis=1), [[1.0, NAN], [2.0, 2.0]])
    assert g.tolist() == [[0, 1], [0.5, 0.5]]
    g = gradient_of(lambda t: f(t, initial=NAN), [1.0, NAN])
    assert g.tolist() == [0, 0.5]


def test_ptp_of_equal_elements_is_flat():
    assert gradient_of(np.ptp, [2.0, 2.0]).tolist() == [0, 0]
    assert gradient_of(np.ptp, [1.0, 5.0, 3.0]).tolist() == [-1, 1, 0]


@pytest.mark.parametrize("name", ["std", "nanstd"])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e-9, 1e9 / 3])
def test_the_deviation_of_equal_elements_is_flat(name, value):
    """Also where their mean is not exactly equal to them."""
    f = getattr(np, name)
    for n in (2, 3, 7):
        x = np.full(n, value)
        assert np.abs(gradient_of(f, x)).max() < 1e-12
        g = gradient_of(lambda t: f(t, axis=0, ddof=1), np.stack([x, sample(n)], 1))
        assert np.abs(g[:, 0]).max() < 1e-12
        assert np.abs(g[:, 1]).min() > 1e-3
    assert np.isfinite(second_of(f, np.full(4, 2.0))).all()


def test_var_far_from_zero_keeps_its_accuracy():
    """Mean of squares minus square of mean would lose all digits here."""
    x = np.array([1e8 + 1, 1e8 + 2, 1e8 + 4])
    np.testing.assert_allclose(
        gradient_of(np.var, x), [-8 / 9, -2 / 9, 10 / 9], rtol=1e-7
    )
    np.testing.assert_allclose(gradient_of(np.std, x).sum(), 0, atol=1e-15)


def test_no_degrees_of_freedom():
    for f in (np.var, np.std, np.nanvar, np.nanstd):
        with (
            pytest.warns(RuntimeWarning, match="Degrees of freedom"),
            np.errstate(invalid="ignore"),
        ):
            y = f(tg.Tensor([1.0], requires_grad=True), ddof=1)
        assert np.isnan(y.numpy())
        y.backward()


# Zeros in products: the rule divides by nothing.


def brute_prod_gradient(x):
    return np.array([np.prod(np.delete(x, i)) for i in range(len(x))])


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_products_with_zeros_are_exact_to_second_order(zeros):
    x = np.array([2.0, 3.0, -0.5, 4.0, 1.5])
    x[1 : 1 + zeros] = 0
    assert gradient_of(np.prod, x).tolist() == brute_prod_gradient(x).tolist()
    expected = np.array(
        [
            [0 if i == j else np.prod(np.delete(x, [i, j])) for j in range(5)]
            for i in range(5)
        ]
    )
    assert hessian_of(np.prod, x).tolist() == expected.tolist()


@pytest.mark.parametrize("axis", [None, 1, (0, 2), (1, 0), (-1,)])
def test_products_over_any_axes_with_zeros(axis):
    x = np.round(2 * sample(2, 3, 2)) / 2
    assert (x == 0).sum() > 1
    check(lambda t: np.prod(t, axis=axis), x)
    check(lambda t: np.prod(t, axis=axis, keepdims=True, initial=2.0), x)


def test_the_third_derivative_of_a_product_with_zeros():
    """Of x y z, all zero: 1 in (x, y, z), which only the third order shows."""
    x = tg.Tensor(np.zeros(3), requires_grad=True)
    np.prod(x).backward(create_graph=True)
    first, x.grad = x.grad, None
    first[0].backward(create_graph=True)
    second, x.grad = x.grad, None
    second[1].backward()
    assert x.grad.numpy().tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "x", [[2.0, 0.0, 3.0, 0.0, 5.0], [0.0, 0.0, 0.0], [1.5], [-2.0, 3.0, 0.5]]
)
def test_cumulative_products_with_zeros(x):
    check(np.cumprod, x)
    check(np.nancumprod, x)
    n = len(x)
    jacobian = [
        [np.prod(np.delete(x[: k + 1], i)) if i <= k else 0 for i in range(n)]
        for k in range(n)
    ]
    for k in range(n):
        g = gradient_of(np.cumprod, x, np.eye(n)[k])
        assert g.tolist() == jacobian[k]


def test_a_running_product_does_not_overflow_on_the_way():
    """The product of the middle is beyond float64; what flows through it is not."""
    g = gradient_of(np.cumprod, [1e-300, 1e200, 1e200, 1.0], [1.0, 1.0, 0.0, 0.0])
    assert g.tolist() == [1 + 1e200, 1e-300, 0.0, 0.0]


# Running extrema.


def test_running_extrema_share_ties_among_the_elements_so_far():
    x = [1.0, 3.0, 3.0, 2.0, 4.0]
    g = gradient_of(np.maximum.accumulate, x)
    # 3 is taken by place 1 once alone, then twice shared with place 2.
    assert g.tolist() == [1, 2, 1, 0, 1]
    g = gradient_of(np.minimum.accumulate, [2.0, 2.0, 2.0])
    np.testing.assert_allclose(g, [1 + 1 / 2 + 1 / 3, 1 / 2 + 1 / 3, 1 / 3])
    assert gradient_of(np.maximum.accumulate, [1.0, NAN, 2.0]).tolist() == [1, 2, 0]


# Sums of exponentials.


def test_logaddexp_over_an_axis_is_stable():
    g = gradient_of(np.logaddexp.reduce, [1000.0, 1000.0])
    np.testing.assert_allclose(g, 0.5, rtol=1e-12)
    g = gradient_of(np.logaddexp.reduce, [-1000.0, -2000.0])
    assert g.tolist() == [1, 0]
    g = gradient_of(np.logaddexp.reduce, [-INF, 0.0, 0.0])
    np.testing.assert_allclose(g, [0, 0.5, 0.5])
    check(np.logaddexp.accumulate, [700.0, 710.0, 690.0, 711.0])
    g = gradient_of(np.logaddexp.accumulate, [1000.0, -1000.0], [0.0, 1.0])
    assert g.tolist() == [1, 0]


@pytest.mark.parametrize("value", [INF, -INF])
def test_an_infinite_log_sum_is_shared_by_its_equals(value):
    g = gradient_of(np.logaddexp.reduce, [value, value])
    assert g.tolist() == [0.5, 0.5]
    g = gradient_of(np.logaddexp.accumulate, [value, value], [0.0, 1.0])
    assert g.tolist() == [0.5, 0.5]
    g = gradient_of(np.logaddexp.accumulate, [-INF, 0.0, INF, 1.0])
    np.testing.assert_allclose(g, [1, 1, 2, 0])


# NaN.


@pytest.mark.parametrize(
    "name", [n for n in [*REDUCTIONS, *SCANS] if n.startswith("nan")]
)
def test_nan_gets_exactly_zero_and_the_rest_what_it_gets_without(name):
    f = getattr(np, name)
    x = sample(5)
    x[[1, 3]] = NAN
    rest = ~np.isnan(x)
    y = f(tg.Tensor(x))
    np.testing.assert_array_equal(y.numpy(), f(x))
    v = np.arange(1.0, 1 + y.size).reshape(y.shape)
    g = gradient_of(f, x, v)
    assert (g[~rest] == 0).all()
    if y.shape == ():
        plain = getattr(np, name.removeprefix("nan"))
        np.testing.assert_allclose(g[rest], gradient_of(plain, x[rest], v), rtol=1e-12)
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
    assert g[1].tolist() == gradient_of(f, [1.0, 3.0]).tolist()


# Averages and covariance.


def test_average_is_differentiated_in_its_weights_too():
    f = operations["average"]
    x, w = sample(2, 3), np.abs(sample(2, 3)) + 0.1
    check(lambda a, b: f(a, weights=b), x, w)
    check(lambda a, b: f(a, axis=1, weights=b, keepdims=True), x, w)
    check(lambda a, b: f(a, 1, b, returned=True), x, w[0])
    check(lambda a, b: f(a, axis=(2, 0), weights=b), sample(2, 2, 3), w.T)
    y, total = np.average(
        tg.Tensor(x), axis=0, weights=tg.Tensor(w[:, 0]), returned=True
    )
    expected = np.average(x, axis=0, weights=w[:, 0], returned=True)
    np.testing.assert_array_equal([y.numpy(), total.numpy()], expected)


def test_average_refuses_what_has_no_value():
    x = tg.Tensor(sample(2, 3))
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
    x, y = sample(*shape), sample(*shape)[::-1] ** 2
    for args in [(x,), (x, y), (x[:, 0] if shape == (3, 2) else x[0],)]:
        found = np.cov(*map(tg.Tensor, args), **kwargs)
        expected = np.cov(*args, **kwargs)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-12)
        if "dtype" not in kwargs:
            check(lambda *a: operations["cov"](*a, **kwargs), *args)


def test_covariance_is_differentiated_in_its_weights():
    f = operations["cov"]
    check(lambda m, w: f(m, aweights=w), sample(2, 4), [0.5, 1.0, 2.0, 0.7])


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
        np.cov(tg.Tensor(sample(2, 3)), **kwargs)


def test_covariance_of_one_observation_warns():
    with pytest.warns(RuntimeWarning), np.errstate(all="ignore"):
        y = np.cov(tg.Tensor([[1.0], [2.0]]))
    assert np.isnan(y.numpy()).all()


def test_correlation():
    x = sample(3, 6)
    np.testing.assert_allclose(np.corrcoef(tg.Tensor(x)).numpy(), np.corrcoef(x))
    assert np.corrcoef(tg.Tensor(x[0])).item() == 1
    check(operations["corrcoef"], x, x[::-1] ** 2)
    exact = [[1.0, 2.0, 4.0], [2.0, 4.0, 8.0]]
    assert np.abs(gradient_of(np.corrcoef, exact)).max() < 1e-12


# Quantiles.


def weights_of(call, x):
    """Return the weights with which elements enter, row by row of the output."""
    y = call(x)
    rows = [gradient_of(call, x, v.reshape(y.shape)) for v in np.eye(np.size(y))]
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
        g = gradient_of(partial(getattr(np, name), q=0.3, method=method), x)
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
    assert gradient_of(np.median, [2.0, 2.0, 2.0]).tolist() == [0, 1, 0]
    assert gradient_of(np.median, [2.0, 1.0, 2.0, 2.0]).tolist() == [0.5, 0, 0.5, 0]
    g = gradient_of(lambda t: np.quantile(t, 1.0), [3.0, 3.0])
    assert g.tolist() == [0, 1]


def test_a_quantile_with_nan_goes_to_the_last_nan():
    x = np.array([[NAN, 1.0, NAN], [1.0, 2.0, 3.0]])
    for f in (np.median, lambda t, axis: np.quantile(t, 0.5, axis=axis)):
        g = gradient_of(partial(f, axis=1), x)
        assert g.tolist() == [[0, 0, 1], [0, 1, 0]]


def test_rows_of_different_numbers_of_nan():
    x = sample(3, 6)
    x[0, :2] = x[1, 3:] = NAN
    for method in METHODS:
        y, w = weights_of(partial(np.nanquantile, q=0.4, axis=1, method=method), x)
        np.testing.assert_allclose((w * np.nan_to_num(x)).sum((1, 2)), y)
        assert (w[:, np.isnan(x)] == 0).all()


def test_the_probability_is_a_constant():
    q = tg.Tensor(0.5, requires_grad=True)
    with pytest.raises(TypeError, match="no gradient rule for argument 'q'"):
        np.quantile(tg.Tensor(sample(3)), q)
    assert np.quantile(tg.Tensor([1.0, 2.0]), q.detach()).item() == 1.5


def test_overwriting_the_input_is_not_done():
    x = tg.Tensor([3.0, 1.0, 2.0], requires_grad=True)
    np.median(x, overwrite_input=True).backward()
    assert x.numpy().tolist() == [3, 1, 2]
    assert x.grad.numpy().tolist() == [0, 0, 1]


# Constants.


def test_counts_are_constants():
    t = tg.Tensor([[1.0, 0.0], [2.0, 3.0]], requires_grad=True)
    assert np.count_nonzero(t) == 3
    for f in (np.all, np.any, np.count_nonzero):
        y = f(t, axis=0)
        assert not y.requires_grad
        assert y.numpy().tolist() == f(t.numpy(), axis=0).tolist()


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
    from tensorgrad.ops import reduce

    op = getattr(reduce, name)
    right = op.rules[op.position[argument]][0]
    try:
        op.vjp(**{argument: wrong})
        with pytest.raises(AssertionError):
            check(operations["sum"], sample(3))
    finally:
        op.vjp(**{argument: right})
    check(operations["sum"], sample(3))
