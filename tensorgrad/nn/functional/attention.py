"""Attention, and rows of a table."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...core.mode import is_grad_enabled
from ...core.tensor import as_array
from ...core.types import Array, Operand
from ...ops.networks.attention import attended, rows_at_once
from ...ops.networks.losses import check_range, unsigned
from ...ops.networks.neural import softmax, softmax_where
from ...ops.support.axes import array
from .common import cast, floating, functional
from .zeros import dropout


@functional
def scaled_dot_product_attention(
    query: Operand,
    key: Operand,
    value: Operand,
    attn_mask: Operand = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    rng: np.random.Generator | int | None = None,
) -> Array:
    """softmax(q k^T * scale + mask) v, for rows of queries, keys and values [1]_.

    `scale` is 1 / sqrt(length of a query) where it is None. A mask of booleans says
    which keys a query may look at, one of numbers is added; `is_causal` lets it look
    at those at its place and before. A query that may look at none gets zeros.

    Where all weights take more than 128 MiB, or 2 if causal, they are made for some
    queries at a time, and again in backward: memory does not grow with queries times
    keys. With dropout, a mask that needs a gradient, or in second derivatives it does.

    .. [1] Vaswani et al., "Attention is all you need", NeurIPS 2017.
    """
    q = floating(query)
    k, v = cast(key, q), cast(value, q)
    if enable_gqa:
        k, v = (np.repeat(x, q.shape[-3] // x.shape[-3], -3) for x in (k, v))
    if attn_mask is not None and is_causal:
        raise ValueError(
            "scaled_dot_product_attention: is_causal is a mask of its own; leave one "
            "of the two out"
        )
    masks = [] if attn_mask is None else [attn_mask]
    if not dropout_p:
        return attention(q, k, v, masks, is_causal, scale)
    weights = attention_weights(q, k, masks, is_causal, scale)
    return np.matmul(dropout(weights, dropout_p, rng=rng), v)


def attention(
    q: Any,
    k: Any,
    v: Any,
    masks: Iterable[Any],
    is_causal: bool = False,
    scale: float | None = None,
) -> Any:
    """Return softmax(q k^T * scale) v under masks: by blocks where weights are many."""
    masks = [*map(array, masks)]
    if q.ndim < 2 or any(getattr(m, "requires_grad", False) for m in masks):
        return np.matmul(attention_weights(q, k, masks, is_causal, scale), v)
    lead = [x.shape[:-2] for x in (q, k, *masks)]
    scores = (*np.broadcast_shapes(*lead), q.shape[-2], k.shape[-2])
    rows = rows_at_once(scores, q.dtype.itemsize, is_causal)
    if rows >= q.shape[-2]:
        return np.matmul(attention_weights(q, k, masks, is_causal, scale), v)
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    numbers = [as_array(cast(m, q)) for m in masks if m.dtype.kind != "b"]
    truths = [as_array(m) for m in masks if m.dtype.kind == "b"]
    bias = functools.reduce(np.add, numbers) if numbers else None
    seen = functools.reduce(np.logical_and, truths) if truths else None
    return attended(q, k, v, bias, seen, scale, is_causal, rows)


def _causal(queries: int, keys: int) -> Any:
    """Return the mask by which a query looks at keys at its place and before."""
    return np.tri(queries, keys, dtype=bool)


def attention_weights(
    q: Any,
    k: Any,
    masks: Iterable[Any],
    is_causal: bool = False,
    scale: float | None = None,
) -> Any:
    """Return softmax(q k^T * scale), under masks.

    Of booleans a mask says which keys may be looked at; numbers are added.
    """
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = np.matmul(q * scale, np.swapaxes(k, -1, -2))
    seen: Any = _causal(q.shape[-2], k.shape[-2]) if is_causal else None
    for mask in map(array, masks):
        if mask.dtype.kind != "b":
            scores = scores + cast(mask, scores)
        else:
            mask = as_array(mask)
            seen = mask if seen is None else np.logical_and(seen, mask)
    if seen is None:
        return softmax(scores, -1)
    shape = np.broadcast_shapes(scores.shape, seen.shape)
    scores = scores if scores.shape == shape else np.broadcast_to(scores, shape)
    return softmax_where(scores, seen)


@functional
def embedding(
    input: Operand,
    weight: Operand,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Array:
    """The rows of a table whose numbers stand in `input`.

    The row `padding_idx` gets no gradient.
    """
    if max_norm is not None or scale_grad_by_freq or sparse:
        raise ValueError(
            "embedding: max_norm, scale_grad_by_freq and sparse are not supported; "
            "clip the weight, or its gradient, in the training step"
        )
    at, table = as_array(input), array(weight)
    if at.dtype.kind not in "iu" or table.ndim != 2:
        raise ValueError(
            f"embedding: expected integers and a table (rows, features), got "
            f"{at.dtype} and shape {table.shape}"
        )
    at = at.astype(np.intp, copy=False)
    rows = table.shape[0]
    check_range(at.reshape(-1), unsigned(at.dtype), (rows,), "embedding")
    y = table[at]
    if padding_idx is None:
        return y
    if not -rows <= padding_idx < rows:
        raise ValueError(
            f"embedding: padding_idx must be a row of {rows}, got {padding_idx}"
        )
    if not is_grad_enabled():
        return y
    still = (at == padding_idx % rows)[..., None]
    return np.where(still, table.detach()[at] if hasattr(y, "detach") else y, y)


@functional
def one_hot(input: Operand, num_classes: int = -1) -> Array:
    """Rows of zeros with a one at each label, on a new last axis; integers."""
    labels = as_array(input)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: labels must be integers, got {labels.dtype}")
    if num_classes == -1:
        if not labels.size:
            raise ValueError("one_hot: no labels tell num_classes; pass the number")
        num_classes = int(labels.max()) + 1
    at = labels.astype(np.intp)
    check_range(at.reshape(-1), unsigned(at.dtype), (num_classes,), "one_hot")
    return (at[..., None] == np.arange(num_classes)).astype(np.int64)
