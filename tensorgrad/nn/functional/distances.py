"""Lengths of vectors, and distances and angles between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.types import Array, Operand
from .common import cast, floating, functional


def _norm(x: Any, p: float, axis: int, keepdims: bool = False) -> Any:
    return np.linalg.norm(x, p, axis, keepdims)


@functional
def normalize(
    input: Operand, p: float = 2.0, dim: int = 1, eps: float = 1e-12
) -> Array:
    """x / max(norm(x), eps) along an axis."""
    x = floating(input)
    return x / np.maximum(_norm(x, p, dim, True), eps)


@functional
def cosine_similarity(
    x1: Operand, x2: Operand, dim: int = 1, eps: float = 1e-8
) -> Array:
    """<a, b> / (max(norm(a), eps) max(norm(b), eps)) along an axis; they broadcast."""
    a = floating(x1)
    b = cast(x2, a)
    a, b = np.broadcast_arrays(a, b)
    a = a / np.maximum(_norm(a, 2, dim, True), eps)
    b = b / np.maximum(_norm(b, 2, dim, True), eps)
    return np.sum(a * b, axis=dim)


@functional
def pairwise_distance(
    x1: Operand,
    x2: Operand,
    p: float = 2.0,
    eps: float = 1e-6,
    keepdim: bool = False,
) -> Array:
    """norm(a - b + eps) along the last axis; they broadcast."""
    a = floating(x1)
    return _norm(a - cast(x2, a) + eps, p, -1, keepdim)


@functional
def pdist(input: Operand, p: float = 2.0) -> Array:
    """Distances in the p-norm of each row from all rows after it."""
    x = floating(input)
    if x.ndim != 2:
        raise ValueError(f"pdist: expected rows, shape (n, m), got {x.shape}")
    i, j = np.triu_indices(x.shape[0], 1)
    return _norm(x[i] - x[j], p, -1)
