"""The operations: each a NumPy forward with its gradient rules beside it."""

from . import elementwise, index, linalg, losses, neural, piecewise, reduce, shape

__all__ = [
    "elementwise",
    "index",
    "linalg",
    "losses",
    "neural",
    "piecewise",
    "reduce",
    "shape",
]
