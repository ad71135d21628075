"""Random zeros in training."""

from __future__ import annotations

from typing import final

import numpy as np

from ..core.tensor import Tensor
from ..core.types import Operand
from . import functional
from .module import Module


@final
class Dropout(Module):
    """Zeros at random in training, the other elements divided by 1 - p [1]_.

    Parameters
    ----------
    p : float
        Share of elements that become 0, from 0 to 1.
    rng : int or numpy.random.Generator, optional
        Where they are drawn from, anew at each call; fresh entropy for None.

    Raises
    ------
    ValueError
        If `p` is not from 0 to 1.

    References
    ----------
    .. [1] Srivastava et al., "Dropout: a simple way to prevent neural networks from
       overfitting", JMLR 2014.
    """

    def __init__(
        self, p: float = 0.5, *, rng: np.random.Generator | int | None = None
    ) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p must be from 0 to 1, got {p}")
        self.p = p
        self.rng = np.random.default_rng(rng)

    def forward(self, x: Operand) -> Tensor:
        """Return x with zeros in training, x itself in use.

        Parameters
        ----------
        x : Tensor or array_like
            Of any shape.

        Returns
        -------
        Tensor or ndarray
            Of the shape of `x`; a Tensor where `x` is one.
        """
        y: Operand = functional.dropout(x, self.p, self.training, rng=self.rng)
        return y

    def __repr__(self) -> str:
        return f"Dropout({self.p})"
