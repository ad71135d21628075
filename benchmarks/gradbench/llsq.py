"""A polynomial fitted to a sign by least squares."""

import numpy as np

import tensorgrad as tg

from .function import Function


def squares(x, n):
    """Return half the sum of (sign(t) - sum_j x_j t**j)**2 over n times in [-1, 1]."""
    t = np.linspace(-1, 1, n)
    residuals = np.sign(t) - np.vander(t, len(x), increasing=True) @ x
    return np.sum(residuals**2) / 2


def arguments(message):
    """Return coefficients and how many times."""
    return np.array(message["x"], np.float64), message["n"]


FUNCTIONS = {
    "primal": Function(squares, arguments),
    "gradient": Function(tg.grad(squares), arguments),
}
