"""The cost of a clustering, and the step of Newton's method on its centroids."""

import numpy as np

import tensorgrad as tg

from .function import Function, fields


def cost(points, centroids):
    """Return the sum of squared distances of points to their nearest centroids."""
    products = points @ centroids.T
    lengths = np.sum(points**2, 1)[:, None] + np.sum(centroids**2, 1)
    return np.sum(np.min(lengths - 2 * products, 1))


def direction(points, centroids):
    """Return gradient / Hessian: it is diagonal, so its product with ones is all."""
    slope = tg.grad(cost, argnums=1)
    gradient, diagonal = tg.jvp(
        lambda c: slope(points, c), (centroids,), (np.ones_like(centroids),)
    )
    return gradient / diagonal


FUNCTIONS = {
    "cost": Function(cost, fields("points", "centroids")),
    "dir": Function(direction, fields("points", "centroids")),
}
