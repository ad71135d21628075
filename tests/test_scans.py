"""Products with zeros, and what is so far: sums, products, extrema."""

import numpy as np
import pytest
from derivatives import gradient, hessian_of
from tensors import normal

import tensorgrad as tg
from tensorgrad.testing import gradgradcheck

NAN, INF = np.nan, np.inf


def brute_prod_gradient(x):
    return np.array([np.prod(np.delete(x, i)) for i in range(len(x))])


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_products_with_zeros_are_exact_to_second_order(zeros):
    x = np.array([2.0, 3.0, -0.5, 4.0, 1.5])
    x[1 : 1 + zeros] = 0
    assert gradient(np.prod, x).tolist() == brute_prod_gradient(x).tolist()
    expected = np.array(
        [
            [0 if i == j else np.prod(np.delete(x, [i, j])) for j in range(5)]
            for i in range(5)
        ]
    )
    assert hessian_of(np.prod, x).tolist() == expected.tolist()


@pytest.mark.parametrize("axis", [None, 1, (0, 2), (1, 0), (-1,)])
def test_products_over_any_axes_with_zeros(axis):
    x = np.round(2 * normal(2, 3, 2)) / 2
    assert (x == 0).sum() > 1
    gradgradcheck(lambda t: np.prod(t, axis=axis), x)
    gradgradcheck(lambda t: np.prod(t, axis=axis, keepdims=True, initial=2.0), x)


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
    gradgradcheck(np.cumprod, x)
    gradgradcheck(np.nancumprod, x)
    n = len(x)
    jacobian = [
        [np.prod(np.delete(x[: k + 1], i)) if i <= k else 0 for i in range(n)]
        for k in range(n)
    ]
    for k in range(n):
        g = gradient(np.cumprod, x, np.eye(n)[k])
        assert g.tolist() == jacobian[k]


def test_a_running_product_does_not_overflow_on_the_way():
    """The product of the middle is beyond float64; what flows through it is not."""
    g = gradient(np.cumprod, [1e-300, 1e200, 1e200, 1.0], [1.0, 1.0, 0.0, 0.0])
    assert g.tolist() == [1 + 1e200, 1e-300, 0.0, 0.0]


def test_running_extrema_share_ties_among_the_elements_so_far():
    x = [1.0, 3.0, 3.0, 2.0, 4.0]
    g = gradient(np.maximum.accumulate, x)
    # 3 is taken by place 1 once alone, then twice shared with place 2.
    assert g.tolist() == [1, 2, 1, 0, 1]
    g = gradient(np.minimum.accumulate, [2.0, 2.0, 2.0])
    np.testing.assert_allclose(g, [1 + 1 / 2 + 1 / 3, 1 / 2 + 1 / 3, 1 / 3])
    assert gradient(np.maximum.accumulate, [1.0, NAN, 2.0]).tolist() == [1, 2, 0]


def test_logaddexp_over_an_axis_is_stable():
    g = gradient(np.logaddexp.reduce, [1000.0, 1000.0])
    np.testing.assert_allclose(g, 0.5, rtol=1e-12)
    g = gradient(np.logaddexp.reduce, [-1000.0, -2000.0])
    assert g.tolist() == [1, 0]
    g = gradient(np.logaddexp.reduce, [-INF, 0.0, 0.0])
    np.testing.assert_allclose(g, [0, 0.5, 0.5])
    gradgradcheck(np.logaddexp.accumulate, [700.0, 710.0, 690.0, 711.0])
    g = gradient(np.logaddexp.accumulate, [1000.0, -1000.0], [0.0, 1.0])
    assert g.tolist() == [1, 0]


@pytest.mark.parametrize("value", [INF, -INF])
def test_an_infinite_log_sum_is_shared_by_its_equals(value):
    g = gradient(np.logaddexp.reduce, [value, value])
    assert g.tolist() == [0.5, 0.5]
    g = gradient(np.logaddexp.accumulate, [value, value], [0.0, 1.0])
    assert g.tolist() == [0.5, 0.5]
    g = gradient(np.logaddexp.accumulate, [-INF, 0.0, INF, 1.0])
    np.testing.assert_allclose(g, [1, 1, 2, 0])
