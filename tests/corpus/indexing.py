"""Faults of indexing, scattering, broadcasting and of ways through shapes."""

import numpy as np

from .case import Cases, normal

case = Cases()

TWICE = np.array([0, 2, 2, 1, 0, 2])


def added(size, index, g):
    found = np.zeros((size, *g.shape[1:]))
    np.add.at(found, index, g)
    return found


def assigned(size, index, g):
    found = np.zeros((size, *g.shape[1:]))
    found[index] = g
    return found


case(
    "gathering with repeated indices: the last counts",
    "pytorch #1631",
    lambda x: x[TWICE],
    lambda g, x: assigned(3, TWICE, g),
    lambda g, x: added(3, TWICE, g),
    normal(3),
    faults="overwritten",
)
case(
    "rows of an embedding that are used twice get the gradient of one use",
    "Paddle #17662",
    lambda w: w[TWICE],
    lambda g, w: assigned(3, TWICE, g),
    lambda g, w: added(3, TWICE, g),
    normal(3, 4),
    faults="overwritten",
)
case(
    "indexing by an array: of a repeated element the first use counts",
    "pytorch #1528",
    lambda x: x[np.array([1, 1])],
    lambda g, x: np.array([0.0, g[0], 0.0]),
    lambda g, x: np.array([0.0, g[0] + g[1], 0.0]),
    normal(3),
    faults="overwritten",
)


def put(x, v):
    y = x.copy()
    for k, i in enumerate(TWICE[:4]):
        y[i] = v[k]
    return y


def where_written(g, x):
    return np.where(np.isin(np.arange(x.size), TWICE[:4]), 0.0, g)


LAST = np.array([1.0, 0.0, 1.0, 1.0])

case(
    "values that were overwritten by later ones get a gradient",
    "pytorch #146299",
    put,
    lambda g, x, v: (where_written(g, x), g[TWICE[:4]]),
    lambda g, x, v: (where_written(g, x), g[TWICE[:4]] * LAST),
    normal(5),
    normal(4, seed=1),
)
case(
    "what a write has replaced still gets its gradient",
    "Paddle #30604",
    put,
    lambda g, x, v: (1.0 * g, g[TWICE[:4]] * LAST),
    lambda g, x, v: (where_written(g, x), g[TWICE[:4]] * LAST),
    normal(5),
    normal(4, seed=1),
)
case(
    "scattering fewer values than there are: the gradient is as short",
    "pytorch #94336",
    lambda x, v: x + added(3, TWICE[:2], v[:2]),
    lambda g, x, v: (1.0 * g, g[TWICE[:2]]),
    lambda g, x, v: (1.0 * g, np.concatenate([g[TWICE[:2]], np.zeros(2)])),
    normal(3),
    normal(4, seed=1),
    faults="shape",
)

BEYOND = np.array([0, 1, 3, 1])
INSIDE = BEYOND < 2


def segment_sum(x):
    return added(2, BEYOND[INSIDE], x[INSIDE])


case(
    "segments beyond the last are left out, their gradient is not",
    "jax #8634",
    segment_sum,
    lambda g, x: g[np.minimum(BEYOND, 1)],
    lambda g, x: g[np.minimum(BEYOND, 1)] * INSIDE,
    normal(4),
)

SEGMENT = np.array([0, 1, 0, 1, 1])


def segment_prod(x):
    y = np.ones(2)
    np.multiply.at(y, SEGMENT, x)
    return y


def other_factors(g, x):
    same = SEGMENT[:, None] == SEGMENT
    factors = np.where(same & ~np.eye(x.size, dtype=bool), x, 1.0)
    return g[SEGMENT] * factors.prod(axis=1)


case(
    "products of segments: the other factors are left out",
    "jax #9296",
    segment_prod,
    lambda g, x: g[SEGMENT],
    other_factors,
    normal(5),
)
case(
    "products of segments with a zero in one: the zero has gradient 0",
    "pytorch #76523",
    segment_prod,
    lambda g, x: np.where(
        x == 0, 0.0, g[SEGMENT] * segment_prod(x)[SEGMENT] / np.where(x == 0, 1.0, x)
    ),
    other_factors,
    [0.7, 0.0, -1.2, 2.0, 0.4],
    faults="tie, partly zero",
)


def largest_into(x, v):
    y = x.copy()
    y[0] = np.max(v)
    return y


case(
    "the largest of what is put in place of an element: 0 / 0",
    "pytorch #168358",
    largest_into,
    lambda g, x, v: (
        g * np.array([0.0, 1.0, 1.0]) / np.array([0.0, 1.0, 1.0]),
        g[0] * (v == v.max()),
    ),
    lambda g, x, v: (g * np.array([0.0, 1.0, 1.0]), g[0] * (v == v.max())),
    normal(3),
    normal(2, seed=1),
    faults="not a number",
)
ROWS = np.array([1, 0, 1])
case(
    "rows of a transposed array are put back by its memory",
    "mxnet #19817",
    lambda x: x.T[ROWS],
    lambda g, x: added(3, ROWS, g),
    lambda g, x: added(3, ROWS, g).T,
    normal(3, 3),
    faults="transposed",
)

# Broadcasting.

case(
    "a bias added to all rows: its gradient is not summed",
    "nd4j #2424",
    lambda x, b: x + b,
    lambda g, x, b: (1.0 * g, 1.0 * g),
    lambda g, x, b: (1.0 * g, g.sum(0, keepdims=True)),
    normal(3, 4),
    normal(1, 4, seed=1),
    faults="shape, missing sum",
)
case(
    "a remainder of one number by several: its gradient is not summed",
    "oneflow #8769",
    np.fmod,
    lambda g, x, y: (g.reshape(-1), -g * np.trunc(x / y)),
    lambda g, x, y: (g.reshape(-1).sum(keepdims=True), -g * np.trunc(x / y)),
    [5.3],
    [[2.0], [3.1]],
    faults="shape, missing sum",
)
case(
    "a column broadcast against a row: the sum is over the other axis",
    "no report",
    lambda a, b: a * b,
    lambda g, a, b: ((g * b).sum(0)[:, None], (g * a).sum(0)[None]),
    lambda g, a, b: ((g * b).sum(1)[:, None], (g * a).sum(0)[None]),
    normal(3, 1),
    normal(1, 3, seed=1),
)
case(
    "a number broadcast against a matrix: the mean for the sum",
    "no report",
    lambda s, x: s * x,
    lambda g, s, x: (np.mean(g * x), g * s),
    lambda g, s, x: (np.sum(g * x), g * s),
    1.7,
    normal(3, 4),
    faults="factor",
)

# Distances, sorts, paddings.


def distances(a, b, p):
    return np.sum(np.abs(a[:, None] - b) ** p, axis=-1) ** (1 / p)


def distance_gradient(g, a, b, p):
    d = a[:, None] - b
    r = distances(a, b, p)[..., None]
    each = g[..., None] * np.sign(d) * np.abs(d) ** (p - 1) / r ** (p - 1)
    return each.sum(1), -each.sum(0)


def euclidean_whatever(g, a, b, p):
    d = a[:, None] - b
    each = g[..., None] * d / distances(a, b, p)[..., None]
    return each.sum(1), -each.sum(0)


for power in (1.0, 3.0):
    case(
        f"distances of order {power:.0f} with the gradient of the Euclidean",
        "FlagGems #5023",
        lambda a, b, p=power: distances(a, b, p),
        lambda g, a, b, p=power: euclidean_whatever(g, a, b, p),
        lambda g, a, b, p=power: distance_gradient(g, a, b, p),
        normal(3, 2),
        normal(4, 2, seed=1),
    )
case(
    "the distance of two equal points is not a number",
    "no report",
    lambda a, b: np.sqrt(np.sum((a - b) ** 2)),
    lambda g, a, b: (
        g * (a - b) / np.sqrt(np.sum((a - b) ** 2)),
        -g * (a - b) / np.sqrt(np.sum((a - b) ** 2)),
    ),
    lambda g, a, b: (
        g * (a - b) / (np.sqrt(np.sum((a - b) ** 2)) or 1.0),
        -g * (a - b) / (np.sqrt(np.sum((a - b) ** 2)) or 1.0),
    ),
    [1.0, 2.0],
    [1.0, 2.0],
    faults="not a number, tie",
)
case(
    "sorting: the gradient is sorted where it is to be put back",
    "no report",
    lambda x: np.sort(x),
    lambda g, x: g[np.argsort(x)],
    lambda g, x: g[np.argsort(np.argsort(x))],
    [0.3, 2.0, -1.0, 0.9, 1.1],
    faults="permuted",
)
case(
    "padding: the gradient is cut off one place too far",
    "no report",
    lambda x: np.pad(x, (2, 1)),
    lambda g, x: g[1:-2],
    lambda g, x: g[2:-1],
    normal(4),
    faults="permuted",
)
case(
    "reflected padding: the mirrored elements are left out",
    "no report",
    lambda x: np.pad(x, (1, 1), mode="reflect"),
    lambda g, x: g[1:-1],
    lambda g, x: g[1:-1] + np.array([0.0, g[0], g[-1], 0.0]),
    normal(4),
    faults="overwritten",
)
case(
    "repetition: the repeated are not summed",
    "no report",
    lambda x: np.repeat(x, 3),
    lambda g, x: g[::3],
    lambda g, x: g.reshape(-1, 3).sum(1),
    normal(4),
    faults="overwritten",
)
case(
    "tiles summed as if they were repetitions",
    "no report",
    lambda x: np.tile(x, 3),
    lambda g, x: g.reshape(-1, 3).sum(1),
    lambda g, x: g.reshape(3, -1).sum(0),
    normal(3),
    faults="permuted, transposed",
)
case(
    "axes permuted by the same permutation, not by its inverse",
    "no report",
    lambda x: np.transpose(x, (1, 2, 0)),
    lambda g, x: np.transpose(g, (1, 2, 0)),
    lambda g, x: np.transpose(g, (2, 0, 1)),
    normal(2, 2, 2),
    faults="transposed, permuted",
)
case(
    "differences along the last axis of a square array, taken back on the first",
    "no report",
    lambda x: np.diff(x, axis=-1, append=0.0),
    lambda g, x: np.concatenate([-g[:1], g[:-1] - g[1:]]),
    lambda g, x: np.concatenate([-g[:, :1], g[:, :-1] - g[:, 1:]], axis=1),
    normal(3, 3),
    faults="transposed",
)


def interpolated(x, y):
    return np.interp(x, np.arange(4.0), y)


def to_heights(g, x):
    found = np.zeros(4)
    left = np.clip(np.floor(x).astype(int), 0, 2)
    t = np.clip(x - left, 0, 1)
    np.add.at(found, left, g * (1 - t))
    np.add.at(found, left + 1, g * t)
    return found


def slope_between(x, y):
    left = np.clip(np.floor(x).astype(int), 0, 2)
    return y[left + 1] - y[left]


case(
    "interpolation beyond the last point has the slope of the last piece",
    "no report",
    interpolated,
    lambda g, x, y: (g * slope_between(x, y), to_heights(g, x)),
    lambda g, x, y: (g * slope_between(x, y) * ((x > 0) & (x < 3)), to_heights(g, x)),
    [0.4, 3.7, 1.2, -0.6],
    normal(4),
)
