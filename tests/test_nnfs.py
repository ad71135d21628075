"""The engine beside `nnfs.init()`, which replaces functions of NumPy for everybody.

It makes `np.dot`, `np.zeros`, `np.eye` and `np.random.randn` give float32. What the
engine computes must not depend on it, called before the import or after; and code in
the style of the textbook must run on tensors under it. Run as a script, this file is
the child process.
"""

import functools
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

ORDERS = ["never", "before", "after"]


def import_both(order):
    """Import the engine, and call `nnfs.init` before it, after it or never."""
    import nnfs

    if order == "before":
        nnfs.init()
    import tensorgrad as tg

    if order == "after":
        nnfs.init()
    if order == "without workaround":
        nnfs.init(dot_precision_workaround=False)
    return tg


def digest(tensors):
    """Return what tells dtypes, shapes and bits of tensors apart."""
    found = hashlib.sha256()
    for t in tensors:
        found.update(f"{t.dtype} {t.shape} ".encode())
        found.update(np.ascontiguousarray(t.numpy()).tobytes())
    return found.hexdigest()[:16]


# What the child computes.


def one_call(tg, entry, rng):
    """Return the tensors of one call of an operation, and its output."""
    shapes = entry.cases[0].shapes if entry.cases else [(3, 2)] * entry.arity
    options = entry.cases[0].kwargs if entry.cases else {}
    tensors = []

    def drawn(shape):
        if isinstance(shape, list):
            return [drawn(s) for s in shape]
        phase = 0.1 + 0.2 * len(tensors)
        x = entry.domain(len(tensors)).sample(rng, shape, phase)
        tensors.append(tg.Tensor(x, requires_grad=x.dtype.kind == "f"))
        return tensors[-1]

    output = entry.function(*map(drawn, shapes), **options)
    return [t for t in tensors if t.requires_grad], output


def ops(tg):
    """Return, for each operation, a digest of its float64 gradients to second order."""
    from tensorgrad.ops.support.registry import registry

    found = {}
    for name, entry in registry.items():
        if entry.kind == "constant":
            continue
        rng = np.random.default_rng(0)
        xs, y = one_call(tg, entry, rng)
        ys = [t for t in (y if isinstance(y, tuple | list) else [y]) if t.requires_grad]
        weighted = [(t * rng.normal(size=t.shape)).sum() for t in ys]
        sum(weighted[1:], weighted[0]).backward(create_graph=True)
        first = [x.grad for x in xs if x.grad is not None]
        for x in xs:
            x.grad = None
        total = sum((g * g).sum() for g in first)
        if total.requires_grad:
            total.backward()
        second = [x.grad for x in xs if x.grad is not None]
        assert all(g.dtype == np.float64 for g in [*ys, *first, *second]), name
        found[name] = digest([*ys, *first, *second])
    return found


def planted(tg):
    """Return the digest of an operation that relies on what nnfs replaces."""

    @tg.primitive
    def product(a, b):
        return np.matmul(a, b)

    product.vjp(a=lambda g, b: np.dot(g, b.T), b=lambda g, a: np.dot(a.T, g))
    rng = np.random.default_rng(0)
    a, b = (tg.Tensor(rng.normal(size=(3, 3)), requires_grad=True) for _ in "ab")
    product(a, b).sum().backward()
    return digest([a.grad, b.grad])


def training(tg):
    """Return a digest of a small network after training by each optimizer."""
    from tensorgrad.data import spiral

    found = {}
    for name, options in {
        "SGD": {"momentum": 0.9, "decay": 1e-3},
        "AdaGrad": {},
        "RMSProp": {},
        "Adam": {"lr": 0.05},
    }.items():
        for dtype in (np.float32, np.float64):
            stream = np.random.RandomState(0)
            x, y = spiral(30, 3, rng=stream)
            model = tg.nn.Sequential(
                tg.nn.Dense(2, 16, rng=stream, dtype=dtype),
                tg.nn.ReLU(),
                tg.nn.Dense(16, 3, rng=stream, dtype=dtype),
            )
            optimizer = getattr(tg.optim, name)(model.parameters(), **options)
            for _ in range(50):
                loss = tg.softmax_cross_entropy(model(x.astype(dtype)), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            assert loss.dtype == dtype
            found[f"{name} {dtype.__name__}"] = digest([loss, *model.parameters()])
    return found


# Code in the style of the text, which knows nothing of tensors.


def affine(inputs, weights, biases):
    return np.dot(inputs, weights) + biases


def rectified(inputs):
    return np.maximum(0, inputs)


def normalised(inputs):
    powers = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
    return powers / np.sum(powers, axis=1, keepdims=True)


def mean_loss(predicted, true):
    limited = np.clip(predicted, 1e-7, 1 - 1e-7)
    if len(true.shape) == 1:
        confidences = limited[range(len(predicted)), true]
    else:
        confidences = np.sum(limited * true, axis=1)
    return np.mean(-np.log(confidences))


def share_right(predicted, true):
    if len(true.shape) == 2:
        true = np.argmax(true, axis=1)
    return np.mean(np.argmax(predicted, axis=1) == true)


def by_hand(x, y, w1, b1, w2, b2):
    """Return loss and gradients in float64, with products that nobody replaces."""
    z = np.matmul(x, w1) + b1
    h = np.maximum(z, 0)
    p = normalised(np.matmul(h, w2) + b2)
    picked = p[np.arange(len(y)), y]
    d = p.copy()
    d[np.arange(len(y)), y] -= 1
    d /= len(y)
    dz = np.matmul(d, w2.T) * (z > 0)
    return -np.log(picked).mean(), [
        np.matmul(x.T, dz),
        dz.sum(axis=0, keepdims=True),
        np.matmul(h.T, d),
        d.sum(axis=0, keepdims=True),
    ]


def drawn_network(rng):
    shapes = [(4, 6), (1, 6), (6, 3), (1, 3)]
    x, *parameters = (0.5 * rng.normal(size=s) for s in [(20, 4), *shapes])
    return x, rng.integers(0, 3, size=20), parameters


def largest_error(tg, dtype, one_hot):
    """Return the largest error of the text's network on tensors, relative to what is
    computed by hand, over the loss and each gradient."""
    x, y, parameters = drawn_network(np.random.default_rng(0))
    exact, gradients = by_hand(x, y, *parameters)
    ours = [tg.Tensor(p, requires_grad=True, dtype=dtype) for p in parameters]
    w1, b1, w2, b2 = ours
    predicted = normalised(affine(rectified(affine(x.astype(dtype), w1, b1)), w2, b2))
    labels = np.eye(3, dtype=dtype)[y] if one_hot else y
    loss = mean_loss(predicted, labels)
    loss.backward()
    assert type(predicted) is type(loss) is tg.Tensor
    right = np.mean(predicted.numpy().argmax(axis=1) == y)
    assert share_right(predicted, labels) == right
    assert all(t.grad.dtype == t.dtype == dtype for t in ours)
    errors = [abs(loss.item() - exact) / exact]
    for t, g in zip(ours, gradients, strict=True):
        assert t.grad.shape == g.shape
        errors.append(np.abs(t.grad.numpy() - g).max() / np.abs(g).max())
    return float(max(errors))


def book(tg):
    return {
        f"{dtype.__name__} {'rows' if one_hot else 'classes'}": largest_error(
            tg, dtype, one_hot
        )
        for dtype in (np.float32, np.float64)
        for one_hot in (False, True)
    }


def book_training(tg):
    """Train with layers kept as the text keeps them; return first and last loss."""
    rng = np.random.RandomState(0)
    x = np.random.randn(60, 2)
    y = np.argmax(x @ np.array([[1, -1, 0], [0, 1, -1]]), axis=1)
    w1 = tg.Tensor(0.1 * np.random.randn(2, 8), requires_grad=True)
    b1 = tg.Tensor(np.zeros((1, 8)), requires_grad=True)
    w2 = tg.Tensor(0.1 * rng.standard_normal((8, 3)), requires_grad=True)
    b2 = tg.Tensor(np.zeros((1, 3)), requires_grad=True)
    optimizer = tg.optim.SGD([w1, b1, w2, b2], lr=1.0, decay=1e-3, momentum=0.5)
    losses = []
    for _ in range(200):
        loss = mean_loss(normalised(affine(rectified(affine(x, w1, b1)), w2, b2)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


# The tests. A child has warnings as errors, and computes several things at once.

OF_THE_ENGINE = ("ops", "training", "planted")
OF_THE_TEXT = ("book", "book_training")


@functools.cache
def child(order, names):
    """Return what a fresh interpreter computes."""
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, order, *names],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("name", ["ops", "training"])
def test_bits_do_not_depend_on_nnfs(order, name):
    without = child("never", OF_THE_ENGINE)[name]
    assert without
    assert child(order, OF_THE_ENGINE)[name] == without


@pytest.mark.parametrize("order", ["before", "after"])
def test_reliance_on_replaced_functions_is_seen(order):
    without = child("never", OF_THE_ENGINE)["planted"]
    assert child(order, OF_THE_ENGINE)["planted"] != without


@pytest.mark.parametrize("order", [*ORDERS, "without workaround"])
def test_code_in_the_style_of_the_text(order):
    errors = child(order, OF_THE_TEXT)["book"]
    assert sorted(errors) == [
        "float32 classes",
        "float32 rows",
        "float64 classes",
        "float64 rows",
    ]
    for kind, error in errors.items():
        # Under nnfs every product is rounded to float32. Each result is reached through
        # some ten roundings, in sums over 20 samples.
        double = kind.startswith("float64") and order == "never"
        assert error < 20 * np.finfo(np.float64 if double else np.float32).eps, kind


@pytest.mark.parametrize("order", ["before", "after"])
def test_training_in_the_style_of_the_text(order):
    first, last = child(order, OF_THE_TEXT)["book_training"]
    assert first == pytest.approx(np.log(3), abs=0.05)
    assert last < 0.2


if __name__ == "__main__":
    order, *names = sys.argv[1:]
    tg = import_both(order)
    print(json.dumps({name: globals()[name](tg) for name in names}))
