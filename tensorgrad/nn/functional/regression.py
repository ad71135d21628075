"""Losses of numbers against numbers, and of distances."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.tensor import detached
from ...core.types import Array, Operand
from ...ops.support.axes import array
from .common import alike, cast, functional, reduced
from .distances import cosine_similarity, pairwise_distance


def _weighted(name: str, losses: Any, weight: Any, reduction: str) -> Any:
    if weight is None:
        return reduced(name, losses, reduction)
    weights, _ = alike(name, weight, losses)
    weights = cast(weights, losses)
    if reduction == "mean":
        return np.sum(losses * weights) / np.sum(weights)
    return reduced(name, losses * weights, reduction)


@functional
def mse_loss(
    input: Operand, target: Operand, *, reduction: str = "mean", weight: Operand = None
) -> Array:
    """(x - t)^2; the mean is weighted where there are weights."""
    x, t = alike("mse_loss", input, target)
    return _weighted("mse_loss", np.square(x - t), weight, reduction)


@functional
def l1_loss(
    input: Operand, target: Operand, *, reduction: str = "mean", weight: Operand = None
) -> Array:
    """abs(x - t); the mean is weighted where there are weights."""
    x, t = alike("l1_loss", input, target)
    return _weighted("l1_loss", np.abs(x - t), weight, reduction)


@functional
def huber_loss(
    input: Operand,
    target: Operand,
    *,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Operand = None,
) -> Array:
    """d^2 / 2 where d = abs(x - t) is at most delta, delta (d - delta / 2) beyond."""
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be above 0, got {delta}")
    x, t = alike("huber_loss", input, target)
    return _weighted("huber_loss", _huber(x - t, delta), weight, reduction)


def _huber(d: Any, delta: float) -> Any:
    # With c the difference clipped to delta: c (d - c / 2).
    clipped = np.clip(d, -delta, delta)
    return clipped * (d - 0.5 * clipped)


@functional
def smooth_l1_loss(
    input: Operand, target: Operand, *, reduction: str = "mean", beta: float = 1.0
) -> Array:
    """huber_loss(x, t, delta=beta) / beta; for beta = 0 l1_loss."""
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta must be at least 0, got {beta}")
    x, t = alike("smooth_l1_loss", input, target)
    losses = _huber(x - t, beta) / beta if beta else np.abs(x - t)
    return reduced("smooth_l1_loss", losses, reduction)


@functional
def quantile_loss(
    input: Operand,
    target: Operand,
    q: Operand = 0.5,
    *,
    reduction: str = "mean",
    weight: Operand = None,
) -> Operand:
    """max(q (t - x), (q - 1) (t - x)), least at the quantile q; the pinball loss.

    PyTorch has none. `q` broadcasts: one for each column, say.
    """
    x, t = alike("quantile_loss", input, target)
    d: Any = t - x
    q = q if isinstance(q, float) else cast(q, x)
    return _weighted("quantile_loss", np.maximum(q * d, (q - 1) * d), weight, reduction)


@functional
def poisson_nll_loss(
    input: Operand,
    target: Operand,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    *,
    reduction: str = "mean",
) -> Array:
    """exp(x) - t x, for counts t whose expectation is exp(x).

    Without `log_input` x is the expectation, x - t log(x + eps). `full` adds Stirling's
    approximation of log(t!) for t above 1.
    """
    x, t = alike("poisson_nll_loss", input, target)
    losses = np.exp(x) - t * x if log_input else x - t * np.log(x + eps)
    if full:
        safe = np.where(t > 1, t, 1)
        stirling = safe * np.log(safe) - safe + 0.5 * np.log(2 * math.pi * safe)
        losses = losses + np.where(t > 1, stirling, 0)
    return reduced("poisson_nll_loss", losses, reduction)


@functional
def gaussian_nll_loss(
    input: Operand,
    target: Operand,
    var: Operand,
    full: bool = False,
    eps: float = 1e-6,
    *,
    reduction: str = "mean",
) -> Array:
    """(log(v) + (x - t)^2 / v) / 2, for a normal of mean x and variance v.

    v is `var`, at least `eps`: a number for each, or for each row, or one. Where it is
    below, its gradient is as if it were not. `full` adds log(2 pi) / 2.
    """
    x, t = alike("gaussian_nll_loss", input, target)
    v = cast(var, x)
    if v.shape == x.shape[:-1]:
        v = np.expand_dims(v, -1)
    elif v.ndim and v.shape not in (x.shape, (*x.shape[:-1], 1)):
        raise ValueError(
            f"gaussian_nll_loss: expected a variance for each element or row of "
            f"{x.shape}, or one, got shape {v.shape}"
        )
    # What is added is a constant, so that a gradient flows below eps too.
    v = v + np.maximum(eps - detached(v), 0)
    losses = 0.5 * (np.log(v) + np.square(x - t) / v)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced("gaussian_nll_loss", losses, reduction)


# Of pairs and triples.


@functional
def margin_ranking_loss(
    input1: Operand,
    input2: Operand,
    target: Operand,
    margin: float = 0.0,
    *,
    reduction: str = "mean",
) -> Array:
    """max(0, margin - t (a - b)): t is 1 where a is to rank higher, else -1."""
    a, b, t = alike("margin_ranking_loss", input1, input2, target)
    losses = np.maximum(margin - t * (a - b), 0)
    return reduced("margin_ranking_loss", losses, reduction)


@functional
def cosine_embedding_loss(
    input1: Operand,
    input2: Operand,
    target: Operand,
    margin: float = 0.0,
    *,
    reduction: str = "mean",
) -> Array:
    """1 - cos(a, b) where t is 1, max(0, cos(a, b) - margin) where it is -1."""
    a, b = alike("cosine_embedding_loss", input1, input2)
    t = array(target)
    if t.shape != a.shape[:-1]:
        raise ValueError(
            f"cosine_embedding_loss: expected a target for each of the vectors "
            f"{a.shape}, shape {a.shape[:-1]}, got {t.shape}"
        )
    cosine = cosine_similarity(a, b, dim=-1)
    unlike = np.where(t == -1, np.maximum(cosine - margin, 0), 0)
    losses = np.where(t == 1, 1 - cosine, unlike)
    return reduced("cosine_embedding_loss", losses, reduction)


@functional
def triplet_margin_loss(
    anchor: Operand,
    positive: Operand,
    negative: Operand,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Operand:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d in the p-norm."""

    def distance(a: Any, b: Any) -> Any:
        return pairwise_distance(a, b, p, eps)

    return triplet_margin_with_distance_loss(
        *(anchor, positive, negative),
        distance_function=distance,
        margin=margin,
        swap=swap,
        reduction=reduction,
    )


@functional
def triplet_margin_with_distance_loss(
    anchor: Operand,
    positive: Operand,
    negative: Operand,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), for any distance.

    With `swap` the negative is compared with the nearer of anchor and positive.
    """
    a, p, n = alike("triplet_margin_loss", anchor, positive, negative)
    distance = distance_function or pairwise_distance
    far = distance(a, n)
    if swap:
        far = np.minimum(far, distance(p, n))
    losses = np.maximum(distance(a, p) - far + margin, 0)
    return reduced("triplet_margin_loss", losses, reduction)
