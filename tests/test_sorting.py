"""Sorting, partitions and distinct elements: ties, NaN, order, and the constants."""

import inspect

import numpy as np
import pytest
from derivatives import gradient
from tensors import normal

import tensorgrad as tg
from tensorgrad.core.dispatch import operations
from tensorgrad.ops.shapes import sorting
from tensorgrad.testing import gradgradcheck

NAN = np.nan


@pytest.mark.parametrize("name", ["sort", "partition", "unique", "union1d"])
def test_parameters_are_those_of_numpy(name):
    ours = list(inspect.signature(operations[name]).parameters)
    theirs = list(inspect.signature(getattr(np, name)).parameters)
    assert ours[: len(theirs)] == theirs


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.sort(x),
        lambda x: np.sort(x, 0),
        lambda x: np.sort(a=x, axis=None, kind="stable"),
        lambda x: np.sort(x, axis=1, stable=True),
        lambda x: np.partition(x, 1),
        lambda x: np.partition(x, [0, 2], axis=1),
        lambda x: np.partition(x, kth=3, axis=None),
        lambda x: np.unique(x),
        lambda x: np.unique(x, axis=0),
        lambda x: np.unique_values(x),
        lambda x: np.union1d(x, np.array([0.5, -9.0])),
    ],
)
def test_calls_equal_numpy(call):
    x = normal(3, 4)
    np.testing.assert_array_equal(call(tg.Tensor(x)).numpy(), call(x))
    gradgradcheck(call, x)


def test_the_gradient_goes_back_to_where_elements_came_from():
    v = np.array([10.0, 20.0, 30.0])
    assert gradient(np.sort, [3.0, 1.0, 2.0], v).tolist() == [30, 10, 20]
    g = gradient(
        lambda t: np.sort(t, axis=0), [[2.0, 1.0], [1.0, 5.0]], [[1, 2], [3, 4]]
    )
    assert g.tolist() == [[3, 2], [1, 4]]


@pytest.mark.parametrize("kind", [None, "quicksort", "heapsort", "stable"])
def test_ties_follow_the_first_order(kind):
    v = np.arange(1.0, 5.0)
    x = [2.0, 1.0, 2.0, 1.0]
    g = gradient(lambda t: np.sort(t, kind=kind), x, v)
    assert g.tolist() == [3, 1, 4, 2]
    g = gradient(lambda t: np.partition(t, 1), [1.0, 1.0, 1.0], v[:3])
    assert g.tolist() == [1, 2, 3]


@pytest.mark.parametrize("n", [100, 1000])
def test_ties_follow_the_first_order_in_long_arrays_too(n):
    x = np.random.default_rng(n).integers(0, 3, n).astype(float)
    v = np.arange(float(n))
    expected = np.empty(n)
    expected[np.argsort(x, kind="stable")] = v
    assert gradient(np.sort, x, v).tolist() == expected.tolist()


def test_nan_is_sorted_last_and_carries_its_gradient():
    g = gradient(np.sort, [NAN, 1.0, NAN, 0.0], [1.0, 2.0, 3.0, 4.0])
    assert g.tolist() == [3, 2, 4, 1]


@pytest.mark.parametrize("n", [1, 2, 17, 1000])
def test_a_partition_of_any_order_is_undone(n):
    """Also where NumPy leaves the rest in an order of its own."""
    rng = np.random.default_rng(n)
    x = rng.integers(0, max(2, n // 3), n).astype(float)
    v = rng.normal(size=n)
    t = tg.Tensor(x, requires_grad=True)
    y = np.partition(t, n // 2)
    np.testing.assert_array_equal(y.numpy(), np.partition(x, n // 2))
    y.backward(v)
    # As a permutation, it keeps the scalar product.
    np.testing.assert_allclose(t.grad.numpy() @ x, v @ y.numpy(), rtol=1e-10)
    np.testing.assert_array_equal(np.sort(t.grad.numpy()), np.sort(v))


@pytest.mark.skipif(
    "descending" not in inspect.signature(np.sort).parameters, reason="of NumPy 2.5"
)
@pytest.mark.parametrize("axis", [0, -1, None])
def test_sorting_in_descending_order(axis):
    x = np.array([[3.0, 1.0, 3.0], [1.0, np.nan, 7.0]])

    def call(x):
        return np.sort(x, axis, descending=True)

    np.testing.assert_array_equal(call(tg.Tensor(x)).numpy(), call(x))
    weights = np.arange(6.0).reshape(call(x).shape)
    t = tg.Tensor(x, requires_grad=True)
    (call(t) * weights).sum().backward()
    order = np.argsort(x, axis, stable=True, descending=True)
    expected = np.zeros_like(x if axis is not None else x.ravel())
    np.put_along_axis(expected, order, weights, -1 if axis is None else axis)
    np.testing.assert_array_equal(t.grad.numpy(), expected.reshape(x.shape))


def test_sorting_to_second_order():
    gradgradcheck(lambda x: np.sort(x, axis=None) ** 2, normal(2, 3))
    gradgradcheck(lambda x: np.partition(x, 2, axis=0) ** 3, normal(4, 2))


def test_sorted_views_of_float32_stay():
    for f in (np.sort, lambda t: np.partition(t, 1), np.unique):
        g = gradient(f, np.array([3, 1, 2], dtype=np.float32))
        assert g.dtype == np.float32


def test_an_order_of_fields_has_no_meaning():
    with pytest.raises(ValueError, match="order"):
        np.sort(tg.Tensor(normal(3)), order="x")


def test_distinct_elements():
    x = [3.0, 1.0, 3.0, 2.0, 1.0]
    t = tg.Tensor(x, requires_grad=True)
    found = np.unique(t, True, True, True)
    for f, e in zip(found, np.unique(x, True, True, True), strict=True):
        np.testing.assert_array_equal(f.numpy(), e)
    assert [f.requires_grad for f in found] == [True, False, False, False]
    found[0].backward([1.0, 10.0, 100.0])
    assert t.grad.numpy().tolist() == [100, 1, 0, 10, 0]


def test_distinct_rows():
    x = np.array([[2.0, 1.0], [0.0, 5.0], [2.0, 1.0]])
    g = gradient(lambda t: np.unique(t, axis=0), x, [[1, 2], [3, 4]])
    assert g.tolist() == [[3, 4], [1, 2], [0, 0]]
    rows, counts = np.unique(tg.Tensor(x), axis=0, return_counts=True)
    assert rows.numpy().tolist() == [[0, 5], [2, 1]]
    assert counts.numpy().tolist() == [1, 2]


def test_distinct_nan():
    x = tg.Tensor([NAN, 1.0, NAN])
    assert np.unique(x).shape == (2,)
    assert np.unique(x, equal_nan=False).shape == (3,)


@pytest.mark.parametrize(
    "call",
    [
        np.argsort,
        lambda t: np.argsort(t, axis=0, kind="stable"),
        lambda t: np.argpartition(t, 1, axis=1),
        lambda t: np.lexsort((t, -t)),
        lambda t: np.lexsort(t),
        lambda t: np.searchsorted(np.array([-1.0, 0.0, 1.0]), t, side="right"),
        lambda t: np.digitize(t, np.array([-1.0, 0.0, 1.0])),
        np.flatnonzero,
        np.argwhere,
        np.nanargmax,
        lambda t: np.nanargmin(t, axis=1),
        lambda t: np.isin(t, [0.5]),
    ],
)
def test_places_are_constants(call):
    x = normal(3, 4)
    y = call(tg.Tensor(x, requires_grad=True))
    assert isinstance(y, tg.Tensor)
    assert not y.requires_grad
    np.testing.assert_array_equal(y.numpy(), call(x))


def test_places_of_nonzero_elements_index_a_tensor():
    t = tg.Tensor([0.0, 2.0, 0.0, 3.0], requires_grad=True)
    (places,) = np.nonzero(t)
    t[places].sum().backward()
    assert t.grad.numpy().tolist() == [0, 1, 0, 1]


def test_sorted_bins_of_a_tensor():
    bins = tg.Tensor([0.0, 1.0], requires_grad=True)
    assert np.searchsorted(bins, 0.5).item() == 1
    assert np.digitize([0.5, 3.0], bins).numpy().tolist() == [1, 2]


def test_gathering_by_an_argsort_is_sorting():
    x = normal(5)
    v = np.arange(5.0)
    by_order = gradient(lambda t: t[np.argsort(t)], x, v)
    assert by_order.tolist() == gradient(np.sort, x, v).tolist()


def test_a_planted_fault_is_caught():
    """Putting back in the order itself, instead of against it."""
    op = sorting.sort
    right = op.rules[0][0]
    wrong = {
        "forgotten": lambda g: g,
        "inverse": lambda g, a, axis: np.take_along_axis(g, np.argsort(a, axis), axis),
    }
    for rule in wrong.values():
        try:
            op.vjp(a=rule)
            with pytest.raises(AssertionError):
                gradgradcheck(op, [0.3, 0.1, 0.2, 0.5, 0.4])
        finally:
            op.vjp(a=right)
    gradgradcheck(op, [0.3, 0.1, 0.2, 0.5, 0.4])
