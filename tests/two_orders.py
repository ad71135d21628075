"""First and second derivatives of functions of one array, for the tests."""

import numpy as np

import tensorgrad as tg


def gradient_of(function, x, v=None):
    """Return the gradient of <v, function(x)>, of the sum where v is not given."""
    t = tg.Tensor(x, requires_grad=True)
    y = function(t)
    y.backward(np.ones(y.shape, dtype=y.dtype) if v is None else v)
    return t.grad.numpy()


def hessian_of(function, x):
    """Return the matrix of second derivatives of a scalar function of a vector."""
    rows = []
    for i in range(len(x)):
        t = tg.Tensor(x, requires_grad=True)
        function(t).backward(create_graph=True)
        first, t.grad = t.grad, None
        first[i].backward()
        rows.append(np.zeros(len(x)) if t.grad is None else t.grad.numpy())
    return np.array(rows)


def sample(*shape, seed=3):
    return np.random.default_rng(seed).normal(size=shape)


def second_of(call, x):
    """Return the gradient, in x and the cotangent, of the norm of the gradient."""
    t = tg.Tensor(x, requires_grad=True)
    y = call(t)
    v = tg.Tensor(np.ones(y.shape), requires_grad=True)
    (y * v).sum().backward(create_graph=True)
    first, t.grad, v.grad = t.grad, None, None
    (first * first).sum().backward()
    grads = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in (t, v)]
    return np.concatenate([g.ravel() for g in grads])
