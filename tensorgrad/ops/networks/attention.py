"""Attention by blocks of queries, whose weights are computed again in backward.

The weights of all queries are as many as queries times keys: they do not fit in a cache
and soon not in memory. So scores, softmax and product with the values are computed for
a block of queries at a time, and forward keeps two numbers for each query, the largest
score and the sum of the exponentials, from which backward makes the weights of a block
again [1]_ [2]_. A causal block leaves out the keys that none of its queries may see.

.. [1] Rabe & Staats, "Self-attention does not need O(n^2) memory", 2021.
.. [2] Dao et al., "FlashAttention: Fast and memory-efficient exact attention with
   IO-awareness", NeurIPS 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...core.backward import unbroadcast
from ...core.mode import is_grad_enabled, no_grad
from ...core.node import Node
from ...core.observe import current_observers
from ...core.parts import Parts
from ...core.primitive import primitive
from ...core.saves import pick
from ...core.tensor import Tensor, wrap
from ..support.axes import array, summing
from ..support.registry import case, describe
from ..support.scatter import zeros
from .neural import softmax, softmax_where

WHOLE, BLOCK = 2**27, 2**21
"""Bytes of scores up to which they are computed at once, and of a causal block.

What backward computes again takes a compiled step a sixth to a third longer, measured
with 4 to 64 heads of 32 or 64 features; so there have to be many. Where half of the
keys are left out it takes less, and blocks pay once the scores do not fit in a cache.
"""

ROWS = 128
"""Queries in a block at least, half of it if causal: products of fewer take longer.

So many are one block: of two, three quarters are left to do, and some of it again.
"""


def rows_at_once(scores: tuple[int, ...], itemsize: int, causal: bool) -> int:
    """Return how many queries a block should have, for scores of a shape."""
    queries = scores[-2]
    size = math.prod(scores) * itemsize
    if queries <= ROWS or size <= (BLOCK if causal else WHOLE):
        return queries
    rows = max(BLOCK * queries // size, ROWS // 2 if causal else ROWS)
    return -(-queries // -(-queries // rows))


def _blocks(
    queries: int, keys: int, rows: int, causal: bool
) -> Iterator[tuple[int, int, int]]:
    """Yield where blocks of queries begin and end, and how many keys each may see."""
    for first in range(0, queries, rows):
        last = min(first + rows, queries)
        yield first, last, min(last, keys) if causal else keys


def _part(mask: Any, first: int, last: int, keys: int) -> Any:
    """Return the part of a mask, which may be broadcast, for a block: a row a key."""
    mask = mask if mask.ndim > 1 else mask[..., None, :]
    if mask.shape[-2] != 1:
        mask = mask[..., first:last, :]
    return mask.mT if mask.shape[-1] == 1 else mask[..., :keys].mT


def _room(q: Any, k: Any, rows: int, *others: Any) -> Any:
    """Return memory for the scores of a block: blocks use it one after the other."""
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    return zeros((*lead, k.shape[-2], rows), q.dtype, q, k, *others)


def _scores(q: Any, k: Any, room: Any, first: int, masks: Any) -> Any:
    """Return the scores of a block, a row for each key, -inf where none is seen."""
    bias, seen, causal = masks
    queries, keys = q.shape[-2], k.shape[-2]
    s = np.matmul(k, q.mT, out=room[..., :keys, :queries])
    if bias is not None:
        s = s + _part(bias, first, first + queries, keys)
    if seen is not None:
        s = np.where(_part(seen, first, first + queries, keys), s, -np.inf)
    if causal and first < keys:
        corner = np.arange(keys - first)[:, None] <= np.arange(queries)
        s[..., first:, :] = np.where(corner, s[..., first:, :], -np.inf)
    return s


@primitive(multiple=True)
def attention(q, k, v, bias, seen, scale, causal, rows):
    """Return softmax(q k^T scale + bias) v, and for each block of queries the largest
    scores and the sums of exponentials.
    """
    y: list[Any] = []
    parts: list[Any] = []
    room = _room(q, k, rows)
    for first, last, keys in _blocks(q.shape[-2], k.shape[-2], rows, causal):
        at = q[..., first:last, :] * scale
        e = _scores(at, k[..., :keys, :], room, first, (bias, seen, causal))
        largest = np.maximum.reduce(e, axis=-2, keepdims=True)
        if seen is not None:
            # Where nothing is seen, the difference stays -inf and the sum is 0.
            largest = np.maximum(largest, np.finfo(e.dtype).min)
        e -= largest
        np.exp(e, out=e)
        total = np.add.reduce(e, axis=-2, keepdims=True, **summing(e.dtype))
        total = np.maximum(total, 1).astype(e.dtype, copy=False).mT
        y.append(np.matmul(e.mT, v[..., :keys, :]) / total)
        parts += [largest, total]
    return np.concatenate(y, axis=-2), *parts


def _gradients(g: Any, saved: tuple[Any, ...], parts: tuple[Any, ...]) -> Any:
    """Return the gradients in queries, keys and values."""
    q, k, v, bias, seen, scale, causal, rows = saved
    dq: list[Any] = []
    dk, dv = (zeros(x.shape, x.dtype, g, parts[0]) for x in (k, v))
    room, other = _room(q, k, rows), _room(g, v, rows, parts[0])
    # Products that are added up have one room, too: so none waits for the others.
    room_k, room_v = (
        zeros((*g.shape[:-2], *x.shape[-2:]), x.dtype, g, parts[0]) for x in (k, v)
    )
    blocks = _blocks(q.shape[-2], k.shape[-2], rows, causal)
    every = zip(blocks, parts[::2], parts[1::2], strict=True)
    for (first, last, keys), largest, total in every:
        at, near = q[..., first:last, :] * scale, k[..., :keys, :]
        near_v = v[..., :keys, :]
        e = _scores(at, near, room, first, (bias, seen, causal))
        e -= largest
        np.exp(e, out=e)
        # The weights are e / total: what is smaller than they are is divided instead.
        part = g[..., first:last, :] / total
        ds = np.matmul(near_v, part.mT, out=other[..., :keys, : last - first])
        # Summed over keys: a query of one key gets a gradient of 0, not of rounding.
        ds -= np.add.reduce(ds * e, axis=-2, keepdims=True) / total.mT
        ds *= e
        dq.append(np.matmul(ds.mT, near) * scale)
        more = np.matmul(ds, at, out=room_k[..., :keys, :])
        dk[..., :keys, :] += _like(more, near)
        more = np.matmul(e, part, out=room_v[..., :keys, :])
        dv[..., :keys, :] += _like(more, near_v)
    return np.concatenate(dq, axis=-2), dk, dv


def _like(g: Any, x: Any) -> Any:
    """Sum a gradient over the axes along which x was broadcast."""
    return g if g.shape == x.shape else unbroadcast(g, x.shape, NAME)


def _recorded(g: Any, saved: tuple[Any, ...]) -> Any:
    """Return the same gradients by operations that are recorded, with all weights."""
    q, k, v, bias, seen, scale, causal, _ = saved
    if causal:
        seen = np.tri(q.shape[-2], k.shape[-2], dtype=bool)
    s = np.matmul(q * scale, k.mT)
    s = s if bias is None else s + bias
    p = softmax(s, -1) if seen is None else softmax_where(_wide(s, seen), seen)
    dp = np.matmul(g, v.mT)
    ds = (dp - np.sum(dp * p, axis=-1, keepdims=True)) * p
    dk = np.matmul(ds.mT, q * scale)
    return np.matmul(ds, k) * scale, dk, np.matmul(p.mT, g)


def _wide(s: Any, seen: Any) -> Any:
    """Return scores in the shape that they have under a mask."""
    shape = np.broadcast_shapes(s.shape, seen.shape)
    return s if s.shape == shape else np.broadcast_to(s, shape)


@primitive(multiple=True)
def operands(q, k, v):
    """Return them as they are, so that one rule can give the gradients of all."""
    return q, k, v


operands.vjp(q=lambda g: g[0], k=lambda g: g[1], v=lambda g: g[2])

NAME = "scaled_dot_product_attention"


class _Attention:
    """The plan of a call: its one rule gives the gradients in all three operands."""

    inputs = ((0, 0),)
    name = NAME
    names = attention.names

    def __init__(self) -> None:
        self.steps = ((_rule, pick(range(2))),)

    @property
    def op(self) -> Any:
        """Itself, for its name."""
        return self

    def lifted(self, node: Node, lift: Callable[..., Any]) -> Any:
        """Return what the node saved, with operands that are in the graph."""
        saved, parts = node.saved
        above: Any = node.parents[0]
        return (*above.plan.op.outputs(saved[:3], above), *saved[3:]), parts


def _rule(g: Any, saved: tuple[Any, ...], parts: tuple[Any, ...]) -> Parts:
    """Return the gradients in the three operands."""
    arrays = [x._value if type(x) is Tensor else x for x in saved[:3]]
    kind = tuple(x.shape for x in arrays), tuple(x.dtype for x in arrays)
    dx = _recorded(g, saved) if type(g) is Tensor else _gradients(g, saved, parts)
    return Parts(*kind, dict(enumerate(dx)))


_PLAN = _Attention()


def attended(
    q: Any, k: Any, v: Any, bias: Any, seen: Any, scale: float, causal: bool, rows: int
) -> Any:
    """Return softmax(q k^T scale + bias) v where it is seen, by blocks of queries.

    Parameters
    ----------
    q, k, v : Tensor or array
        Of one dtype.
    bias, seen : array or None
        Constants: numbers to add, and booleans, true of keys that a query may see.
    scale : float
        Of the scores.
    causal : bool
        Whether a query sees those at its place and before only.
    rows : int
        Queries in a block.
    """
    options = (bias, seen, scale, causal, rows)
    q, k, v = map(array, (q, k, v))
    needs = [type(x) is Tensor and x.node is not None for x in (q, k, v)]
    if not (any(needs) and is_grad_enabled()):
        return attention(q, k, v, *options)[0]
    q, k, v = operands(q, k, v)
    with no_grad():
        y, *parts = (x._value for x in attention(q, k, v, *options))
    values = (q._value, k._value, v._value, *options)
    node = Node(_PLAN, q.node.parents, (values, tuple(parts)), y.shape, y.dtype)
    for observer in current_observers():
        observer(node, values, y)
    return wrap(y, node)


_OPTIONS: Any = {"bias": None, "seen": None, "scale": 0.3, "rows": 2}

describe(
    attended,
    attended,
    cases=[
        case((3, 2), (4, 2), (4, 3), **_OPTIONS, causal=True),
        case((2, 3, 2), (2, 2), (2, 3), **_OPTIONS, causal=False),
    ],
)
