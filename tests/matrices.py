"""Random matrices, and gradients at them, for the tests of linear algebra."""

import numpy as np

import tensorgrad as tg

RNG = np.random.default_rng(20)
START = RNG.bit_generator.state


def restart():
    RNG.bit_generator.state = START


def random(*shape):
    return RNG.normal(size=shape)


def orthogonal(n):
    return np.linalg.qr(random(n, n))[0]


def tensor(x, dtype=None):
    return tg.Tensor(x, requires_grad=True, dtype=dtype)


def gradient(function, x, v=None):
    x = tensor(x)
    function(x).backward(v)
    return x.grad.numpy()


def close(found, expected, atol=1e-12, rtol=1e-10):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)
