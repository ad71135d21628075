"""Checks of whole models, of this library and of PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.testing import check_model
from tensorgrad.testing.model import suspects

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 1, 0])


@tg.primitive
def swish(x):
    return x / (1 + np.exp(-x))


# The slope of the logistic function is forgotten.
swish.vjp(x=lambda g, x: g / (1 + np.exp(-x)))


@tg.primitive
def product(x, w):
    return x @ w


def spoiled(g, x):
    correct = np.swapaxes(x, -1, -2) @ g
    return correct * np.where(np.arange(3)[:, None] + np.arange(2) == 3, 1.1, 1)


product.vjp(x=lambda g, w: g @ w.T, w=spoiled)


class Last(tg.nn.Module):
    def __init__(self):
        self.weight = tg.Tensor(RNG.normal(size=(3, 2)), requires_grad=True)
        self.bias = tg.Tensor(np.zeros(2), requires_grad=True)

    def forward(self, x):
        return product(x, self.weight) + self.bias


def network(activation, last=None):
    last = last or tg.nn.Dense(3, 3, rng=1)
    return tg.nn.Sequential(tg.nn.Dense(3, 3, rng=0), activation, last)


def checked(model, loss=tg.softmax_cross_entropy, y=LABELS, **options):
    return check_model(model, loss, X, y, raise_on_failure=False, **options)


def squares(output, y):
    return ((output - y) ** 2).mean()


def test_a_right_model_agrees_and_is_left_as_it_was():
    model = network(tg.tanh)
    tg.softmax_cross_entropy(model(X), LABELS).backward()
    before = [(p, p.node, p.data.copy(), p.grad) for p in model.parameters()]
    result = check_model(model, tg.softmax_cross_entropy, X, LABELS)
    assert result.verdict == "agrees"
    for p, node, values, grad in before:
        assert p.dtype == np.float32
        assert p.node is node
        assert p.grad is grad
        assert np.array_equal(p.data, values)


def test_the_entry_is_named_by_layer_and_parameter():
    result = checked(network(tg.relu, Last()), squares, np.ones(2))
    assert str(result.worst) == "d loss / d layers.2.weight[2, 1]"
    text = " ".join(str(result).split())
    assert "of loss in layers.2.weight" in result.diagnosis
    assert "disagrees: layers.2.weight (1 of 6); agrees: layers.0.weight, la" in text
    assert "the fault is likely in layers.2 (Last) itself" in result.notes
    assert result.to_dict()["worst"]["input"] == "layers.2.weight"


def test_a_layer_without_parameters_is_named_too():
    result = checked(network(swish))
    assert result.verdict == "disagrees"
    assert (
        "gradients are wrong up to layers.0 (Dense): the fault is likely in layers.0 "
        "(Dense), layers.1 (swish) or layers.2 (Dense)"
    ) in result.notes


def test_a_model_that_fails_is_put_back_too():
    model = network(swish)
    before = [p.data.copy() for p in model.parameters()]
    with pytest.raises(tg.GradientError, match=r"d loss / d layers\.0\.weight"):
        check_model(model, tg.softmax_cross_entropy, X, LABELS)
    with pytest.raises(ZeroDivisionError):
        check_model(model, lambda output, y: 1 / 0, X, LABELS)
    assert all(map(np.array_equal, before, [p.data for p in model.parameters()]))
    assert all(p.dtype == np.float32 for p in model.parameters())


def test_a_rule_that_is_wrong_in_float32_alone():
    @tg.primitive
    def exp(x):
        return np.exp(x)

    exp.vjp(x=lambda g, x: g * np.exp(x) * (1.01 if x.dtype == np.float32 else 1.0))
    result = checked(network(exp))
    assert result.fault == "float32"
    assert "the gradient of layers.0" in result.diagnosis


def test_a_loss_that_reaches_for_the_model_itself():
    model = network(tg.tanh)

    def regular(output, y):
        decay = sum((p**2).sum() for p in model.parameters())
        return tg.softmax_cross_entropy(output, y) + 0.1 * decay

    assert check_model(model, regular, X, LABELS)


def test_several_arguments_and_integers():
    class Lookup(tg.nn.Module):
        def __init__(self):
            self.table = tg.Tensor(RNG.normal(size=(4, 3)), requires_grad=True)

        def forward(self, pair):
            words, scale = pair
            return self.table[words] * scale

        def __call__(self, *pair):
            return self.forward(pair)

    data = np.array([0, 2, 2, 1]), np.ones(1)
    result = check_model(Lookup(), lambda out, y: (out**2).sum(), data, None)
    assert result.verdict == "agrees"


def test_data_in_lists():
    loss = tg.softmax_cross_entropy
    assert check_model(network(tg.tanh), loss, X.tolist(), LABELS)
    assert check_model(network(tg.tanh), squares, X.tolist(), [1.0, 0.0, 2.0])


def test_a_large_model_is_checked_along_directions():
    def wide(activation):
        first, last = tg.nn.Dense(3, 300, rng=0), tg.nn.Dense(300, 12, rng=1)
        return tg.nn.Sequential(first, activation, last)

    assert checked(wide(tg.tanh))
    result = checked(wide(swish))
    assert str(result.worst).startswith("d loss / d layers.0.")
    assert result.worst.index is not None
    assert abs(result.worst.analytic - result.worst.numerical) > result.worst.error


def test_random_models_are_told():
    rng = np.random.default_rng(0)
    noisy = network(lambda x: x * rng.uniform(size=x.shape))
    result = checked(noisy, explain=False)
    assert result.verdict == "invalid"
    assert "not deterministic" in result.findings[0].sentence


@pytest.mark.parametrize("model", [tg.nn.ReLU(), 3, None])
def test_a_model_without_parameters(model):
    with pytest.raises(TypeError, match="expected a model with parameters that need"):
        checked(model)


@pytest.mark.parametrize(
    ("loss", "got"),
    [
        (lambda output, y: output, r"got Tensor of shape \(5, 3\)"),
        (lambda output, y: 3.0, "got float"),
        (lambda output, y: output.detach().sum(), r"got Tensor of shape \(\)"),
    ],
)
def test_a_loss_of_another_kind(loss, got):
    with pytest.raises(TypeError, match=got):
        checked(network(tg.tanh), loss)


@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        ("a", "c e", "likely in a (A), b (B) or c (C)"),
        ("a c", "e", "likely in c (C), d (D) or e (E)"),
        ("a c e", "", "likely in e (E) or the loss"),
        ("c", "a e", "likely in c (C) itself"),
        ("c e", "c a", "likely in c (C) itself"),
        ("", "a c e", ""),
    ],
)
def test_where_the_fault_is_likely_to_be(wrong, right, told):
    layers = [(name, name.upper()) for name in "abcde"]
    found = suspects(layers, set(wrong.split()), set(right.split()))
    assert found.endswith(told)
    assert bool(found) == bool(told)


# Random networks: the layer that is spoiled is among those that are named.


@tg.primitive
def steep(x):
    return np.tanh(x)


steep.vjp(x=lambda g, y: 1.3 * g * (1 - y * y))


@tg.primitive
def spoiled_by_weight(x, w):
    return x @ w


spoiled_by_weight.vjp(x=lambda g, w: g @ w.T, w=lambda g, x: 1.3 * (x.T @ g))


@tg.primitive
def spoiled_by_input(x, w):
    return x @ w


spoiled_by_input.vjp(x=lambda g, w: 1.3 * (g @ w.T), w=lambda g, x: x.T @ g)


class Spoiled(tg.nn.Module):
    def __init__(self, product, rng):
        self.product = product
        self.weight = tg.Tensor(rng.normal(size=(3, 3)), requires_grad=True)
        self.bias = tg.Tensor(rng.normal(size=3), requires_grad=True)

    def forward(self, x):
        return self.product(x, self.weight) + self.bias


@settings(max_examples=settings.default.max_examples // 3)
@given(st.integers(0, 2**32 - 1))
def test_the_layer_with_the_fault_is_named(seed):
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(1, 4))
    layers = [tg.nn.Dense(3, 3, rng=rng)]
    for activation in rng.choice([tg.tanh, tg.sigmoid, tg.softplus], depth):
        layers += [activation, tg.nn.Dense(3, 3, rng=rng)]
    at, loss = int(rng.integers(len(layers) + 1)), squares
    if at == len(layers):
        loss, named = lambda output, y: squares(steep(output), y), "the loss"
    elif at % 2:
        layers[at], named = steep, f"layers.{at} (steep)"
    else:
        kinds = [spoiled_by_weight, spoiled_by_input]
        layers[at] = Spoiled(kinds[int(rng.integers(2)) if at else 0], rng)
        named = f"layers.{at} (Spoiled)"
    model = tg.nn.Sequential(*layers)
    result = check_model(
        model, loss, X, LABELS[:, None], explain=False, raise_on_failure=False
    )
    assert result.verdict == "disagrees"
    assert str(result.worst).startswith("d loss / d layers.")
    (told,) = [note for note in result.notes if "the fault is likely in" in note]
    assert named in told


# PyTorch.


@pytest.fixture(scope="module")
def torch():
    module = pytest.importorskip("torch")
    threads = module.get_num_threads()
    module.set_num_threads(1)
    yield module
    module.set_num_threads(threads)


def test_a_pytorch_model(torch):
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4),
        torch.nn.BatchNorm1d(4),
        torch.nn.Tanh(),
        torch.nn.Linear(4, 3),
    )
    loss = torch.nn.functional.cross_entropy
    loss(model(torch.from_numpy(X)), torch.from_numpy(LABELS)).backward()
    before = {name: v.clone() for name, v in model.state_dict().items()}
    grads = [p.grad for p in model.parameters()]
    assert check_model(model, loss, X, LABELS)
    assert check_model(model, loss, torch.from_numpy(X), torch.from_numpy(LABELS))
    for name, values in model.state_dict().items():
        assert values.dtype == before[name].dtype
        assert torch.equal(values, before[name])
    assert all(p.grad is g for p, g in zip(model.parameters(), grads, strict=True))


def test_a_pytorch_model_with_a_wrong_layer(torch):
    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * torch.sigmoid(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * torch.sigmoid(x)

    class Activation(torch.nn.Module):
        def forward(self, x):
            return Swish.apply(x)

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4), Activation(), torch.nn.Linear(4, 3)
    )
    result = checked(model, torch.nn.functional.cross_entropy)
    assert str(result.worst).startswith("d loss / d 0.")
    assert any("0 (Linear), 1 (Activation) or 2 (Linear)" in n for n in result.notes)
