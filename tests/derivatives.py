"""Gradients and derivatives of higher order, for the tests."""

import numpy as np
from tensors import as_tuple, leaf

import tensorgrad as tg


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


def gradients(function, arrays, cotangents):
    """Return leaves of `arrays`, and the gradients of <cotangents, outputs> in them."""
    xs = [leaf(a) for a in arrays]
    pairs = zip(cotangents, as_tuple(function(*xs)), strict=True)
    first, *others = [(y * v).sum() for v, y in pairs]
    sum(others, first).backward()
    return xs, [x.grad for x in xs]


def gradient(function, x, v=None):
    """Return the gradient of <v, function(x)>, of the sum where v is not given."""
    t = leaf(x)
    y = function(t)
    y.backward(np.ones(y.shape, dtype=y.dtype) if v is None else v)
    return t.grad.numpy()


def hessian_of(function, x):
    """Return the matrix of second derivatives of a scalar function of a vector."""
    rows = []
    for i in range(len(x)):
        t = leaf(x)
        function(t).backward(create_graph=True)
        first, t.grad = t.grad, None
        first[i].backward()
        rows.append(np.zeros(len(x)) if t.grad is None else t.grad.numpy())
    return np.array(rows)


def second_of(call, x):
    """Return the gradient, in x and the cotangent, of the norm of the gradient."""
    t = leaf(x)
    y = call(t)
    v = leaf(np.ones(y.shape))
    (y * v).sum().backward(create_graph=True)
    first, t.grad, v.grad = t.grad, None, None
    (first * first).sum().backward()
    grads = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in (t, v)]
    return np.concatenate([g.ravel() for g in grads])
