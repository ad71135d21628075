"""Layers: small modules that own parameters and call the operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast, final

import numpy as np
from numpy.typing import DTypeLike

from .core.foreign import NATIVE, values
from .core.operators import unary
from .core.tensor import Tensor, TensorLike
from .core.types import Forward, Operand, Q, R
from .ops.networks.neural import dense, relu, softmax
from .random import Normals, normals

_relu = unary("relu")

__all__ = ["Dense", "Module", "ReLU", "Sequential", "Softmax"]


class Module:
    """Something with parameters that can be called.

    Subclasses set tensors and modules (or lists of modules) as attributes and define
    ``forward``; what is set is found, in that order.
    """

    # A subclass says what it takes and returns.
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; defined by each subclass.

        Parameters
        ----------
        *args, **kwargs : as a subclass says
            As a rule one argument, a batch of samples, one a row.

        Returns
        -------
        Tensor or ndarray
            A Tensor where the module has parameters or an argument is one.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no forward(x)")

    def __call__(self: Forward[Q, R], *args: Q.args, **kwargs: Q.kwargs) -> R:
        """Return the output of `forward`."""
        return self.forward(*args, **kwargs)

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Yield the name and tensor of each parameter, each tensor once.

        Names are attribute names and positions joined by dots: ``layers.0.weight``.

        Parameters
        ----------
        prefix : str
            Put before every name.

        Yields
        ------
        name : str
            The path to the parameter.
        tensor : Tensor
            The parameter itself.
        """
        seen: set[int] = set()
        for name, tensor in self._tensors(prefix):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                yield name, tensor

    def parameters(self) -> list[Tensor]:
        """Return the parameters in the order they were set.

        Returns
        -------
        list of Tensor
            Each once, for an optimizer.
        """
        return [tensor for _, tensor in self.named_parameters()]

    def _tensors(self, prefix: str) -> Iterator[tuple[str, Tensor]]:
        for name, value in vars(self).items():
            many = isinstance(value, list | tuple)
            for i, item in enumerate(value if many else (value,)):
                path = f"{prefix}{name}.{i}" if many else f"{prefix}{name}"
                if isinstance(item, Module):
                    yield from item._tensors(f"{path}.")
                elif isinstance(item, Tensor) and item.requires_grad:
                    yield path, item


@final
class Dense(Module):
    """Fully connected layer, x @ weight + bias.

    Parameters
    ----------
    in_features, out_features : int
        Lengths of a sample going in and coming out.
    rng : int, numpy.random.Generator or RandomState, optional
        Where the weights are drawn from; fresh entropy for None.
    scale : float, optional
        Standard deviation of the normal initial weights; the biases start at 0.
        sqrt(2 / in_features) for None [1]_.
    dtype : dtype
        Of the parameters.

    Attributes
    ----------
    weight : Tensor of shape (in_features, out_features)
    bias : Tensor of shape (out_features,)

    Raises
    ------
    ValueError
        If a length is below 1, or `scale` negative or not finite.

    References
    ----------
    .. [1] He et al., "Delving deep into rectifiers", ICCV 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.nn.Dense(2, 3, rng=0)(np.ones((5, 2), np.float32)).shape
    (5, 3)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        rng: Normals | int | None = None,
        scale: float | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if in_features < 1 or out_features < 1:
            raise ValueError(
                "Dense: expected at least one feature in and out, got "
                f"{in_features} and {out_features}"
            )
        std = math.sqrt(2 / in_features) if scale is None else float(scale)
        if not 0 <= std < math.inf:
            raise ValueError(f"Dense: scale must be finite and at least 0, got {scale}")
        drawn = normals(rng).standard_normal((in_features, out_features)).astype(dtype)
        self.weight = Tensor(std * drawn, requires_grad=True)
        self.bias = Tensor(np.zeros(out_features, dtype=dtype), requires_grad=True)

    def forward(self, x: TensorLike) -> Tensor:
        """Return the affine map of x.

        Parameters
        ----------
        x : (..., in_features) Tensor or array_like
            Samples along the last axis.

        Returns
        -------
        (..., out_features) Tensor
            The map of each sample.

        Raises
        ------
        ValueError
            If the last axis is of another length.
        """
        samples: Operand = x
        if type(x) not in NATIVE or not hasattr(x, "shape"):
            samples = np.asarray(values(x, "Dense"))
        try:
            if samples.ndim == 2:
                return dense(samples, self.weight, self.bias)
            y: Tensor = np.matmul(samples, self.weight) + self.bias
            return y
        except ValueError:
            self._check(samples.shape)
            raise

    def _check(self, shape: tuple[int, ...]) -> None:
        expected = self.weight.shape[0]
        if not shape or shape[-1] != expected:
            raise ValueError(
                f"Dense: expected samples of {expected} features, shape (..., "
                f"{expected}), got {shape}"
            ) from None

    def __repr__(self) -> str:
        return f"Dense({', '.join(map(str, self.weight.shape))})"


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

    def __repr__(self) -> str:
        return "ReLU()"


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

    def __repr__(self) -> str:
        return "Softmax()"


@final
class Sequential(Module):
    """Layers applied one after another.

    Parameters
    ----------
    *layers : Module
        In the order they are applied.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> model = tg.nn.Sequential(tg.nn.Dense(2, 8), tg.nn.ReLU(), tg.nn.Dense(8, 3))
    >>> [name for name, _ in model.named_parameters()]
    ['layers.0.weight', 'layers.0.bias', 'layers.2.weight', 'layers.2.bias']
    """

    def __init__(self, *layers: Callable[[Tensor], Tensor]) -> None:
        self.layers = layers

    def forward(self, x: TensorLike) -> Tensor:
        """Return the output of the last layer.

        Parameters
        ----------
        x : Tensor or array_like
            What the first layer takes.

        Returns
        -------
        Tensor or ndarray
            What the last layer returns.
        """
        y: Operand = x
        for layer in self.layers:
            y = layer(y)
        last: Tensor = y
        return last

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"
