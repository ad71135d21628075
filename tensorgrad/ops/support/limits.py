"""Quotients of a gradient and a length where the length is 0."""

from typing import Any

import numpy as np

from ...core.backward import differentiate
from ...core.tensor import Tensor, plain, wrap
from .strong import divided, visible


def per_length(g: Any, y: Any) -> Any:
    """Return g / y, 0 where the length y is 0: no direction is better than another.

    In a recorded pass it is dg/dy there, if g is 0 too, the limit by L'Hopital's rule.
    A function of a length whose second derivative exists at 0 is even in it, as the
    square is, so g is 0 there and depends on no other length: the quotient is the
    curvature. The gradient, the quotient times what has the length 0, is 0 all the
    same.
    """
    zero = y == 0
    quotient = np.where(zero, 0, divided(g, np.where(zero, 1, y)))
    if type(g) is not Tensor or type(y) is not Tensor:
        return quotient
    if g.node is None or y.node is None:
        return quotient
    places = plain(zero)
    if visible(places) and not np.any(places):
        return quotient
    seed = places.astype(g.dtype)
    gradients = differentiate(
        {g.node: seed}, targets=[y.node], lift=wrap, retain_graph=True
    )
    limit = gradients.get(y.node, 0)
    return np.where(np.logical_and(zero, g == 0), limit, quotient)
