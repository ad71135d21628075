"""Operations to check, right and wrong, for the tests of the gradient checker."""

import numpy as np

import tensorgrad as tg
from tensorgrad.testing import gradcheck


def verdict(f, *inputs, **options):
    """Return the result of a check, whatever it says."""
    return gradcheck(f, *inputs, raise_on_failure=False, **options)


def primitive(forward, **rules):
    """Return an operation with its rules."""
    op = tg.primitive(forward)
    op.vjp(**rules)
    return op


def wrong(factor):
    """Return a sine whose gradient is too large by a factor."""

    def op(x):
        return np.sin(x)

    return primitive(op, x=lambda g, x: factor * g * np.cos(x))
