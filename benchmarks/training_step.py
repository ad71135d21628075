"""One training step of the text's model: the eager engine against NumPy loops.

Model 2-64-3 with ReLU and softmax cross-entropy on 300 samples, float32, SGD with
momentum. The hand-written loop follows the text's operations, except that it does not
compute the gradient of the input, which nobody needs; the tightened one also drops the
text's needless copies and clips only the probabilities it uses. All reach the same
parameters, bit for bit, before anything is timed.

    python benchmarks/training_step.py [--threads N]
"""

from types import SimpleNamespace

import numpy as np
from fair import alternate, in_clean_child, median, ratio, spread
from peers.handwritten import looped, sgd

import tensorgrad as tg

HIDDEN, CLASSES = 64, 3
LR, MOMENTUM = 1.0, 0.9


def initial(rng):
    """Return the parameters to start from."""
    return [
        (0.01 * rng.standard_normal((2, HIDDEN))).astype(np.float32),
        np.zeros(HIDDEN, dtype=np.float32),
        (0.01 * rng.standard_normal((HIDDEN, CLASSES))).astype(np.float32),
        np.zeros(CLASSES, dtype=np.float32),
    ]


def by_hand(x, labels, parameters):
    """Return a step that updates `parameters` in place, and returns the loss."""
    how = SimpleNamespace(rate=LR, momentum=MOMENTUM)
    return looped(x, labels, parameters, sgd(how, parameters))


def tightened(x, labels, parameters):
    """Return the same step without needless copies and allocations."""
    w1, b1, w2, b2 = parameters
    velocities = [np.zeros_like(p) for p in parameters]
    n = len(x)
    rows = np.arange(n)

    def step():
        z1 = np.matmul(x, w1)
        z1 += b1
        a1 = np.maximum(z1, 0)
        z2 = np.matmul(a1, w2)
        z2 += b2
        z2 -= np.max(z2, axis=1, keepdims=True)
        p = np.exp(z2, out=z2)
        p /= np.sum(p, axis=1, keepdims=True)
        loss = np.mean(-np.log(np.clip(p[rows, labels], 1e-7, 1 - 1e-7)))
        p[rows, labels] -= 1
        p /= n
        gw2, gb2 = np.matmul(a1.T, p), np.sum(p, axis=0)
        d1 = np.matmul(p, w2.T)
        d1 *= z1 > 0
        gw1, gb1 = np.matmul(x.T, d1), np.sum(d1, axis=0)
        for w, g, v in zip(parameters, (gw1, gb1, gw2, gb2), velocities, strict=True):
            v *= MOMENTUM
            g *= LR
            v -= g
            w += v
        return loss

    return step


def by_engine(x, labels, parameters):
    """Return the same step written with tensorgrad, and its parameters."""
    first, second = tg.nn.Dense(2, HIDDEN), tg.nn.Dense(HIDDEN, CLASSES)
    model = tg.nn.Sequential(first, tg.nn.ReLU(), second)
    for tensor, value in zip(model.parameters(), parameters, strict=True):
        tensor.data[...] = value
    optimizer = tg.optim.SGD(model.parameters(), LR, momentum=MOMENTUM)

    def step():
        loss = tg.softmax_cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step, [p.data for p in model.parameters()]


def main():
    """Check that the two agree, then time them in alternation."""
    x, labels = tg.data.spiral(100, CLASSES, rng=0)
    engine, parameters = by_engine(x, labels, initial(np.random.default_rng(0)))
    arms, reached = {"engine": engine}, [parameters]
    for name, make in (("hand-written", by_hand), ("tightened", tightened)):
        parameters = initial(np.random.default_rng(0))
        arms[name] = make(x, labels, parameters)
        reached.append(parameters)
    for arm in arms.values():
        for _ in range(100):
            arm()
    for parameters in reached[1:]:
        for a, b in zip(reached[0], parameters, strict=True):
            np.testing.assert_array_equal(a, b)
    print("parameters equal bit for bit after 100 steps")
    found = alternate(arms, rounds=100)
    for name, times in found.items():
        print(f"{name:14s} {median(times):8.1f} us   quartiles {spread(times)}")
    for name in ("hand-written", "tightened"):
        print(f"engine / {name}: {ratio(found['engine'], found[name]):.3f}")


if __name__ == "__main__":
    in_clean_child(main)
