"""
Too low, good, high, too high
=============================

The loss against the steps, for four learning rates on the same parabola. Its curvature
is 1, so a step multiplies x by ``1 - rate``: below 1 each step shrinks x, between 1 and
2 it overshoots and still shrinks x, and beyond 2 it makes x grow.
"""

import tensorgrad as tg


def parabola(x):
    return 0.5 * x**2


RATES = {"too low": 0.03, "good": 0.4, "high": 1.8, "too high": 2.03}
STEPS = 40

runs = {
    f"{name}, {rate:g}": tg.plot.Descent.walked(
        parabola, 2.0, lambda p, rate=rate: tg.optim.SGD(p, lr=rate), STEPS
    )
    for name, rate in RATES.items()
}
tg.plot.losses(runs, title="SGD from x = 2")

# %%
# The paths themselves:

tg.plot.descents(
    parabola,
    2.0,
    {
        f"{name}, {rate:g}": lambda p, rate=rate: tg.optim.SGD(p, lr=rate)
        for name, rate in RATES.items()
    },
    STEPS,
    columns=2,
    span=(-7.5, 7.5),
)
