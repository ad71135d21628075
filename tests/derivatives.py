"""Gradients at points, and derivatives of one number to any order, for the tests."""

import numpy as np

import tensorgrad as tg


def leaf(values, dtype=None):
    return tg.Tensor(values, requires_grad=True, dtype=dtype)


def slopes(function, *values, dtype=None):
    """Return the gradient of the sum of function(*values) in each of them."""
    xs = [leaf(v, dtype) for v in values]
    with np.errstate(all="ignore"):
        y = function(*xs)
    y.backward(np.ones(y.shape))
    grads = [x.grad.numpy() for x in xs]
    return grads[0] if len(grads) == 1 else grads


def derivatives(function, value, order=2, dtype=None):
    """Return the value of a function of a number, and derivatives up to `order`."""
    x = leaf(value, dtype)
    with np.errstate(all="ignore"):
        y = function(x)
    found = [y.item()]
    for _ in range(order):
        x.grad = None
        if y.requires_grad:
            y.backward(create_graph=True)
        y = tg.Tensor(0.0) if x.grad is None else x.grad
        found.append(y.item())
    return found


def as_tuple(outputs):
    """Return one output or several as a tuple."""
    return tuple(outputs) if isinstance(outputs, tuple | list) else (outputs,)


def gradients(function, arrays, cotangents):
    """Return leaves of `arrays`, and the gradients of <cotangents, outputs> in them."""
    xs = [leaf(a) for a in arrays]
    pairs = zip(cotangents, as_tuple(function(*xs)), strict=True)
    first, *others = [(y * v).sum() for v, y in pairs]
    sum(others, first).backward()
    return xs, [x.grad for x in xs]
