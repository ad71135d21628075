"""Small data sets to learn on, drawn from an explicit stream, and accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .random import Normals, normals

__all__ = ["accuracy", "sine", "spiral", "vertical"]

Labelled = tuple[NDArray[np.float32], NDArray[np.uint8]]
Draw = Callable[[], NDArray[np.float32]]


def spiral(samples: int, classes: int, rng: Normals | int | None = 0) -> Labelled:
    """Spiral arms around the origin, one for each class.

    Sample i of class k lies at radius ``r = i / (samples - 1)`` and at the angle
    ``2.5 * (4 * (k + r) + 0.2 * noise)`` in radians, noise standard normal [1]_.

    Parameters
    ----------
    samples : int
        Of each class.
    classes : int
        From 1 to 256.
    rng : int, numpy.random.Generator, numpy.random.RandomState or None
        Where the noise is drawn from. A seed means the stream of
        ``RandomState(seed)``, which gives the arrays nnfs gives for that seed; None
        is fresh entropy. Pass an object to draw more from the same stream after.

    Returns
    -------
    points : (samples * classes, 2) float32
        One sample a row, class after class.
    labels : (samples * classes,) uint8
        Sorted.

    Raises
    ------
    ValueError
        If a count is below 1, or there are more than 256 classes.
    TypeError
        If `rng` is nothing that draws normal numbers.

    References
    ----------
    .. [1] Karpathy, "Neural networks case study", CS231n, 2015.

    Examples
    --------
    >>> points, labels = spiral(100, 3)
    >>> points.shape, points.dtype, labels.dtype
    ((300, 2), dtype('float32'), dtype('uint8'))
    """

    def arm(k: int, draw: Draw) -> tuple[Any, Any]:
        radius = np.linspace(0, 1, samples)
        # The noise is scaled in float32 and then added in float64: other orders
        # give other last bits than nnfs.
        angle = 2.5 * (np.linspace(4 * k, 4 * k + 4, samples) + 0.2 * draw())
        return radius * np.sin(angle), radius * np.cos(angle)

    return _by_class("spiral", arm, samples, classes, rng)


def vertical(samples: int, classes: int, rng: Normals | int | None = 0) -> Labelled:
    """Blobs side by side, one for each class, that overlap a little.

    Class k is normal around ``(k / 3, 1 / 2)`` with standard deviation 0.1.

    Parameters
    ----------
    samples : int
        Of each class.
    classes : int
        From 1 to 256.
    rng : int, numpy.random.Generator, numpy.random.RandomState or None
        As for :func:`spiral`.

    Returns
    -------
    points : (samples * classes, 2) float32
        One sample a row, class after class.
    labels : (samples * classes,) uint8
        Sorted.

    Raises
    ------
    ValueError
        If a count is below 1, or there are more than 256 classes.
    TypeError
        If `rng` is nothing that draws normal numbers.

    Examples
    --------
    >>> points, labels = vertical(2, 3)
    >>> labels.tolist()
    [0, 0, 1, 1, 2, 2]
    """

    def blob(k: int, draw: Draw) -> tuple[Any, Any]:
        return 0.1 * draw() + k / 3, 0.1 * draw() + 0.5

    return _by_class("vertical", blob, samples, classes, rng)


def sine(samples: int = 1000) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One period of a sine, for regression; nothing in it is random.

    ``y = sin(2 * pi * x)`` for x evenly spaced from 0 to below 1.

    Parameters
    ----------
    samples : int
        At least 1.

    Returns
    -------
    x : (samples, 1) float64
        As nnfs gives it; convert with ``astype(np.float32)`` for float32 layers.
    y : (samples, 1) float64
        The sine at each.

    Raises
    ------
    ValueError
        If `samples` is below 1.

    Examples
    --------
    >>> x, y = sine(4)
    >>> x.ravel().tolist(), y.ravel().round(3).tolist()
    ([0.0, 0.25, 0.5, 0.75], [0.0, 1.0, 0.0, -1.0])
    """
    _at_least_one("sine", "samples", samples)
    x = np.arange(samples, dtype=np.float64)[:, None] / samples
    return x, np.sin(2 * np.pi * x)


def accuracy(scores: ArrayLike, labels: ArrayLike) -> float:
    """Fraction of the rows whose largest score is that of the label.

    Parameters
    ----------
    scores : (n, classes) Tensor or array of real numbers
        Logits or probabilities; the first of equal scores counts as the largest.
    labels : (n,) integers, or (n, classes) rows, one-hot or soft
        The label of a row is its largest entry.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError
        If the scores are not real numbers, or class labels not integers.
    ValueError
        If a shape does not fit, there are no rows, or a score is NaN.
    IndexError
        If a class label is out of range.

    Examples
    --------
    >>> accuracy([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1])
    0.6666666666666666
    """
    rows = _checked_scores(_array(scores))
    right = rows.argmax(axis=1) == _classes(_array(labels), rows.shape)
    return int(np.count_nonzero(right)) / len(rows)


def _by_class(
    name: str,
    place: Callable[[int, Draw], tuple[Any, Any]],
    samples: int,
    classes: int,
    rng: Normals | int | None,
) -> Labelled:
    """Return the points `place` gives for each class in turn, and their labels."""
    _at_least_one(name, "samples", samples)
    _at_least_one(name, "classes", classes)
    if classes > 256:
        raise ValueError(
            f"{name}: expected at most 256 classes, as the labels are uint8, got "
            f"{classes}"
        )
    stream = _stream(name, rng)
    points = np.empty((classes, samples, 2), dtype=np.float32)
    for k in range(classes):
        points[k, :, 0], points[k, :, 1] = place(
            k, lambda: stream.standard_normal(samples).astype(np.float32)
        )
    labels = np.repeat(np.arange(classes, dtype=np.uint8), samples)
    return points.reshape(-1, 2), labels


def _at_least_one(name: str, what: str, count: int) -> None:
    if count < 1:
        raise ValueError(f"{name}: {what} must be at least 1, got {count}")


def _stream(name: str, rng: Normals | int | None) -> Normals:
    if isinstance(rng, int | np.integer):
        return np.random.RandomState(int(rng))
    stream = normals(rng)
    if not hasattr(stream, "standard_normal"):
        raise TypeError(
            f"{name}: rng must be a seed, a numpy.random.Generator or RandomState, or "
            f"None, got {rng!r:.60}"
        )
    return stream


def _array(x: Any) -> NDArray[Any]:
    """Return a tensor's array, or anything else as an array."""
    return np.asarray(x.numpy() if hasattr(x, "numpy") else x)


def _checked_scores(scores: NDArray[Any]) -> NDArray[Any]:
    if scores.dtype.kind not in "fiub":
        raise TypeError(f"accuracy: scores must be real numbers, got {scores.dtype}")
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(
            "accuracy: expected scores of shape (n, classes) with n and classes at "
            f"least 1, got {scores.shape}"
        )
    if np.isnan(scores).any():
        row = int(np.isnan(scores).any(axis=1).argmax())
        raise ValueError(
            f"accuracy: row {row} of the scores holds NaN, which has no largest entry; "
            "look for the step at which the model diverged"
        )
    return scores


def _classes(labels: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the label of each row as a class number."""
    n, classes = shape
    if labels.shape == shape:
        largest: NDArray[np.intp] = labels.argmax(axis=1)
        return largest
    if labels.shape != (n,):
        raise ValueError(
            f"accuracy: labels must be integers of shape ({n},) or rows of shape "
            f"({n}, {classes}), got shape {labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"accuracy: class labels must be integers, got {labels.dtype}; convert "
            "with labels.astype(int) if they are whole numbers"
        )
    # As unsigned a negative number is huge: one pass finds both kinds of outliers.
    if labels.view(f"u{labels.dtype.itemsize}").max() >= classes:
        bad = labels[(labels < 0) | (labels >= classes)][0]
        raise IndexError(
            f"accuracy: class labels must be from 0 to {classes - 1} for scores of "
            f"shape {shape}, got {bad}"
        )
    return labels
