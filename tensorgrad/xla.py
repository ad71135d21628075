"""Tensors on accelerators, by way of JAX; whole steps go there by ``tg.compile``."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from .core.public import publish
from .core.tensor import Tensor, wrap

__all__ = ["device_put"]


def device_put(
    x: ArrayLike | Tensor, device: Any = None, *, requires_grad: bool | None = None
) -> Tensor:
    """Return a tensor whose array is on a device of JAX, where operations on it run.

    Parameters
    ----------
    x : array_like or Tensor
        Copied to the device.
    device : device or sharding of JAX, optional
        By default the first that ``jax.devices()`` names.
    requires_grad : bool, optional
        Whether the new tensor, a leaf, needs a gradient; by default as `x` does.

    Returns
    -------
    Tensor
        Of the same values, shape and dtype; ``float64`` stays ``float64``. What is
        computed from it stays on the device; ``numpy()``, ``item()`` and printing
        bring a copy of the values.

    Raises
    ------
    ImportError
        Without JAX, which the extra "xla" installs.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.xla.device_put([1.0, 2.0], requires_grad=True)  # doctest: +SKIP
    >>> (x * x).sum().backward()  # doctest: +SKIP
    >>> x.grad  # doctest: +SKIP
    Tensor([2., 4.])
    """
    from .capture.xla.arrays import on_device

    if type(x) is Tensor and requires_grad is None:
        requires_grad = x.requires_grad
    values = (x.detach() if type(x) is Tensor else Tensor(x)).numpy()
    tensor = wrap(on_device(values, device), None)
    tensor.requires_grad = bool(requires_grad)
    return tensor


publish(globals())
