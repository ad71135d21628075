"""
Eleven descents on one curve
============================

The curve has three local minima on the way to its lowest point. The same optimizer,
started at the same place, gets stuck in each of them, finds the lowest point slowly or
quickly, jumps about, or runs off to infinity. Only learning rate and momentum differ.
"""

import numpy as np

import tensorgrad as tg


def curve(x):
    return 0.003 * x**4 + 0.1 * x**2 + 1.05 * (1 - np.cos(3.2 * x))


SITUATIONS = {
    "stuck in the first local minimum": (0.01, 0.0, 60),
    "stuck in the second": (0.04, 0.6, 60),
    "stuck in the third": (0.1, 0.6, 60),
    "reached slowly": (0.002, 0.97, 250),
    "better": (0.005, 0.95, 150),
    "in some fifty steps": (0.05, 0.85, 50),
    "unstable": (0.4, 0.0, 60),
    "far too high a rate": (1.2, 0.0, 60),
    "gradient explosion": (2.0, 0.0, 60),
    "good": (0.09, 0.8, 35),
    "efficient": (0.18, 0.7, 25),
}
"""Learning rate, momentum and number of steps of each."""

START = -7.2


def sgd(lr, momentum):
    """Return what makes our SGD with that rate and momentum."""
    return lambda params: tg.optim.SGD(params, lr=lr, momentum=momentum)


# %%
# Light blue is the first step, orange the last; the star is the lowest point.

for name, (lr, momentum, steps) in SITUATIONS.items():
    title = f"{name}: rate {lr:g}, momentum {momentum:g}, {steps} steps"
    tg.plot.descent(curve, START, sgd(lr, momentum), steps, title=title, span=(-8, 8))

# %%
# Where each of them ends:

for name, (lr, momentum, steps) in SITUATIONS.items():
    run = tg.plot.Descent.walked(curve, START, sgd(lr, momentum), steps)
    end = "has left" if run.left else f"x = {run.points[-1, 0]:6.2f}"
    print(f"{name:34s} {end}, value {run.values[-1]:.3g}")
