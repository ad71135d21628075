"""Losses for classification, and the labels they take.

Labels are class integers of shape (n,), or rows of shape (n, classes) that are one-hot
or soft: not negative, and each with sum 1.
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...core.foreign import dispatched
from ...core.primitive import primitive
from ...core.tensor import Tensor, as_array
from ...core.types import Array, Operand, on_tensors
from ..shapes.index import put_part
from ..support.axes import divisor
from ..support.registry import Domain, case, describe
from ..support.strong import divided, scaled
from .neural import row_max, row_sum, softmax

__all__ = ["categorical_cross_entropy", "one_hot", "softmax_cross_entropy"]

CLIP = 1e-7
"""Probabilities are kept this far from 0 and 1 before their logarithm is taken."""


def as_target(labels: Any, scores: Any, name: str) -> Any:
    """Return checked labels in the form the losses compute with.

    Class integers become positions in the flattened scores, shape (n,); rows become
    an array of the scores' dtype.

    Raises
    ------
    TypeError
        If the labels need a gradient, or are class numbers that are not integers.
    ValueError
        If they are of the wrong shape, or rows that are not distributions.
    IndexError
        If a class is out of range.
    """
    shape = scores.shape
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            f"{name}: expected scores of shape (n, classes) with n and classes at "
            f"least 1, got {shape}"
        )
    if type(labels) is Tensor and labels.requires_grad:
        raise TypeError(f"{name}: labels are constants; pass labels.detach()")
    t = as_array(labels)
    if t.ndim == 2 and t.shape == shape:
        return _checked_rows(t, scores.dtype, name)
    _check_classes(t, shape, name)
    # uint64 and int64 would give floats.
    return _starts(*shape) + (t.astype(np.intp) if t.dtype.kind == "u" else t)


@functools.lru_cache(maxsize=64)
def _starts(n: int, classes: int) -> Any:
    """Return where each row begins in flattened scores; kept for the next batch."""
    starts = np.arange(0, n * classes, classes, dtype=np.intp)
    starts.flags.writeable = False
    return starts


@functools.lru_cache(maxsize=16)
def unsigned(dtype: Any) -> Any:
    """Return the type of the same size without a sign."""
    return np.dtype(dtype.str.replace("i", "u"))


def _check_classes(t: Any, shape: tuple[int, int], name: str) -> None:
    n, classes = shape
    if t.shape != (n,):
        raise ValueError(
            f"{name}: labels must be integers of shape ({n},) or rows of shape "
            f"({n}, {classes}), got shape {t.shape}"
        )
    if t.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: class labels must be integers, got {t.dtype}; "
            "convert with labels.astype(int) if they are whole numbers"
        )
    check_range(t, unsigned(t.dtype), shape, name)


@dispatched
def check_range(t: Any, unsigned: Any, shape: tuple[int, ...], name: str) -> None:
    """Raise IndexError where a label is not the number of a class.

    `shape` is that of the scores, or the number of classes alone.
    """
    classes = shape[-1]
    # As unsigned a negative number is huge: one pass finds both kinds of outliers. To
    # NumPy, where the largest is takes a third of the time of what it is.
    labels = t.view(unsigned)
    if len(t) and labels[labels.argmax()] >= classes:
        bad = t[(t < 0) | (t >= classes)][0]
        what = "class labels" if shape[1:] else "integers"
        why = f" for scores of shape {shape}" if shape[1:] else ""
        raise IndexError(
            f"{name}: {what} must be from 0 to {classes - 1}{why}, got {bad}"
        )


@dispatched
def _checked_rows(t: Any, dtype: Any, name: str) -> Any:
    if t.dtype.kind not in "fiub":
        raise TypeError(f"{name}: label rows must be real numbers, got {t.dtype}")
    sums = t.sum(axis=1, dtype=np.float64)
    # Written so that NaN fails.
    if not (t.min() >= 0 and np.abs(sums - 1).max() <= 1e-3):
        raise ValueError(
            f"{name}: each row of labels must be a distribution, without negative or "
            f"NaN entries and with sum 1; the worst sum is "
            f"{sums[np.argmax(np.abs(sums - 1))]:g}, the smallest entry {t.min():g}"
        )
    return t.astype(dtype)


def one_hot(labels: Operand, classes: int, dtype: DTypeLike = np.float32) -> Array:
    """Rows with a one at each label.

    Parameters
    ----------
    labels : (n,) integers
        From 0 to below `classes`.
    classes : int
        Length of the rows.
    dtype : dtype
        Of the result.

    Returns
    -------
    (n, classes) array
        Zeros, and in row i a one at column ``labels[i]``.

    Raises
    ------
    TypeError
        If the labels are not integers.
    ValueError
        If they are not of one axis.
    IndexError
        If one is out of range.
    """
    return _one_hot(as_array(labels), classes, dtype)


@dispatched
def _one_hot(labels: Any, classes: int, dtype: Any) -> Any:
    t = np.asarray(labels)
    _check_classes(t, (t.size, classes), "one_hot")
    rows = np.zeros((len(t), classes), dtype=dtype)
    rows[np.arange(len(t)), t] = 1
    return rows


@primitive
def less_target(p, target):
    """Subtract from p the target it is scored against; rows weigh p by their sum."""
    if target.ndim == 2:
        return p * target.sum(axis=1, keepdims=True) - target
    d = p.copy()
    d.reshape(-1)[target] -= 1
    return d


less_target.vjp(
    p=lambda g, target: g if target.ndim == 1 else g * target.sum(axis=1, keepdims=True)
)


def _cross_entropy(logits, target):
    z = logits - row_max(logits)
    e = np.exp(z)
    total = row_sum(e)
    e /= total[:, None]
    log_total = np.log(total)
    if target.ndim == 2:
        # A logit of -inf, a class ruled out, costs nothing where its target is 0.
        log_p = np.where(target == 0, 0, z - log_total[:, None])
        fit = np.add.reduce(target * log_p, axis=1)
    else:
        fit = z.reshape(-1)[target] - log_total
    return (-np.add.reduce(fit) / len(fit)).astype(z.dtype, copy=False), e


@primitive(residuals={"p": lambda logits: softmax(logits)})
def cross_entropy(logits, target):
    """Mean cross-entropy of softmax(logits), and the probabilities."""
    return _cross_entropy(logits, target)


def cross_entropy_vjp(g: Any, p: Any, target: Any) -> Any:
    """Return `g * (p - target) / n`: softmax's Jacobian and the logarithm cancel."""
    d = less_target(p, target)
    d /= divisor(len(p), d.dtype)
    d *= g
    return d


cross_entropy.vjp(logits=cross_entropy_vjp)


@on_tensors
def softmax_cross_entropy(logits: Operand, labels: Operand) -> Array:
    """Mean over samples of -sum(target * log(softmax(logits))), from the logits.

    Stable for logits of any size; the backward is the fused ``(p - target) / n``.

    Parameters
    ----------
    logits : (n, classes) Tensor or array
        One sample a row.
    labels : (n,) integers, or (n, classes) rows
        Class numbers, or distributions: one-hot or soft. Constants.

    Returns
    -------
    Tensor or scalar
        Loss in nats, in the dtype of `logits`.

    Raises
    ------
    TypeError, ValueError, IndexError
        If the labels are not integers, of the wrong shape, not distributions, or out
        of range.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> logits = tg.Tensor([[2.0, 0.0], [0.0, 2.0]], requires_grad=True)
    >>> loss = tg.softmax_cross_entropy(logits, [0, 1])
    >>> round(loss.item(), 4)
    0.1269
    """
    logits = logits if hasattr(logits, "dtype") else np.asarray(logits)
    name = "softmax_cross_entropy"
    return cross_entropy(logits, as_target(labels, logits, name))


@primitive
def negative_log_likelihood(p, target):
    """Mean of -log of the clipped probability of the target."""
    if target.ndim == 2:
        return -np.mean(np.add.reduce(target * np.log(_clipped(p)), axis=1))
    return -np.mean(np.log(_clipped(p.reshape(-1)[target])))


def _clipped(p: Any) -> Any:
    return np.clip(p, CLIP, 1 - CLIP)


def _slope(g: Any, p: Any, n: int) -> Any:
    """Return -g / (n p), 0 where the clipped logarithm is flat."""
    slope = divided(-g, divisor(n, p.dtype) * _clipped(p))
    flat = np.logical_or(p < CLIP, p > 1 - CLIP)
    return np.where(flat, 0, slope)  # NaN stays NaN


def negative_log_likelihood_vjp(g: Any, p: Any, target: Any) -> Any:
    """Return `-g * target / (n * p)` where p was not clipped, 0 where it was."""
    n = len(p)
    if target.ndim == 2:
        return scaled(_slope(g, p, n), target)
    flat = p.reshape(-1)
    return put_part(_slope(g, flat[target], n), target, flat.shape).reshape(p.shape)


negative_log_likelihood.vjp(p=negative_log_likelihood_vjp)


@on_tensors
def categorical_cross_entropy(probabilities: Operand, labels: Operand) -> Array:
    """Mean over samples of -sum(target * log(p)), p clipped to [1e-7, 1 - 1e-7].

    Parameters
    ----------
    probabilities : (n, classes) Tensor or array
        One sample a row, as softmax gives them.
    labels : (n,) integers, or (n, classes) rows
        Class numbers, or distributions: one-hot or soft. Constants.

    Returns
    -------
    Tensor or scalar
        Loss in nats, in the dtype of `probabilities`.

    Raises
    ------
    TypeError, ValueError, IndexError
        If the labels are not integers, of the wrong shape, not distributions, or out
        of range.

    Notes
    -----
    The gradient is that of the clipped function: 0 outside the bounds, where the loss
    does not change. From logits, :func:`softmax_cross_entropy` is exact and faster.
    """
    p = probabilities if hasattr(probabilities, "dtype") else np.asarray(probabilities)
    target = as_target(labels, p, "categorical_cross_entropy")
    return negative_log_likelihood(p, target)


_CLASSES = np.array([1, 0, 3, 1])
_ROWS = np.array(
    [[0.2, 0.5, 0.3], [0.0, 1.0, 0.0], [0.1, 0.1, 0.8], [1.0, 0.0, 0.0]],
    dtype=np.float32,
)
_LABELLED = [case((4, 4), labels=_CLASSES), case((4, 3), labels=_ROWS)]

describe(
    softmax_cross_entropy,
    lambda x, labels: _cross_entropy(x, as_target(labels, x, "reference"))[0],
    cases=_LABELLED,
)
describe(
    categorical_cross_entropy,
    lambda x, labels: negative_log_likelihood.forward(
        x, as_target(labels, x, "reference")
    ),
    kind="piecewise",
    domains=Domain(0.05, 0.95),
    cases=_LABELLED,
    kinks="p at 1e-7 or 1 - 1e-7: the gradient passes; beyond them it is 0",
)
