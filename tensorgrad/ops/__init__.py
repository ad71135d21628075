"""The operations: each a NumPy forward with its gradient rules beside it."""

from ..core.operators import bind
from .elementwise import (
    arithmetic,
    constants,
    logspace,
    piecewise,
    rounding,
    special,
    trigonometric,
)
from .linalg import chains, decompositions, determinants, einsum, products, systems
from .networks import activations, losses, neural
from .numerical import apply, convolution, diff, interpolation, polynomials
from .reductions import log_sums, nan_reduce, norms, quantiles, reduce, scan, statistics
from .shapes import (
    creation,
    diagonal,
    gather,
    index,
    joining,
    length,
    padding,
    rearrange,
    shape,
    sorting,
    splitting,
    update,
)

bind()

__all__ = [
    "activations",
    "apply",
    "arithmetic",
    "chains",
    "constants",
    "convolution",
    "creation",
    "decompositions",
    "determinants",
    "diagonal",
    "diff",
    "einsum",
    "gather",
    "index",
    "interpolation",
    "joining",
    "length",
    "log_sums",
    "logspace",
    "losses",
    "nan_reduce",
    "neural",
    "norms",
    "padding",
    "piecewise",
    "polynomials",
    "products",
    "quantiles",
    "rearrange",
    "reduce",
    "rounding",
    "scan",
    "shape",
    "sorting",
    "special",
    "splitting",
    "statistics",
    "systems",
    "trigonometric",
    "update",
]
