"""Attention with several heads."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike

from ..core.tensor import Tensor
from ..core.types import Operand
from ..ops.networks.neural import affine
from ..ops.support.axes import array
from ..random import normals
from . import functional
from .cast import samples
from .functional.attention import attention, attention_weights
from .init import Random, glorot_uniform
from .linear import Dense
from .module import Module
from .parameter import drawn, filled, sizes


@final
class MultiheadAttention(Module):
    """Heads, each softmax(q k^T / sqrt(length)) v in a part of the features [1]_.

    Parameters
    ----------
    embed_dim : int
        Features of queries, keys and values.
    num_heads : int
        Parts of the features; a divisor of `embed_dim`.
    dropout : float
        Share of the weights of attention that are 0 in training.
    bias : bool
        False leaves out the biases.
    batch_first : bool
        Whether sequences are (n, length, features), not (length, n, features).
    rng : int, numpy.random.Generator or RandomState, optional
        Where the parameters, and what is dropped, are drawn from.
    dtype : dtype
        Of the parameters, to which sequences are cast.

    Attributes
    ----------
    in_proj_weight : Tensor of shape (3 * embed_dim, embed_dim)
        Of queries, keys and values, one below the other.
    in_proj_bias : Tensor of shape (3 * embed_dim,)
    out_proj : Dense
        Of what the heads return, one beside the other.

    References
    ----------
    .. [1] Vaswani et al., "Attention is all you need", NeurIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> layer = tg.nn.MultiheadAttention(8, 2, batch_first=True, rng=0)
    >>> x = np.ones((5, 7, 8), np.float32)
    >>> y, weights = layer(x, x, x, is_causal=True)
    >>> y.shape, weights.shape
    ((5, 7, 8), (5, 7, 7))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        batch_first: bool = False,
        rng: Random = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        sizes("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: {num_heads} heads do not divide {embed_dim} "
                "features"
            )
        draws: Any = normals(rng)
        shape = (3 * embed_dim, embed_dim)
        self.in_proj_weight = drawn(glorot_uniform, shape, draws, dtype)
        self.in_proj_bias = filled(0, shape[:1], dtype) if bias else None
        options: Any = {"rng": draws, "init": glorot_uniform, "dtype": dtype}
        self.out_proj = Dense(embed_dim, embed_dim, bias=bias, **options)
        self.num_heads, self.batch_first = num_heads, batch_first
        self.dropout, self.rng = dropout, draws

    def forward(
        self,
        query: Operand,
        key: Operand,
        value: Operand,
        key_padding_mask: Operand = None,
        need_weights: bool = True,
        attn_mask: Operand = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return what the heads find, and where they looked.

        Parameters
        ----------
        query, key, value : (length, n, embed_dim) Tensor or array_like
            Sequences; (n, length, embed_dim) with `batch_first`.
        key_padding_mask : (n, length) booleans, optional
            True of keys that are left out, as padding is.
        need_weights : bool
            Whether the weights are returned. Else, and without dropout, there need
            not be all of them at a time, as in
            `nn.functional.scaled_dot_product_attention`.
        attn_mask : (queries, keys) or (n * num_heads, queries, keys), optional
            Booleans, true where a query may not look at a key; or numbers to add.
        average_attn_weights : bool
            Whether weights are the mean over the heads.
        is_causal : bool
            Whether a query looks at keys at its place and before only.

        Returns
        -------
        y : (length, n, embed_dim) Tensor
            Axes as of `query`.
        weights : (n, queries, keys) Tensor or None
            (n, heads, queries, keys) where they are not averaged.

        Raises
        ------
        ValueError
            If axes or lengths do not fit.
        """
        q, k, v = map(self._heads, self._projected(query, key, value))
        masks = self._masks(key_padding_mask, attn_mask, q.shape)
        share = self.dropout if self.training else 0
        if need_weights or share:
            weights = attention_weights(q, k, masks, is_causal)
            if share:
                weights = functional.dropout(weights, share, rng=self.rng)
            y: Any = np.matmul(weights, v)
        else:
            y = attention(q, k, v, masks, is_causal)
        y = np.swapaxes(y, 1, 2)
        y = self.out_proj(y.reshape(*y.shape[:2], y.shape[2] * y.shape[3]))
        y = y if self.batch_first else np.swapaxes(y, 0, 1)
        if not need_weights:
            return y, None
        return y, np.mean(weights, axis=1) if average_attn_weights else weights

    def _projected(self, query: Any, key: Any, value: Any) -> list[Any]:
        """Return queries, keys and values, (n, length, embed_dim)."""
        w, b = self.in_proj_weight, self.in_proj_bias
        if query is key is value:
            return np.split(affine(self._sequences(query), w.T, b), 3, axis=-1)
        ws = np.split(w, 3)
        bs = [None] * 3 if b is None else np.split(b, 3)
        return [
            affine(self._sequences(x), u.T, c)
            for x, u, c in zip((query, key, value), ws, bs, strict=True)
        ]

    def _sequences(self, x: Any) -> Any:
        """Return sequences as (n, length, embed_dim)."""
        x = samples(x, self.in_proj_weight, "MultiheadAttention")
        features = self.in_proj_weight.shape[1]
        if x.ndim != 3 or x.shape[-1] != features:
            axes = "n, length" if self.batch_first else "length, n"
            raise ValueError(
                f"MultiheadAttention: expected sequences of shape ({axes}, "
                f"{features}), got {x.shape}"
            )
        return x if self.batch_first else np.swapaxes(x, 0, 1)

    def _heads(self, x: Any) -> Any:
        """Return (n, heads, length, features of a head)."""
        n, length, features = x.shape
        heads = self.num_heads
        return np.swapaxes(x.reshape(n, length, heads, features // heads), 1, 2)

    def _masks(self, padding: Any, mask: Any, shape: tuple[int, ...]) -> list[Any]:
        """Return masks that broadcast with (n, heads, queries, keys)."""
        n, heads = shape[:2]
        masks = []
        if padding is not None:
            masks.append(_allowed(padding)[:, None, None, :])
        if mask is not None:
            mask = _allowed(mask)
            if mask.ndim == 3:
                mask = mask.reshape(n, heads, *mask.shape[1:])
            masks.append(mask)
        return masks

    def __repr__(self) -> str:
        return f"MultiheadAttention({self.in_proj_weight.shape[1]}, {self.num_heads})"


def _allowed(mask: Any) -> Any:
    """Return a mask of what is left out as one of what is seen; numbers as they are."""
    mask = array(mask)
    return np.logical_not(mask) if mask.dtype.kind == "b" else mask
