"""
A training run, its gradients, and a wrong one
==============================================

What a network has learned after 400 steps: its regions, its weights with their last
update, and its curves. A hollow mark is a sample on the wrong side.
"""

import numpy as np

import tensorgrad as tg
from tensorgrad.testing import check_gradient

STEPS = 400

x, y = tg.data.spiral(samples=100, classes=3, rng=0)
model = tg.nn.Sequential(
    tg.nn.Dense(2, 64, rng=0), tg.nn.ReLU(), tg.nn.Dense(64, 3, rng=1)
)
optimizer = tg.optim.Adam(model.parameters(), lr=0.05, decay=1e-3)
history = tg.plot.History(model, x, y, steps=STEPS, frames=1)
for _ in range(STEPS):
    scores = model(x)
    loss = tg.softmax_cross_entropy(scores, y)
    history.record(loss.item(), tg.data.accuracy(scores, y), optimizer.lr)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

tg.plot.training(history)

# %%
# The sizes of the gradients in a network of eight layers with sigmoids, whose slopes
# are at most 1/4: they vanish towards the first layers.

layers = []
for seed in range(8):
    layers += [tg.nn.Dense(32, 32, rng=seed), tg.sigmoid]
deep = tg.nn.Sequential(*layers)
samples = np.random.default_rng(0).standard_normal((64, 32), dtype=np.float32)
(deep(samples) ** 2).sum().backward()

tg.plot.gradient_flow(deep)

# %%
# A gradient written by hand, against numerical derivatives with their error bars: for
# negative numbers it has the wrong sign.

result = check_gradient(
    lambda x: np.sum(np.abs(x) ** 3),
    lambda x: 3 * x**2,
    np.linspace(-1.0, 1.0, 16),
    raise_on_failure=False,
)
result.plot()
