"""Layers: small modules that own parameters and call the operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from reprlib import recursive_repr
from textwrap import indent
from typing import Any, cast, final

import numpy as np
from numpy.typing import DTypeLike

from .core.foreign import NATIVE, values
from .core.operators import unary
from .core.tensor import Tensor, TensorLike
from .core.tree import nest
from .core.types import Forward, Operand, Q, R
from .ops.networks.neural import dense, relu, softmax
from .random import Normals, normals

_relu = unary("relu")

__all__ = ["Dense", "Module", "ReLU", "Sequential", "Softmax"]


class Module:
    """Something with parameters that can be called.

    Subclasses set tensors and modules as attributes, also nested in lists, tuples,
    dicts and dataclasses, and define ``forward``; what is set is found, in that order.
    A parameter can be replaced by another one or by None, but not by what has no
    gradient.
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
        yield from self._parameters(prefix, set())

    def parameters(self) -> list[Tensor]:
        """Return the parameters in the order they were set.

        Returns
        -------
        list of Tensor
            Each once, for an optimizer.
        """
        return [tensor for _, tensor in self.named_parameters()]

    def _parameters(self, prefix: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
        for name, item in self._members():
            if id(item) in seen:
                continue
            seen.add(id(item))
            if isinstance(item, Module):
                yield from item._parameters(f"{prefix}{name}.", seen)
            elif item.requires_grad:
                yield f"{prefix}{name}", item

    def _members(self) -> Iterator[tuple[str, Module | Tensor]]:
        """Yield the name and value of each module and tensor that is set here."""
        for name, value in vars(self).items():
            yield from _members(name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        old = vars(self).get(name)
        lost = isinstance(value, np.ndarray) or (
            isinstance(value, Tensor) and not value.requires_grad
        )
        if lost and isinstance(old, Tensor) and old.requires_grad:
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter, and a "
                f"{type(value).__name__} without requires_grad in its place would not "
                f"be trained; write {name}[...] = value inside tg.no_grad(), or set it "
                "to None first"
            )
        super().__setattr__(name, value)

    @recursive_repr()
    def __repr__(self) -> str:
        shown = (f"{name}: {_shown(item)}\n" for name, item in self._members())
        lines = indent("".join(shown), "  ")
        return f"{type(self).__name__}(" + (lines and f"\n{lines}") + ")"


def _members(path: str, value: Any) -> Iterator[tuple[str, Module | Tensor]]:
    if isinstance(value, Module | Tensor):
        yield path, value
    elif kind := nest(value):
        for key, item in zip(kind.keys(value), kind.values(value), strict=True):
            yield from _members(f"{path}.{key}", item)
    elif isinstance(value, set | frozenset) and any(
        isinstance(item, Module | Tensor) for item in value
    ):
        raise TypeError(
            f"{path} is a {type(value).__name__} of layers or tensors, which has no "
            "order to name and train them in; use a list"
        )


def _shown(item: Module | Tensor) -> str:
    if isinstance(item, Module):
        return repr(item)
    what = "parameter" if item.requires_grad else "constant"
    return f"{what} of shape {item.shape}, {item.dtype}"


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
        for i, layer in enumerate(layers):
            if isinstance(layer, type) or not callable(layer):
                raise TypeError(
                    f"Sequential: layer {i} must be a module or a function, got "
                    f"{layer!r:.60}; pass layers one by one, as in "
                    "Sequential(Dense(2, 8), ReLU())"
                )
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
