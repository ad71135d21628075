"""
Too low, good, high, too high
=============================

The loss against the steps, for four learning rates on the same curve.
"""

import tensorgrad as tg


def bowl(x):
    return 0.5 * x**2 + 0.05 * x**4


RATES = {"too low": 0.01, "good": 0.15, "high": 0.48, "too high": 0.56}

runs = {
    f"{name}, {rate:g}": tg.plot.Descent.walked(
        bowl, 2.0, lambda p, rate=rate: tg.optim.SGD(p, lr=rate), 40
    )
    for name, rate in RATES.items()
}
tg.plot.losses(runs, title="SGD from x = 2")

# %%
# The paths themselves:

tg.plot.descents(
    bowl,
    2.0,
    {
        f"{name}, {rate:g}": lambda p, rate=rate: tg.optim.SGD(p, lr=rate)
        for name, rate in RATES.items()
    },
    40,
    columns=2,
    span=(-3.5, 3.5),
)
