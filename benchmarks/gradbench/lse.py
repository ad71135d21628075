"""The logarithm of a sum of exponentials, and its gradient."""

import numpy as np

import tensorgrad as tg

from .function import Function, fields


def log_sum_exp(x):
    """Return log(sum(exp(x))), of what exceeds no float."""
    top = np.max(x)
    return np.log(np.sum(np.exp(x - top))) + top


FUNCTIONS = {
    "primal": Function(log_sum_exp, fields("x")),
    "gradient": Function(tg.grad(log_sum_exp), fields("x")),
}
