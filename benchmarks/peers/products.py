"""The matrix products that the gradient needs, and nothing else: the floor."""

from itertools import pairwise

import numpy as np

finish = None
"""There is no loss to compare."""


def training(case):
    """Return a step of products written into arrays allocated once."""
    rng = np.random.default_rng(0)
    weights = case.start()[::2]
    shapes = [(case.batch, width) for width in case.widths]
    inputs = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
    calls = [
        (x, weight, np.empty_like(y))
        for (x, y), weight in zip(pairwise(inputs), weights, strict=True)
    ]
    for i, weight in reversed(list(enumerate(weights))):
        d = inputs[i + 1]
        calls.append((inputs[i].T, d, np.empty_like(weight)))
        if i:
            calls.append((d, weight.T, np.empty_like(inputs[i])))

    def step():
        for a, b, out in calls:
            np.matmul(a, b, out)

    return step
