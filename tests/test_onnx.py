"""Models as ONNX: what onnxruntime computes is what the model computes."""

from functools import partial

import numpy as np
import pytest
from layers import LAYERS, MASK, disturbed, made

import tensorgrad as tg
from tensorgrad.core.tree import leaves

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

RNG = np.random.default_rng(0)


def outputs(path, *inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))


def check(model, *shapes, tmp_path, dynamic_batch=True, draw=RNG.standard_normal):
    """Export a model, and run it on other numbers and batches of other sizes."""
    path = str(tmp_path / "model.onnx")
    example = [np.asarray(draw(shape)) for shape in shapes]
    example = [x.astype(np.float32) if x.dtype == float else x for x in example]
    tg.formats.export_onnx(model, path, *example, dynamic_batch=dynamic_batch)
    model.eval()
    for size in (1, 2, 7) if dynamic_batch else (len(example[0]),):
        inputs = [
            np.asarray(draw((size, *x.shape[1:]))).astype(x.dtype) for x in example
        ]
        many = leaves(model(*inputs))
        for y, ours in zip(outputs(path, *inputs), many, strict=True):
            ours = ours.numpy() if isinstance(ours, tg.Tensor) else ours
            np.testing.assert_allclose(y, ours, rtol=1e-5, atol=1e-5)


class Function(tg.nn.Module):
    """A model of one function, with a parameter that it takes as well."""

    def __init__(self, function):
        self.function = function
        self.w = tg.Tensor(np.linspace(0.5, 1.5, 4, dtype=np.float32))

    def forward(self, x):
        return self.function(x, self.w)


FUNCTIONS = {
    "arithmetic": lambda x, w: (x + 1) * w - 2 / (x * x + 3) + x**2 + (-x) ** 3.0,
    "scalars": lambda x, w: np.float64(2) * x + np.array(3.0) * w,
    "exponentials": lambda x, w: np.exp(x) + np.log(np.abs(x) + 1) + np.log1p(x * x),
    "logarithms": lambda x, w: np.log2(x * x + 1) + np.log10(x * x + 1) + np.exp2(x),
    "expm1": lambda x, w: np.expm1(x) + np.sqrt(x * x) + np.square(x),
    "trigonometric": lambda x, w: np.sin(x) + np.cos(x) + np.tanh(x) + np.arctan(x),
    "hyperbolic": lambda x, w: np.sinh(x) + np.cosh(x) + np.arcsinh(x),
    "error function": lambda x, w: tg.erf(x) + tg.erfc(x),
    "activations": lambda x, w: tg.relu(x) + tg.sigmoid(x) + tg.silu(x) + tg.elu(x),
    "more activations": lambda x, w: tg.gelu(x) + tg.leaky_relu(x) + tg.softplus(x),
    "softmax": lambda x, w: tg.softmax(x) + tg.log_softmax(x),
    "piecewise": lambda x, w: np.maximum(x, 0.1) + np.minimum(x, w) + np.clip(x, -1, 1),
    "sums": lambda x, w: x.sum(axis=1) + x.mean(axis=-1) + np.sum(x * w, axis=(1,)),
    "extremes": lambda x, w: x.max(axis=1, keepdims=True) + x.min(axis=1)[:, None],
    "variance": lambda x, w: (
        np.var(x, axis=1, keepdims=True) + np.std(x, axis=1)[:, None]
    ),
    "logsumexp": lambda x, w: tg.logsumexp(x, axis=1) + np.linalg.norm(x, axis=1),
    "where": lambda x, w: np.where(np.array([True, False, True, True]), x, w),
    "reshapes": lambda x, w: x.reshape(len(x), 2, 2).reshape(-1, 4) + x.reshape(-1, 4),
    "flat": lambda x, w: x.reshape(-1).reshape(x.shape),
    "transposes": lambda x, w: (
        (x.T + w[:, None]).T + np.swapaxes(x[:, None], 1, 2)[..., 0]
    ),
    "moveaxis": lambda x, w: np.moveaxis(x[:, None, :], 2, 1)[:, :, 0],
    "axes": lambda x, w: np.squeeze(np.expand_dims(x, 1), axis=1),
    "broadcast": lambda x, w: (
        np.broadcast_to(w, x.shape)
        * np.broadcast_to(x[:, None], (len(x), 3, 4)).sum(axis=1)
    ),
    "joined": lambda x, w: np.concatenate([x, x[:, ::-1]], axis=1),
    "stacked": lambda x, w: (
        np.stack([x, 2 * x], axis=1) + np.stack([x, x], axis=-1).sum(-1)[:, None]
    ),
    "split": lambda x, w: np.split(x, 2, axis=1)[1] + np.split(x, [1, 3], axis=1)[1],
    "items": lambda x, w: (
        x[:, 0] + x[:, -1] + x[:, 1:3].sum(axis=1) + x[..., ::2].sum(-1)
    ),
    "arrays": lambda x, w: x[:, np.array([3, 0, 1])] + np.take(x, [0, 1, 2], axis=1),
    "all rows": lambda x, w: x[1 - 1 : len(x)] + x[0:],
    "padded": lambda x, w: np.pad(x, ((0, 0), (1, 2))),
    "cumsum": lambda x, w: np.cumsum(x, axis=1),
    "products": lambda x, w: (
        x @ np.outer(w, w) + np.matmul(x[:, None], w[:, None])[:, 0]
    ),
    "constants along the batch": lambda x, w: x + np.zeros((len(x), 4), np.float32),
    "several outputs": lambda x, w: (x + w, x.sum(axis=1)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, tmp_path):
    check(Function(FUNCTIONS[name]), (3, 4), tmp_path=tmp_path)


def test_a_model_of_layers(tmp_path):
    model = tg.nn.Sequential(
        tg.nn.Dense(4, 8, rng=0), tg.nn.ReLU(), tg.nn.Dense(8, 3, rng=1)
    )
    check(model, (2, 4), tmp_path=tmp_path)
    check(model, (2, 4), tmp_path=tmp_path, dynamic_batch=False)


def test_two_inputs(tmp_path):
    class Both(tg.nn.Module):
        def forward(self, x, z):
            return x * z

    check(Both(), (2, 4), (2, 4), tmp_path=tmp_path)


def test_indices_as_input(tmp_path):
    class Rows(tg.nn.Module):
        def __init__(self):
            self.weight = tg.Tensor(RNG.standard_normal((9, 4)), requires_grad=True)

        def forward(self, indices):
            return self.weight[indices].sum(axis=1)

    check(Rows(), (3, 5), tmp_path=tmp_path, draw=lambda s: RNG.integers(0, 9, s))


def single(name):
    """Whether a layer is called with one array, which is no batch of sequences."""
    _, _, inputs, named = LAYERS[name]
    return len(inputs) == 1 and not named


BATCH_SECOND = {"RNN", "LSTM", "GRU", "Dense in sequences"}


@pytest.mark.parametrize("name", [*filter(single, LAYERS)])
def test_layers(name, tmp_path):
    layer, inputs, _ = made(name)
    batch_first = not BATCH_SECOND & {name, name.split()[0]}
    (x,) = inputs
    of_indices = x.dtype.kind == "i"
    draw = partial(RNG.integers, 0, 5) if of_indices else RNG.standard_normal
    disturbed(layer).to(np.float32)
    check(layer, x.shape, tmp_path=tmp_path, dynamic_batch=batch_first, draw=draw)


def test_attention(tmp_path):
    class Attended(tg.nn.Module):
        def __init__(self):
            self.attention = tg.nn.MultiheadAttention(4, 2, batch_first=True, rng=0)

        def forward(self, x):
            return self.attention(x, x, x, attn_mask=MASK, need_weights=False)[0]

    check(Attended(), (2, 3, 4), tmp_path=tmp_path)


REFUSED = {
    "comparison": (lambda x, w: np.where(x > 0, x, w), "way of Python or of a compar"),
    "a value": (lambda x, w: x + float(x.detach().sum()), "way of Python"),
    "data": (lambda x, w: x + x.data.copy(), "way of Python"),
    "a mask": (lambda x, w: x[x > 9].sum() + x, "several arrays|differ|way of Python"),
    "the batch": (lambda x, w: x / len(x), "way of Python"),
    "unknown": (lambda x, w: np.linalg.svdvals(x), "svdvals, called at .* no transl"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_frozen_is_refused(name, tmp_path):
    function, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        check(Function(function), (3, 4), tmp_path=tmp_path)
    assert not [*tmp_path.iterdir()]


def test_an_example_in_place_of_the_path():
    with pytest.raises(TypeError, match="a path after the model, .* got ndarray"):
        tg.formats.export_onnx(tg.nn.Dense(2, 3), np.ones((1, 2)), "model.onnx")


def test_no_example(tmp_path):
    with pytest.raises(ValueError, match="an example of each input"):
        tg.formats.export_onnx(Function(FUNCTIONS["flat"]), tmp_path / "x.onnx")
