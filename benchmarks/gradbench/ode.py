"""A system of differential equations, solved by Runge and Kutta's method."""

import numpy as np

import tensorgrad as tg

from .function import Function


def field(x, y):
    """Return dy/dt: x_1, and x_i y_(i-1) of the others."""
    return x * np.concatenate([np.ones(1), y[:-1]])


def solution(x, steps):
    """Return y at time 2, from zeros at time 0."""
    h, y = 2 / steps, np.zeros(len(x))
    for _ in range(steps):
        k1 = field(x, y)
        k2 = field(x, y + h / 2 * k1)
        k3 = field(x, y + h / 2 * k2)
        k4 = field(x, y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


def arguments(message):
    """Return the coefficients and how many steps."""
    return np.array(message["x"], np.float64), message["s"]


FUNCTIONS = {
    "primal": Function(solution, arguments),
    "gradient": Function(tg.grad(lambda x, s: solution(x, s)[-1]), arguments),
}
