"""Differences, slopes, areas, convolutions and polynomials."""

import inspect

import numpy as np
import pytest
from derivatives import gradient
from tensors import normal

import tensorgrad as tg
from tensorgrad.core.dispatch import operations
from tensorgrad.ops.numerical import convolution
from tensorgrad.testing import gradgradcheck

MODES = ["full", "same", "valid"]


def matrix_of(linear, n):
    """Return the matrix of a linear function of vectors, from NumPy alone."""
    return np.stack([linear(e) for e in np.eye(n)], axis=-1)


@pytest.mark.parametrize(
    "name",
    [
        "diff",
        "gradient",
        "ediff1d",
        "trapezoid",
        "convolve",
        "correlate",
        "polyval",
        "vander",
        "poly",
        "polyadd",
        "polysub",
        "polymul",
        "polyder",
        "polyint",
        "polyfit",
    ],
)
def test_parameters_are_those_of_numpy(name):
    ours = inspect.signature(operations[name]).parameters.values()
    theirs = inspect.signature(getattr(np, name)).parameters.values()
    assert [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in theirs]


# Differences.


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("axis", [0, -1])
def test_differences_of_every_order(n, axis):
    x = normal(4, 3)
    y = np.diff(tg.Tensor(x), n, axis)
    np.testing.assert_array_equal(y.numpy(), np.diff(x, n, axis))
    gradgradcheck(lambda a: operations["diff"](a, n, axis), x)
    g = gradient(lambda t: np.diff(t, n, axis), x)
    assert g.shape == x.shape


def test_the_gradient_of_differences_is_the_transposed_matrix():
    for n in (1, 2, 3):
        d = matrix_of(lambda e, n=n: np.diff(e, n), 6)
        v = normal(6 - n)
        g = gradient(lambda t, n=n: np.diff(t, n), normal(6), v)
        np.testing.assert_allclose(g, d.T @ v, rtol=1e-12)


def test_differences_with_ends_are_differentiated_in_the_ends():
    f = operations["diff"]
    gradgradcheck(
        lambda a, p, e: f(a, prepend=p, append=e), normal(2, 3), 0.5, normal(2, 2)
    )
    gradgradcheck(lambda a, p: f(a, n=2, axis=0, prepend=p), normal(2, 3), normal(1, 3))
    y = np.diff([1.0, 4.0], prepend=tg.Tensor(0.5, requires_grad=True))
    assert y.requires_grad
    assert y.numpy().tolist() == [0.5, 3]


def test_differences_refuse_numbers_and_negative_orders():
    for x, n in ((1.0, 1), ([1.0, 2.0], -1)):
        with pytest.raises(ValueError, match="expected n >= 0 and an array"):
            np.diff(tg.Tensor(x), n)


def test_flat_differences():
    x, end, begin = normal(2, 3), normal(2), np.array(0.3)
    f = operations["ediff1d"]
    np.testing.assert_array_equal(
        np.ediff1d(tg.Tensor(x), end, begin).numpy(), np.ediff1d(x, end, begin)
    )
    gradgradcheck(lambda a, e, b: f(a, to_end=e, to_begin=b), x, end, begin)
    y = np.ediff1d(tg.Tensor(np.float32([1, 2])), to_end=[9.0])
    assert y.dtype == np.float32
    with pytest.raises(TypeError, match="castable to int64"):
        np.ediff1d(tg.Tensor([1, 2]), to_end=[0.5])


# Slopes.

POINTS = np.array([0.0, 0.4, 0.5, 1.5])


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize(
    "spacings",
    [(), (0.5,), (0.5, 2.0), (np.array([0.0, 1.0, 3.0]), POINTS), (2.0, POINTS)],
)
def test_slopes_as_numpy_spells_them(spacings, edge_order):
    x = normal(3, 4)
    found = np.gradient(tg.Tensor(x), *spacings, edge_order=edge_order)
    expected = np.gradient(x, *spacings, edge_order=edge_order)
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_array_equal(f.numpy(), e)
    gradgradcheck(
        lambda a: operations["gradient"](a, *spacings, edge_order=edge_order), x
    )


@pytest.mark.parametrize("edge_order", [1, 2])
def test_slopes_are_differentiated_in_the_spacing(edge_order):
    f = operations["gradient"]
    gradgradcheck(lambda a, h: f(a, h, edge_order=edge_order), normal(5), 0.7)
    gradgradcheck(
        lambda a, p: f(a, p, axis=1, edge_order=edge_order), normal(2, 4), POINTS
    )
    # Evenly spaced points are a special case in NumPy, but not for the derivative.
    even = tg.Tensor([0.0, 1.0, 2.0, 3.0], requires_grad=True)
    slopes = np.gradient(np.array([0.0, 1.0, 4.0, 9.0]), even)
    np.testing.assert_allclose(slopes.numpy(), [1, 2, 4, 5])
    slopes[1].backward()
    # Of (3 h_0 / h_1 + h_1 / h_0) / (h_0 + h_1): 0 by h_0 and -2 by h_1.
    np.testing.assert_allclose(even.grad.numpy(), [0, 2, -2, 0])


def test_slopes_of_one_axis_or_several():
    x = tg.Tensor(normal(2, 3, 4))
    assert np.gradient(x, axis=1).shape == (2, 3, 4)
    assert [s.shape for s in np.gradient(x, axis=(0, -1))] == [(2, 3, 4)] * 2
    assert np.gradient(
        tg.Tensor(np.float32([1, 2, 4])), np.array([0.0, 1, 4])
    ).dtype == (np.float32)
    assert np.gradient(tg.Tensor([1, 2, 4])).dtype == np.float64


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "message"),
    [
        ((), {"edge_order": 3}, ValueError, "edge_order must be 1 or 2"),
        ((1.0, 2.0, 3.0), {}, TypeError, "one spacing or one for each of 2 axes"),
        ((1.0, np.zeros(7)), {}, ValueError, "expected a number or 3 points"),
        ((), {"edge_order": 2}, ValueError, "at least 3 points"),
    ],
)
def test_slopes_refuse(args, kwargs, error, message):
    with pytest.raises(error, match=message):
        np.gradient(tg.Tensor(normal(2, 3)), *args, **kwargs)


def test_areas():
    f = operations["trapezoid"]
    gradgradcheck(lambda y, x: f(y, x), normal(2, 4), POINTS)
    gradgradcheck(lambda y, x: f(y, x, axis=0), normal(4, 2), POINTS)
    gradgradcheck(lambda y, x: f(y, x, axis=0), normal(4, 2), normal(4, 2, seed=1))
    gradgradcheck(lambda y, d: f(y, dx=d), normal(4), 0.3)
    y = normal(4, 2)
    for x, axis in ((None, 0), (POINTS, 0), (normal(4, 2), 1)):
        found = np.trapezoid(tg.Tensor(y), x, axis=axis)
        np.testing.assert_array_equal(found.numpy(), np.trapezoid(y, x, axis=axis))
    assert np.trapezoid(np.ones(4), tg.Tensor(POINTS)).item() == 1.5


# Convolutions.


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_convolutions_of_all_lengths(name, mode):
    """Which part of the whole a mode takes depends on both lengths."""
    f = getattr(np, name)
    for n in range(1, 6):
        for m in range(1, 6):
            a, v = normal(n), normal(m, seed=7)
            y = f(tg.Tensor(a), tg.Tensor(v), mode)
            np.testing.assert_array_equal(y.numpy(), f(a, v, mode))
            g = normal(*y.shape, seed=8)
            by_a = matrix_of(lambda e: f(e, v, mode), n).T @ g  # noqa: B023
            by_v = matrix_of(lambda e: f(a, e, mode), m).T @ g  # noqa: B023
            found = gradient(lambda t: f(t, v, mode), a, g)  # noqa: B023
            np.testing.assert_allclose(found, by_a, rtol=1e-12, atol=1e-14)
            found = gradient(lambda t: f(a, t, mode), v, g)  # noqa: B023
            np.testing.assert_allclose(found, by_v, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_convolutions_to_second_order(name, mode):
    for n, m in ((4, 2), (2, 4), (3, 3)):
        gradgradcheck(
            lambda a, v: operations[name](a, v, mode), normal(n), normal(m, seed=7)
        )
    gradgradcheck(lambda a: operations[name](a, a, mode), normal(3))


def test_a_convolution_with_nothing_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        np.convolve(tg.Tensor(np.empty(0)), tg.Tensor([1.0]))


# Polynomials.


def test_values_of_polynomials():
    f = operations["polyval"]
    for p, x in ((normal(4), normal(2, 3)), (normal(1), normal(2)), (normal(3), 0.5)):
        found = np.polyval(tg.Tensor(p), tg.Tensor(x))
        np.testing.assert_array_equal(found.numpy(), np.polyval(p, x))
        gradgradcheck(f, p, x)
    gradgradcheck(f, normal(3, 2), normal(2))
    assert gradient(lambda x: np.polyval([3.0, 2.0, 1.0], x), 2.0) == 14
    g = gradient(lambda p: np.polyval(p, np.array(0.0)), [3.0, 2.0, 1.0])
    assert g.tolist() == [0, 0, 1]
    with pytest.raises(TypeError, match="got a poly1d"):
        np.polyval(tg.Tensor([1.0, 2.0]), np.poly1d([1.0]))


@pytest.mark.parametrize("increasing", [False, True])
@pytest.mark.parametrize("n", [None, 0, 1, 2, 5])
def test_vandermonde(n, increasing):
    x = np.array([0.0, -1.5, 2.0])
    y = np.vander(tg.Tensor(x), n, increasing)
    np.testing.assert_array_equal(y.numpy(), np.vander(x, n, increasing))
    gradgradcheck(lambda t: operations["vander"](t, n, increasing), x)


@pytest.mark.parametrize(
    "call",
    [
        np.diff,
        np.gradient,
        np.ediff1d,
        np.trapezoid,
        lambda t: np.convolve(t, t),
        lambda t: np.correlate(t, t, "same"),
        lambda t: np.polyval(t, t),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_narrow_types_stay(call, dtype):
    x = normal(4).astype(dtype)
    t = tg.Tensor(x, requires_grad=True)
    y = call(t)
    np.testing.assert_array_equal(y.numpy(), call(x))
    assert y.dtype == call(x).dtype == dtype
    y.sum().backward()
    assert t.grad.dtype == dtype


def test_powers_are_of_float64_as_in_numpy():
    t = tg.Tensor(np.float32([1, 2]), requires_grad=True)
    y = np.vander(t)
    assert y.dtype == np.vander(t.numpy()).dtype == np.float64
    y.sum().backward()
    assert t.grad.dtype == np.float32


@pytest.mark.parametrize("m", [0, 1, 2, 4])
def test_derivatives_and_antiderivatives_of_polynomials(m):
    p, k = normal(4), normal(4, seed=9)
    np.testing.assert_array_equal(np.polyder(tg.Tensor(p), m).numpy(), np.polyder(p, m))
    gradgradcheck(lambda a: operations["polyder"](a, m), p)
    for constants in (None, k, k[:1]):
        y = np.polyint(tg.Tensor(p), m, constants)
        np.testing.assert_array_equal(y.numpy(), np.polyint(p, m, constants))
    if m > 0:
        gradgradcheck(lambda a, b: operations["polyint"](a, m, b), p, k)
        gradgradcheck(lambda a, b: operations["polyint"](a, m, b), p, 0.5)


@pytest.mark.parametrize("name", ["polyadd", "polysub", "polymul"])
def test_sums_and_products_of_polynomials(name):
    f = operations[name]
    for n, m in ((3, 3), (1, 4), (4, 2)):
        a, b = normal(n), normal(m, seed=7)
        y = getattr(np, name)(tg.Tensor(a), tg.Tensor(b))
        np.testing.assert_array_equal(y.numpy(), getattr(np, name)(a, b))
        gradgradcheck(f, a, b)
    for a in ([0.0, 0.0, 2.0, 1.0], [0.0, 0.0]):
        y = getattr(np, name)(tg.Tensor(a), np.array([1.0, 3.0]))
        np.testing.assert_array_equal(y.numpy(), getattr(np, name)(a, [1.0, 3.0]))
    with pytest.raises(TypeError, match="got a poly1d"):
        getattr(np, name)(tg.Tensor(normal(2)), np.poly1d([1.0]))


def test_polynomials_with_given_zeros():
    z = [1.0, 2.0, -0.5, 1.0]
    np.testing.assert_array_equal(np.poly(tg.Tensor(z)).numpy(), np.poly(z))
    gradgradcheck(operations["poly"], z)
    with pytest.raises(TypeError, match="vector of zeros"):
        np.poly(tg.Tensor(normal(2, 2)))


def test_fitting_a_polynomial():
    f = operations["polyfit"]
    x, y, w = normal(7), normal(7, seed=7), np.abs(normal(7, seed=8)) + 0.2
    found = np.polyfit(tg.Tensor(x), tg.Tensor(y), 2, w=w)
    np.testing.assert_array_equal(found.numpy(), np.polyfit(x, y, 2, w=w))
    gradgradcheck(lambda a, b, c: f(a, b, 2, w=c), x, y, w)
    gradgradcheck(lambda a, b: f(a, b, 1), x, normal(7, 2))
    for wrong in ({"full": True}, {"cov": True}):
        with pytest.raises(TypeError, match="full= and cov= have no rule"):
            np.polyfit(tg.Tensor(x), y, 1, **wrong)
    with pytest.raises(TypeError, match="as many y"):
        np.polyfit(tg.Tensor(x), y[1:], 1)
    with pytest.warns(np.exceptions.RankWarning):
        np.polyfit(tg.Tensor(x[:2]), y[:2], 3)


def test_a_planted_fault_is_caught():
    """The kernel not turned round, and a part that begins one too early."""
    op = convolution.convolve
    right = op.rules[0][0]
    wrong = {
        "unturned": lambda g, v, a_shape: np.convolve(g, v, "valid"),
        "sign": lambda g, v, a_shape: -right(g, v, a_shape),
    }
    for rule in wrong.values():
        try:
            op.vjp(a=rule)
            with pytest.raises(AssertionError):
                gradgradcheck(op, normal(4), normal(3))
        finally:
            op.vjp(a=right)
    gradgradcheck(op, normal(4), normal(3))
