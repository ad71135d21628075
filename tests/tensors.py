"""Tensors and arrays for the tests."""

import numpy as np

import tensorgrad as tg


def leaf(values, dtype=None):
    """Return a tensor that needs a gradient."""
    return tg.Tensor(values, requires_grad=True, dtype=dtype)


def over(array, requires_grad=False):
    """Return a tensor whose value is that array, not a copy of it."""
    tensor = tg.Tensor(np.zeros_like(array), requires_grad=requires_grad)
    tensor.data = array
    return tensor


def normal(*shape, seed=0):
    """Return normal numbers, the same each time."""
    return np.random.default_rng(seed).normal(size=shape)


def as_tuple(outputs):
    """Return one output or several as a tuple."""
    return tuple(outputs) if isinstance(outputs, tuple | list) else (outputs,)
