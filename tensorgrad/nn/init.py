"""Initial weights: functions of a shape and a source of random numbers.

The fans are the lengths of what a unit takes and of what it feeds: of a matrix (in,
out), as `Dense` has it, its lengths; of a convolution (out, in, ...) those of its
channels times the size of its kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..random import Normals, normals

__all__ = [
    "VarianceScaling",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "orthogonal",
    "uniform",
]

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Random = Normals | int | None
Initialiser = Callable[[Shape, Random], Array]


def normal(
    shape: Shape, rng: Random = None, scale: float = 0.01, dtype: DTypeLike = np.float32
) -> Array:
    """Normal numbers with mean 0; with standard deviation 0.01 as in the text.

    Parameters
    ----------
    shape : tuple of int
        Of the weights.
    rng : int, numpy.random.Generator or RandomState, optional
        Where they are drawn from; fresh entropy for None.
    scale : float
        Standard deviation.
    dtype : dtype
        Of the weights.

    Returns
    -------
    ndarray
        Of that shape.
    """
    drawn = normals(rng).standard_normal(shape).astype(dtype)
    return drawn if scale == 1 else scale * drawn


def uniform(
    shape: Shape, rng: Random = None, bound: float = 0.01, dtype: DTypeLike = np.float32
) -> Array:
    """Numbers from -bound to bound, all alike.

    Parameters
    ----------
    shape : tuple of int
        Of the weights.
    rng : int, numpy.random.Generator or RandomState, optional
        Where they are drawn from; fresh entropy for None.
    bound : float
        The largest.
    dtype : dtype
        Of the weights.

    Returns
    -------
    ndarray
        Of that shape.
    """
    return normals(rng).uniform(-bound, bound, shape).astype(dtype)


@dataclass(frozen=True)
class VarianceScaling:
    """Random weights of a variance that follows from the fans.

    The variance is `scale` over the mean of the two fans, or over the first. This is
    what the initialisers of Glorot [1]_ (1 over the mean), He [2]_ (2 over the first)
    and LeCun (1 over the first) differ in; each is there under its name.

    Parameters
    ----------
    scale : float
        The numerator.
    fan : {"in", "mean"}
        What it is divided by.
    draws : {"normal", "uniform"}
        How the numbers are distributed.

    References
    ----------
    .. [1] Glorot and Bengio, "Understanding the difficulty of training deep feedforward
       neural networks", AISTATS 2010.
    .. [2] He et al., "Delving deep into rectifiers", ICCV 2015.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.init.glorot_uniform((2, 3), rng=0).shape
    (2, 3)
    """

    scale: float
    fan: str
    draws: str

    def __call__(
        self, shape: Shape, rng: Random = None, dtype: DTypeLike = np.float32
    ) -> Array:
        """Return weights of a shape."""
        fans = _fans(shape)
        fan = fans[0] if self.fan == "in" else sum(fans) / 2
        std = math.sqrt(self.scale / fan)
        if self.draws == "normal":
            return normal(shape, rng, std, dtype)
        return uniform(shape, rng, math.sqrt(3) * std, dtype)


glorot_normal = VarianceScaling(1, "mean", "normal")
glorot_uniform = VarianceScaling(1, "mean", "uniform")
he_normal = VarianceScaling(2, "in", "normal")
he_uniform = VarianceScaling(2, "in", "uniform")
lecun_normal = VarianceScaling(1, "in", "normal")
lecun_uniform = VarianceScaling(1, "in", "uniform")


def _fans(shape: Shape) -> tuple[int, int]:
    if len(shape) < 2:
        raise ValueError(
            f"nn.init: weights of shape {shape} have no fans; expected two axes or more"
        )
    size = math.prod(shape[2:])
    return shape if len(shape) == 2 else (shape[1] * size, shape[0] * size)


def orthogonal(
    shape: Shape, rng: Random = None, dtype: DTypeLike = np.float32
) -> Array:
    """An orthogonal matrix, drawn from all alike, or some of its rows or columns [1]_.

    Parameters
    ----------
    shape : tuple of int
        Of the weights; the axes after the first are one axis of the matrix.
    rng : int, numpy.random.Generator or RandomState, optional
        Where they are drawn from; fresh entropy for None.
    dtype : dtype
        Of the weights.

    Returns
    -------
    ndarray
        Of that shape.

    Raises
    ------
    ValueError
        If there are fewer than two axes.

    References
    ----------
    .. [1] Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of
       learning in deep linear neural networks", ICLR 2014.
    """
    _fans(shape)
    rows, columns = shape[0], math.prod(shape[1:])
    drawn = normals(rng).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    # The signs of LAPACK are not uniform.
    q = q * np.sign(np.diagonal(r))
    return (q if rows >= columns else q.T).reshape(shape).astype(dtype)
