"""Layers with samples for them, and the layers of PyTorch that are the same."""

import numpy as np

import tensorgrad as tg

RNG = np.random.default_rng(0)


def drawn(*shape):
    """Return samples."""
    return RNG.normal(size=shape)


X = drawn(2, 4, 6)
Y = drawn(2, 3, 6)
SEQUENCES = drawn(3, 2, 4)
IMAGES = drawn(2, 4, 5, 6)
MASK = np.triu(np.ones((3, 3), bool), 1)
PADDING = np.array([[False, False, True], [False, False, False]])

# Name: arguments of the layer, what it is called with, by position and by name.
LAYERS = {
    "Dense": ((4, 3), {}, (drawn(5, 4),), {}),
    "Dense in sequences": ((4, 3), {"bias": False}, (SEQUENCES,), {}),
    "Conv1d": ((4, 6, 3), {"padding": "same", "dilation": 2}, (X,), {}),
    "Conv1d grouped": ((4, 6, 3), {"groups": 2, "stride": 2, "bias": False}, (X,), {}),
    "Conv2d": ((4, 3, (2, 3)), {"stride": (1, 2), "padding": 1}, (IMAGES,), {}),
    "Conv2d grouped": ((4, 8, 3), {"groups": 4, "padding": "same"}, (IMAGES,), {}),
    "ConvTranspose2d": (
        (4, 6, 3),
        {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
        (IMAGES,),
        {},
    ),
    "MaxPool1d": ((3,), {"stride": 2, "padding": 1}, (X,), {}),
    "MaxPool2d": ((2,), {}, (IMAGES,), {}),
    "AvgPool1d": ((3,), {"stride": 1, "padding": 1}, (X,), {}),
    "AvgPool2d": (((2, 3),), {}, (IMAGES,), {}),
    "AdaptiveAvgPool1d": ((4,), {}, (X,), {}),
    "AdaptiveAvgPool2d": (((2, 3),), {}, (IMAGES,), {}),
    "AdaptiveMaxPool1d": ((4,), {}, (X,), {}),
    "AdaptiveMaxPool2d": ((3,), {}, (IMAGES,), {}),
    "BatchNorm1d": ((4,), {}, (drawn(5, 4),), {}),
    "BatchNorm1d of sequences": ((4,), {"momentum": 0.3}, (X,), {}),
    "BatchNorm2d": ((4,), {}, (IMAGES,), {}),
    "LayerNorm": (((5, 6),), {}, (IMAGES,), {}),
    "RMSNorm": ((6,), {}, (IMAGES,), {}),
    "GroupNorm": ((2, 4), {}, (IMAGES,), {}),
    "Embedding": ((5, 3), {}, (np.array([[0, 2, 2], [4, 1, 0]]),), {}),
    "Embedding padded": (
        (7, 3),
        {"padding_idx": 2},
        (np.array([[0, 2, 2], [6, 1, 0]]),),
        {},
    ),
    "RNN": ((4, 3), {"num_layers": 2, "nonlinearity": "relu"}, (drawn(2, 2, 4),), {}),
    "RNN from a state": ((4, 3), {}, (drawn(2, 2, 4), drawn(1, 2, 3)), {}),
    "LSTM": ((2, 2), {"num_layers": 2, "bidirectional": True}, (drawn(2, 2, 2),), {}),
    "LSTM from a state": (
        (2, 3),
        {"batch_first": True, "bias": False},
        (drawn(2, 2, 2), (drawn(1, 2, 3), drawn(1, 2, 3))),
        {},
    ),
    "GRU": ((2, 2), {"num_layers": 2, "bidirectional": True}, (drawn(2, 2, 2),), {}),
    "GRU of one sequence": ((2, 3), {}, (drawn(2, 2), drawn(1, 3)), {}),
    "MultiheadAttention": (
        (4, 2),
        {"batch_first": True},
        (drawn(2, 3, 4), drawn(2, 3, 4), drawn(2, 3, 4)),
        {"attn_mask": MASK, "key_padding_mask": PADDING},
    ),
    "MultiheadAttention to itself": (
        (4, 2),
        {"bias": False},
        (SEQUENCES,) * 3,
        {"need_weights": False},
    ),
    "Flatten": ((), {}, (IMAGES,), {}),
    "ReLU": ((), {}, (X,), {}),
    "Tanh": ((), {}, (X,), {}),
    "Sigmoid": ((), {}, (X,), {}),
    "SiLU": ((), {}, (X,), {}),
    "Softplus": ((), {}, (X,), {}),
    "GELU": (("tanh",), {}, (X,), {}),
    "LeakyReLU": ((0.2,), {}, (X,), {}),
    "ELU": ((0.5,), {}, (X,), {}),
}

DTYPED = {
    *("Dense", "Conv1d", "Conv2d", "ConvTranspose2d", "BatchNorm1d", "BatchNorm2d"),
    *("LayerNorm", "RMSNorm", "GroupNorm", "Embedding", "RNN", "LSTM", "GRU"),
    "MultiheadAttention",
}
"""Layers with parameters, which are of a dtype."""


KERNELS = {
    *("Conv2d", "MaxPool2d", "BatchNorm2d", "LayerNorm", "Embedding padded"),
    *("GRU of one sequence", "MultiheadAttention to itself"),
}
"""Layers that are tried in kernels: to compile these takes seconds each."""


def made(name):
    """Return a layer in float64, and what it is called with."""
    kind = name.split()[0]
    args, options, inputs, named = LAYERS[name]
    if kind in DTYPED:
        options = {**options, "rng": 0, "dtype": np.float64}
        if "Norm" in kind:
            del options["rng"]
    return getattr(tg.nn, kind)(*args, **options), inputs, named


def disturbed(layer):
    """Move every parameter away from initial values that hide a mistake, as 0 and 1."""
    rng = np.random.default_rng(1)
    with tg.no_grad():
        for tensor in layer.parameters():
            tensor += 0.3 * rng.normal(size=tensor.shape)
    return layer
