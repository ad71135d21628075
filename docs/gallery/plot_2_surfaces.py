"""
Optimizers on surfaces
======================

Three surfaces that are hard in different ways, and six optimizers, each with a rate
that suits it.
"""

import numpy as np

import tensorgrad as tg

OPTIMIZERS = {
    "SGD": lambda rate: lambda p: tg.optim.SGD(p, lr=rate),
    "momentum 0.9": lambda rate: lambda p: tg.optim.SGD(p, lr=rate, momentum=0.9),
    "decay 0.01": lambda rate: lambda p: tg.optim.SGD(p, lr=rate, decay=0.01),
    "AdaGrad": lambda rate: lambda p: tg.optim.AdaGrad(p, lr=rate),
    "RMSProp": lambda rate: lambda p: tg.optim.RMSProp(p, lr=rate),
    "Adam": lambda rate: lambda p: tg.optim.Adam(p, lr=rate),
}


def draw(surface, start, rates, steps, span):
    """Draw the paths of all optimizers down one surface."""
    named = {
        f"{name}, rate {rate:g}": OPTIMIZERS[name](rate) for name, rate in rates.items()
    }
    tg.plot.descents(surface, start, named, steps, span=span)


# %%
# A ravine: the rate is bounded by the steep direction, and the flat one takes long.


def ravine(p):
    return 0.5 * (p[0] ** 2 + 30 * p[1] ** 2)


rates = dict(zip(OPTIMIZERS, (0.05, 0.01, 0.06, 1.0, 0.1, 0.4), strict=True))
draw(ravine, [4.0, 1.5], rates, 60, (-5.0, 5.0))

# %%
# Rosenbrock's valley: easy to reach, long to follow. Its lowest point is at (1, 1).


def rosenbrock(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


rates = dict(zip(OPTIMIZERS, (0.001, 0.0005, 0.0015, 0.5, 0.01, 0.1), strict=True))
draw(rosenbrock, [-1.2, 1.0], rates, 400, (-2.0, 2.0))

# %%
# Beale's function: flat, with steep walls. Its lowest point is at (3, 0.5).


def beale(p):
    x, y = p[0], p[1]
    powers = np.stack([y, y**2, y**3])
    return ((np.array([1.5, 2.25, 2.625]) - x * (1 - powers)) ** 2).sum()


rates = dict(zip(OPTIMIZERS, (0.01, 0.003, 0.015, 0.5, 0.02, 0.2), strict=True))
draw(beale, [0.5, -1.5], rates, 200, (-4.0, 4.0))
