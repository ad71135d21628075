"""Gradient descent as the evals of nested derivatives have it, and two gradients."""

import numpy as np

import tensorgrad as tg


def forward(f):
    """Return the gradient of `f` by a pass forward for each number of its argument."""

    def gradient(x):
        parts = [tg.jvp(f, (x,), (unit,))[1] for unit in np.eye(len(x))]
        return np.stack(parts)

    return gradient


GRADIENTS = {"r": tg.grad, "f": forward}


def least(gradient, f, x):
    """Return where `f` is least, by steps from x that grow while they are good."""
    value, slope = f(x), gradient(f)(x)
    rate, good = 1e-5, 0
    while length(slope) > 1e-5:
        if good == 10:
            rate, good = 2 * rate, 0
        after = x - rate * slope
        if length(after - x) <= 1e-5:
            break
        value_after = f(after)
        if value_after < value:
            x, value, slope, good = after, value_after, gradient(f)(after), good + 1
        else:
            rate, good = rate / 2, 0
    return x


def greatest(gradient, f, x):
    """Return where `f` is greatest."""
    return least(gradient, lambda x: -f(x), x)


def length(x):
    """Return the Euclidean length."""
    return np.sqrt(np.sum(x**2))
