"""Softmax and the two cross-entropies: labels, stability, bounds, second order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import leaf

import tensorgrad as tg
from tensorgrad.ops.networks.losses import CLIP
from tensorgrad.testing import (
    GradientError,
    gradcheck,
    gradgradcheck,
    numerical_jacobian,
)

EPS = np.finfo(np.float64).eps

LOSSES = [tg.softmax_cross_entropy, tg.categorical_cross_entropy]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=["fused", "categorical"])


def value_and_gradient(loss, scores, labels, dtype=np.float64):
    x = leaf(scores, dtype)
    y = loss(x, labels)
    y.backward()
    return y.numpy(), x.grad.numpy()


def composed(logits, labels):
    return tg.categorical_cross_entropy(tg.softmax(logits), labels)


@st.composite
def scored(draw, soft=False):
    """Draw logits that give no probability below the clip, and labels."""
    n, classes = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = rng.uniform(-5, 5, size=(n, classes))
    if soft:
        return logits, rng.dirichlet(np.ones(classes), size=n)
    return logits, rng.integers(0, classes, size=n)


def scores_for(loss, logits):
    """Return what a loss scores: logits, or probabilities inside the bounds."""
    return tg.softmax(logits) if loss is tg.categorical_cross_entropy else logits


# Values, and the kinds of labels.


@given(scored(soft=True))
def test_values_are_those_of_the_definition(case):
    logits, rows = case
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.mean(-np.sum(rows * np.log(p), axis=1))
    tolerance = 20 * EPS * (1 + abs(expected))
    assert tg.softmax_cross_entropy(logits, rows) == pytest.approx(
        expected, abs=tolerance
    )
    clipped = np.clip(p, 1e-7, 1 - 1e-7)
    expected = np.mean(-np.sum(rows * np.log(clipped), axis=1))
    assert tg.categorical_cross_entropy(p, rows) == pytest.approx(
        expected, abs=tolerance
    )


def test_values_by_hand():
    p = [[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]]
    expected = -np.log(0.7 * 0.5 * 0.9) / 3
    assert tg.categorical_cross_entropy(p, [0, 1, 1]) == pytest.approx(expected)
    assert tg.softmax_cross_entropy(np.log(p), [0, 1, 1]) == pytest.approx(expected)
    assert tg.softmax_cross_entropy(np.zeros((4, 8)), [0, 3, 7, 1]) == pytest.approx(
        np.log(8)
    )


@every_loss
@given(case=scored())
def test_classes_one_hot_and_soft_rows_agree(loss, case):
    logits, classes = case
    scores = scores_for(loss, logits)
    value, gradient = value_and_gradient(loss, scores, classes)
    hot = tg.one_hot(classes, logits.shape[1], np.float64)
    for rows in (hot, hot.astype(np.float32), hot.tolist(), tg.Tensor(hot)):
        y, g = value_and_gradient(loss, scores, rows)
        np.testing.assert_allclose(y, value, rtol=4 * EPS, atol=4 * EPS)
        np.testing.assert_allclose(g, gradient, rtol=4 * EPS, atol=4 * EPS)


@every_loss
@given(case=scored(soft=True))
def test_soft_rows_weigh_the_losses_of_the_classes(loss, case):
    logits, rows = case
    scores = scores_for(loss, logits)
    value = gradient = 0.0
    # One sample at a time: the loss is linear in its row.
    for i, k in np.ndindex(rows.shape):
        y, g = value_and_gradient(loss, scores[i : i + 1], [k])
        value = value + rows[i, k] * y / len(rows)
        spot = (np.arange(len(rows)) == i)[:, None]
        gradient = gradient + rows[i, k] * g * spot / len(rows)
    y, g = value_and_gradient(loss, scores, rows)
    np.testing.assert_allclose(y, value, rtol=50 * EPS, atol=50 * EPS)
    np.testing.assert_allclose(g, gradient, rtol=50 * EPS, atol=50 * EPS)


@every_loss
@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "i2", "i4", "i8", "u4", "u8", ">i4", ">u2", ">i8"]
)
def test_integers_of_any_width_and_byte_order(loss, dtype):
    scores = scores_for(loss, np.random.default_rng(0).normal(size=(4, 3)))
    expected = value_and_gradient(loss, scores, [2, 0, 1, 1])
    ours = value_and_gradient(loss, scores, np.array([2, 0, 1, 1], dtype))
    np.testing.assert_array_equal(ours[0], expected[0])
    np.testing.assert_array_equal(ours[1], expected[1])


@every_loss
@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f2", "f4"])
def test_rows_of_any_real_dtype(loss, dtype):
    scores = scores_for(loss, np.random.default_rng(0).normal(size=(4, 3)))
    rows = np.eye(3)[[2, 0, 1, 1]]
    expected = value_and_gradient(loss, scores, rows)
    ours = value_and_gradient(loss, scores, rows.astype(dtype))
    np.testing.assert_array_equal(ours[0], expected[0])
    np.testing.assert_array_equal(ours[1], expected[1])


@every_loss
def test_labels_in_any_memory_layout(loss):
    scores = scores_for(loss, np.random.default_rng(0).normal(size=(4, 3)))
    expected = loss(scores, [2, 0, 1, 1])
    assert loss(scores, (2, 0, 1, 1)) == expected
    assert loss(scores, np.array([2, 9, 0, 9, 1, 9, 1, 9])[::2]) == expected
    assert loss(scores, tg.Tensor([2, 0, 1, 1])) == expected
    rows = np.asfortranarray(np.eye(3)[[2, 0, 1, 1]])
    assert loss(scores, rows) == pytest.approx(expected, rel=4 * EPS)


@every_loss
@pytest.mark.parametrize("labels", [[2, 0, 1, 1], np.eye(3)[[2, 0, 1, 1]]])
def test_scores_in_any_memory_layout(loss, labels):
    scores = scores_for(loss, np.random.default_rng(0).normal(size=(4, 3)))
    expected = value_and_gradient(loss, scores, labels)
    wide = np.zeros((8, 6))
    wide[::2, ::-2] = scores
    for laid_out in (np.asfortranarray(scores), wide[::2, ::-2]):
        x = leaf(np.zeros((4, 3)))
        x.data = laid_out
        assert x.numpy() is laid_out
        y = loss(x, labels)
        y.backward()
        np.testing.assert_allclose(y.numpy(), expected[0], rtol=4 * EPS)
        np.testing.assert_allclose(x.grad.numpy(), expected[1], rtol=4 * EPS)


@every_loss
def test_labels_and_scores_are_left_as_they_are(loss):
    scores = leaf(scores_for(loss, np.random.default_rng(0).normal(size=(4, 3))))
    labels = np.array([2, 0, 1, 1])
    rows = np.eye(3)[labels]
    before = scores.numpy().copy()
    for given_labels in (labels, rows):
        loss(scores, given_labels).backward()
    np.testing.assert_array_equal(scores.numpy(), before)
    np.testing.assert_array_equal(labels, [2, 0, 1, 1])
    np.testing.assert_array_equal(rows, np.eye(3)[labels])


@every_loss
def test_one_class_is_certain(loss):
    value, gradient = value_and_gradient(loss, [[1.0], [1.0]], [0, 0])
    assert value == pytest.approx(0, abs=1.1e-7)
    np.testing.assert_array_equal(gradient, [[0.0], [0.0]])


@every_loss
@pytest.mark.parametrize("labels", [[1, 0], [[0.3, 0.7], [1.0, 0.0]]])
def test_float32_stays_float32(loss, labels):
    scores = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    for given_labels in (labels, np.array(labels)):
        value, gradient = value_and_gradient(loss, scores, given_labels, np.float32)
        assert value.dtype == gradient.dtype == np.float32
        exact = value_and_gradient(loss, scores, given_labels)
        np.testing.assert_allclose(value, exact[0], rtol=1e-6)
        np.testing.assert_allclose(gradient, exact[1], rtol=1e-6)
    assert loss(scores, labels).dtype == np.float32


@every_loss
def test_without_tensors_a_number_comes_back(loss):
    value = loss([[0.25, 0.75]], [1])
    assert isinstance(value, np.floating)
    assert value == loss(tg.Tensor([[0.25, 0.75]]), [1]).item()


# The fused loss.


@given(scored() | scored(soft=True))
def test_fused_equals_composed(case):
    logits, labels = case
    fused = value_and_gradient(tg.softmax_cross_entropy, logits, labels)
    apart = value_and_gradient(composed, logits, labels)
    # The logarithm of a rounded probability is off by eps; values are below 12, and
    # quotients target / p times p below 1 / n. A certain class is clipped: 1e-7.
    certain = 1.1e-7 if logits.shape[1] == 1 else 0
    np.testing.assert_allclose(fused[0], apart[0], rtol=0, atol=50 * EPS + certain)
    np.testing.assert_allclose(fused[1], apart[1], rtol=0, atol=50 * EPS)


@given(scored() | scored(soft=True))
def test_fused_gradient_is_probability_less_target_over_n(case):
    logits, labels = case
    rows = labels if labels.ndim == 2 else np.eye(logits.shape[1])[labels]
    _, gradient = value_and_gradient(tg.softmax_cross_entropy, logits, labels)
    expected = (tg.softmax(logits) - rows) / len(logits)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=4 * EPS)


@given(st.integers(1, 40), st.integers(1, 20), st.sampled_from([np.float32, float]))
def test_fused_gradient_has_the_bits_of_the_text(n, classes, dtype):
    rng = np.random.default_rng(n * classes)
    z = rng.normal(size=(n, classes)).astype(dtype)
    labels = rng.integers(0, classes, size=n)
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    d = e / np.sum(e, axis=1, keepdims=True)
    np.testing.assert_array_equal(tg.softmax(z), d)
    d[np.arange(n), labels] -= 1
    _, gradient = value_and_gradient(tg.softmax_cross_entropy, z, labels, dtype)
    np.testing.assert_array_equal(gradient, d / n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [False, True], ids=["classes", "rows"])
def test_fused_is_stable_for_huge_logits(dtype, rows):
    logits = [[1e4, -1e4, 0], [1e4, -1e4, 0], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]]
    labels = np.array([0, 1, 1, 2])
    labels = np.eye(3)[labels] if rows else labels
    value, gradient = value_and_gradient(
        tg.softmax_cross_entropy, logits, labels, dtype
    )
    expected = np.mean([0, 2e4, np.log(2), np.log(3)])
    np.testing.assert_allclose(value, expected, rtol=4 * np.finfo(dtype).eps)
    third = 1 / 3
    exact = [[0, 0, 0], [1, -1, 0], [0.5, -0.5, 0], [third, third, third - 1]]
    np.testing.assert_allclose(
        gradient, np.divide(exact, 4), rtol=4 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_separate_path_is_finite_for_huge_logits(dtype):
    value, gradient = value_and_gradient(
        composed, [[1e4, -1e4], [1e4, -1e4]], [0, 1], dtype
    )
    low, high = np.asarray([CLIP, 1 - CLIP], dtype)
    np.testing.assert_allclose(
        value, -(np.log(high) + np.log(low)) / 2, rtol=4 * np.finfo(dtype).eps
    )
    np.testing.assert_array_equal(gradient, np.zeros((2, 2)))


@given(scored())
def test_fused_is_unchanged_by_a_shift(case):
    logits, labels = case
    logits = np.round(logits * 1024) / 1024  # so that adding integers is exact
    value, gradient = value_and_gradient(tg.softmax_cross_entropy, logits, labels)
    for shift in (-10_000, 3, 10_000):
        again = value_and_gradient(tg.softmax_cross_entropy, logits + shift, labels)
        np.testing.assert_array_equal(again[0], value)
        np.testing.assert_array_equal(again[1], gradient)


# The clipped loss at and beyond its bounds.


def loss_of_one(p, label=0):
    """Return the loss of a sample as a function of its first probability."""
    return float(tg.categorical_cross_entropy([[p, 0.25, 0.5]], [label]))


def slope_of_one(p, labels=(0,), dtype=np.float64):
    _, gradient = value_and_gradient(
        tg.categorical_cross_entropy, [[p, 0.25, 0.5]], labels, dtype
    )
    return gradient[0]


def difference(p, low, high):
    """Return the slope of the loss itself between p - low and p + high."""
    return (loss_of_one(p + high) - loss_of_one(p - low)) / (low + high)


@pytest.mark.parametrize("p", [0.0, 5e-8, 1 - 5e-8, 1.0])
def test_flat_beyond_the_bounds(p):
    assert difference(p, 1e-8, 1e-8) == 0.0
    np.testing.assert_array_equal(slope_of_one(p), [0, 0, 0])
    # A soft row clips class by class: the others keep their slope.
    g = slope_of_one(p, [[0.5, 0.5, 0.0]])
    np.testing.assert_allclose(g, [0, -0.5 / 0.25, 0], rtol=4 * EPS)


@pytest.mark.parametrize("p", [2e-7, 1e-3, 0.25, 0.9, 1 - 1e-3, 1 - 3e-7])
def test_slope_inside_the_bounds(p):
    step = 1e-3 * min(p, 1 - p)
    # Truncation is (step / p)^2 / 3, rounding eps * |log p| / step over 1 / p.
    tolerance = (step / p) ** 2 + 20 * EPS * p / step
    ours = slope_of_one(p)
    assert ours[0] == pytest.approx(difference(p, step, step), rel=tolerance)
    assert ours[0] == pytest.approx(-1 / p, rel=4 * EPS)
    np.testing.assert_array_equal(ours[1:], 0)


@pytest.mark.parametrize("side", ["lower", "upper"])
def test_slope_at_a_bound_is_that_from_inside(side):
    p = CLIP if side == "lower" else 1 - CLIP
    step = 1e-4 * CLIP
    inside = difference(p, 0, step) if side == "lower" else difference(p, step, 0)
    outside = difference(p, step, 0) if side == "lower" else difference(p, 0, step)
    assert outside == pytest.approx(0, abs=1e-9)
    assert slope_of_one(p)[0] == pytest.approx(inside, rel=1e-3)
    assert slope_of_one(p)[0] == pytest.approx(-1 / p, rel=4 * EPS)


def test_value_at_zero_and_one():
    assert loss_of_one(0.0) == pytest.approx(-np.log(1e-7), rel=4 * EPS)
    assert loss_of_one(1.0) == pytest.approx(-np.log(1 - 1e-7), rel=1e-8)
    assert loss_of_one(0.0) == pytest.approx(16.11809565095832, rel=1e-14)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_float32_is_finite_and_flat_at_zero_and_one(p):
    np.testing.assert_array_equal(slope_of_one(p, dtype=np.float32), [0, 0, 0])
    row = slope_of_one(p, [[1.0, 0.0, 0.0]], np.float32)
    np.testing.assert_array_equal(row, [0, 0, 0])


def test_gradient_of_a_batch_with_every_kind_of_probability():
    p = np.array([[0.0, 1.0], [1.0, 0.0], [CLIP, 1 - CLIP], [0.3, 0.7]])
    _, gradient = value_and_gradient(tg.categorical_cross_entropy, p, [0, 0, 0, 1])
    expected = [[0, 0], [0, 0], [-1 / CLIP / 4, 0], [0, -1 / 0.7 / 4]]
    np.testing.assert_allclose(gradient, expected, rtol=4 * EPS)


# Second order.


@st.composite
def any_labels(draw, n, classes):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["classes", "one-hot", "soft", "nearly 1"]))
    if kind == "classes":
        return rng.integers(0, classes, size=n)
    if kind == "one-hot":
        return np.eye(classes)[rng.integers(0, classes, size=n)]
    rows = rng.dirichlet(np.ones(classes), size=n)
    return rows if kind == "soft" else rows * 1.0005


@every_loss
@given(data=st.data())
def test_first_and_second_order_against_differences(loss, data):
    n, classes = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 4))
    labels = data.draw(any_labels(n, classes))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    if loss is tg.categorical_cross_entropy:
        scores = rng.uniform(0.1, 0.9, size=(n, classes))
    else:
        scores = rng.uniform(-2, 2, size=(n, classes))
    gradgradcheck(lambda s: loss(s, labels), scores)


def test_hessian_of_the_fused_loss_is_the_jacobian_of_softmax():
    logits = np.random.default_rng(4).normal(size=(1, 4))
    x = leaf(logits)
    tg.softmax_cross_entropy(x, [2]).backward(create_graph=True)
    g, x.grad = x.grad, None
    rows = []
    for k in range(4):
        g[0, k].backward(retain_graph=True)
        rows.append(x.grad.numpy()[0])
        x.grad = None
    (expected,) = tg.softmax_jacobian(tg.softmax(logits))
    np.testing.assert_allclose(rows, expected, atol=1e-15)


def test_the_check_sees_a_residual_taken_for_a_constant():
    def value_and_probabilities(logits, labels):
        return tg.softmax_cross_entropy(logits, labels), tg.softmax(logits)

    def constant(logits):
        return tg.softmax(logits.detach()) + 0 * logits

    loss = tg.primitive(value_and_probabilities, residuals={"p": constant})
    loss.vjp(logits=lambda g, p, labels: g * (p - labels) / len(p))
    rng = np.random.default_rng(5)
    scores, labels = rng.normal(size=(2, 3)), np.eye(3)[[0, 2]]
    gradcheck(lambda s: loss(s, labels), scores)
    with pytest.raises(GradientError, match="gradient of order 2"):
        gradgradcheck(lambda s: loss(s, labels), scores)


# Softmax.


@given(scored())
def test_softmax_rows_are_distributions(case):
    p = tg.softmax(case[0])
    assert np.all(p > 0)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=8 * EPS)


@given(scored(), st.integers(-10_000, 10_000))
def test_softmax_is_unchanged_by_a_shift(case, shift):
    x = np.round(case[0] * 1024) / 1024
    p = tg.softmax(x)
    np.testing.assert_array_equal(tg.softmax(x + shift), p)
    v = np.random.default_rng(0).normal(size=x.shape)
    gradients = []
    for z in (leaf(x), leaf(x + shift)):
        tg.softmax(z).backward(v)
        gradients.append(z.grad.numpy())
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_of_huge_inputs(dtype):
    x = leaf([[1e4, -1e4, 1e4], [-1e4, -1e4, -1e4]], dtype)
    p = tg.softmax(x)
    np.testing.assert_allclose(p.numpy(), [[0.5, 0, 0.5], [1 / 3] * 3], rtol=1e-6)
    p.backward(np.ones((2, 3), dtype))
    np.testing.assert_allclose(x.grad.numpy(), np.zeros((2, 3)), atol=1e-7)
    assert p.dtype == x.grad.dtype == dtype


# The Jacobian.


@given(scored())
def test_jacobian_against_differences(case):
    logits, _ = case
    jacobians = tg.softmax_jacobian(tg.softmax(logits))
    n, classes = logits.shape
    assert jacobians.shape == (n, classes, classes)
    for found, row in zip(jacobians, logits, strict=True):
        expected, error = numerical_jacobian(tg.softmax, row)
        assert error.max() < 1e-9
        assert (np.abs(found - expected) <= error + EPS).all()


def backward_is_the_product_with_the_jacobian(softmax, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(5, 4))
    # A cotangent of ones would pass any rule: rows of the Jacobian sum to 0.
    g = rng.normal(size=(5, 4))
    x = leaf(logits)
    softmax(x).backward(g)
    jacobians = tg.softmax_jacobian(tg.softmax(logits))
    expected = np.einsum("nj,njk->nk", g, jacobians)
    return np.allclose(x.grad.numpy(), expected, rtol=1e-13, atol=1e-15)


@given(st.integers(0, 2**32))
def test_softmax_backward_is_the_product_with_the_jacobian(seed):
    assert backward_is_the_product_with_the_jacobian(tg.softmax, seed)


def test_the_comparison_sees_a_wrong_softmax_rule():
    @tg.primitive
    def diagonal(x):
        return tg.softmax(x)

    diagonal.vjp(x=lambda g, y: g * y * (1 - y))
    assert not backward_is_the_product_with_the_jacobian(diagonal, 0)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
def test_softmax_along_any_axis(axis):
    rng = np.random.default_rng(7)
    x, g = leaf(rng.normal(size=(2, 3, 4))), rng.normal(size=(2, 3, 4))
    p = tg.softmax(x, axis=axis)
    np.testing.assert_allclose(p.numpy().sum(axis=axis), 1, rtol=8 * EPS)
    p.backward(g)
    rows = np.moveaxis(p.numpy(), axis, -1)
    jacobians = tg.softmax_jacobian(rows.reshape(-1, rows.shape[-1]))
    cotangents = np.moveaxis(g, axis, -1).reshape(-1, rows.shape[-1])
    expected = np.einsum("nj,njk->nk", cotangents, jacobians).reshape(rows.shape)
    ours = np.moveaxis(x.grad.numpy(), axis, -1)
    np.testing.assert_allclose(ours, expected, rtol=1e-13, atol=1e-15)


def test_jacobian_rows_and_columns_sum_to_nothing():
    p = tg.softmax(np.random.default_rng(8).normal(size=(6, 5)))
    jacobians = tg.softmax_jacobian(p)
    np.testing.assert_allclose(jacobians.sum(axis=1), 0, atol=4 * EPS)
    np.testing.assert_array_equal(jacobians, jacobians.swapaxes(1, 2))


def test_jacobian_keeps_dtype_and_takes_tensors_and_lists():
    p = np.array([[0.7, 0.1, 0.2]])
    expected = tg.softmax_jacobian(p)
    assert tg.softmax_jacobian(p.astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(tg.softmax_jacobian(p.tolist()), expected)
    recorded = tg.softmax_jacobian(leaf(p))
    assert recorded.requires_grad
    np.testing.assert_array_equal(recorded.numpy(), expected)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 3)])
def test_jacobian_of_rows_only(shape):
    with pytest.raises(
        ValueError, match=r"softmax_jacobian: expected .*\(n, classes\)"
    ):
        tg.softmax_jacobian(np.full(shape, 0.5))


# What is refused.

SCORES = [[0.25, 0.75, 0.0], [0.5, 0.2, 0.3]]
NAN = float("nan")


@every_loss
@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 3], IndexError, "must be from 0 to 2 .* got 3"),
        ([0, -1], IndexError, "must be from 0 to 2 .* got -1"),
        (np.array([0, 255], np.uint8), IndexError, "got 255"),
        (np.array([-128, 0], np.int8), IndexError, "got -128"),
        ([0, 2**40], IndexError, f"got {2**40}"),
        ([0.0, 1.0], TypeError, "must be integers, got float64"),
        ([0.5, 1.5], TypeError, "must be integers, got float64"),
        ([NAN, 1.0], TypeError, "must be integers, got float64"),
        ([True, False], TypeError, "must be integers, got bool"),
        (["a", "b"], TypeError, "must be integers, got <U1"),
        ([0, 1, 2], ValueError, r"shape \(2,\) or rows of shape \(2, 3\)"),
        ([0], ValueError, r"got shape \(1,\)"),
        (0, ValueError, r"got shape \(\)"),
        ([[0], [1]], ValueError, r"got shape \(2, 1\)"),
        ([[0, 1]], ValueError, r"got shape \(1, 2\)"),
        ([[1, 0, 0]], ValueError, r"got shape \(1, 3\)"),
        ([[0, 1], [1, 0], [0, 0]], ValueError, r"got shape \(3, 2\)"),
        (np.zeros((2, 3, 1)), ValueError, r"got shape \(2, 3, 1\)"),
        ([[1, 0, 0], [NAN, 0, 1]], ValueError, "without negative or NaN"),
        ([[1, 0, 0], [1.5, -0.5, 0]], ValueError, "smallest entry -0.5"),
        ([[1, 0, 0], [0.5, 0.4, 0]], ValueError, "worst sum is 0.9"),
        ([[1, 0, 0], [1, 1, 0]], ValueError, "worst sum is 2"),
        ([[1, 0, 0], [0, 0, 0]], ValueError, "worst sum is 0"),
        ([[1, 0, 0], [np.inf, 0, 0]], ValueError, "worst sum is inf"),
        ([[1j, 0, 0], [1, 0, 0]], TypeError, "must be real numbers, got complex"),
    ],
)
def test_labels_that_are_refused(loss, labels, error, message):
    name = loss.__name__
    for scores in (np.array(SCORES), leaf(SCORES)):
        with pytest.raises(error, match=f"^{name}: .*{message}"):
            loss(scores, labels)


@every_loss
def test_labels_that_need_a_gradient_are_refused(loss):
    rows = leaf([[1, 0, 0], [0.5, 0.5, 0]])
    with pytest.raises(TypeError, match=r"labels are constants; pass labels\.detach"):
        loss(leaf(SCORES), rows)
    assert loss(leaf(SCORES), rows.detach()).requires_grad


@every_loss
@pytest.mark.parametrize("shape", [(), (3,), (0, 3), (2, 0), (2, 3, 3)])
def test_scores_that_are_refused(loss, shape):
    message = r"expected scores of shape \(n, classes\) with n and classes at least 1"
    for scores in (np.ones(shape), leaf(np.ones(shape))):
        with pytest.raises(ValueError, match=f"^{loss.__name__}: {message}"):
            loss(scores, np.zeros(shape[:1], int))


@every_loss
def test_row_sums_may_be_rounded(loss):
    rows = np.full((2, 3), 1 / 3, np.float16)
    assert np.isfinite(loss(np.array(SCORES), rows))


# one_hot.


def test_one_hot():
    rows = tg.one_hot([2, 0], 3)
    np.testing.assert_array_equal(rows, [[0, 0, 1], [1, 0, 0]])
    assert rows.dtype == np.float32
    assert tg.one_hot(np.uint8([1]), 2, np.float64).dtype == np.float64
    assert tg.one_hot(np.zeros(0, int), 3).shape == (0, 3)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 3], IndexError, "from 0 to 2"),
        ([-1], IndexError, "from 0 to 2"),
        ([0.0], TypeError, "must be integers"),
        ([[0, 1]], ValueError, "shape"),
        (1, ValueError, "shape"),
    ],
)
def test_one_hot_refuses(labels, error, message):
    with pytest.raises(error, match=f"one_hot: .*{message}"):
        tg.one_hot(labels, 3)


@pytest.mark.parametrize("labels", [[0, 1], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
def test_a_class_ruled_out_costs_nothing(labels):
    x = tg.Tensor([[1.0, 2.0, -np.inf], [0.0, 0.0, -np.inf]], requires_grad=True)
    loss = tg.softmax_cross_entropy(x, labels)
    loss.backward()
    assert loss.item() == pytest.approx((np.log(1 + np.e) + np.log(2)) / 2)
    assert (x.grad.numpy()[:, 2] == 0).all()


def test_nan_probability_has_nan_gradient():
    p = tg.Tensor([[np.nan, 0.5]], requires_grad=True)
    tg.categorical_cross_entropy(p, [0]).backward()
    assert np.isnan(p.grad.numpy()[0, 0])
