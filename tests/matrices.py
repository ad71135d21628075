"""Random matrices, for the tests of linear algebra."""

import numpy as np

RNG = np.random.default_rng(20)
START = RNG.bit_generator.state


def restart():
    RNG.bit_generator.state = START


def random(*shape):
    return RNG.normal(size=shape)


def orthogonal(n):
    return np.linalg.qr(random(n, n))[0]


def close(found, expected, atol=1e-12, rtol=1e-10):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)
