"""A small training on the spiral, with dropout: what its tests have in common."""

from functools import partial

import numpy as np
from profiles import NIGHTLY

import tensorgrad as tg

EPOCHS, KILLS = (400, 200) if NIGHTLY else (30, 10)
X, Y = tg.data.spiral(40, 3, rng=0)
REPLAY = partial(tg.compile, fused=False)


class Network(tg.nn.Module):
    def __init__(self, rate=0.2):
        self.first = tg.nn.Dense(2, 16, rng=0)
        self.last = tg.nn.Dense(16, 3, rng=1)
        self.rate, self.rng = rate, np.random.default_rng(2)

    def forward(self, x):
        h = np.tanh(self.first(x))
        if self.training:
            h = tg.dropout(h, self.rate, rng=self.rng)
        return self.last(h)


def parts():
    model = Network()
    return model, tg.optim.Adam(model.parameters(), 0.02, decay=1e-3)


def bits(model):
    return [p.data.tobytes() for p in model.parameters()]


OPTIONS = {"loss": tg.softmax_cross_entropy, "batch_size": 32, "rng": 5}
