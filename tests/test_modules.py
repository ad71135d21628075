"""Modules: what is found in them, saving and loading, modes, summaries."""

import copy
import pickle

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.nn import Dense, Module, ReLU, Sequential


class Net(Module):
    def __init__(self):
        self.body = Sequential(Dense(2, 3, rng=0), ReLU())
        self.heads = {"a": Dense(3, 1, rng=1), "b": [Dense(3, 1, rng=2)]}
        self.register_buffer("mean", np.zeros(3, np.float32))
        self.count = tg.Tensor(0)

    def forward(self, x):
        return self.heads["a"](self.body(x) - self.mean)


def test_buffers_are_the_tensors_that_need_no_gradient():
    net = Net()
    assert [name for name, _ in net.named_buffers()] == ["mean", "count"]
    assert len(net.parameters()) == 6
    assert [name for name, _ in net.named_buffers("x.")] == ["x.mean", "x.count"]
    with pytest.raises(TypeError, match=r"^Dense.bias is a parameter"):
        net.heads["a"].register_buffer("bias", [0.0])


def test_modules_inside_are_found_once():
    net = Net()
    net.again = net.body
    net.owner = net
    names = ["", "body", "body.layers.0", "body.layers.1", "heads.a", "heads.b.0"]
    assert [name for name, _ in net.named_modules()] == names
    assert net.modules()[0] is net
    assert net.children() == [net.body, net.heads["a"], *net.heads["b"], net]


def test_state_is_a_copy_and_loads_into_the_same_tensors():
    net, other = Net(), Net()
    state = net.state_dict()
    tensors = dict(other.named_parameters())
    with tg.no_grad():
        for tensor in other.parameters():
            tensor[...] = 7.0
        other.count += 3
    assert other.load_state_dict(state) == ([], [])
    assert {k: v.tobytes() for k, v in other.state_dict().items()} == {
        k: v.tobytes() for k, v in state.items()
    }
    assert all(t is tensors[name] for name, t in other.named_parameters())
    state["mean"][...] = 5
    assert net.mean.numpy().tolist() == [0, 0, 0]


def test_a_state_that_does_not_fit_changes_nothing():
    net = Net()
    before = net.state_dict()
    state = {**before, "mean": np.ones(3, np.float32), "extra": np.ones(1)}
    del state["count"]
    state["body.layers.0.weight"] = np.ones((2, 4))
    with pytest.raises(ValueError, match=r"^Net.load_state_dict: body") as raised:
        net.load_state_dict(state)
    assert str(raised.value) == (
        "Net.load_state_dict: body.layers.0.weight is of shape (2, 3) and float32, got "
        "(2, 4) and float64; missing count; unexpected extra"
    )
    with pytest.raises(ValueError, match="got "):
        net.load_state_dict(state, strict=False)
    assert net.mean.numpy().tolist() == [0, 0, 0]
    del state["body.layers.0.weight"]
    found = net.load_state_dict(state, strict=False)
    assert found == (["body.layers.0.weight", "count"], ["extra"])
    assert net.mean.numpy().tolist() == [1, 1, 1]


def test_modes_reach_every_module():
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert net.train() is net
    assert all(m.training for m in net.modules())


def test_frozen_parameters_train_again_and_buffers_do_not():
    net = Net()
    everything = [name for name, _ in net.named_parameters()]
    assert net.requires_grad_(False) is net
    assert net.parameters() == []
    net.heads["a"].requires_grad_()
    assert len(net.parameters()) == 2
    assert set(net.state_dict()) == {*everything, "mean", "count"}
    net.requires_grad_()
    assert [name for name, _ in net.named_parameters()] == everything


def test_to_another_dtype_keeps_the_tensors():
    net = Net()
    tensors = net.parameters()
    net(np.ones((1, 2))).backward()
    assert net.to(np.float64) is net
    assert all(a is b for a, b in zip(net.parameters(), tensors, strict=True))
    assert {t.dtype for t in (*tensors, net.mean)} == {np.dtype(np.float64)}
    assert net.count.dtype == int
    assert all(t.grad is None and t.requires_grad for t in tensors)
    net(np.ones((1, 2), np.float32)).backward()
    assert net.body[0].weight.grad.dtype == np.float64
    with pytest.raises(TypeError, match="floating-point dtype, got int64"):
        net.to(int)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, int, bool])
def test_a_layer_computes_in_the_dtype_of_its_parameters(dtype):
    layer = Dense(2, 3, rng=0)
    x = np.array([[1, 0], [0, 1]]).astype(dtype)
    y = layer(x)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.numpy(), layer(x.astype(np.float32)).numpy())
    if np.issubdtype(dtype, np.floating):
        x = tg.Tensor(x, requires_grad=True)
        layer(x).sum().backward()
        assert x.grad.dtype == dtype


def test_sequential_takes_a_list_and_is_a_sequence():
    layers = [Dense(2, 3, rng=0), ReLU(), Dense(3, 1, rng=1)]
    model = Sequential(layers)
    assert list(model) == layers
    assert (len(model), model[0], model[-1]) == (3, layers[0], layers[2])
    assert isinstance(model[:2], Sequential)
    assert list(model[1:]) == layers[1:]


def test_summary_counts_what_each_layer_does():
    net = Net()
    net.eval()
    net.body.train()
    modes = [m.training for m in net.modules()]
    assert set(modes) == {False, True}
    rows = net.summary(np.ones((5, 2), np.float32))
    assert [(r.layer, r.kind, r.output) for r in rows.rows] == [
        ("", "Net", "(5, 1)"),
        ("body", "Sequential", "(5, 3)"),
        ("body.layers.0", "Dense", "(5, 3)"),
        ("body.layers.1", "ReLU", "(5, 3)"),
        ("heads.a", "Dense", "(5, 1)"),
    ]
    assert [r.parameters for r in rows.rows] == [0, 0, 9, 0, 4]
    assert [r.multiplications for r in rows.rows] == [0, 0, 5 * 2 * 3, 0, 5 * 3]
    assert [r.bytes for r in rows.rows] == [3 * 4 + 8, 0, 36 + 60, 60, 16 + 20]
    assert rows.multiplications == 45
    assert repr(rows).splitlines()[-1].split() == ["total", "13", "45", "212"]
    # It leaves no trace.
    assert [m.training for m in net.modules()] == modes
    assert "forward" not in vars(net)


def test_modules_are_copied_and_pickled_with_their_mode():
    net = Net().eval()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert not twin.body.training
        assert twin.state_dict().keys() == net.state_dict().keys()


def test_a_compiled_step_notices_a_change_of_mode():
    layer = Dense(2, 3, rng=0)
    step = tg.compile(lambda x: layer(x) * 2 if layer.training else layer(x))
    x = np.ones((1, 2), np.float32)
    for _ in range(3):
        expected = step(x).numpy()
    layer.eval()
    with pytest.raises(tg.CaptureError, match="layer.training.* and is False"):
        step(x)
    layer.train()
    np.testing.assert_array_equal(step(x).numpy(), expected)


def test_summary_counts_the_products_of_convolutions():
    down = tg.nn.Conv2d(2, 6, 5, groups=2, rng=0)
    up = tg.nn.ConvTranspose2d(6, 1, 5, rng=0)
    rows = Sequential(down, up).summary(np.ones((3, 2, 28, 28)))
    assert [row.output for row in rows.rows] == [
        "(3, 1, 28, 28)",
        "(3, 6, 24, 24)",
        "(3, 1, 28, 28)",
    ]
    pixels = 3 * 24 * 24
    assert [row.multiplications for row in rows.rows] == [
        0,
        pixels * 6 * 25,
        pixels * 6 * 25,
    ]
