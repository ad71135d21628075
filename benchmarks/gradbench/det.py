"""A determinant, by expansion by minors."""

from functools import lru_cache

import numpy as np

import tensorgrad as tg

from .function import Function


@lru_cache(1)
def choices(n):
    """Return for each row which column is left at each place, along all expansions."""
    columns = [np.arange(n)]
    for m in range(n, 1, -1):
        others = [[j for j in range(m) if j != left_out] for left_out in range(m)]
        columns.append(columns[-1][..., others])
    return columns


def determinant(a):
    """Return the determinant, the minors of all rows below expanded at once."""
    minors = 1.0
    for row, columns in zip(a[::-1], choices(len(a))[::-1], strict=True):
        signs = (-1.0) ** np.arange(columns.shape[-1])
        minors = np.sum(signs * row[columns] * minors, -1)
    return minors


def arguments(message):
    """Return the square matrix."""
    n = message["ell"]
    return (np.array(message["A"], np.float64).reshape(n, n),)


FUNCTIONS = {
    "primal": Function(determinant, arguments),
    "gradient": Function(tg.grad(determinant), arguments, np.ravel),
}
