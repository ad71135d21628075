"""Activations and sums in logarithms: published values, tails, infinities, dropout."""

import math

import numpy as np
import pytest
from derivatives import derivatives
from tensors import leaf

import tensorgrad as tg
from tensorgrad.ops.elementwise.logspace import (
    log_softmax,
    logsumexp,
    sigmoid,
    softplus,
)
from tensorgrad.ops.networks.activations import dropout, elu, gelu, leaky_relu, silu
from tensorgrad.ops.networks.neural import relu, softmax

INF, NAN = math.inf, math.nan


def gelu_tanh(x):
    return gelu(x, approximate="tanh")


# Computed with 40 digits from the definitions.
@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (sigmoid, 0.0, (0.5, 0.25, 0)),
        (sigmoid, 2.0, (0.88079707797788244, 0.10499358540350652,
                        -0.079962501056153063)),
        (sigmoid, -20.0, (2.0611536181902036e-9, 2.0611536139418493e-9,
                          2.0611536054451409e-9)),
        (sigmoid, -700.0, (9.8596765437597709e-305,) * 3),
        (softplus, 0.0, (0.69314718055994531, 0.5, 0.25)),
        (softplus, -20.0, (2.0611536203143807e-9, 2.0611536181902036e-9,
                           2.0611536139418493e-9)),
        (softplus, 800.0, (800, 1, 0)),
        (silu, 0.0, (0, 0.5, 0.5)),
        (silu, 1.0, (0.73105857863000488, 0.92767051187148673, 0.3023661188100153)),
        (silu, -20.0, (-4.1223072363804072e-8, -3.9161918660646783e-8,
                       -3.7100764881019119e-8)),
        (gelu, 0.0, (0, 0.5, 0.79788456080286536)),
        (gelu, 1.0, (0.84134474606854295, 1.0833154705876863, 0.24197072451914335)),
        (gelu, -10.0, (-7.6198530241605261e-23, -7.6184000964648141e-22,
                       -7.540706654172291e-21)),
        (gelu_tanh, 0.0, (0, 0.5, 0.79788456080286536)),
        (gelu_tanh, 1.0, (0.8411919906082767, 1.0829640838457826, 0.24214819798377295)),
        (gelu_tanh, -5.0, (-2.291796196629506e-7, -1.5463619875325946e-6,
                           -9.9341322249962021e-6)),
        (elu, -1.0, (math.expm1(-1), math.exp(-1), math.exp(-1))),
        (elu, 3.0, (3, 1, 0)),
        (leaky_relu, -3.0, (-0.03, 0.01, 0)),
        (leaky_relu, 3.0, (3, 1, 0)),
    ],
)  # fmt: skip
def test_values_slopes_and_curvatures(function, at, expected):
    np.testing.assert_allclose(derivatives(function, at), expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("function", [sigmoid, softplus, silu, gelu, gelu_tanh, elu])
@pytest.mark.parametrize("size", [50.0, 1000.0, 60000.0, 1e30, 1e200, INF])
def test_far_from_zero(function, size, dtype):
    """Everything saturates; nothing overflows, warns or becomes NaN."""
    size = float(dtype(size)) if size <= float(np.finfo(dtype).max) else INF
    function(leaf([-size, size], dtype))
    value, slope, curvature = derivatives(function, -size, dtype=dtype)
    assert value == pytest.approx(-1 if function is elu else 0, abs=1e-18)
    assert slope == pytest.approx(0, abs=1e-18)
    assert curvature == pytest.approx(0, abs=1e-18)
    value, slope, curvature = derivatives(function, size, dtype=dtype)
    assert value == (1 if function is sigmoid else size)
    assert slope == pytest.approx(0 if function is sigmoid else 1, abs=1e-18)
    assert curvature == pytest.approx(0, abs=1e-18)


def test_kinks():
    for function, expected in ((relu, 0), (leaky_relu, 0.01), (elu, 1)):
        assert derivatives(function, 0.0)[1] == expected
    assert derivatives(lambda x: elu(x, 0.5), 0.0)[1] == 0.5
    assert derivatives(lambda x: leaky_relu(x, 0.3), 0.0)[1] == 0.3


def test_gelu_forms():
    x = np.linspace(-4, 4, 81)
    exact = np.array([v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x])
    np.testing.assert_allclose(gelu(x), exact, atol=1e-15)
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    np.testing.assert_allclose(gelu_tanh(x), x / 2 * (1 + np.tanh(u)), atol=1e-15)
    with pytest.raises(ValueError, match='"none" or "tanh", got \'erf\''):
        gelu(x, approximate="erf")


def test_a_learned_slope():
    x, slope = leaf([[-2.0, 3.0], [-1.0, -1.0]]), leaf([0.5, 0.1])
    leaky_relu(x, slope).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0.5, 1], [0.5, 0.1]])
    np.testing.assert_array_equal(slope.grad.numpy(), [-3, -1])


# Sums in logarithms.


@pytest.mark.parametrize(
    ("row", "value", "shares"),
    [
        ([0.0, 0.0], math.log(2), [0.5, 0.5]),
        ([1000.0, 1000.0], 1000 + math.log(2), [0.5, 0.5]),
        ([-1000.0, 0.0], 0.0, [0, 1]),
        ([-INF, 1.0], 1.0, [0, 1]),
        ([-INF, -INF], -INF, [0.5, 0.5]),
        ([INF, 1.0], INF, [1, 0]),
        ([INF, INF], INF, [0.5, 0.5]),
        ([INF, -INF], INF, [1, 0]),
    ],
)
def test_logsumexp_of_extremes(row, value, shares):
    x = leaf(row)
    y = logsumexp(x)
    assert y.item() == value
    y.backward(create_graph=True)
    np.testing.assert_array_equal(x.grad.numpy(), shares)
    g = x.grad[0]
    x.grad = None
    g.backward()
    curvature = shares[0] * (np.array([1, 0]) - shares)
    np.testing.assert_array_equal(x.grad.numpy(), curvature)


def test_logsumexp_along_axes():
    a = np.random.default_rng(0).normal(size=(2, 3, 4))
    for axis in (None, 0, -1, (0, 2)):
        for keepdims in (False, True):
            expected = np.log(np.sum(np.exp(a), axis=axis, keepdims=keepdims))
            y = logsumexp(leaf(a), axis=axis, keepdims=keepdims)
            assert y.shape == np.shape(expected)
            np.testing.assert_allclose(y.numpy(), expected, rtol=1e-14)
    np.testing.assert_array_equal(logsumexp(np.zeros((2, 0)), axis=1), [-INF, -INF])
    assert logsumexp(tg.Tensor(3.0)).item() == 3
    assert logsumexp([0, 0]) == math.log(2)


def test_logsumexp_equals_logaddexp():
    a = np.random.default_rng(1).normal(size=7) * 100
    x, z = leaf(a), leaf(a)
    logsumexp(x).backward()
    np.logaddexp.reduce(z).backward()
    np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), rtol=1e-13)


@pytest.mark.parametrize("axis", [0, -1])
def test_log_softmax_is_the_logarithm_of_softmax(axis):
    a = np.random.default_rng(2).normal(size=(3, 4))
    v = np.random.default_rng(3).normal(size=(3, 4))
    x, z = leaf(a), leaf(a)
    y = log_softmax(x, axis=axis)
    np.testing.assert_allclose(y.numpy(), np.log(softmax(a, axis)), rtol=1e-13)
    (y * v).sum().backward()
    (np.log(softmax(z, axis)) * v).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), rtol=1e-12, atol=1e-14)


def test_log_softmax_of_extremes():
    x = leaf([[0.0, -1e4], [-INF, 0.0], [-INF, -INF], [1e300, 0.0]])
    y = log_softmax(x)
    np.testing.assert_array_equal(
        y.numpy(), [[0, -1e4], [-INF, 0], [-math.log(2)] * 2, [0, -1e300]]
    )
    y.backward(np.array([[1.0, 0], [0, 1], [1, 0], [0, 0]]), create_graph=True)
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 0], [0, 0], [0.5, -0.5], [0, 0]])


@pytest.mark.parametrize("function", [logsumexp, log_softmax, softmax])
def test_a_shift_changes_nothing(function):
    """The gradient keeps its digits where the logits are large and close together."""
    a = np.array([1e6, 1e6 - 1, 1e6 - 3])
    v = [1.0] if function is logsumexp else [1.0, 2.0, -1.0]
    grads = []
    for row in (a, a - 1e6):
        x = leaf(row)
        y = function(x)
        y.backward(np.reshape(v, y.shape))
        grads.append(x.grad.numpy())
    np.testing.assert_array_equal(*grads)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "function",
    [sigmoid, softplus, silu, gelu, gelu_tanh, elu, leaky_relu, logsumexp,
     log_softmax, softmax, lambda x: dropout(x, 0.3, rng=0)],
)  # fmt: skip
def test_narrow_types_stay_narrow(function, dtype):
    x = leaf([-1.0, 0.5, 2.0], dtype)
    y = function(x)
    assert y.dtype == dtype
    y.sum().backward(create_graph=True)
    assert x.grad.dtype == dtype
    wide = leaf([-1.0, 0.5, 2.0])
    function(wide).sum().backward()
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(
        x.grad.numpy(), wide.grad.numpy(), rtol=8 * eps, atol=8 * eps
    )


# Dropout.


def test_dropout_keeps_the_mean():
    x = leaf(np.ones((200, 100)))
    y = dropout(x, 0.25, rng=0)
    kept = y.numpy() != 0
    assert set(np.unique(y.numpy())) == {0, 4 / 3}
    assert abs(kept.mean() - 0.75) < 5 * math.sqrt(0.75 * 0.25 / kept.size)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), kept * (4 / 3))


def test_dropout_draws_from_the_generator_it_is_given():
    x = np.ones(50)
    np.testing.assert_array_equal(dropout(x, 0.5, rng=3), dropout(x, 0.5, rng=3))
    rng = np.random.default_rng(3)
    first, second = dropout(x, 0.5, rng=rng), dropout(x, 0.5, rng=rng)
    np.testing.assert_array_equal(first, dropout(x, 0.5, rng=3))
    assert (first != second).any()
    wide, narrow = (dropout(x.astype(t), 0.5, rng=3) for t in (float, np.float32))
    np.testing.assert_array_equal(wide, narrow)
    with pytest.raises(TypeError, match="rng"):
        dropout(x, 0.5)


def test_dropout_at_the_ends():
    x = leaf([1.0, INF, NAN])
    assert dropout(x, 0.5, rng=0, training=False) is x
    np.testing.assert_array_equal(dropout(x, 0.0, rng=0).numpy(), [1, INF, NAN])
    np.testing.assert_array_equal(dropout(x, 1.0, rng=0).numpy(), [0, 0, 0])
    for rate in (-0.1, 1.5, NAN):
        with pytest.raises(ValueError, match="rate must be from 0 to 1"):
            dropout(x, rate, rng=0)
