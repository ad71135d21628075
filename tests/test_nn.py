"""Layers: shapes, initial values, the parameters they are found to have."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.nn import Dense, Module, ReLU, Sequential, Softmax

sizes = st.integers(1, 7)


def names(module):
    return [name for name, _ in module.named_parameters()]


# Dense.


@given(sizes, sizes)
def test_dense_has_weight_and_bias(inputs, outputs):
    layer = Dense(inputs, outputs, rng=0)
    assert layer.weight.shape == (inputs, outputs)
    assert layer.bias.shape == (outputs,)
    assert np.all(layer.bias.numpy() == 0)
    assert all(p.requires_grad and p.dtype == np.float32 for p in layer.parameters())
    assert names(layer) == ["weight", "bias"]


@given(st.lists(st.integers(0, 4), max_size=3), sizes, sizes)
def test_dense_takes_batches_of_any_number_of_axes(batch, inputs, outputs):
    layer = Dense(inputs, outputs, rng=1, dtype=np.float64)
    layer.bias.data = np.arange(outputs, dtype=np.float64)
    x = np.random.default_rng(2).normal(size=(*batch, inputs))
    y = layer(x)
    assert y.shape == (*batch, outputs)
    expected = np.einsum("...i,io->...o", x, layer.weight.numpy()) + layer.bias.numpy()
    np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("batch", [(), (5,), (2, 5)])
def test_dense_gradients_in_any_batch(batch):
    rng = np.random.default_rng(3)
    layer = Dense(4, 3, rng=rng, dtype=np.float64)
    x = tg.Tensor(rng.normal(size=(*batch, 4)), requires_grad=True)
    g = rng.normal(size=(*batch, 3))
    layer(x).backward(g)
    samples, cotangents = x.numpy().reshape(-1, 4), g.reshape(-1, 3)
    expected = {
        layer.weight: samples.T @ cotangents,
        layer.bias: cotangents.sum(axis=0),
        x: g @ layer.weight.numpy().T,
    }
    for tensor, gradient in expected.items():
        assert tensor.grad.shape == tensor.shape
        np.testing.assert_allclose(
            tensor.grad.numpy(), gradient, rtol=1e-13, atol=1e-13
        )


def test_dense_takes_lists():
    layer = Dense(2, 1, rng=0, dtype=np.float64)
    ours = layer([[1, 2], [3, 4]]).numpy()
    np.testing.assert_array_equal(ours, layer(np.array([[1.0, 2], [3, 4]])).numpy())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, "float32"])
def test_dense_keeps_its_dtype(dtype):
    layer = Dense(3, 2, rng=0, dtype=dtype)
    x = np.ones((4, 3), dtype)
    y = layer(x)
    y.backward(np.ones((4, 2), dtype))
    kinds = {layer.weight, layer.bias, layer.weight.grad, layer.bias.grad, y}
    assert {t.dtype for t in kinds} == {np.dtype(dtype)}


def test_dense_of_integers_has_no_gradient_to_learn_by():
    with pytest.raises(TypeError, match="expected a floating-point dtype"):
        Dense(3, 2, dtype=int)


# Initial weights.


@pytest.mark.parametrize("inputs", [1, 2, 50])
def test_initial_weights_are_scaled_by_the_inputs(inputs):
    weight = Dense(inputs, 40_000 // inputs, rng=5).weight.numpy()
    # The deviation of a standard deviation of n normal numbers is 1 / sqrt(2 n).
    off = 4 / np.sqrt(2 * weight.size)
    assert np.std(weight) == pytest.approx(np.sqrt(2 / inputs), rel=off)
    assert abs(np.mean(weight)) < 4 * np.sqrt(2 / inputs / weight.size)


@given(st.floats(0.0, 10.0), st.sampled_from([np.float32, np.float64]))
def test_scale_multiplies_the_drawn_numbers(scale, dtype):
    layer = Dense(3, 4, rng=7, scale=scale, dtype=dtype)
    drawn = np.random.default_rng(7).standard_normal((3, 4)).astype(dtype)
    np.testing.assert_array_equal(layer.weight.numpy(), dtype(scale) * drawn)
    assert layer.weight.dtype == dtype


def test_the_scale_of_the_text():
    stream = np.random.RandomState(0)
    layer = Dense(2, 64, rng=stream, scale=0.01)
    drawn = np.random.RandomState(0).randn(2, 64).astype(np.float32)
    np.testing.assert_array_equal(layer.weight.numpy(), np.float32(0.01) * drawn)
    assert layer.weight.dtype == np.float32


def test_scale_of_numpy_type_changes_neither_bits_nor_dtype():
    layers = [Dense(2, 3, rng=0, scale=scale) for scale in (0.01, np.float64(0.01))]
    assert layers[1].weight.dtype == np.float32
    np.testing.assert_array_equal(*[layer.weight.numpy() for layer in layers])


@pytest.mark.parametrize(
    "make", [lambda: 3, lambda: np.int64(3), lambda: np.random.default_rng(3)]
)
def test_seed_and_generator_reproduce(make):
    expected = Dense(4, 5, rng=3).weight.numpy()
    np.testing.assert_array_equal(Dense(4, 5, rng=make()).weight.numpy(), expected)


def test_random_state_reproduces():
    a, b = (Dense(4, 5, rng=np.random.RandomState(3)).weight.numpy() for _ in "ab")
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, Dense(4, 5, rng=3).weight.numpy())


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_layers_draw_on_from_one_generator(make):
    rng = make(3)
    first, second = (Dense(4, 5, rng=rng, scale=1.0).weight.numpy() for _ in "ab")
    drawn = make(3).standard_normal((2, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal([first, second], drawn)


def test_without_a_seed_layers_differ():
    # The fixture of all tests sees to it that global random state stays as it was.
    a, b = (Dense(4, 5).weight.numpy() for _ in "ab")
    assert not np.array_equal(a, b)


# What is refused.


@pytest.mark.parametrize("shape", [(), (2,), (5, 2), (5, 4), (3, 5, 2), (3, 0)])
def test_wrong_number_of_features(shape):
    layer = Dense(3, 2, rng=0)
    with pytest.raises(ValueError, match=r"Dense: expected samples of 3 features") as e:
        layer(np.ones(shape))
    assert str(e.value).endswith(f"got {shape}")


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 3), (3, 0), (-1, 3), (3, -2)])
def test_at_least_one_feature(inputs, outputs):
    with pytest.raises(ValueError, match=f"got {inputs} and {outputs}"):
        Dense(inputs, outputs)


@pytest.mark.parametrize("scale", [-0.01, float("nan"), float("inf")])
def test_scale_must_be_finite_and_not_negative(scale):
    with pytest.raises(ValueError, match="scale"):
        Dense(2, 3, scale=scale)


# Activations.


def test_activations_are_the_operations():
    x = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_array_equal(ReLU()(x), np.maximum(x, 0))
    np.testing.assert_array_equal(Softmax()(x), tg.softmax(x))
    assert names(ReLU()) == names(Softmax()) == []


# Modules.


class Net(Module):
    def __init__(self):
        self.first = Dense(2, 3, rng=0)
        self.blocks = [Dense(3, 3, rng=1), Sequential(ReLU(), Dense(3, 3, rng=2))]
        self.gain = tg.Tensor(np.ones(3), requires_grad=True, dtype=np.float32)
        self.shift = tg.Tensor(np.ones(3), dtype=np.float32)
        self.label = "net"

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return x * self.gain + self.shift


def test_parameters_are_found_by_name_in_order():
    net = Net()
    assert names(net) == [
        "first.weight",
        "first.bias",
        "blocks.0.weight",
        "blocks.0.bias",
        "blocks.1.layers.1.weight",
        "blocks.1.layers.1.bias",
        "gain",
    ]
    found = dict(net.named_parameters())
    assert found["first.bias"] is net.first.bias
    assert found["blocks.1.layers.1.weight"] is net.blocks[1].layers[1].weight
    assert [id(p) for p in net.parameters()] == [id(p) for p in found.values()]


def test_prefix_stands_before_every_name():
    assert [n for n, _ in Dense(1, 1).named_parameters("head.")] == [
        "head.weight",
        "head.bias",
    ]


def test_every_parameter_gets_a_gradient_and_learns():
    net = Net()
    optimizer = tg.optim.SGD(net.parameters(), lr=0.1)
    before = [p.numpy().copy() for p in net.parameters()]
    (net(np.ones((4, 2), np.float32)) ** 2).mean().backward()
    optimizer.step()
    assert all(p.grad is not None and p.dtype == np.float32 for p in net.parameters())
    changed = [
        np.any(p.numpy() != old)
        for p, old in zip(net.parameters(), before, strict=True)
    ]
    # What comes before a dead unit may stand still; gain and the last bias cannot.
    assert changed[-1]
    assert changed[-2]


def test_shared_parameter_is_found_once():
    class Tied(Module):
        def __init__(self):
            self.encoder = Dense(3, 3, rng=0)
            self.decoder = Dense(3, 3, rng=1)
            self.decoder.weight = self.encoder.weight
            self.again = [self.encoder]

        def forward(self, x):
            return self.decoder(self.encoder(x))

    tied = Tied()
    assert names(tied) == ["encoder.weight", "encoder.bias", "decoder.bias"]
    # Its gradient is the sum over both uses.
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    tied(x).sum().backward()
    w = tied.encoder.weight.numpy()
    ones = np.ones((5, 3), np.float32)
    expected = x.T @ (ones @ w.T) + (x @ w).T @ ones
    np.testing.assert_allclose(tied.encoder.weight.grad.numpy(), expected, rtol=1e-5)


def test_parameters_in_lists_and_tuples():
    class Scales(Module):
        def __init__(self):
            make = [tg.Tensor(1.0, requires_grad=True) for _ in range(3)]
            self.list = make[:2]
            self.tuple = (make[2], "not a tensor", None)

    assert names(Scales()) == ["list.0", "list.1", "tuple.0"]


def test_parameters_added_later_are_found():
    model = Sequential(Dense(2, 2))
    model.extra = tg.Tensor([1.0], requires_grad=True)
    assert names(model) == ["layers.0.weight", "layers.0.bias", "extra"]


def test_module_without_forward_says_so():
    class Empty(Module):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty defines no forward\(x\)"):
        Empty()(1.0)
    assert Empty().parameters() == []


# Sequential.


def test_sequential_applies_its_layers_in_order():
    model = Sequential(Dense(2, 4, rng=0), ReLU(), Dense(4, 3, rng=1), Softmax())
    x = np.random.default_rng(2).normal(size=(5, 2)).astype(np.float32)
    first, _, last, _ = model.layers
    h = np.maximum(x @ first.weight.numpy() + first.bias.numpy(), 0)
    expected = tg.softmax(h @ last.weight.numpy() + last.bias.numpy())
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(model(x).numpy().sum(axis=1), 1, rtol=1e-6)


def test_empty_sequential_is_the_identity():
    x = tg.Tensor([1.0, 2.0])
    assert Sequential()(x) is x


def test_nested_sequential():
    inner = Sequential(Dense(2, 2, rng=0), ReLU())
    model = Sequential(inner, Dense(2, 1, rng=1))
    assert names(model) == [
        "layers.0.layers.0.weight",
        "layers.0.layers.0.bias",
        "layers.1.weight",
        "layers.1.bias",
    ]


def test_reprs_show_the_architecture():
    assert (
        repr(Net())
        == """Net(
  first: Dense(2, 3)
  blocks.0: Dense(3, 3)
  blocks.1: Sequential(
    layers.0: ReLU()
    layers.1: Dense(3, 3)
  )
  gain: parameter of shape (3,), float32
  shift: constant of shape (3,), float32
)"""
    )
    assert repr(Sequential()) == "Sequential()"


@pytest.mark.parametrize("wrong", [[ReLU()], ReLU, None])
def test_what_is_no_layer_is_refused(wrong):
    with pytest.raises(TypeError, match="^Sequential: layer 1 must be a module"):
        Sequential(ReLU(), wrong)


class Holder(Module):
    def __init__(self, value):
        self.value = value

    def forward(self, x, *, scale=1.0):
        return x * scale


def test_members_are_found_in_nests():
    p, q, r = (tg.Tensor(1.0, requires_grad=True) for _ in range(3))
    holder = Holder({"a": [p, (q, {"deep": Dense(1, 1)})], "b": r, "c": {1, 2}})
    holder.owner = holder
    assert names(holder) == [
        *("value.a.0", "value.a.1.0", "value.a.1.1.deep.weight"),
        *("value.a.1.1.deep.bias", "value.b"),
    ]
    assert "owner: ..." in repr(holder)
    assert Holder(1)(tg.Tensor(2.0), scale=3.0).item() == 6


@pytest.mark.parametrize("item", [Dense(1, 1), tg.Tensor(1.0)])
def test_layers_in_a_set_are_refused(item):
    with pytest.raises(TypeError, match=r"^value.0 is a set of layers .* use a list$"):
        Holder([{item}]).parameters()


@pytest.mark.parametrize("value", [tg.Tensor([1.0]), np.ones(1)])
def test_a_parameter_is_not_lost(value):
    layer = Dense(1, 1)
    with pytest.raises(TypeError, match=r"^Dense.bias is a parameter, and a "):
        layer.bias = value
    assert names(layer) == ["weight", "bias"]
    layer.bias = tg.Tensor([2.0], requires_grad=True)
    layer.bias = None
    layer.bias = value
    assert names(layer) == ["weight"]


# What is not computed.


@pytest.fixture
def rules_called():
    """Record the arguments whose rules of `dense` are called."""
    called = []

    def spied(argument, rule):
        @functools.wraps(rule)
        def spy(*given):
            called.append(argument)
            return rule(*given)

        return spy

    rules = {tg.dense.names[at]: rule for at, (rule, *_) in tg.dense.rules.items()}
    tg.dense.vjp(
        **{argument: spied(argument, rule) for argument, rule in rules.items()}
    )
    yield called
    tg.dense.vjp(**rules)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (np.ones((4, 2), np.float32), {"weight", "bias"}),
        (tg.Tensor(np.ones((4, 2), np.float32)), {"weight", "bias"}),
        (
            tg.Tensor(np.ones((4, 2), np.float32), requires_grad=True),
            {"x", "weight", "bias"},
        ),
    ],
    ids=["array", "constant", "needs a gradient"],
)
def test_gradient_of_the_first_input_only_when_needed(rules_called, inputs, expected):
    Dense(2, 3, rng=0)(inputs).sum().backward()
    assert set(rules_called) == expected
    assert len(rules_called) == len(expected)


def test_gradient_between_layers_is_computed(rules_called):
    Sequential(Dense(2, 3, rng=0), Dense(3, 1, rng=0))(np.ones((4, 2))).sum().backward()
    assert sorted(rules_called) == ["bias", "bias", "weight", "weight", "x"]


def test_frozen_weight_gets_no_gradient(rules_called):
    layer = Dense(2, 3, rng=0)
    layer.weight.requires_grad = False
    layer(np.ones((4, 2), np.float32)).sum().backward()
    assert rules_called == ["bias"]
    assert layer.weight.grad is None
    assert names(layer) == ["bias"]


def test_a_forward_of_a_subclass_or_of_an_instance_is_the_one_that_runs():
    class Doubled(tg.nn.ReLU):
        def forward(self, x):
            return 2 * super().forward(x)

    x = np.array([[-1.0, 3.0]])
    assert tg.nn.Sequential(Doubled())(x).tolist() == [[0, 6]]
    layer = tg.nn.ReLU()
    layer.forward = lambda x: x + 1
    assert layer(x).tolist() == [[0, 4]]


@pytest.mark.parametrize("n", [2, 5, 40])
@pytest.mark.parametrize("norm", ["group_norm", "instance_norm"])
def test_normalisations_do_not_depend_on_the_order_of_memory(norm, n):
    rng = np.random.default_rng(n)
    first = rng.standard_normal((n, 6, 4, 9))
    last = np.moveaxis(np.moveaxis(first, 0, -1).copy(), -1, 0)
    more = (3,) if norm == "group_norm" else ()

    def loss(x):
        return (np.cos(getattr(tg.nn.functional, norm)(x, *more)) * first).sum()

    def slope(x):
        return (tg.grad(loss)(x) * first).sum()

    for function in loss, tg.grad(loss), tg.grad(slope):
        np.testing.assert_allclose(function(last), function(first), atol=1e-12)
