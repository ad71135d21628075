"""The nine training runs, 10,001 epochs each, beside a plain NumPy loop.

The long runs are chaotic: a last bit decides where they are after thousands of steps.
So what is asserted is that the engine has, epoch by epoch, the bits of the loop below.
"""

from itertools import islice

import numpy as np
import pytest
from nine_runs import RUNS, X, Y, engine_model, engine_optimizer, every_run, name
from profiles import BRIEF, NIGHTLY
from reference import drawn_weights, spiral

import tensorgrad as tg
from tensorgrad import data

# The plain loop: the order of operations is the textbook's.


def initial_parameters():
    rng = np.random.RandomState(0)
    spiral(rng)  # the weights are drawn after the data
    w1, w2 = drawn_weights(rng, *RUNS["model"]["layers"])
    b1, b2 = (np.zeros(w.shape[1], dtype=np.float32) for w in (w1, w2))
    return [w1, b1, w2, b2]


def probabilities(parameters):
    w1, b1, w2, b2 = parameters
    h = np.maximum(0, np.matmul(X, w1) + b1)
    z = np.matmul(h, w2) + b2
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    return h, e / np.sum(e, axis=1, keepdims=True)


def gradients(parameters):
    h, d = probabilities(parameters)
    d[np.arange(len(Y)), Y] -= 1
    d = d / len(Y)
    dh = np.matmul(d, parameters[2].T)
    dh[h <= 0] = 0
    return [
        np.matmul(X.T, dh),
        np.sum(dh, axis=0),
        np.matmul(h.T, d),
        np.sum(d, axis=0),
    ]


class Descent:
    def __init__(self, learning_rate, momentum=0.0):
        self.momentum = momentum
        self.velocities = [np.zeros_like(w) for w in initial_parameters()]

    def update(self, i, w, g, lr):
        if not self.momentum:
            w += -lr * g
            return
        self.velocities[i] = self.momentum * self.velocities[i] - lr * g
        w += self.velocities[i]


class Adaptive:
    def __init__(self, learning_rate, epsilon, rho=None):
        self.epsilon, self.rho = epsilon, rho
        self.caches = [np.zeros_like(w) for w in initial_parameters()]

    def update(self, i, w, g, lr):
        if self.rho is None:
            self.caches[i] += g**2
        else:
            self.caches[i] = self.rho * self.caches[i] + (1 - self.rho) * g**2
        w += -lr * g / (np.sqrt(self.caches[i]) + self.epsilon)


def plain_training(run):
    """Yield, before the update of each epoch, the parameters and the rate in force."""
    given = dict(run["hyperparameters"])
    decay = given.pop("decay", 0.0)
    initial = lr = given["learning_rate"]
    rule = (Descent if run["optimizer"] == "SGD" else Adaptive)(**given)
    parameters = initial_parameters()
    for epoch in range(RUNS["epochs"]):
        yield parameters, lr
        if decay:
            lr = initial * (1.0 / (1.0 + decay * epoch))
        for i, g in enumerate(gradients(parameters)):
            rule.update(i, parameters[i], g, lr)
    yield parameters, lr


# The engine.


def engine_training(run, epochs, replayed=False):
    """Yield, before the update of each epoch: the model, and the rate in force."""
    model = engine_model()
    optimizer = engine_optimizer(run, model.parameters())

    def step():
        loss = tg.softmax_cross_entropy(model(X), Y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    step = tg.compile(step, fused=False) if replayed else step
    for _ in range(epochs):
        yield model, optimizer.lr
        step()
    yield model, optimizer.lr


def same_bits(ours, theirs):
    return all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(ours, theirs, strict=True)
    )


@every_run
def test_run_has_the_bits_of_the_plain_loop(run):
    # Whole in every mode each night; by default eager mode goes as far as the rates
    # have decayed and the momentum has built up.
    follow(run, RUNS["epochs"] if NIGHTLY else 300 if BRIEF else 1_000)


@every_run
def test_replayed_run_has_the_bits_of_the_plain_loop(run):
    follow(run, 3_000 if BRIEF else RUNS["epochs"], replayed=True)


def follow(run, epochs, **how):
    rows = {row["epoch"]: row for row in run["printed"] if row["epoch"] <= epochs}
    plain = islice(plain_training(run), epochs + 1)
    both = zip(engine_training(run, epochs, **how), plain, strict=True)
    for epoch, ((model, lr), (parameters, plain_lr)) in enumerate(both):
        if epoch == 0:
            arrays = [p.numpy() for p in model.parameters()]
            start = [a.copy() for a in arrays]
        # Every tenth epoch will do: what once differs stays apart.
        if epoch % 10 == 0:
            assert same_bits(arrays, parameters), f"bits differ at epoch {epoch}"
        assert lr == plain_lr
        if epoch in rows:
            check_printed_row(run, rows.pop(epoch), model, lr)
    assert epoch == epochs
    assert not rows, "a printed epoch was not reached"
    # Not the same by standing still, nor in arrays the model no longer uses.
    assert not any(np.array_equal(a, b) for a, b in zip(arrays, start, strict=True))
    assert all(a is p.numpy() for a, p in zip(arrays, model.parameters(), strict=True))


# What of the printed tables reproduces. When the starting weights change by one unit in
# the last place, 24 trainings of a run by the plain loop spread as below about what is
# printed, and no implementation can be asked for more. The rounding of printed figures
# alone is 0.0005; without a tolerance the spread is as large as the loss.


def loss_tolerance(run, epoch):
    given = run["hyperparameters"]
    match run["optimizer"], given["learning_rate"], given.get("decay"):
        case "SGD", 1.0, 0.01:
            return 0.001  # spread 0.0005: the rate falls before chaos sets in
        case "RMSProp", 0.001, _:
            return 0.001 if epoch <= 300 else 0.06  # spread 0.0005, then 0.04
        case "RMSProp", 0.02, _ if epoch == 100:
            return 0.005  # spread 0.0024
        case "AdaGrad", _, _:
            return 0.08  # spread 0.052, from a loss of 1.1 to 0.38
    return 0.001 if epoch <= 100 else None


def check_printed_row(run, row, model, lr):
    given = run["hyperparameters"]
    epoch = row["epoch"]
    assert lr == row.get("learning_rate", given["learning_rate"])
    tolerance = loss_tolerance(run, epoch)
    if tolerance is not None:
        loss = tg.softmax_cross_entropy(model(X), Y)
        assert loss.item() == pytest.approx(row["loss"], abs=tolerance), epoch
    if epoch == 0 or given.get("decay") == 0.01:
        accuracy = np.mean(model(X).numpy().argmax(axis=1) == Y)
        assert accuracy == pytest.approx(row["accuracy"], abs=0.001), epoch


def test_the_comparison_sees_a_single_bit():
    w = np.array([0.0, 1.0], np.float32)
    assert same_bits([w], [w.copy()])
    for other in (-w, np.nextafter(w, np.float32(2)), w.astype(float), w[None]):
        assert not same_bits([w], [other])
    assert not same_bits([w], [np.array([-0.0, 1.0], np.float32)])


def test_the_comparison_sees_a_frozen_rate():
    constant, decaying = RUNS["runs"][0], RUNS["runs"][2]
    both = zip(engine_training(constant, 4), plain_training(decaying), strict=False)
    agree = [
        same_bits([p.numpy() for p in model.parameters()], parameters)
        for (model, *_), (parameters, _) in islice(both, 4)
    ]
    assert agree == [True, True, False, False]  # the second step is the first decayed


def test_the_data_are_those_of_the_package():
    points, labels = data.spiral(100, 3, rng=0)
    assert same_bits([points, labels], [X, Y])


def test_the_runs_are_those_of_the_text():
    assert [name(run) for run in RUNS["runs"]] == [
        "SGD-learning_rate=1",
        "SGD-learning_rate=0.85",
        "SGD-learning_rate=1-decay=0.01",
        "SGD-learning_rate=1-decay=0.001",
        "SGD-learning_rate=1-decay=0.001-momentum=0.5",
        "SGD-learning_rate=1-decay=0.001-momentum=0.9",
        "AdaGrad-learning_rate=1-decay=0.0001-epsilon=1e-07",
        "RMSProp-learning_rate=0.001-decay=0.0001-epsilon=1e-07-rho=0.9",
        "RMSProp-learning_rate=0.02-decay=1e-05-epsilon=1e-07-rho=0.999",
    ]
    assert (RUNS["epochs"], RUNS["model"]["layers"]) == (10001, [2, 64, 3])
    printed = [row for run in RUNS["runs"] for row in run["printed"]]
    assert len(printed) == 121
    assert sum("learning_rate" in row for row in printed) == 85
