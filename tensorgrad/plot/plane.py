"""Samples as points of a plane, and the classes a model sees around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .palette import as_bytes, tints

__all__ = ["Plane", "class_light", "edges", "plane_of", "probabilities"]

Array = NDArray[Any]
MOST_POINTS = 2000


@dataclass(frozen=True)
class Plane:
    """Where the samples are drawn.

    Attributes
    ----------
    points : (n, 2) array
    chosen : (n,) integers
        The samples that are drawn.
    labels : pair of str
        Of the axes.
    note : str
        What a reader must know of the projection; empty for two features.
    is_feature_space : bool
        Whether a point of the plane is a sample that the model can be evaluated at.
    """

    points: Array
    chosen: Array
    labels: tuple[str, str]
    note: str
    is_feature_space: bool

    def extent(self) -> tuple[float, float, float, float]:
        """Return left, right, bottom and top, with a margin around the points."""
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        margin = 0.06 * np.maximum(high - low, 1e-3)
        (left, bottom), (right, top) = low - margin, high + margin
        return float(left), float(right), float(bottom), float(top)

    def grid(self, side: int) -> Array:
        """Return side * side points, row by row from the top, shape (side**2, 2)."""
        left, right, bottom, top = self.extent()
        across, down = np.linspace(left, right, side), np.linspace(top, bottom, side)
        pairs = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
        return pairs.astype(self.points.dtype)


def plane_of(x: Array, y: Array, features: Sequence[str] = ()) -> Plane:
    """Return the plane that samples x of shape (n, features) are drawn in.

    Two features are the plane. Of more, the two principal components are taken; of
    one, the class is the other axis.
    """
    chosen = _chosen(len(x))
    names = [*features, *(f"feature {i + 1}" for i in range(len(features), x.shape[1]))]
    note = ""
    if len(chosen) < len(x):
        note = f"{len(chosen):,} of {len(x):,} samples shown"
    if x.shape[1] == 2:
        return Plane(x[chosen], chosen, (names[0], names[1]), note, True)
    if x.shape[1] == 1:
        points = np.column_stack([x[chosen, 0], y[chosen]])
        return Plane(points, chosen, (names[0], "class"), note, False)
    points, share = _principal(x)
    about = (
        f"two principal components of {x.shape[1]} features, {share:.0%} of variance"
    )
    labels = "first component", "second component"
    notes = "; ".join(filter(None, [about, note]))
    return Plane(points[chosen], chosen, labels, notes, False)


def _chosen(n: int) -> Array:
    return np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).round().astype(int))


def _principal(x: Array) -> tuple[Array, float]:
    """Project on the two directions of largest variance; return its share too."""
    centred = x.astype(float) - x.mean(axis=0, dtype=float)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    total = max(float(variances.sum()), np.finfo(float).tiny)
    return centred @ directions[:, :-3:-1], float(variances[-2:].sum()) / total


def probabilities(scores: Array) -> Array:
    """Return class probabilities of logits (n, classes), or of probabilities.

    Rows that are not finite, as of a model that has exploded, count as undecided.
    """
    p = np.asarray(scores)
    p = np.where(np.isfinite(p).all(axis=1, keepdims=True), p, 0.0)
    if (p >= 0).all() and np.allclose(p.sum(axis=1), 1, atol=1e-4):
        return p
    e = np.exp(p - p.max(axis=1, keepdims=True))
    result: Array = e / e.sum(axis=1, keepdims=True)
    return result


def edges(classes: Array) -> Array:
    """Tell which pixels of a map of classes (h, w) border on another class."""
    borders = np.zeros(classes.shape, dtype=bool)
    # On one side of a border alone, as two make a coarse line.
    borders[:, 1:] |= classes[:, 1:] != classes[:, :-1]
    borders[1:] |= classes[1:] != classes[:-1]
    return borders


def class_light(shares: Array, border: Array) -> Array:
    """Return the uint8 picture (h, w, 3) of class shares (h, w, classes).

    Tints mix as light, so every mixture has the luminance of the tints. Over them lies
    white, as strong as `border` (h, w) says, from 0 to 1.
    """
    light = shares @ tints(shares.shape[-1])
    return as_bytes(light + border[..., None] * (1 - light))
