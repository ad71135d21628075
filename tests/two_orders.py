"""First and second derivatives of any function of arrays, against differences."""

import numpy as np
from numerical import as_tuple, central_difference, gradients, total, weighted_sum

import tensorgrad as tg


def check(function, *arrays, rtol=1e-6, atol=1e-7):
    """Compare gradients in the arrays, and gradients of those and in the cotangent."""
    rng = np.random.default_rng(0)
    arrays = [np.asarray(a, dtype=np.float64) for a in arrays]
    v = [rng.normal(size=np.shape(y)) for y in as_tuple(function(*arrays))]
    n = len(arrays)
    _, first = gradients(function, arrays, v)
    expected = central_difference(lambda *a: total(function(*a), v), arrays)
    _compare([g.numpy() for g in first], expected, rtol, atol)

    point = [*arrays, *map(np.asarray, v)]
    u = [rng.normal(size=a.shape) for a in arrays]
    expected = central_difference(
        lambda *a: total([g.numpy() for g in gradients(function, a[:n], a[n:])[1]], u),
        point,
    )
    xs = [tg.Tensor(a, requires_grad=True) for a in point]
    _, first = gradients(function, xs[:n], xs[n:], create_graph=True)
    for x in xs:
        x.grad = None
    weighted_sum(first, u).backward()
    second = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in xs]
    _compare(second, expected, rtol, atol)


def _compare(found, expected, rtol, atol):
    for f, e in zip(found, expected, strict=True):
        scale = 1 + np.abs(e).max(initial=0)
        np.testing.assert_allclose(f, e, rtol=rtol, atol=atol * scale)


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
