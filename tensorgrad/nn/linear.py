"""Fully connected layers."""

from __future__ import annotations

import math
from functools import partial
from typing import final

import numpy as np
from numpy.typing import DTypeLike

from ..core.tensor import Tensor, TensorLike
from ..ops.networks.neural import affine, dense
from ..random import Normals
from .cast import samples
from .init import Initialiser, normal
from .module import Module
from .parameter import drawn


@final
class Dense(Module):
    """Fully connected layer, x @ weight + bias.

    Parameters
    ----------
    in_features, out_features : int
        Lengths of a sample going in and coming out.
    rng : int, numpy.random.Generator or RandomState, optional
        Where the weights are drawn from; fresh entropy for None.
    scale : float, optional
        Standard deviation of the normal initial weights; the biases start at 0.
        sqrt(2 / in_features) for None [1]_.
    init : callable, optional
        What draws the weights in place of the normal, one of :mod:`tensorgrad.nn.init`
        or a function of shape and `rng`.
    bias : bool
        False leaves out the bias, which is then None.
    dtype : dtype
        Of the parameters, to which samples are cast.

    Attributes
    ----------
    weight : Tensor of shape (in_features, out_features)
        The transpose of what PyTorch's ``Linear`` keeps.
    bias : Tensor of shape (out_features,)

    Raises
    ------
    ValueError
        If a length is below 1, or `scale` negative or not finite.

    References
    ----------
    .. [1] He et al., "Delving deep into rectifiers", ICCV 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.nn.Dense(2, 3, rng=0)(np.ones((5, 2), np.float32)).shape
    (5, 3)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        rng: Normals | int | None = None,
        scale: float | None = None,
        init: Initialiser | None = None,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if in_features < 1 or out_features < 1:
            raise ValueError(
                "Dense: expected at least one feature in and out, got "
                f"{in_features} and {out_features}"
            )
        std = math.sqrt(2 / in_features) if scale is None else float(scale)
        if not 0 <= std < math.inf:
            raise ValueError(f"Dense: scale must be finite and at least 0, got {scale}")
        if init is None:
            init = partial(normal, scale=std, dtype=dtype)
        self.weight = drawn(init, (in_features, out_features), rng, dtype)
        self.bias = None
        if bias:
            zeros = np.zeros(out_features, dtype)
            self.bias = Tensor(zeros, requires_grad=True)

    def forward(self, x: TensorLike) -> Tensor:
        """Return the affine map of x.

        Parameters
        ----------
        x : (..., in_features) Tensor or array_like
            Samples along the last axis.

        Returns
        -------
        (..., out_features) Tensor
            The map of each sample.

        Raises
        ------
        ValueError
            If the last axis is of another length.
        """
        rows = samples(x, self.weight, "Dense")
        try:
            if rows.ndim == 2 and self.bias is not None:
                return dense(rows, self.weight, self.bias)
            y: Tensor = affine(rows, self.weight, self.bias)
            return y
        except ValueError:
            self._check(rows.shape)
            raise

    def _check(self, shape: tuple[int, ...]) -> None:
        expected = self.weight.shape[0]
        if not shape or shape[-1] != expected:
            raise ValueError(
                f"Dense: expected samples of {expected} features, shape (..., "
                f"{expected}), got {shape}"
            ) from None

    def __repr__(self) -> str:
        return f"Dense({', '.join(map(str, self.weight.shape))})"


Linear = Dense
