"""Layers: their gradients by the checker, and the same results compiled."""

import numpy as np
import pytest
from layers import KERNELS, LAYERS, disturbed, made

import tensorgrad as tg
from tensorgrad.core.tree import leaves, mapped
from tensorgrad.testing import check_model


def as_tensors(inputs):
    """Return inputs as tensors, those of numbers with a gradient."""
    return mapped(inputs, lambda x: tg.Tensor(x, requires_grad=x.dtype.kind == "f"))


class Called(tg.nn.Module):
    """A layer with what it is called with: its gradients are asked for together."""

    def __init__(self, layer, inputs, named):
        self.layer, self.named = layer, named
        self.inputs = as_tensors(inputs)

    def forward(self, _):
        return self.layer(*self.inputs, **self.named)


def total(y):
    """Return a number that depends on every result."""
    parts = [p for p in leaves(y) if isinstance(p, tg.Tensor) and p.requires_grad]
    return sum(
        np.sum(np.sin(p) * np.cos(np.arange(p.size).reshape(p.shape))) for p in parts
    )


# The row for padding has a slope, and no gradient.
@pytest.mark.parametrize("name", [n for n in LAYERS if n != "Embedding padded"])
def test_gradients(name):
    layer, inputs, named = made(name)
    model = Called(disturbed(layer), inputs, named)
    x = np.zeros((1, 1))
    result = check_model(model, lambda y, _: total(y), x, x, largest=20, directions=3)
    assert result.verdict == "agrees", result


@pytest.mark.parametrize(
    ("name", "kernels"),
    [*((n, False) for n in LAYERS), *((n, True) for n in sorted(KERNELS))],
)
def test_compiled(name, kernels):
    if kernels:
        pytest.importorskip("llvmlite")
    (plain, inputs, named), (compiled, _, _) = made(name), made(name)
    plain.to(np.float32), compiled.to(np.float32)

    def step_of(layer):
        parameters = layer.parameters()
        optimizer = tg.optim.SGD(parameters, lr=0.01) if parameters else None

        def step(*inputs):
            xs = as_tensors(inputs)
            y = layer(*xs, **named)
            if optimizer is not None:
                optimizer.zero_grad()
            total(y).backward()
            if optimizer is not None:
                optimizer.step()
            return y, [x.grad for x in leaves(xs)]

        return step

    step = tg.compile(step_of(compiled), fused=kernels)
    eager = step_of(plain)
    inputs = mapped(
        inputs, lambda x: x.astype(np.float32) if x.dtype.kind == "f" else x
    )
    for _ in range(4):
        for a, b in zip(leaves(step(*inputs)), leaves(eager(*inputs)), strict=True):
            if b is not None:
                pair = (getattr(x, "detach", lambda x=x: x)() for x in (a, b))
                np.testing.assert_allclose(*pair, rtol=1e-5, atol=1e-6)
    for a, b in zip(*(x.state_dict().values() for x in (compiled, plain)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_mapped(name):
    layer, inputs, named = made(name)
    layer.eval()
    rng = np.random.default_rng(2)

    def stack(x):
        noise = rng.normal(size=(3, *x.shape)) * (x.dtype.kind == "f")
        return (x + noise).astype(x.dtype)

    stacks = mapped(inputs, stack)

    def call(*xs):
        return layer(*xs, **named)

    def gradients(y):
        for parameter in layer.parameters():
            parameter.grad = None
        total(y).backward()
        return [parameter.grad.numpy() for parameter in layer.parameters()]

    found = tg.vmap(call)(*stacks)
    every = [call(*mapped(stacks, lambda x, i=i: x[i])) for i in range(3)]
    stacked = [
        None if part[0] is None else np.stack(part)
        for part in zip(*map(leaves, every), strict=True)
    ]
    for a, b in zip(leaves(found), stacked, strict=True):
        if b is not None:
            pair = (getattr(x, "_value", x) for x in (a, b))
            np.testing.assert_allclose(*pair, rtol=1e-9, atol=1e-12)
    if layer.parameters():
        for pair in zip(gradients(found), gradients(stacked), strict=True):
            np.testing.assert_allclose(*pair, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_shown_as_the_call_that_makes_it(name):
    shown = repr(made(name)[0])
    assert repr(eval(shown, vars(tg.nn).copy())) == shown


@pytest.mark.parametrize("compiled", [False, True])
def test_dropout_draws_anew_at_each_call(compiled):
    layer = tg.nn.Dropout(0.25, rng=7)
    call = tg.compile(lambda x: layer(x) * 1) if compiled else layer
    x = np.ones((40, 50), np.float32)
    found = [np.asarray(call(x)) for _ in range(4)]
    rng = np.random.default_rng(7)
    for y in found:
        expected = tg.dropout(x, 0.25, rng=rng)
        np.testing.assert_array_equal(y, expected)
    assert not np.array_equal(*found[2:])
    layer.eval()
    np.testing.assert_array_equal(layer(x), x)


def test_running_averages_follow_the_batches():
    layer = tg.nn.BatchNorm1d(3, momentum=0.9, dtype=np.float64)
    x = np.random.default_rng(0).normal(2, 3, size=(50, 3))
    for _ in range(30):
        layer(x)
    np.testing.assert_allclose(layer.running_mean.numpy(), x.mean(axis=0))
    np.testing.assert_allclose(layer.running_var.numpy(), x.var(axis=0, ddof=1))
    before = layer.state_dict()
    layer.eval()
    found = layer(x).numpy()
    expected = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + 1e-5)
    np.testing.assert_allclose(found, expected)
    assert all((before[k] == v).all() for k, v in layer.state_dict().items())


def test_penalty_is_that_of_the_text():
    w = tg.Tensor([[1.0, -2.0], [0.5, 0.0]], requires_grad=True)
    b = tg.Tensor([3.0], requires_grad=True)
    loss = tg.nn.penalty([w, b], l1=0.1, l2=0.01)
    assert loss.item() == pytest.approx(0.1 * 6.5 + 0.01 * 14.25)
    loss.backward()
    expected = 0.1 * np.sign(w.numpy()) + 0.02 * w.numpy()
    np.testing.assert_allclose(w.grad.numpy(), expected)
    assert tg.nn.penalty([w]).item() == tg.nn.penalty([], l1=1.0).item() == 0
    with pytest.raises(ValueError, match="at least 0, got -1 and 0.0"):
        tg.nn.penalty([w], l1=-1)


# Initial values.


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_normal", 2 / (30 + 20)),
        ("glorot_uniform", 2 / (30 + 20)),
        ("he_normal", 2 / 30),
        ("he_uniform", 2 / 30),
        ("lecun_normal", 1 / 30),
        ("lecun_uniform", 1 / 30),
    ],
)
def test_initial_variances(name, variance):
    init = getattr(tg.nn.init, name)
    for shape in ((30, 20), (20, 30), (2, 3, 2, 5)):
        fans = shape if len(shape) == 2 else (shape[1] * 10, shape[0] * 10)
        scale = {"glorot": sum(fans) / 50, "he": fans[0] / 30, "lecun": fans[0] / 30}
        drawn = np.stack([init(shape, seed, np.float64) for seed in range(100)])
        found = drawn.var() * scale[name.split("_")[0]]
        assert found == pytest.approx(variance, rel=0.1)
        if name.endswith("uniform"):
            assert np.abs(drawn).max() <= drawn.std() * np.sqrt(3) * 1.05
    with pytest.raises(ValueError, match=r"shape \(3,\) have no fans"):
        init((3,))


def test_the_initial_weights_of_the_text():
    drawn = tg.nn.init.normal((2, 64), np.random.RandomState(0))
    expected = 0.01 * np.random.RandomState(0).randn(2, 64).astype(np.float32)
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (4, 2, 3)])
def test_orthogonal_rows_or_columns(shape):
    w = tg.nn.init.orthogonal(shape, 0, np.float64).reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_initialisers_serve_layers():
    init = tg.nn.init.orthogonal
    for layer in (
        tg.nn.Dense(3, 4, init=init, rng=0),
        tg.nn.Conv2d(3, 4, 2, init=init, rng=0),
        tg.nn.Embedding(3, 4, init=init, rng=0),
    ):
        expected = init(layer.weight.shape, 0)
        np.testing.assert_array_equal(layer.weight.numpy(), expected)


# What is refused.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda nn: nn.Dense(4, 1)(nn.LSTM(3, 4)(np.ones((5, 2, 3)))),
            r"Dense: expected one array, got a tuple of 2; of what a recurrent layer",
        ),
        (
            lambda nn: nn.Dense(2, 3, init="he_normal"),
            r"such as tg.nn.init.he_normal, got 'he_normal'",
        ),
        (lambda nn: nn.Conv1d(2, 3, 3, init=np.ones((3, 2, 3))), "function of shape"),
        (lambda nn: nn.Embedding(2, 3, init="normal"), "function of shape"),
        (
            lambda nn: nn.functional.cross_entropy(np.ones((1, 2)), [0], {0: 1, 1: 2}),
            r"got a dict; pass \[weight\[i\] for i in range\(2\)\]",
        ),
    ],
)
def test_another_kind_of_argument_is_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call(tg.nn)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda nn: nn.Conv2d(0, 1, 3), "Conv2d: in_channels must be at least 1"),
        (lambda nn: nn.Conv2d(3, 4, 3, groups=2), "2 groups do not divide 3 channels"),
        (
            lambda nn: nn.Conv2d(3, 4, 3)(np.ones((2, 2, 5, 5))),
            r"Conv2d: expected 3 channels, samples of shape \(n, 3, height, width\), "
            r"got \(2, 2, 5, 5\)",
        ),
        (
            lambda nn: nn.Conv2d(3, 4, 3)(np.ones((2, 5, 5, 3))),
            r"got \(2, 5, 5, 3\); move the channels there",
        ),
        (lambda nn: nn.Conv2d(3, 4, 3)(np.ones((2, 3, 5))), "Conv2d: expected 3 chan"),
        (lambda nn: nn.Conv1d(3, 4, 3)(np.ones(9)), r"shape \(n, 3, length\), got \(9"),
        (lambda nn: nn.Conv2d(1, 1, 7)(np.ones((2, 1, 5, 5))), "does not fit into"),
        (lambda nn: nn.Conv2d(1, 1, 3, padding="all")(np.ones((1, 5, 5))), '"same" or'),
        (
            lambda nn: nn.Conv2d(1, 1, 3, 2, "same")(np.ones((1, 5, 5))),
            'padding="same" is for a stride of 1',
        ),
        (lambda nn: nn.MaxPool2d(2, padding=2)(np.ones((1, 4, 4))), "at most half of"),
        (lambda nn: nn.MaxPool2d(2)(np.ones((4, 4))), "expected samples of shape"),
        (lambda nn: nn.BatchNorm1d(3)(np.ones((4, 2))), r"samples \(n, 3, ...\)"),
        (lambda nn: nn.BatchNorm1d(3)(np.ones((1, 3))), "two values or more"),
        (lambda nn: nn.LayerNorm(3)(np.ones((4, 2))), "last lengths are"),
        (lambda nn: nn.GroupNorm(2, 3), "2 groups do not divide 3 channels"),
        (lambda nn: nn.Dropout(1.5), "Dropout: p must be from 0 to 1"),
        (lambda nn: nn.Embedding(3, 2)([1.0]), "embedding: expected integers"),
        (
            lambda nn: nn.Embedding(3, 2)([3]),
            "embedding: integers must be from 0 to 2, got 3",
        ),
        (lambda nn: nn.Embedding(3, 2)([-1]), "must be from 0 to 2"),
        (lambda nn: nn.LSTM(3, 2)(np.ones((4, 2, 2))), r"shape \(length, n, 3\)"),
        (lambda nn: nn.RNN(3, 2, nonlinearity="sin"), '"tanh" or "relu"'),
        (
            lambda nn: nn.GRU(3, 2)(np.ones((4, 2, 3)), np.ones((2, 2, 2))),
            r"a state of shape \(1, 2, 2\), got \(2, 2, 2\)",
        ),
        (lambda nn: nn.MultiheadAttention(5, 2), "2 heads do not divide 5 features"),
        (
            lambda nn: nn.MultiheadAttention(4, 2)(*[np.ones((2, 3, 5))] * 3),
            r"sequences of shape \(length, n, 4\), got \(2, 3, 5\)",
        ),
        (lambda nn: nn.Flatten(2)(np.ones((2, 3))), "Flatten: expected axes from 2"),
        (lambda nn: nn.functional.mse_loss([1.0], [[1.0]]), "arrays of one shape"),
        (
            lambda nn: nn.functional.l1_loss([1.0], [2.0], reduction="max"),
            '"none", got',
        ),
        (
            lambda nn: nn.functional.cross_entropy(np.ones((2, 3)), [0, 3]),
            "cross_entropy: integers must be from 0 to 2, got 3",
        ),
        (
            lambda nn: nn.functional.cross_entropy(np.ones((2, 3)), [0.0, 1.0]),
            "labels that are integers",
        ),
    ],
)
def test_refused_with_a_sentence(call, message):
    with pytest.raises((ValueError, IndexError), match=message):
        call(tg.nn)
