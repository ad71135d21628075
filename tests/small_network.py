"""A small network and its step, the same each time: for steps on devices."""

import numpy as np

import tensorgrad as tg


def network(optimizer=tg.optim.Adam, **settings):
    """Return a model, its optimizer and a step, from the same seeds each time."""
    model = tg.nn.Sequential(
        tg.nn.Dense(2, 16, rng=1),
        tg.nn.ReLU(),
        tg.nn.Dropout(0.1, rng=2),
        tg.nn.Dense(16, 3, rng=3),
    ).to(np.float64)
    optimizer = optimizer(model.parameters(), **settings)

    def step(x, t):
        loss = tg.softmax_cross_entropy(model(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return model, optimizer, step


def batch(n=30, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)), rng.integers(0, 3, n)


def weights(model):
    return list(model.parameters())
