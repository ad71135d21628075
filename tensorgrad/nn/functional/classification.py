"""Losses of scores of classes. Labels are constants unless they are probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...core.tensor import as_array
from ...core.types import Array, Operand
from ...ops.elementwise.logspace import log_softmax, softplus
from ...ops.networks.losses import check_range, unsigned
from ...ops.support.axes import array
from ...ops.support.strong import scaled
from .common import alike, cast, floating, functional, reduced


@functional
def cross_entropy(
    input: Operand,
    target: Operand,
    weight: Operand = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """-log(softmax(x)) at the labels, or its mean weighted with probabilities.

    Classes are along the second axis, or the only one. Labels are integers of the shape
    without that axis; a target of the shape of the scores is one of probabilities. The
    mean is weighted with the weights of the labels, and leaves out ignored ones.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"cross_entropy: label_smoothing must be from 0 to 1, got {label_smoothing}"
        )
    scores = floating(input)
    log_p = log_softmax(scores, _class_axis(scores, "cross_entropy"))
    options = ignore_index, reduction, label_smoothing
    return _negative_logarithm("cross_entropy", log_p, target, weight, *options)


@functional
def nll_loss(
    input: Operand,
    target: Operand,
    weight: Operand = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """Minus the logarithms of probabilities at the labels, as log_softmax gives them.

    Axes, labels and the mean are as for cross_entropy.
    """
    log_p = floating(input)
    return _negative_logarithm(
        "nll_loss", log_p, target, weight, ignore_index, reduction, 0.0
    )


def _class_axis(scores: Any, name: str) -> int:
    if scores.ndim == 0:
        raise ValueError(f"{name}: expected scores of shape (n, classes, ...), got ()")
    return min(1, scores.ndim - 1)


def _negative_logarithm(
    name: str,
    log_p: Any,
    target: Any,
    weight: Any,
    ignore_index: int,
    reduction: str,
    smoothing: float,
) -> Any:
    axis = _class_axis(log_p, name)
    classes = log_p.shape[axis]
    weight = weight if weight is None else _class_weights(name, weight, classes, log_p)
    target = array(target)
    if target.shape == log_p.shape and name == "cross_entropy":
        shares = cast(target, log_p) * (1 - smoothing) + smoothing / classes
        losses = -np.sum(_of_classes(scaled(log_p, shares), weight, axis), axis)
        if reduction == "mean":
            return np.sum(losses) / max(math.prod(losses.shape), 1)
        return reduced(name, losses, reduction)
    labels, counted = _labels(name, as_array(target), log_p.shape, axis, ignore_index)
    weights = np.where(counted, log_p.dtype.type(1), 0)
    if weight is not None:
        weights = weights * weight[labels]
    losses = -weights * np.where(counted, _picked(log_p, labels, axis), 0)
    if smoothing:
        every = -np.sum(_of_classes(log_p, weight, axis), axis)
        share = np.where(counted, every, 0) * (smoothing / classes)
        losses = losses * (1 - smoothing) + share
    if reduction == "mean":
        return np.sum(losses) / np.sum(weights)
    return reduced(name, losses, reduction)


def _class_weights(name: str, weight: Any, classes: int, like: Any) -> Any:
    if isinstance(weight, dict):
        raise TypeError(
            f"{name}: expected a weight for each of {classes} classes in an array, got "
            f"a dict; pass [weight[i] for i in range({classes})]"
        )
    weight = cast(weight, like)
    if weight.shape != (classes,):
        raise ValueError(
            f"{name}: expected a weight for each of {classes} classes, shape "
            f"({classes},), got shape {weight.shape}"
        )
    return weight


def _of_classes(values: Any, weight: Any, axis: int) -> Any:
    """Return values times the weights of their classes."""
    if weight is None:
        return values
    return values * weight.reshape(-1, *[1] * (values.ndim - 1 - axis))


def _labels(
    name: str, target: Any, shape: tuple[int, ...], axis: int, ignore_index: int
) -> tuple[Any, Any]:
    """Return the labels, 0 for those that are ignored, and which are not ignored."""
    expected = (*shape[:axis], *shape[axis + 1 :])
    if target.shape != expected or target.dtype.kind not in "iu":
        also = f", or probabilities of shape {shape}" * (name == "cross_entropy")
        raise ValueError(
            f"{name}: expected labels that are integers of shape {expected}{also}, got "
            f"{target.dtype} of shape {target.shape}"
        )
    target = target.astype(np.intp)
    counted = target != ignore_index
    labels = np.where(counted, target, 0)
    classes = shape[axis]
    check_range(labels.reshape(-1), unsigned(labels.dtype), (classes,), name)
    return labels, counted


def _picked(x: Any, labels: Any, axis: int) -> Any:
    """Return the elements of x that belong to the labels."""
    n, size = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    starts = np.arange(n)[:, None] * (x.shape[axis] * size) + np.arange(size)
    places = starts.reshape(labels.shape) + labels * size
    return np.reshape(x, -1)[places]


@functional
def binary_cross_entropy(
    input: Operand, target: Operand, weight: Operand = None, *, reduction: str = "mean"
) -> Array:
    """-t log(p) - (1 - t) log(1 - p), the logarithms bounded by -100."""
    p, t = alike("binary_cross_entropy", input, target)
    yes = np.maximum(np.log(p), -100)
    no = np.maximum(np.log1p(-p), -100)
    losses = -(t * yes + (1 - t) * no)
    if weight is not None:
        losses = losses * cast(weight, p)
    return reduced("binary_cross_entropy", losses, reduction)


@functional
def binary_cross_entropy_with_logits(
    input: Operand,
    target: Operand,
    weight: Operand = None,
    *,
    reduction: str = "mean",
    pos_weight: Operand = None,
) -> Array:
    """Binary cross-entropy of sigmoid(x), from x: (1 - t) x + log(1 + exp(-x)).

    `pos_weight` multiplies what positive targets cost, `weight` everything; both
    broadcast.
    """
    x, t = alike("binary_cross_entropy_with_logits", input, target)
    costs = softplus(-x)
    if pos_weight is not None:
        costs = costs * (1 + (cast(pos_weight, x) - 1) * t)
    losses = (1 - t) * x + costs
    if weight is not None:
        losses = losses * cast(weight, x)
    return reduced("binary_cross_entropy_with_logits", losses, reduction)


@functional
def soft_margin_loss(
    input: Operand, target: Operand, *, reduction: str = "mean"
) -> Array:
    """log(1 + exp(-t x)), for targets 1 and -1."""
    x, t = alike("soft_margin_loss", input, target)
    return reduced("soft_margin_loss", softplus(-t * x), reduction)


@functional
def hinge_embedding_loss(
    input: Operand, target: Operand, margin: float = 1.0, *, reduction: str = "mean"
) -> Array:
    """x where the target is 1, max(0, margin - x) where it is -1."""
    x, t = alike("hinge_embedding_loss", input, target)
    far = np.where(t != 1, np.maximum(margin - x, 0), 0)
    return reduced("hinge_embedding_loss", np.where(t != -1, x, 0) + far, reduction)


@functional
def multi_margin_loss(
    input: Operand,
    target: Operand,
    p: int = 1,
    margin: float = 1.0,
    weight: Operand = None,
    *,
    reduction: str = "mean",
) -> Array:
    """sum_j max(0, margin - x_label + x_j)^p / classes, over all classes but the label.

    Rows of scores, or one; the hinge loss of several classes (Crammer and Singer 2001).
    """
    x = floating(input)
    axis = _class_axis(x, "multi_margin_loss")
    target = as_array(target)
    if x.ndim == 1:
        target = target.reshape(())
    labels, _ = _labels("multi_margin_loss", target, x.shape, axis, -1)
    own = np.expand_dims(labels, axis) == np.arange(x.shape[axis])
    gap = np.maximum(margin - np.expand_dims(_picked(x, labels, axis), axis) + x, 0)
    losses = np.sum(np.where(own, 0, gap**p), axis) / x.shape[axis]
    if weight is not None:
        weights = _class_weights("multi_margin_loss", weight, x.shape[axis], x)
        losses = losses * weights[labels]
    return reduced("multi_margin_loss", losses, reduction)


@functional
def kl_div(
    input: Operand,
    target: Operand,
    *,
    reduction: str = "mean",
    log_target: bool = False,
) -> Array:
    """t (log(t) - x): the divergence of a distribution t from one with logarithms x.

    ``reduction="batchmean"`` divides the sum by the length of the first axis, which is
    the divergence; "mean" divides by the number of elements, as PyTorch does.
    """
    x = floating(input)
    t = cast(target, x)
    if log_target:
        losses = np.exp(t) * (t - x)
    else:
        losses = _entropy_term(t) - scaled(x, t)
    if reduction == "batchmean":
        return np.sum(losses) / (losses.shape[0] if losses.ndim else 1)
    return reduced("kl_div", losses, reduction)


def _entropy_term(t: Any) -> Any:
    """Return t log(t), 0 at 0."""
    return t * np.log(np.where(t > 0, t, 1))
