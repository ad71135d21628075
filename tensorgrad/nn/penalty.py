"""What large weights cost."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable

import numpy as np

from ..core.tensor import Tensor


def penalty(tensors: Iterable[Tensor], *, l1: float = 0.0, l2: float = 0.0) -> Tensor:
    """l1 * sum(abs(w)) + l2 * sum(w^2), over all elements of some tensors.

    Parameters
    ----------
    tensors : iterable of Tensor
        As a rule the weights of a model, without its biases.
    l1, l2 : float
        How much an element costs; to be added to the loss.

    Returns
    -------
    Tensor
        A number, 0 where there are no tensors.

    Raises
    ------
    ValueError
        If a cost is negative.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.Tensor([1.0, -2.0], requires_grad=True)
    >>> tg.nn.penalty([w], l1=0.25, l2=0.5).item()
    3.25
    """
    if not (l1 >= 0 and l2 >= 0):
        raise ValueError(f"penalty: l1 and l2 must be at least 0, got {l1} and {l2}")
    parts: list[Tensor] = []
    for w in tensors:
        parts += [l1 * np.sum(np.abs(w))] * (l1 > 0) + [l2 * np.sum(w * w)] * (l2 > 0)
    return functools.reduce(operator.add, parts) if parts else Tensor(0.0)
