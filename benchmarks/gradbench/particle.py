"""A charged particle that is to hit the origin: a derivative within a derivative."""

from functools import partial

import numpy as np

from .descent import GRADIENTS, least
from .function import Function

STEP = 0.1


def potential(x, w):
    """Return the potential at x of two charges, one of which w moves."""
    charges = np.stack([np.stack([10.0, 10.0 - w]), np.array([10.0, 0.0])])
    return np.sum(1 / np.sqrt(np.sum((x - charges) ** 2, 1)))


def missed(gradient, w):
    """Return the square of where the particle crosses the axis, by Euler's method."""
    field = gradient(lambda x: potential(x, w[0]))
    x, velocity = np.array([0.0, 8.0]), np.array([0.75, 0.0])
    while True:
        pull = -field(x)
        x = x + STEP * velocity
        if x[1] <= 0:
            break
        velocity = velocity + STEP * pull
    crossing = x - x[1] / velocity[1] * velocity
    return crossing[0] ** 2


def best(outer, inner, w):
    """Return the w of the particle that hits, derivatives of these two kinds."""
    return least(GRADIENTS[outer], partial(missed, GRADIENTS[inner]), w)[0]


def arguments(message):
    """Return where the search begins."""
    return (np.array([message["w"]], np.float64),)


# Where the descent and the particle stop, values decide: nothing to compile.
FUNCTIONS = {
    outer + inner: Function(partial(best, outer, inner), arguments, captured=False)
    for outer in "rf"
    for inner in "rf"
}
