"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, final, overload

from ..core.tensor import Tensor, TensorLike
from ..core.types import Operand
from .module import Module

Layer = Callable[[Tensor], Tensor]


@final
class Sequential(Module):
    """Layers applied one after another.

    Parameters
    ----------
    *layers : Module
        In the order they are applied; one list of them will do. ``model[i]`` is one of
        them, ``model[:i]`` a Sequential of the first.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> model = tg.nn.Sequential(tg.nn.Dense(2, 8), tg.nn.ReLU(), tg.nn.Dense(8, 3))
    >>> [name for name, _ in model.named_parameters()]
    ['layers.0.weight', 'layers.0.bias', 'layers.2.weight', 'layers.2.bias']
    """

    def __init__(self, *layers: Layer | list[Layer]) -> None:
        steps: Any = layers
        if len(layers) == 1 and isinstance(layers[0], list | tuple):
            (steps,) = layers
        for i, layer in enumerate(steps):
            if isinstance(layer, type) or not callable(layer):
                raise TypeError(
                    f"Sequential: layer {i} must be a module or a function, got "
                    f"{layer!r:.60}; pass layers one by one, as in "
                    "Sequential(Dense(2, 8), ReLU())"
                )
        self.layers: tuple[Layer, ...] = tuple(steps)

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

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...

    @overload
    def __getitem__(self, index: slice) -> Sequential: ...

    def __getitem__(self, index: int | slice) -> Layer | Sequential:
        if isinstance(index, slice):
            return Sequential(*self.layers[index])
        return self.layers[index]
