"""Axes of a sample joined to one."""

from __future__ import annotations

import math
from typing import final

from ..core.tensor import Tensor
from ..core.types import Operand
from ..ops.support.axes import array
from .module import Module


@final
class Flatten(Module):
    """All axes of samples but the first joined, or those from one to another.

    Parameters
    ----------
    start_dim, end_dim : int
        The first and the last axis that are joined.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Operand) -> Tensor:
        """Return x with axes joined.

        Parameters
        ----------
        x : Tensor or array_like
            Of axes enough.

        Returns
        -------
        Tensor or ndarray
            A Tensor where `x` is one.

        Raises
        ------
        ValueError
            If there are no such axes.
        """
        x = array(x)
        first, last = (i % max(x.ndim, 1) for i in (self.start_dim, self.end_dim))
        if first > last or x.ndim <= max(self.start_dim, self.end_dim):
            raise ValueError(
                f"Flatten: expected axes from {self.start_dim} to {self.end_dim}, got "
                f"shape {x.shape}"
            )
        size = math.prod(x.shape[first : last + 1])
        return x.reshape(*x.shape[:first], size, *x.shape[last + 1 :])

    def __repr__(self) -> str:
        usual = (self.start_dim, self.end_dim) == (1, -1)
        return f"Flatten({'' if usual else f'{self.start_dim}, {self.end_dim}'})"
