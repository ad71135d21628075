"""Gradients that are nearly right: off by 1e-3 to 1e-7, in one entry, one branch, one
shape, by a lost term or a lost digit.

Written for this corpus: none was reported anywhere.
"""

import math

import numpy as np

from . import indexing, linalg, neural, reductions
from .case import Cases, Function, normal, uniform

case = Cases()

X = normal(5)
erf = np.vectorize(math.erf)


def enter(name: str, f: Function, right: Function, wrong: Function, *point: object):
    case(name, "written for this corpus", f, wrong, right, *point)


# The whole gradient off by a little.


def network(w, v):
    return np.tanh(DATA @ w) @ v


DATA = normal(6, 3, seed=1)
W, V = normal(3, 4, seed=2), normal(4, 2, seed=3)


def network_gradient(g, w, v):
    h = np.tanh(DATA @ w)
    return DATA.T @ ((g @ v.T) * (1 - h * h)), h.T @ g


def scaled(gradient, factor, number=0):
    def vjp(g, *point):
        found = list(gradient(g, *point))
        found[number] = found[number] * factor
        return tuple(found)

    return vjp


for size in (1e-3, 1e-5, 1e-7):
    enter(
        f"a network, one weight's gradient too large by {size:.0e}",
        network,
        network_gradient,
        scaled(network_gradient, 1 + size),
        W,
        V,
    )


def one_entry(gradient, size, number=0, place=-1):
    """Return a gradient with one entry off, relative to that entry."""

    def vjp(g, *point):
        found = [np.array(d) for d in gradient(g, *point)]
        found[number].flat[place] *= 1 + size
        return tuple(found)

    return vjp


for size in (1e-3, 1e-5, 1e-7):
    enter(
        f"a network, one entry of a gradient off by {size:.0e}",
        network,
        network_gradient,
        one_entry(network_gradient, size, 1, 3),
        W,
        V,
    )
LARGE = normal(40, 40, seed=4) / 6


def dense(x, w):
    return np.tanh(x @ w)


def dense_gradient(g, x, w):
    slope = g * (1 - np.tanh(x @ w) ** 2)
    return slope @ w.T, x.T @ slope


for size in (1e-1, 1e-3):
    enter(
        f"a layer of 40 by 40 checked along directions, one entry off by {size:.0e}",
        dense,
        dense_gradient,
        one_entry(dense_gradient, size, 1, 77),
        normal(8, 40, seed=5),
        LARGE,
    )
enter(
    "a layer of 40 by 40 checked along directions, one row missing",
    dense,
    dense_gradient,
    lambda g, x, w: (
        dense_gradient(g, x, w)[0],
        dense_gradient(g, x, w)[1] * (np.arange(40) != 17)[:, None],
    ),
    normal(8, 40, seed=5),
    LARGE,
)

# Constants and formulas of few digits.

SQRT_PI = 1.7724538509055159
enter(
    "the error function with pi of five digits",
    erf,
    lambda g, x: g * 2 / SQRT_PI * np.exp(-x * x),
    lambda g, x: g * 2 / math.sqrt(3.1416) * np.exp(-x * x),
    X,
)
enter(
    "a logarithm to base 10 with ln 10 of seven digits",
    np.log10,
    lambda g, x: g / (x * math.log(10)),
    lambda g, x: g / (x * 2.302585),
    uniform(0.5, 3, 4),
)
enter(
    "degrees with pi of eight digits",
    np.degrees,
    lambda g, x: g * 180 / math.pi,
    lambda g, x: g * 180 / 3.1415927,
    X,
)


def gelu(x):
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def gelu_gradient(g, x):
    density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return g * (0.5 * (1 + erf(x / math.sqrt(2))) + x * density)


def gelu_by_tanh(g, x):
    c = math.sqrt(2 / math.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 0.134145 * x * x))


enter("GELU with the slope of its approximation", gelu, gelu_gradient, gelu_by_tanh, X)


def stirling(x):
    return np.log(x) - 1 / (2 * x) - 1 / (12 * x * x)


def digamma(x):
    shift = sum(1 / (x + k) for k in range(12))
    y = x + 12
    tail = 1 / (120 * y**4) - 1 / (252 * y**6) + 1 / (240 * y**8)
    return stirling(y) + tail - shift


enter(
    "the gamma function's logarithm with three terms of a series for its slope",
    np.vectorize(math.lgamma),
    lambda g, x: g * digamma(x),
    lambda g, x: g * stirling(x),
    uniform(4, 8, 4),
)
enter(
    "the sine with a slope of five terms",
    np.sin,
    lambda g, x: g * np.cos(x),
    lambda g, x: g * (1 - x**2 / 2 + x**4 / 24 - x**6 / 720 + x**8 / 40320),
    uniform(0.5, 1.2, 4),
)
enter(
    "the exponential with a slope of a forward difference",
    np.exp,
    lambda g, x: g * np.exp(x),
    lambda g, x: g * (np.exp(x + 1e-6) - np.exp(x)) / 1e-6,
    X,
)
enter(
    "tanh with a slope of a central difference, step 1e-3",
    np.tanh,
    lambda g, x: g * (1 - np.tanh(x) ** 2),
    lambda g, x: g * (np.tanh(x + 1e-3) - np.tanh(x - 1e-3)) / 2e-3,
    X,
)
enter(
    "softplus that is a line above 5 in its gradient alone",
    lambda x: np.logaddexp(0, x),
    lambda g, x: g / (1 + np.exp(-x)),
    lambda g, x: g * np.where(x > 5, 1.0, 1 / (1 + np.exp(-x))),
    [-1.0, 0.5, 6.0],
)
enter(
    "softplus that is a line above 12 in its gradient alone",
    lambda x: np.logaddexp(0, x),
    lambda g, x: g / (1 + np.exp(-x)),
    lambda g, x: g * np.where(x > 12, 1.0, 1 / (1 + np.exp(-x))),
    [-1.0, 0.5, 13.0],
)

# Digits lost on the way.


def low(gradient, dtype):
    """Return a gradient computed in a lower precision and given in float64."""

    def vjp(g, *point):
        parts = [np.asarray(a).astype(dtype) for a in (g, *point)]
        found = gradient(*parts)
        several = found if isinstance(found, tuple) else (found,)
        cast = tuple(np.asarray(d).astype(np.float64) for d in several)
        return cast if isinstance(found, tuple) else cast[0]

    return vjp


enter("a network's gradient in float32", network, network_gradient,
      low(network_gradient, np.float32), W, V)  # fmt: skip
enter(
    "a softmax's gradient in float32",
    neural.softmax,
    lambda g, z: (
        neural.softmax(z) * (g - np.sum(g * neural.softmax(z), -1, keepdims=True))
    ),
    low(
        lambda g, z: (
            neural.softmax(z) * (g - np.sum(g * neural.softmax(z), -1, keepdims=True))
        ),
        np.float32,
    ),
    normal(2, 4),
)
enter(
    "a cube's gradient in float16",
    lambda x: x**3,
    lambda g, x: 3 * g * x * x,
    low(lambda g, x: 3 * g * x * x, np.float16),
    X,
)
enter(
    "a solve's gradient in float32",
    np.linalg.solve,
    linalg.solve_gradient,
    low(linalg.solve_gradient, np.float32),
    linalg.SQUARE,
    normal(3),
)
enter(
    "a gradient rounded to six decimals",
    np.sin,
    lambda g, x: g * np.cos(x),
    lambda g, x: np.round(g * np.cos(x), 6),
    X,
)
enter(
    "1 - tanh**2 by 1 / cosh**2 in float32",
    np.tanh,
    lambda g, x: g * (1 - np.tanh(x) ** 2),
    lambda g, x: g / np.cosh(x.astype(np.float32)).astype(float) ** 2,
    X,
)

# Terms that are small and missing.


def decayed(decay):
    def loss(w):
        return np.mean((DATA @ w - 1) ** 2) + 0.5 * decay * np.sum(w * w)

    def gradient(g, w):
        return g * (2 * DATA.T @ (DATA @ w - 1) / len(DATA) + decay * w)

    def without(g, w):
        return g * 2 * DATA.T @ (DATA @ w - 1) / len(DATA)

    return loss, gradient, without


for decay in (1e-3, 1e-5, 1e-6):
    enter(f"weight decay of {decay:.0e} left out", *decayed(decay), normal(3, seed=6))
enter(
    "weight decay twice what the loss has",
    decayed(1e-4)[0],
    decayed(1e-4)[1],
    lambda g, w: decayed(2e-4)[1](g, w),
    normal(3, seed=6),
)
enter(
    "layer normalisation without its epsilon",
    neural.layer_norm,
    neural.layer_norm_gradient,
    lambda g, x: neural.layer_norm_gradient(g, 1e6 * x) * 1e6,
    normal(3, 4),
)


def with_epsilon(x, eps):
    return np.sqrt(x * x + eps)


enter(
    "a smooth magnitude with another epsilon",
    lambda x: with_epsilon(x, 1e-6),
    lambda g, x: g * x / with_epsilon(x, 1e-6),
    lambda g, x: g * x / with_epsilon(x, 1e-5),
    [0.3, -0.02, 1.5],
)
enter(
    "a division by x + 1e-7 in the gradient alone",
    np.log,
    lambda g, x: g / x,
    lambda g, x: g / (x + 1e-7),
    uniform(0.5, 2, 4),
)
enter(
    "a division by the norm and 1e-8 in the gradient alone",
    lambda x: np.sqrt(np.sum(x * x)),
    lambda g, x: g * x / np.sqrt(np.sum(x * x)),
    lambda g, x: g * x / (np.sqrt(np.sum(x * x)) + 1e-8 * 40),
    0.3 * X,
)


def clipped(gradient, bound):
    def vjp(g, *point):
        return tuple(np.clip(d, -bound, bound) for d in gradient(g, *point))

    return vjp


enter(
    "gradients clipped at a bound that is rarely reached",
    network,
    network_gradient,
    clipped(network_gradient, 2.5),
    W,
    V,
)
enter(
    "a term of an interaction of 1e-5",
    lambda x: x[0] ** 2 + x[1] ** 2 + 1e-5 * x[0] * x[1],
    lambda g, x: g * np.array([2 * x[0] + 1e-5 * x[1], 2 * x[1] + 1e-5 * x[0]]),
    lambda g, x: g * np.array([2 * x[0] + 1e-5 * x[1], 2 * x[1]]),
    [0.7, 1.3],
)
enter(
    "a softmax's temperature of 1.0001 left out",
    lambda z: neural.softmax(z / 1.0001),
    lambda g, z: (
        neural.softmax(z / 1.0001)
        * (g - np.sum(g * neural.softmax(z / 1.0001), -1, keepdims=True))
        / 1.0001
    ),
    lambda g, z: (
        neural.softmax(z / 1.0001)
        * (g - np.sum(g * neural.softmax(z / 1.0001), -1, keepdims=True))
    ),
    normal(2, 3),
)

# Small components beside large ones.

SIZES = np.array([1.0, 1e3, 1e-4, 1e6])


def mixed(x):
    return SIZES * np.sin(x)


def mixed_gradient(g, x):
    return g * SIZES * np.cos(x)


enter(
    "the sign of a component ten orders of magnitude below the largest",
    mixed,
    mixed_gradient,
    lambda g, x: mixed_gradient(g, x) * np.array([1, 1, -1, 1]),
    normal(4),
)
enter(
    "a component ten orders of magnitude below the largest is 0",
    lambda x: np.sum(mixed(x)) * 1e-3,
    lambda g, x: 1e-3 * mixed_gradient(g, x),
    lambda g, x: 1e-3 * mixed_gradient(g, x) * np.array([1, 1, 0, 1]),
    [0.4, 0.7, 0.2, math.pi / 2],
)
enter(
    "the sign of a small cross term",
    lambda a, b: a @ b + 1e-4 * np.sum(a) * np.sum(b),
    lambda g, a, b: (g * (b + 1e-4 * b.sum()), g * (a + 1e-4 * a.sum())),
    lambda g, a, b: (g * (b + 1e-4 * b.sum()), g * (a - 1e-4 * a.sum())),
    normal(4),
    normal(4, seed=1),
)
enter(
    "an input whose influence is 1e-6 of the other's, three times too large",
    lambda a, b: np.sin(a) + 1e-6 * np.cos(b),
    lambda g, a, b: (g * np.cos(a), -1e-6 * g * np.sin(b)),
    lambda g, a, b: (g * np.cos(a), -3e-6 * g * np.sin(b)),
    normal(3),
    normal(3, seed=1),
)
enter(
    "the largest of many outputs right, one tiny output wrong by half",
    lambda x: np.concatenate([1e4 * np.cos(x), 1e-3 * np.sin(x[:1])]),
    lambda g, x: (
        -1e4 * g[:-1] * np.sin(x) + 1e-3 * np.cos(x) * np.append(g[-1], [0.0, 0.0])
    ),
    lambda g, x: (
        -1e4 * g[:-1] * np.sin(x) + 5e-4 * np.cos(x) * np.append(g[-1], [0.0, 0.0])
    ),
    normal(3),
)

# One branch, one shape, one place.

enter(
    "one of five branches, off by 1e-4",
    lambda x: np.select([x < -1, x < 0, x < 1, x < 2], [x, x**2, x**3, np.exp(x)], x),
    lambda g, x: (
        g
        * np.select(
            [x < -1, x < 0, x < 1, x < 2], [1 + 0 * x, 2 * x, 3 * x**2, np.exp(x)], 1.0
        )
    ),
    lambda g, x: (
        g
        * np.select(
            [x < -1, x < 0, x < 1, x < 2],
            [1 + 0 * x, 2 * x, 3.0003 * x**2, np.exp(x)],
            1.0,
        )
    ),
    [-2.0, -0.5, 0.4, 1.7, 3.0],
)
enter(
    "the exponential linear unit off by 1e-5 on the left",
    lambda x: np.where(x > 0, x, np.expm1(x)),
    lambda g, x: g * np.where(x > 0, 1.0, np.exp(x)),
    lambda g, x: g * np.where(x > 0, 1.0, 1.00001 * np.exp(x)),
    X,
)
enter(
    "a sum over the first axis wrong only where the array is not square",
    lambda x: np.sum(x * x, axis=0),
    lambda g, x: 2 * g * x,
    lambda g, x: 2 * g * x * (len(x) / x.shape[1]) ** 1e-3,
    normal(4, 3),
)
enter(
    "a mean by the length of the wrong axis of a nearly square array",
    lambda x: np.mean(x, axis=0),
    lambda g, x: np.broadcast_to(g / len(x), x.shape).copy(),
    lambda g, x: np.broadcast_to(g / x.shape[1], x.shape).copy(),
    normal(20, 21),
)
enter(
    "wrong in the last example of a batch",
    network,
    network_gradient,
    lambda g, w, v: (
        network_gradient(np.concatenate([g[:-1], 0.99 * g[-1:]]), w, v)[0],
        network_gradient(g, w, v)[1],
    ),
    W,
    V,
)
enter(
    "wrong in the last step of a running mean of odd length",
    lambda x: np.cumsum(x) / np.arange(1, x.size + 1),
    lambda g, x: np.cumsum((g / np.arange(1, x.size + 1))[::-1])[::-1],
    lambda g, x: np.cumsum((g / np.append(np.arange(1, x.size), x.size + 0.001))[::-1])[
        ::-1
    ],
    normal(7),
)
enter(
    "the corner of a convolution off by 1e-3",
    neural.conv,
    neural.conv_gradient,
    one_entry(neural.conv_gradient, 1e-3, 1, 0),
    neural.SIGNAL,
    neural.KERNEL,
)
enter(
    "the diagonal of an inverse off by 1e-6",
    np.linalg.inv,
    lambda g, x: -np.linalg.inv(x).T @ g @ np.linalg.inv(x).T,
    lambda g, x: -np.linalg.inv(x).T @ g @ np.linalg.inv(x).T * (1 + 1e-6 * np.eye(3)),
    linalg.SQUARE,
)
enter(
    "wrong where a value is exactly representable",
    np.square,
    lambda g, x: 2 * g * x,
    lambda g, x: 2 * g * (x + 1e-6 * (x == np.round(x, 1))),
    [0.5, 1.234567, -0.7654321],
)

# Kept from before.


def remembering(gradient):
    """Return a gradient taken at the point of the call before, if there was one."""
    kept = []

    def vjp(g, *point):
        used = kept[-1] if kept else point
        kept[:] = [point]
        return gradient(g, *used)

    return vjp


enter(
    "the gradient at the point of the call before",
    np.exp,
    lambda g, x: g * np.exp(x),
    remembering(lambda g, x: g * np.exp(x)),
    X,
)


def averaged(gradient, share):
    """Return a gradient in which a share of the one before remains."""
    kept = {}

    def vjp(g, *point):
        found = gradient(g, *point)
        mixed = (1 - share) * found + share * kept.get("before", found)
        kept["before"] = found
        return mixed

    return vjp


enter(
    "a running mean of gradients with a share of 1e-3 of the last",
    np.sinh,
    lambda g, x: g * np.cosh(x),
    averaged(lambda g, x: g * np.cosh(x), 1e-3),
    X,
)
enter(
    "statistics of the first batch in the gradient of every batch",
    lambda x: (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5),
    lambda g, x: neural.trained_gradient(g, x, np.ones(3))[0],
    lambda g, x: (
        neural.trained_gradient(g, x, np.ones(3))[0]
        * np.sqrt(x.var(0) + 1e-5)
        / np.sqrt(neural.BATCH.var(0) + 1e-5)
    ),
    neural.BATCH + 0.001 * normal(5, 3, seed=7),
)

# Second derivatives, as gradients of gradients.


TARGET = np.sin(DATA @ normal(3, seed=8)) + 1e-4 * normal(6, seed=9)


def curvature(w):
    """Return the gradient of a loss, whose gradient is the Hessian."""
    z = DATA @ w
    return DATA.T @ np.tanh(z)


def hessian(g, w):
    return DATA.T @ ((1 - np.tanh(DATA @ w) ** 2) * (DATA @ g))


enter(
    "a Gauss-Newton matrix for the Hessian: the residual is small",
    lambda w: DATA.T @ ((np.sin(DATA @ w) - TARGET) * np.cos(DATA @ w)),
    lambda g, w: (
        DATA.T
        @ (
            (np.cos(DATA @ w) ** 2 - (np.sin(DATA @ w) - TARGET) * np.sin(DATA @ w))
            * (DATA @ g)
        )
    ),
    lambda g, w: DATA.T @ (np.cos(DATA @ w) ** 2 * (DATA @ g)),
    normal(3, seed=8),
)
enter(
    "a Hessian off by 1e-5",
    curvature,
    hessian,
    lambda g, w: 1.00001 * hessian(g, w),
    normal(3, seed=8),
)
enter(
    "one entry of a Hessian off by 1e-4, so that it is not symmetric",
    curvature,
    hessian,
    lambda g, w: hessian(g, w) * np.array([1, 1.0001, 1]),
    normal(3, seed=8),
)
enter(
    "the second derivative of a product: a mixed term of 1e-3 left out",
    lambda x: np.array([2 * x[0] + 1e-3 * x[1] ** 2, 2e-3 * x[0] * x[1]]),
    lambda g, x: np.array(
        [2 * g[0] + 2e-3 * x[1] * g[1], 2e-3 * (x[1] * g[0] + x[0] * g[1])]
    ),
    lambda g, x: np.array([2 * g[0] + 2e-3 * x[1] * g[1], 2e-3 * x[0] * g[1]]),
    [0.8, -1.1],
)

# At values where two formulas meet.

enter(
    "a slope off by 2e-4 next to a kink",
    lambda x: np.abs(x),
    lambda g, x: g * np.sign(x),
    lambda g, x: g * np.sign(x) * np.where(np.abs(x) < 1e-2, 1.0002, 1.0),
    [0.005, -1.0, 2.0],
)
enter(
    "two equal maxima share the gradient as 0.6 and 0.5",
    lambda x: np.max(x),
    lambda g, x: g * (x == x.max()) / np.sum(x == x.max()),
    lambda g, x: g * np.array([0.6, 0.5, 0.0]),
    [2.0, 2.0, 1.0],
)
enter(
    "a gathered row used three times and counted two and a bit",
    lambda x: x[indexing.TWICE],
    lambda g, x: indexing.added(3, indexing.TWICE, g),
    lambda g, x: indexing.added(
        3, indexing.TWICE, g * np.array([1, 1, 1, 1, 1, 0.999])
    ),
    normal(3),
)
enter(
    "a product's factor taken from the one beside it, nearly equal",
    np.prod,
    lambda g, x: g * reductions.others(x),
    lambda g, x: g * np.prod(x) / np.roll(x, 1),
    1 + 1e-5 * np.arange(4.0),
)
