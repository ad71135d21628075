"""What the functions take and how they are described: PyTorch's names and meaning."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from inspect import cleandoc
from typing import Any

import numpy as np

from ...core.tensor import Tensor
from ...core.types import Array, Operation, Q, on_tensors
from ...ops.support.axes import array
from ...ops.support.docstrings import parameter_names

_SECTIONS = """

Parameters
----------
{names} : as in ``torch.nn.functional.{name}``
    With the same meaning and order; tensors, arrays or numbers.

Returns
-------
Tensor or ndarray
    A Tensor where an argument is one."""


def functional(function: Callable[Q, Any]) -> Operation[Q, Tensor, Array]:
    """Describe a function that has PyTorch's name and arguments."""
    if function.__doc__ is not None:  # Python was not started with -OO.
        names = ", ".join(parameter_names(function))
        sections = _SECTIONS.format(names=names, name=function.__name__)
        function.__doc__ = cleandoc(function.__doc__) + sections
    return on_tensors(function)


def floating(x: Any) -> Any:
    """Return a tensor or array of floating-point numbers."""
    x = array(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def alike(name: str, input: Any, *others: Any) -> tuple[Any, ...]:
    """Return arrays of the same shape in the dtype of the first.

    Raises
    ------
    ValueError
        If shapes differ: a column against a row would be broadcast to a matrix.
    """
    input = floating(input)
    arrays = [input]
    for other in map(array, others):
        if other.shape != input.shape:
            raise ValueError(
                f"{name}: expected arrays of one shape, got {input.shape} and "
                f"{other.shape}; reshape one of them, as with y.reshape({input.shape})"
            )
        arrays.append(cast(other, input))
    return tuple(arrays)


def cast(x: Any, like: Any) -> Any:
    """Return an array in the dtype of another."""
    x = array(x)
    return x if x.dtype == like.dtype else x.astype(like.dtype)


def reduced(name: str, losses: Any, reduction: str) -> Any:
    """Return the mean or sum of losses, or the losses themselves."""
    if reduction == "mean":
        return np.mean(losses)
    if reduction == "sum":
        return np.sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(
        f'{name}: reduction must be "mean", "sum" or "none", got {reduction!r}'
    )


def integer(name: str, what: str, number: Any, least: int = 1) -> int:
    """Return an integer.

    Raises
    ------
    TypeError
        If it is none.
    ValueError
        If it is below `least`.
    """
    try:
        value = operator.index(number)
    except TypeError:
        raise TypeError(f"{name}: {what} must be an integer, got {number!r}") from None
    if value < least:
        raise ValueError(f"{name}: {what} must be at least {least}, got {number}")
    return value


def lengths(
    value: Any, axes: int, name: str, what: str, least: int = 1
) -> tuple[int, ...]:
    """Return an integer for each axis, of one for all or a sequence.

    Raises
    ------
    TypeError
        If they are no integers.
    ValueError
        If there are others than one or `axes`, or one is below `least`.
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    values = values * axes if len(values) == 1 else values
    if len(values) != axes:
        raise ValueError(
            f"{name}: {what} must be one number or {axes}, one for each axis, got "
            f"{value}"
        )
    return tuple(integer(name, what, n, least) for n in values)


def batched(x: Any, axes: int, name: str) -> tuple[Any, bool]:
    """Return samples (n, channels, ...), and whether one came without an axis for n.

    Raises
    ------
    ValueError
        If there are other axes than these.
    """
    x = floating(x)
    if x.ndim == axes + 1:
        return x[None], True
    if x.ndim != axes + 2:
        shape = ", ".join(["n", "channels", *["length"] * axes])
        raise ValueError(f"{name}: expected samples of shape ({shape}), got {x.shape}")
    return x, False


def along(axis: int, x: Any, weights: Any) -> Any:
    """Return the products of a matrix with the vectors along an axis of an array."""
    return np.moveaxis(np.matmul(np.moveaxis(x, axis, -1), weights.T), -1, axis)
