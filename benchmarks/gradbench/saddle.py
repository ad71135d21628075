"""The saddle point of a quadratic: a maximum within a minimum."""

from functools import partial

import numpy as np

from .descent import GRADIENTS, greatest, least
from .function import Function, fields


def height(x, y):
    """Return |x|**2 - |y|**2."""
    return np.sum(x**2) - np.sum(y**2)


def saddle(outer, inner, start):
    """Return min over x of max over y, derivatives of these two kinds."""
    outer, inner = GRADIENTS[outer], GRADIENTS[inner]

    def top(x):
        return height(x, greatest(inner, partial(height, x), start))

    x = least(outer, top, start)
    return np.concatenate([x, greatest(outer, partial(height, x), start)])


# Where the descents stop, values decide: nothing to compile.
FUNCTIONS = {
    outer + inner: Function(
        partial(saddle, outer, inner), fields("start"), captured=False
    )
    for outer in "rf"
    for inner in "rf"
}
