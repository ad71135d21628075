"""Activations as layers: the operations, to stand in a Sequential."""

from typing import cast, final

from ..core.operators import unary
from ..core.tensor import Tensor, TensorLike
from ..core.types import Operand
from ..ops.networks.neural import relu, softmax
from .module import Module

_relu = unary("relu")


@final
class ReLU(Module):
    """Rectified linear unit, max(x, 0), element by element."""

    def forward(self, x: TensorLike) -> Tensor:
        """Return max(x, 0).

        Parameters
        ----------
        x : Tensor or array_like
            Of any shape.

        Returns
        -------
        Tensor or ndarray
            Of the shape of `x`.
        """
        return _relu(x) if type(x) is Tensor else cast("Tensor", relu(x))


@final
class Softmax(Module):
    """Softmax over the last axis. Train on the logits before it."""

    def forward(self, x: TensorLike) -> Tensor:
        """Return exp(x) / sum(exp(x)) along the last axis.

        Parameters
        ----------
        x : (..., classes) Tensor or array_like
            Logits.

        Returns
        -------
        (..., classes) Tensor or ndarray
            Probabilities.
        """
        logits: Operand = x
        return softmax(logits)
