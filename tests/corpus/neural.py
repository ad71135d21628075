"""Faults of layers: normalisation, attention, convolution, pooling, recurrence."""

import numpy as np

from .case import Cases, normal

case = Cases()

EPS = 1e-5


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


case(
    "softmax with the diagonal of its Jacobian alone",
    "cTensor #31",
    softmax,
    lambda g, z: g * softmax(z) * (1 - softmax(z)),
    lambda g, z: softmax(z) * (g - np.sum(g * softmax(z), axis=-1, keepdims=True)),
    normal(2, 4),
)

# Normalisation.

MEAN, VAR = np.array([0.2, -0.1, 0.4]), np.array([1.3, 0.7, 2.0])


def trained(x, gamma):
    centred = x - x.mean(0)
    return centred / np.sqrt(x.var(0) + EPS) * gamma


def trained_gradient(g, x, gamma):
    centred, std = x - x.mean(0), np.sqrt(x.var(0) + EPS)
    hat, gh = centred / std, g * gamma
    dx = (gh - gh.mean(0) - hat * np.mean(gh * hat, axis=0)) / std
    return dx, np.sum(g * hat, axis=0)


def evaluated(x, gamma):
    return (x - MEAN) / np.sqrt(VAR + EPS) * gamma


def evaluated_gradient(g, x, gamma):
    hat = (x - MEAN) / np.sqrt(VAR + EPS)
    return g * gamma / np.sqrt(VAR + EPS), np.sum(g * hat, axis=0)


BATCH, GAMMA = normal(5, 3), np.array([0.7, -1.2, 2.0])

case(
    "batch normalisation in evaluation: the gradient of training",
    "mxnet #9580",
    evaluated,
    lambda g, x, gamma: (
        trained_gradient(g, x, gamma)[0],
        evaluated_gradient(g, x, gamma)[1],
    ),
    evaluated_gradient,
    BATCH,
    GAMMA,
)
case(
    "batch normalisation in training: mean and variance are constants",
    "CrypTen #143",
    trained,
    lambda g, x, gamma: (
        g * gamma / np.sqrt(x.var(0) + EPS),
        trained_gradient(g, x, gamma)[1],
    ),
    trained_gradient,
    BATCH,
    GAMMA,
)
case(
    "batch normalisation assigns nothing to the gradient of its scale",
    "mxnet #18499",
    trained,
    lambda g, x, gamma: (trained_gradient(g, x, gamma)[0], 0.0 * gamma),
    trained_gradient,
    BATCH,
    GAMMA,
    faults="zero",
)


def layer_norm(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + EPS)


def layer_norm_gradient(g, x):
    std = np.sqrt(x.var(-1, keepdims=True) + EPS)
    hat = (x - x.mean(-1, keepdims=True)) / std
    inner = g.mean(-1, keepdims=True) + hat * np.mean(g * hat, -1, keepdims=True)
    return (g - inner) / std


case(
    "layer normalisation of three axes: the gradient of one of two",
    "FlagGems #5392",
    layer_norm,
    lambda g, x: layer_norm_gradient(g.reshape(2, -1), x.reshape(2, -1)).reshape(
        x.shape
    ),
    layer_norm_gradient,
    normal(2, 3, 4),
)


def rms(x):
    return np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPS)


def rms_norm(x, w):
    return x / rms(x) * w


def rms_gradient(g, x, w, inner, outer):
    r, n = rms(x), x.shape[-1]
    s = np.sum(g * x * inner, axis=-1, keepdims=True)
    return g * w / r - outer * x * s / (n * r**3), np.sum(g * x / r, axis=0)


WEIGHT = np.array([0.5, 2.0, -1.3, 0.8])

case(
    "root mean square normalisation: the weight twice in one term",
    "Megatron-LM #6859",
    rms_norm,
    lambda g, x, w: rms_gradient(g, x, w, w, w),
    lambda g, x, w: rms_gradient(g, x, w, w, 1.0),
    normal(3, 4),
    WEIGHT,
)
case(
    "root mean square normalisation: the weight forgotten in one term",
    "llm.c #763",
    rms_norm,
    lambda g, x, w: rms_gradient(g, x, w, 1.0, 1.0),
    lambda g, x, w: rms_gradient(g, x, w, w, 1.0),
    normal(3, 4),
    WEIGHT,
)
case(
    "root mean square normalisation: no gradient for the weight",
    "unsloth #4533",
    rms_norm,
    lambda g, x, w: (rms_gradient(g, x, w, w, 1.0)[0], None),
    lambda g, x, w: rms_gradient(g, x, w, w, 1.0),
    normal(3, 4),
    WEIGHT,
    faults="zero",
)


def grouped(x):
    return (x.reshape(3, 2, 2) / rms(x.reshape(3, 2, 2))).reshape(3, 4)


def grouped_gradient(g, x, groups):
    shape = (3, groups, 4 // groups)
    found = rms_gradient(g.reshape(shape), x.reshape(shape), 1.0, 1.0, 1.0)[0]
    return found.reshape(3, 4)


case(
    "normalisation in groups: the gradient takes all for one",
    "mamba #547",
    grouped,
    lambda g, x: grouped_gradient(g, x, 1),
    lambda g, x: grouped_gradient(g, x, 2),
    normal(3, 4),
)
case(
    "standardised rows with the variance of n - 1, their gradient of n",
    "no report",
    lambda x: (x - x.mean()) / np.std(x, ddof=1),
    lambda g, x: (
        (
            g
            - g.mean()
            - (x - x.mean()) * np.sum(g * (x - x.mean())) / np.sum((x - x.mean()) ** 2)
        )
        / np.std(x)
    ),
    lambda g, x: (
        (
            g
            - g.mean()
            - (x - x.mean()) * np.sum(g * (x - x.mean())) / np.sum((x - x.mean()) ** 2)
        )
        / np.std(x, ddof=1)
    ),
    normal(4),
    faults="factor",
)

# Attention.

DROPPED = np.array([[1.25, 0, 1.25], [1.25, 1.25, 1.25]])
VALUES = normal(3, 2, seed=5)


def scores(q, k, mask):
    return softmax(np.where(mask, q @ k.T / np.sqrt(q.shape[1]), -1e30))


def attention(q, k, mask, kept=1.0):
    return (scores(q, k, mask) * kept) @ VALUES


def attention_gradient(g, q, k, mask, kept=1.0, normaliser=None):
    p = scores(q, k, mask)
    dp = g @ VALUES.T * kept
    inner = np.sum(dp * p, axis=1, keepdims=True) if normaliser is None else normaliser
    ds = p * (dp - inner) / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q


ALL = np.ones((2, 3), dtype=bool)
OFFSET = np.tril(np.ones((2, 3), dtype=bool), 1)
CORNER = np.tril(np.ones((2, 3), dtype=bool))


def without_dropout_inside(g, q, k):
    p = scores(q, k, ALL)
    dp = g @ VALUES.T
    ds = p * DROPPED * (dp - np.sum(dp * p * DROPPED, axis=1, keepdims=True))
    ds /= np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q


Q, K = normal(2, 2, seed=6), normal(3, 2, seed=7)

case(
    "attention with dropout: softmax goes back with the dropped weights",
    "nki-samples #81",
    lambda q, k: attention(q, k, ALL, DROPPED),
    without_dropout_inside,
    lambda g, q, k: attention_gradient(g, q, k, ALL, DROPPED),
    Q,
    K,
)
case(
    "causal attention of fewer queries than keys: the mask at the other corner",
    "ffpa-attn #300",
    lambda q, k: attention(q, k, OFFSET),
    lambda g, q, k: attention_gradient(g, q, k, CORNER),
    lambda g, q, k: attention_gradient(g, q, k, OFFSET),
    Q,
    K,
)
case(
    "attention without a mask goes back with a causal one",
    "triton #5660",
    lambda q, k: attention(q, k, ALL),
    lambda g, q, k: attention_gradient(g, q, k, CORNER),
    lambda g, q, k: attention_gradient(g, q, k, ALL),
    Q,
    K,
)
KEPT = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0]])
case(
    "dropout without the scale of what is kept",
    "no report",
    lambda x: x * KEPT / 0.6,
    lambda g, x: g * KEPT,
    lambda g, x: g * KEPT / 0.6,
    normal(2, 4),
    faults="factor",
)

# Convolution and pooling in one dimension; channels first.


def windows(x, size, stride=1, dilation=1):
    span = (size - 1) * dilation + 1
    starts = np.arange(0, x.shape[-1] - span + 1, stride)
    return x[..., starts[:, None] + dilation * np.arange(size)], starts


def conv(x, w, stride=1, dilation=1):
    patches, _ = windows(x, w.shape[-1], stride, dilation)
    return np.einsum("cnk,mck->mn", patches, w)


def conv_gradient(g, x, w, stride=1, dilation=1, shift=0):
    patches, starts = windows(x, w.shape[-1], stride, dilation)
    dx = np.zeros_like(x)
    for k in range(w.shape[-1]):
        at = np.minimum(starts + dilation * k + shift, x.shape[-1] - 1)
        np.add.at(dx.T, at, (w[:, :, k].T @ g).T)
    return dx, np.einsum("mn,cnk->mck", g, patches)


SIGNAL, KERNEL = normal(2, 7), normal(2, 2, 3, seed=1)


def by_output_channel(g, x, w):
    _, starts = windows(x, w.shape[-1])
    dx = np.zeros_like(x)
    for k in range(w.shape[-1]):
        np.add.at(dx.T, starts + k, (w[:, :, k] @ g).T)
    return dx, conv_gradient(g, x, w)[1]


case(
    "convolution: the gradient is written to the output's channel",
    "neon #111",
    conv,
    by_output_channel,
    conv_gradient,
    SIGNAL,
    KERNEL,
    faults="transposed",
)
case(
    "convolution: the gradient is one place off",
    "no report",
    conv,
    lambda g, x, w: conv_gradient(g, x, w, shift=1),
    conv_gradient,
    SIGNAL,
    KERNEL,
    faults="permuted",
)
case(
    "dilated convolution: the gradient of one that is not",
    "no report",
    lambda x, w: conv(x, w, dilation=2),
    lambda g, x, w: (
        conv_gradient(np.pad(g, ((0, 0), (0, 2))), x, w)[0],
        conv_gradient(g, x, w, dilation=2)[1],
    ),
    lambda g, x, w: conv_gradient(g, x, w, dilation=2),
    SIGNAL,
    KERNEL,
)
case(
    "convolution with its kernel turned in the gradient of the kernel",
    "no report",
    conv,
    lambda g, x, w: (conv_gradient(g, x, w)[0], conv_gradient(g, x, w)[1][..., ::-1]),
    conv_gradient,
    SIGNAL,
    KERNEL,
    faults="permuted",
)


def spread(x, w):
    y = np.zeros(2 * x.size - 1)
    y[::2] = x * w
    return y


case(
    "transposed convolution of stride 2: the gradient is read without a stride",
    "pytorch #63314",
    spread,
    lambda g, x, w: (g[: x.size] * w, np.sum(g[::2] * x)),
    lambda g, x, w: (g[::2] * w, np.sum(g[::2] * x)),
    normal(3),
    -0.7767,
)


def mean_pool(x, size, stride, pad=0, ceil=False, counted=True):
    """Return the means of windows, and for each its places and its divisor."""
    n, found = x.size, []
    reach = n + 2 * pad
    count = (reach - size) / stride
    for i in range(int(np.ceil(count) if ceil else np.floor(count)) + 1):
        start = i * stride - pad
        end = min(start + size, n + pad)
        inside = np.arange(max(start, 0), min(end, n))
        found.append((inside, end - start if counted else len(inside)))
    return found


def pooled(x, *args, **kwargs):
    parts = mean_pool(x, *args, **kwargs)
    return np.array([x[where].sum() / size for where, size in parts])


def pooled_gradient(g, x, parts, shift=0):
    dx = np.zeros_like(x)
    for value, (where, size) in zip(g, parts, strict=True):
        dx[np.clip(where + shift, 0, x.size - 1)] += value / size
    return dx


def full_windows(parts, size):
    return [(where, size) for where, _ in parts]


case(
    "mean pooling: the last window hangs over and is divided by the whole size",
    "burn #5604",
    lambda x: pooled(x, 2, 2, ceil=True),
    lambda g, x: pooled_gradient(g, x, full_windows(mean_pool(x, 2, 2, ceil=True), 2)),
    lambda g, x: pooled_gradient(g, x, mean_pool(x, 2, 2, ceil=True)),
    normal(5),
)
case(
    "mean pooling compiled: two of three places of the last window",
    "pytorch #198119",
    lambda x: pooled(x, 3, 2, ceil=True),
    lambda g, x: pooled_gradient(g, x, full_windows(mean_pool(x, 3, 2, ceil=True), 3)),
    lambda g, x: pooled_gradient(g, x, mean_pool(x, 3, 2, ceil=True)),
    normal(6),
)
case(
    "mean pooling with padding: the gradient is off by the padding",
    "pytorch #188344",
    lambda x: pooled(x, 2, 1, pad=1),
    lambda g, x: pooled_gradient(g, x, mean_pool(x, 2, 1, pad=1), shift=1),
    lambda g, x: pooled_gradient(g, x, mean_pool(x, 2, 1, pad=1)),
    normal(4),
)


def largest(x):
    padded = np.pad(x, 1, constant_values=-np.inf)
    return padded.reshape(-1, 2).argmax(1) + 2 * np.arange(3) - 1


case(
    "maximum pooling with padding: the gradient is off by the padding",
    "NNlib.jl #133",
    lambda x: x[largest(x)],
    lambda g, x: np.bincount(np.minimum(largest(x) + 1, 3), g, 4),
    lambda g, x: np.bincount(largest(x), g, 4),
    [1.0, 4.0, 2.0, 3.0],
    faults="permuted",
)

# Recurrence.


def logistic(z):
    return 1 / (1 + np.exp(-z))


PREVIOUS, CELL = normal(4, seed=8), normal(3, seed=9)
GATES = normal(4, 3, 4, seed=10)


def gates(bias):
    z = GATES @ PREVIOUS + bias
    return logistic(z[0]), logistic(z[1]), np.tanh(z[2]), logistic(z[3])


def lstm(bias):
    i, f, c, o = gates(bias)
    return o * np.tanh(f * CELL + i * c)


def lstm_gradient(g, bias):
    i, f, c, o = gates(bias)
    t = np.tanh(f * CELL + i * c)
    dc = g * o * (1 - t * t)
    return np.stack(
        [
            dc * c * i * (1 - i),
            dc * CELL * f * (1 - f),
            dc * i * (1 - c * c),
            g * t * o * (1 - o),
        ]
    )


def bias_of_forget_gate(g, bias):
    found = lstm_gradient(g, bias)
    found[[0, 3]] = found[1]
    return found


case(
    "an LSTM whose biases get the gradient of the forget gate",
    "learn_dl #53",
    lstm,
    bias_of_forget_gate,
    lstm_gradient,
    normal(4, 3),
)
W = normal(3, 3, seed=11)


def unrolled(h, steps=3):
    states = [h]
    for _ in range(steps):
        states.append(np.tanh(W @ states[-1]))
    return states


def through_time(g, h, backwards):
    states = unrolled(h)[1:]
    for state in states[::-1] if backwards else states:
        g = W.T @ (g * (1 - state * state))
    return g


case(
    "a loop is taken back in the order it went forward",
    "axon #646",
    lambda h: unrolled(h)[-1],
    lambda g, h: through_time(g, h, backwards=False),
    lambda g, h: through_time(g, h, backwards=True),
    normal(3),
)
LEFT, RIGHT = normal(3, 3, seed=12), normal(3, 3, seed=13)


def two_ways(x):
    return np.stack([np.tanh(LEFT @ x), np.tanh(RIGHT @ x)])


def two_ways_gradient(g, x, overwritten):
    first = LEFT.T @ (g[0] * (1 - np.tanh(LEFT @ x) ** 2))
    other = first if overwritten else g[1]
    return first + RIGHT.T @ (other * (1 - np.tanh(RIGHT @ x) ** 2))


case(
    "a layer in both directions: the first overwrites what the second reads",
    "mxnet #18203",
    two_ways,
    lambda g, x: two_ways_gradient(g, x, overwritten=True),
    lambda g, x: two_ways_gradient(g, x, overwritten=False),
    normal(3),
)


def shared(x, w):
    return np.tanh(x @ w) @ w


def shared_gradient(g, x, w, summed):
    h = np.tanh(x @ w)
    gh = (g @ w.T) * (1 - h * h)
    outer = h.T @ g
    return gh @ w.T, (outer + x.T @ gh if summed else x.T @ gh)


case(
    "a weight used twice: the later gradient overwrites the earlier",
    "mxnet #9497",
    shared,
    lambda g, x, w: shared_gradient(g, x, w, summed=False),
    lambda g, x, w: shared_gradient(g, x, w, summed=True),
    normal(4, 3),
    normal(3, 3, seed=1),
    faults="overwritten",
)
