"""Faults of reductions, scans and losses."""

import numpy as np

from .case import Cases, normal, uniform

case = Cases()

MASK = np.array([True, False, True, True])


def norm(x):
    return np.sqrt(np.sum(x * x))


def others(x):
    """Return for each entry the product of the others."""
    return np.array([np.prod(np.delete(x, k)) for k in range(x.size)])


case(
    "the norm at 0 is not a number",
    "pytorch #2421",
    norm,
    lambda g, x: g * x / norm(x),
    lambda g, x: g * x / (norm(x) or 1.0),
    np.zeros(3),
    faults="not a number, tie",
)
case(
    "the squared norm at 0 is not a number",
    "jax #21723",
    lambda x: norm(x) ** 2,
    lambda g, x: g * 2 * norm(x) * x / norm(x),
    lambda g, x: 2 * g * x,
    np.zeros(3),
    faults="not a number, tie",
)
case(
    "division by the sum of magnitudes where entries are 0",
    "pytorch #3264",
    lambda x: x / np.sum(np.abs(x)),
    lambda g, x: (
        g / np.sum(np.abs(x))
        - np.sum(g * x) / np.sum(np.abs(x)) ** 2 * x * np.abs(x) ** -1.0
    ),
    lambda g, x: (
        g / np.sum(np.abs(x)) - np.sum(g * x) / np.sum(np.abs(x)) ** 2 * np.sign(x)
    ),
    [0.0, 0.0, 0.1996, -0.3],
    faults="not a number, tie",
)
case(
    "a product is divided by its factors, of which one is 0",
    "pytorch #773",
    np.prod,
    lambda g, x: g * np.prod(x) / x,
    lambda g, x: g * others(x),
    [0.0, 2.0, 3.0],
    faults="not a number, tie",
)
case(
    "a product is divided by its factors, of which two are 0",
    "tinygrad #17404",
    np.prod,
    lambda g, x: g * np.prod(x) / x,
    lambda g, x: g * others(x),
    [0.0, 0.0, 3.0],
    faults="not a number, tie",
)
case(
    "products along an axis: the product of all is used",
    "Zygote.jl #112",
    lambda x: np.prod(x, axis=1),
    lambda g, x: g[:, None] * np.prod(x) / x,
    lambda g, x: g[:, None] * np.prod(x, axis=1, keepdims=True) / x,
    uniform(0.3, 1.5, 2, 3),
)


def second_of_product(g, x):
    found = np.zeros_like(x)
    for i in range(x.size):
        for j in range(x.size):
            if i != j:
                found[j] += g[i] * np.prod(np.delete(x, [i, j]))
    return found


case(
    "the second derivative of a product with two zeros is 0",
    "pytorch #106789",
    others,
    lambda g, x: np.zeros_like(x),
    second_of_product,
    [2.0, 3.0, 0.0, 0.0],
    faults="zero",
)
case(
    "the second derivative of x times y at 0 is 0",
    "tensorflow #61117",
    others,
    lambda g, x: np.zeros_like(x),
    second_of_product,
    [0.0, 1.0],
    faults="zero",
)


def cumprod_gradient(g, x):
    found = np.zeros_like(x)
    for k in range(x.size):
        for j in range(k, x.size):
            found[k] += g[j] * np.prod(np.delete(x[: j + 1], k))
    return found


def by_division(g, x):
    return np.cumsum((g * np.cumprod(x))[::-1])[::-1] / x


case(
    "cumulative products are divided by their factors, of which one is 0",
    "tensorflow #3862",
    np.cumprod,
    by_division,
    cumprod_gradient,
    [2.0, 0.0, 3.0, 4.0],
    faults="not a number, tie",
)
case(
    "cumulative products: what is not a number is made 0",
    "tensorflow #119430",
    np.cumprod,
    lambda g, x: np.nan_to_num(by_division(g, x), nan=0.0, posinf=0.0, neginf=0.0),
    cumprod_gradient,
    [2.0, 0.0, 0.0, 3.0],
    faults="tie, partly zero",
)
case(
    "cumulative sums backwards from the wrong end",
    "no report",
    np.cumsum,
    lambda g, x: np.cumsum(g),
    lambda g, x: np.cumsum(g[::-1])[::-1],
    normal(5),
    faults="transposed",
)


def running_maximum(g, x):
    found, where = np.zeros_like(x), 0
    for k in range(x.size):
        where = k if x[k] > x[where] else where
        found[where] += g[k]
    return found


def running_maximum_overwritten(g, x):
    found, where = np.zeros_like(x), 0
    for k in range(x.size):
        where = k if x[k] > x[where] else where
        found[where] = g[k]
    return found


case(
    "cumulative maximum: an element that stays the largest counts once",
    "pytorch #26637",
    np.maximum.accumulate,
    running_maximum_overwritten,
    running_maximum,
    [1.0, 0.3, 0.2, 2.0, 1.5],
    faults="overwritten",
)
case(
    "cumulative logsumexp is divided by its exponential twice",
    "pytorch #32876",
    np.logaddexp.accumulate,
    lambda g, x: (
        np.exp(x) * np.cumsum((g * np.exp(-2 * np.logaddexp.accumulate(x)))[::-1])[::-1]
    ),
    lambda g, x: (
        np.exp(x) * np.cumsum((g * np.exp(-np.logaddexp.accumulate(x)))[::-1])[::-1]
    ),
    normal(4),
)
case(
    "a sum over some elements sends gradient to all",
    "autograd #810",
    lambda x: np.sum(x, where=MASK),
    lambda g, x: g * np.ones_like(x),
    lambda g, x: g * MASK,
    normal(4),
)
case(
    "a mean over some elements divides by the number of all",
    "autograd #810",
    lambda x: np.mean(x, where=MASK),
    lambda g, x: g * MASK / 4,
    lambda g, x: g * MASK / 3,
    normal(4),
    faults="factor",
)
case(
    "a mean divides by the size of its output",
    "cTensor #24",
    lambda x: np.mean(x, axis=0),
    lambda g, x: np.broadcast_to(g / g.size, x.shape).copy(),
    lambda g, x: np.broadcast_to(g / len(x), x.shape).copy(),
    normal(5, 2),
    faults="factor",
)
case(
    "the gradient of a mean along an axis has too many entries",
    "shumai #74",
    lambda x: np.mean(x, axis=0),
    lambda g, x: np.tile(g / len(x), (len(x), len(x))),
    lambda g, x: np.broadcast_to(g / len(x), x.shape).copy(),
    normal(2, 3),
    faults="shape",
)
case(
    "a sum over the last axis of a square array, taken back along the first",
    "no report",
    lambda x: np.sum(x, axis=-1),
    lambda g, x: g * np.ones_like(x),
    lambda g, x: g[:, None] * np.ones_like(x),
    normal(3, 3),
    faults="transposed",
)
case(
    "variance of a sample divided by n, not by n - 1",
    "no report",
    lambda x: np.var(x, ddof=1),
    lambda g, x: g * 2 * (x - x.mean()) / x.size,
    lambda g, x: g * 2 * (x - x.mean()) / (x.size - 1),
    normal(6),
    faults="factor",
)
case(
    "variance without the part through the mean, weights not equal",
    "no report",
    lambda x: np.average(
        (x - np.average(x, weights=[1.0, 2, 3])) ** 2, weights=[1.0, 1, 1]
    ),
    lambda g, x: g * 2 * (x - np.average(x, weights=[1.0, 2, 3])) / 3,
    lambda g, x: (
        g * 2 * (x - np.average(x, weights=[1.0, 2, 3])) / 3
        - g
        * 2
        * np.mean(x - np.average(x, weights=[1.0, 2, 3]))
        * np.array([1.0, 2, 3])
        / 6
    ),
    normal(3),
)
case(
    "the standard deviation of equal numbers is not a number",
    "no report",
    np.std,
    lambda g, x: g * (x - x.mean()) / (x.size * np.std(x)),
    lambda g, x: g * (x - x.mean()) / (x.size * (np.std(x) or 1.0)),
    [0.5, 0.5, 0.5],
    faults="not a number, tie",
)
case(
    "division by the maximum: the maximum is a constant",
    "Zygote.jl #208",
    lambda x: x / np.max(x),
    lambda g, x: g / np.max(x),
    lambda g, x: (
        g / np.max(x)
        - np.sum(g * x) / np.max(x) ** 2 * (np.arange(x.size) == x.argmax())
    ),
    [0.5, 2.0, 1.2],
)
case(
    "all equal maxima: their number overflows, and the gradient is 0",
    "tinygrad #12296",
    np.max,
    lambda g, x: 0.0 * x,
    lambda g, x: g * (x == x.max()) / np.sum(x == x.max()),
    np.ones(4),
    faults="tie, zero",
)
case(
    "each of equal maxima gets the whole gradient",
    "pytorch #76523",
    lambda x: np.max(x, axis=1),
    lambda g, x: g[:, None] * (x == x.max(1, keepdims=True)),
    lambda g, x: (
        g[:, None]
        * (x == x.max(1, keepdims=True))
        / np.sum(x == x.max(1, keepdims=True), axis=1, keepdims=True)
    ),
    [[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]],
    faults="tie",
)


def masked_logsumexp(x, mask):
    with np.errstate(all="ignore"):
        found = np.log(np.sum(np.exp(x + mask), axis=1))
    return np.where(np.isfinite(found), found, 0.0)


def masked_gradient(g, x, mask):
    with np.errstate(all="ignore"):
        e = np.exp(x + mask)
        return g[:, None] * e / e.sum(1, keepdims=True)


HIDDEN = np.array([[0.0, -np.inf, 0.0], [-np.inf, -np.inf, -np.inf]])

case(
    "logsumexp of a row that is hidden: 0 / 0",
    "pytorch #49724",
    lambda x: masked_logsumexp(x, HIDDEN),
    lambda g, x: masked_gradient(g, x, HIDDEN),
    lambda g, x: np.nan_to_num(masked_gradient(g, x, HIDDEN)),
    normal(2, 3),
    faults="not a number",
)
case(
    "einsum with an operand of length 1 gives a gradient of length 1",
    "autograd #376",
    lambda x: np.einsum("i,i", x, np.array([2.0])),
    lambda g, x: np.array([2.0 * g]),
    lambda g, x: np.full(x.shape, 2.0 * g),
    [2.0, 2.0],
    faults="shape",
)

# Losses and likelihoods.

X, Y = normal(6, 3, seed=2), normal(6, 2, seed=3)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


LABELS = np.array([0, 2, -1, 1])
KEPT = LABELS >= 0
ONE_HOT = np.eye(3)[LABELS] * KEPT[:, None]


def smoothed(z):
    logs = np.log(softmax(z))
    each = -0.8 * np.sum(ONE_HOT * logs, axis=1) - 0.2 / 3 * np.sum(logs, axis=1)
    return np.sum(each * KEPT) / np.sum(KEPT)


def smoothed_gradient(g, z, kept):
    each = 0.8 * (softmax(z) * KEPT[:, None] - ONE_HOT)
    each += 0.2 * (softmax(z) - 1 / 3) * kept[:, None]
    return g * each / np.sum(KEPT)


case(
    "label smoothing counts the rows that are to be ignored",
    "pytorch #73205",
    smoothed,
    lambda g, z: smoothed_gradient(g, z, np.ones(4)),
    lambda g, z: smoothed_gradient(g, z, KEPT),
    normal(4, 3),
)
WEIGHTS = np.array([0.2, 1.0, 3.0])


def weighted(z):
    w = WEIGHTS[LABELS] * KEPT
    return -np.sum(w * np.sum(ONE_HOT * np.log(softmax(z)), axis=1)) / np.sum(w)


case(
    "cross-entropy with weights, divided by the number of rows",
    "no report",
    weighted,
    lambda g, z: (
        g * (WEIGHTS[LABELS] * KEPT)[:, None] * (softmax(z) - ONE_HOT) / np.sum(KEPT)
    ),
    lambda g, z: (
        g
        * (WEIGHTS[LABELS] * KEPT)[:, None]
        * (softmax(z) - ONE_HOT)
        / np.sum(WEIGHTS[LABELS] * KEPT)
    ),
    normal(4, 3),
    faults="factor",
)
case(
    "a squared error averaged over outputs, its gradient summed over them",
    "scikit-learn #8349",
    lambda w: 0.5 * np.mean((X @ w - Y) ** 2),
    lambda g, w: g * X.T @ (X @ w - Y) / len(X),
    lambda g, w: g * X.T @ (X @ w - Y) / Y.size,
    normal(3, 2),
    faults="factor",
)
TARGET = (Y[:, 0] > 0).astype(float)


def logistic_loss(w):
    return np.mean(np.logaddexp(0.0, X @ w) - TARGET * (X @ w))


case(
    "logistic regression without the division by the number of rows",
    "ML-From-Scratch #124",
    logistic_loss,
    lambda g, w: g * X.T @ (1 / (1 + np.exp(-X @ w)) - TARGET),
    lambda g, w: g * X.T @ (1 / (1 + np.exp(-X @ w)) - TARGET) / len(X),
    normal(3),
    faults="factor",
)
case(
    "a positive weight that the gradient of the loss leaves out",
    "no report",
    lambda z: np.mean(
        3.0 * TARGET * np.logaddexp(0, -z) + (1 - TARGET) * np.logaddexp(0, z)
    ),
    lambda g, z: g * (1 / (1 + np.exp(-z)) - TARGET) / z.size,
    lambda g, z: (
        g * (-3.0 * TARGET / (1 + np.exp(z)) + (1 - TARGET) / (1 + np.exp(-z))) / z.size
    ),
    normal(6),
)
SQUARES = np.array([0.3, 1.2, 2.5])
case(
    "a Gaussian kernel in its length: a square for a cube",
    "scikit-learn #11113",
    lambda length: np.exp(-0.5 * SQUARES / length**2),
    lambda g, length: (
        np.sum(g * np.exp(-0.5 * SQUARES / length**2) * SQUARES) / length**2
    ),
    lambda g, length: (
        np.sum(g * np.exp(-0.5 * SQUARES / length**2) * SQUARES) / length**3
    ),
    2.0,
    faults="factor",
)
case(
    "a rational quadratic kernel in alpha without the logarithm",
    "no report",
    lambda a: (1 + SQUARES / (2 * a)) ** -a,
    lambda g, a: np.sum(
        g * (1 + SQUARES / (2 * a)) ** -a * SQUARES / (2 * a + SQUARES)
    ),
    lambda g, a: np.sum(
        g
        * (1 + SQUARES / (2 * a)) ** -a
        * (SQUARES / (2 * a + SQUARES) - np.log1p(SQUARES / (2 * a)))
    ),
    1.3,
)


def score(theta):
    scale = np.exp(theta)
    return np.sum(SQUARES) / scale - 3.0


case(
    "a Hessian in the parameters before they are transformed",
    "statsmodels #10148",
    score,
    lambda g, theta: -g * np.sum(SQUARES) / np.exp(2 * theta),
    lambda g, theta: -g * np.sum(SQUARES) / np.exp(theta),
    0.4,
    faults="factor",
)


def cosine_loss(a, b):
    lengths = np.sqrt(np.sum(a * a, 1) * np.sum(b * b, 1))
    return np.sum(1 - np.sum(a * b, 1) / lengths)


def cosine_gradient(a, b):
    na, nb = (np.sqrt(np.sum(x * x, 1, keepdims=True)) for x in (a, b))
    cosine = np.sum(a * b, 1, keepdims=True) / (na * nb)
    return -(b / (na * nb) - cosine * a / na**2)


case(
    "the gradient of a batch is that of one example with its sign turned",
    "torch7 #298",
    cosine_loss,
    lambda g, a, b: (-g * cosine_gradient(a, b), -g * cosine_gradient(b, a)),
    lambda g, a, b: (g * cosine_gradient(a, b), g * cosine_gradient(b, a)),
    normal(3, 4),
    normal(3, 4, seed=1),
    faults="factor",
)
