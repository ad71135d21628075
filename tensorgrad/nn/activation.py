"""Activations as layers: the operations, to stand in a Sequential.

A function can stand there too, ``Sequential(Dense(2, 8), np.tanh)``.
"""

from collections.abc import Callable
from typing import Any, ClassVar, cast, final

import numpy as np

from ..core.operators import unary
from ..core.tensor import Tensor, TensorLike
from ..core.types import Operand
from ..ops.elementwise.logspace import sigmoid
from ..ops.networks.activations import silu
from ..ops.networks.neural import relu, softmax
from . import functional
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


class _Elementwise(Module):
    _function: ClassVar[Callable[..., Any]]
    options: tuple[Any, ...] = ()

    def forward(self, x: TensorLike) -> Tensor:
        """Return the function of each element.

        Parameters
        ----------
        x : Tensor or array_like
            Of any shape.

        Returns
        -------
        Tensor or ndarray
            Of the shape of `x`; a Tensor where `x` is one.
        """
        return type(self)._function(x, *self.options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.options))})"


@final
class Tanh(_Elementwise):
    """Hyperbolic tangent."""

    _function = np.tanh


@final
class Sigmoid(_Elementwise):
    """1 / (1 + exp(-x)). Train on the logits before it."""

    _function = sigmoid


@final
class SiLU(_Elementwise):
    """x * sigmoid(x), also called swish."""

    _function = silu


@final
class Softplus(_Elementwise):
    """log(1 + exp(x)), a smooth relu."""

    _function = functional.softplus


@final
class GELU(_Elementwise):
    """x * P(X <= x) for a standard normal X.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Whether to compute it by a tanh.
    """

    _function = functional.gelu

    def __init__(self, approximate: str = "none") -> None:
        self.options = (approximate,)


@final
class LeakyReLU(_Elementwise):
    """x for positive x, negative_slope * x elsewhere.

    Parameters
    ----------
    negative_slope : float
        Of the other side.
    """

    _function = functional.leaky_relu

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.options = (negative_slope,)


@final
class ELU(_Elementwise):
    """x for positive x, alpha * (exp(x) - 1) elsewhere.

    Parameters
    ----------
    alpha : float
        What the negative side tends to, with a minus.
    """

    _function = functional.elu

    def __init__(self, alpha: float = 1.0) -> None:
        self.options = (alpha,)
