"""Vectors for symbols."""

from __future__ import annotations

from functools import partial
from typing import final

import numpy as np
from numpy.typing import DTypeLike

from ..core.tensor import Tensor
from ..core.types import Operand
from . import functional
from .init import Initialiser, Random, normal
from .module import Module
from .parameter import initial, sizes


@final
class Embedding(Module):
    """A table of vectors, and the rows of it whose numbers are passed.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows of the table, and their length.
    padding_idx : int, optional
        A row that is 0 at first and gets no gradient.
    rng : int, numpy.random.Generator or RandomState, optional
        Where the table is drawn from; fresh entropy for None.
    init : callable, optional
        What draws it in place of standard normal numbers, one of
        :mod:`tensorgrad.nn.init`.
    dtype : dtype
        Of the table.

    Attributes
    ----------
    weight : Tensor of shape (num_embeddings, embedding_dim)

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.Embedding(27, 8, rng=0)([[0, 3, 3], [1, 26, 0]]).shape
    (2, 3, 8)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        rng: Random = None,
        init: Initialiser | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        name = "Embedding"
        sizes(name, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        shape = (num_embeddings, embedding_dim)
        if init is None:
            init = partial(normal, scale=1.0, dtype=dtype)
        table = initial(init, shape, rng)
        if padding_idx is not None:
            table[padding_idx] = 0
        self.weight = Tensor(table, requires_grad=True, dtype=dtype)
        self.padding_idx = padding_idx

    def forward(self, x: Operand) -> Tensor:
        """Return the rows of these numbers.

        Parameters
        ----------
        x : (...) integers
            From 0 to below `num_embeddings`.

        Returns
        -------
        (..., embedding_dim) Tensor
            A row for each.

        Raises
        ------
        ValueError
            If `x` are not integers.
        IndexError
            If there is no such row.
        """
        return functional.embedding(x, self.weight, self.padding_idx)

    def __repr__(self) -> str:
        return f"Embedding({', '.join(map(str, self.weight.shape))})"
