"""Faults of functions that work element by element."""

import math

import numpy as np

from .case import Cases, normal

case = Cases()


def sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


def ignoring_warnings(f):
    def quiet(*args):
        with np.errstate(all="ignore"):
            return f(*args)

    return quiet


# Special values.

case(
    "x**0 at 0 is not a number",
    "pytorch #8940",
    lambda x: x**0.0,
    lambda g, x: g * 0.0 * x**-1.0,
    lambda g, x: 0.0 * g,
    [0.0, 1.5, -2.0],
    faults="not a number, tie",
)
case(
    "x**y in y at x = 0: 0 times log 0",
    "tinygrad #155",
    lambda x, y: x**y,
    lambda g, x, y: (g * y * x ** (y - 1), g * x**y * np.log(x)),
    lambda g, x, y: (
        g * y * x ** (y - 1),
        g * x**y * np.log(np.where(x > 0, x, 1.0)),
    ),
    [0.0, 1.5, 2.0],
    [2.0, 3.0, 0.5],
    faults="not a number, tie",
)


def powers(z):
    return np.sum(z[:, None] ** np.arange(3.0), axis=1)


case(
    "z**k of a polynomial: the constant has slope 1",
    "jax #14397",
    powers,
    lambda g, z: g * (1 + 1 + 2 * z),
    lambda g, z: g * (1 + 2 * z),
    [2.543, -0.7],
)
case(
    "sinc at 0 is not a number",
    "pytorch #53989",
    np.sinc,
    lambda g, x: (
        g * (np.pi * x * np.cos(np.pi * x) - np.sin(np.pi * x)) / (np.pi * x * x)
    ),
    lambda g, x: (
        g
        * np.where(
            x == 0,
            0.0,
            (np.pi * x * np.cos(np.pi * x) - np.sin(np.pi * x))
            / np.where(x == 0, 1.0, np.pi * x * x),
        )
    ),
    [0.0, 0.3, -1.2],
    faults="not a number, tie",
)
case(
    "log-sigmoid at 0 has slope 0, not 1/2",
    "jax #2140",
    lambda x: -np.logaddexp(0.0, -x),
    lambda g, x: g * sigmoid(-x) * (x != 0),
    lambda g, x: g * sigmoid(-x),
    [0.0, 0.4, -1.3],
    faults="tie, partly zero",
)
case(
    "x log y in x at x = 0 is 0, not log y",
    "pytorch #80770",
    lambda x, y: np.where(x == 0, 0.0, x * np.log(y)),
    lambda g, x, y: (g * np.where(x == 0, 0.0, np.log(y)), g * x / y),
    lambda g, x, y: (g * np.log(y), g * x / y),
    [0.0, 1.2, -0.5],
    [2.0, 0.5, 3.0],
    faults="tie, partly zero",
)
case(
    "the regularised gamma function of a = 1 at x = 0: 0 times log 0",
    "tensorflow #123578",
    ignoring_warnings(lambda x: np.where(x >= 0, -np.expm1(-x), np.nan)),
    lambda g, x: g * np.exp(-x + 0.0 * np.log(x)),
    lambda g, x: g * np.exp(-x),
    [0.0, 0.7],
    faults="not a number, tie",
)
case(
    "logistic function written with exp, far to the left: inf / inf",
    "jax #777",
    ignoring_warnings(lambda x: 1 / (1 + np.exp(-x))),
    lambda g, x: g * np.exp(-x) / (1 + np.exp(-x)) ** 2,
    lambda g, x: g * sigmoid(x) * sigmoid(-x),
    [-800.0, -0.5, 1.0],
    faults="not a number",
)
case(
    "tanh written with exp, far to the right: inf / inf",
    "jax #764",
    np.tanh,
    lambda g, x: g * 4 * np.exp(2 * x) / (1 + np.exp(2 * x)) ** 2,
    lambda g, x: g * (1 - np.tanh(x) ** 2),
    [400.0, 0.3],
    faults="not a number",
)


def angle(y, x):
    return np.arctan2(y, x)


def squares_in_float32(y, x):
    return (x * x + y * y).astype(np.float32).astype(np.float64)


case(
    "the angle of a tiny complex number: its square underflows",
    "pytorch #98276",
    angle,
    lambda g, y, x: (
        g * x / squares_in_float32(y, x),
        -g * y / squares_in_float32(y, x),
    ),
    lambda g, y, x: (g * x / (x * x + y * y), -g * y / (x * x + y * y)),
    [1.0e-25],
    [5.7e-26],
    faults="not a number",
)
case(
    "curvature of log-sigmoid far to the right is lost",
    "pytorch #195530",
    lambda x: 1 / (1 + np.exp(x)),
    lambda g, x: -g * (1 - 1 / (1 + np.exp(-x))) * (1 / (1 + np.exp(-x))),
    lambda g, x: -g * np.exp(-x) / (1 + np.exp(-x)) ** 2,
    [40.0, 42.0],
    faults="zero",
)
case(
    "square roots that are not picked: 0 times infinity",
    "theano #1996",
    lambda a: np.sqrt(np.array([4.0, 0.0]) + a[0] * np.array([9.0, 0.0]))[0],
    lambda g, a: np.array(
        [
            np.sum(
                np.array([g, 0.0])
                * np.array([9.0, 0.0])
                / (2 * np.sqrt(np.array([4.0, 0.0]) + a[0] * np.array([9.0, 0.0])))
            )
        ]
    ),
    lambda g, a: np.array([g * 9.0 / (2 * np.sqrt(4.0 + 9.0 * a[0]))]),
    [1.0],
    faults="not a number",
)
case(
    "the branch that where does not take: 0 times infinity",
    "no report",
    ignoring_warnings(lambda x: np.where(x > 0, np.sqrt(np.maximum(x, 0)), 0.0)),
    lambda g, x: np.where(x > 0, g, 0.0) * 0.5 / np.sqrt(np.maximum(x, 0)),
    lambda g, x: np.where(x > 0, g, 0.0) * 0.5 / np.sqrt(np.where(x > 0, x, 1.0)),
    [-1.0, 2.0, 0.5],
    faults="not a number",
)

# Activations.

case(
    "leaky ReLU of negative slope: the side is read off the output",
    "pytorch #31938",
    lambda x: np.where(x > 0, x, -2 * x),
    lambda g, x: g * np.where(np.where(x > 0, x, -2 * x) > 0, 1.0, -2.0),
    lambda g, x: g * np.where(x > 0, 1.0, -2.0),
    [-1.0, 1.0, 0.5],
)
case(
    "ELU of negative alpha: the side is read off the output",
    "pytorch #47671",
    lambda x: np.where(x > 0, x, -2 * np.expm1(x)),
    lambda g, x: (
        g
        * np.where(
            np.where(x > 0, x, -2 * np.expm1(x)) <= 0, -2 * np.expm1(x) - 2.0, 1.0
        )
    ),
    lambda g, x: g * np.where(x > 0, 1.0, -2 * np.exp(x)),
    [-2.0, -1.0, 1.0, 2.0],
)
case(
    "tanh without its parentheses",
    "tvm #7340",
    np.tanh,
    lambda g, x: g * 1 - np.tanh(x) * np.tanh(x),
    lambda g, x: g * (1 - np.tanh(x) ** 2),
    normal(3),
    faults="nonlinear",
)
case(
    "tanh near 0: the slope of a short polynomial",
    "tt-metal #55349",
    np.tanh,
    lambda g, x: g * np.where(np.abs(x) < 0.1, 0.99919701, 1.0) / np.cosh(x) ** 2,
    lambda g, x: g / np.cosh(x) ** 2,
    [0.0, 0.05, 1.0],
)


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def gelu_slope(x):
    density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) + x * density


case(
    "GELU: the sign of the small slope at the left",
    "tt-metal #35971",
    gelu,
    lambda g, x: g * np.where(x < -3.5, -1, 1) * gelu_slope(x),
    lambda g, x: g * gelu_slope(x),
    [-3.7, -1.0, 0.4, 2.0],
)
case(
    "softplus above its threshold is a line, its slope is not",
    "tt-metal #6598",
    lambda x: np.where(x > 0.5, x, np.log1p(np.exp(x))),
    lambda g, x: g * sigmoid(x),
    lambda g, x: g * np.where(x > 0.5, 1.0, sigmoid(x)),
    [1.0, 2.0, -0.3],
)


def isrlu(x):
    return x / np.sqrt(1 + np.minimum(x, 0) ** 2)


case(
    "the incoming gradient is not multiplied with",
    "pytorch #4355",
    isrlu,
    lambda g, x: (1 + np.minimum(x, 0) ** 2) ** -1.5,
    lambda g, x: g * (1 + np.minimum(x, 0) ** 2) ** -1.5,
    [-1.0, 0.5, -0.3],
    faults="nonlinear",
)
case(
    "a function that sets its argument to a constant passes the gradient on",
    "pytorch #80839",
    lambda x: 0.0 * x + 2.0,
    lambda g, x: 1.0 * g,
    lambda g, x: 0.0 * g,
    [1.0, -3.0],
)

# Operands.

case(
    "subtraction without the sign",
    "micrograd_c #1",
    lambda a, b: a - b,
    lambda g, a, b: (1.0 * g, 1.0 * g),
    lambda g, a, b: (1.0 * g, -g),
    normal(3),
    normal(3, seed=1),
    faults="factor",
)
case(
    "the arctangent of a quotient with its terms exchanged",
    "keops #155",
    angle,
    lambda g, y, x: (-g * y / (x * x + y * y), g * x / (x * x + y * y)),
    lambda g, y, x: (g * x / (x * x + y * y), -g * y / (x * x + y * y)),
    normal(3),
    normal(3, seed=1),
    faults="exchanged",
)
case(
    "a power with the operands exchanged",
    "tt-metal #52144",
    lambda x: 3.0**x,
    lambda g, x: g * 3.0 * x**2.0,
    lambda g, x: g * 3.0**x * np.log(3.0),
    [0.4, 1.7, 2.2],
)
case(
    "a squared difference gives its operands for its gradients",
    "TensorFlow.NET #787",
    lambda a, b: (a - b) ** 2,
    lambda g, a, b: (1.0 * a, 1.0 * b),
    lambda g, a, b: (2 * g * (a - b), 2 * g * (b - a)),
    normal(3),
    normal(3, seed=1),
    faults="nonlinear",
)
case(
    "of the three factors of a cube one counts",
    "TensorFlow.NET #303",
    lambda x: x * x * x * 0.1,
    lambda g, x: g * x * x * 0.1,
    lambda g, x: g * 3 * x * x * 0.1,
    [7.0, -2.0],
    faults="factor, overwritten",
)
case(
    "two constants of the same value are taken for one",
    "tinygrad #9597",
    lambda a, b: a + b,
    lambda g, a, b: (g * (1 + (a == b)), g * (1 + (a == b))),
    lambda g, a, b: (1.0 * g, 1.0 * g),
    [3.0],
    [3.0],
    faults="factor, tie",
)
case(
    "a node met on two ways is walked twice",
    "cTensor #5",
    lambda x: 2 * (x * (x * 1.0)) + (x * x) * 1.0,
    lambda g, x: g * 7 * x,
    lambda g, x: g * 6 * x,
    [1.0, -0.5],
    faults="factor, overwritten",
)
case(
    "of two uses of the exponential the last counts",
    "nn-zero-to-hero #52",
    lambda x: np.exp(x) + x * np.exp(x),
    lambda g, x: g * np.exp(x) * (1 + x),
    lambda g, x: g * np.exp(x) * (2 + x),
    normal(3),
    faults="overwritten",
)
case(
    "a backward pass that runs the forward pass",
    "mxnet #16938",
    lambda x: 2 * x * x - x + 0.5,
    lambda g, x: 2 * g * g - g + 0.5,
    lambda g, x: g * (4 * x - 1),
    normal(3),
    faults="nonlinear",
)
case(
    "a value kept by the forward pass is a constant to the second derivative",
    "pytorch #76185",
    lambda x: 3 * (2 * x) / x,
    lambda g, x: -6 * g / x,
    lambda g, x: 0.0 * g,
    [0.5, 0.8, 1.3],
)
case(
    "the remainder in its divisor, truncated where the floor is due",
    "no report",
    lambda x, y: x - y * np.floor(x / y),
    lambda g, x, y: (1.0 * g, -g * np.trunc(x / y)),
    lambda g, x, y: (1.0 * g, -g * np.floor(x / y)),
    [-7.3, 5.2, -4.4],
    [3.0, 2.0, 1.5],
)
case(
    "both of two equal operands of a maximum get the whole gradient",
    "no report",
    np.maximum,
    lambda g, a, b: (g * (a >= b), g * (b >= a)),
    lambda g, a, b: (
        g * (0.5 * (a == b) + (a > b)),
        g * (0.5 * (a == b) + (b > a)),
    ),
    [1.0, 2.0, 0.3],
    [1.0, 0.5, 0.9],
    faults="tie",
)
case(
    "clip passes no gradient inside where a bound is 0",
    "no report",
    lambda x: np.clip(x, 0.0, 2.0),
    lambda g, x: g * ((x > 0) & (x < 1)),
    lambda g, x: g * ((x > 0) & (x < 2)),
    [0.5, 1.5, 3.0, -1.0],
    faults="partly zero",
)


def huber(d, delta=1.0):
    return np.where(np.abs(d) < delta, 0.5 * d * d / delta, np.abs(d) - 0.5 * delta)


def huber_rows(x):
    return np.sum(huber(x), axis=1)


case(
    "Huber's loss of each row does not multiply with what comes in",
    "chainer #1175",
    huber_rows,
    lambda g, x: np.clip(x, -1, 1),
    lambda g, x: g[:, None] * np.clip(x, -1, 1),
    [[0.3, -2.0], [1.7, -0.4]],
    faults="nonlinear",
)
case(
    "Huber's loss compares the difference with its sign",
    "attorch #13",
    huber,
    lambda g, x: g * np.where(x < 1.0, x, np.sign(x)),
    lambda g, x: g * np.clip(x, -1, 1),
    [-3.0, -1.5, -0.5, 0.5, 1.5],
)
case(
    "the smooth L1 loss with another beta in its gradient for the target",
    "pytorch #43228",
    lambda x, t: huber(x - t, 0.5),
    lambda g, x, t: (
        g * np.clip((x - t) / 0.5, -1, 1),
        -g * np.clip(x - t, -1, 1),
    ),
    lambda g, x, t: (
        g * np.clip((x - t) / 0.5, -1, 1),
        -g * np.clip((x - t) / 0.5, -1, 1),
    ),
    [0.3, -2.0, 0.1],
    [0.0, 0.5, 0.4],
)
case(
    "max against numbers that move with t: an infinite slope",
    "jax #40626",
    lambda t: 2 * np.maximum(1.0, t + 1) - 3 + 3 * np.maximum(4.0, 4 - t),
    lambda g, t: g * np.inf * np.ones_like(t),
    lambda g, t: g * (2.0 * (t > 0) - 3.0 * (t < 0)),
    [0.03125],
)
