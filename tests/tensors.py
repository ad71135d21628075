"""Tensors and arrays for the tests."""

import numpy as np

import tensorgrad as tg


def leaf(values, dtype=None):
    """Return a tensor that needs a gradient."""
    return tg.Tensor(values, requires_grad=True, dtype=dtype)


def parameter(n=3):
    """Return a parameter of the numbers from 1 to n."""
    return leaf(np.arange(1.0, n + 1))


def over(array, requires_grad=False):
    """Return a tensor whose value is that array, not a copy of it."""
    tensor = tg.Tensor(np.zeros_like(array), requires_grad=requires_grad)
    tensor.data = array
    return tensor


def normal(*shape, seed=0):
    """Return normal numbers, the same each time."""
    return np.random.default_rng(seed).normal(size=shape)


def whole_numbers(rng, shape):
    """Return floats that sum without rounding."""
    return rng.integers(-9, 10, shape).astype(float)


def as_tuple(outputs):
    """Return one output or several as a tuple."""
    return tuple(outputs) if isinstance(outputs, tuple | list) else (outputs,)


def bits(x):
    """Return the shape, dtype and bytes of a result, or a list of them."""
    if x is None:
        return None
    if isinstance(x, tuple | list):
        return [bits(item) for item in x]
    x = x.numpy() if type(x) is tg.Tensor else np.asarray(x)
    return x.shape, x.dtype, x.tobytes()
