"""Copies, other types, and arrays made after the shape of a tensor."""

import functools
from typing import Any, Concatenate, cast

import numpy as np
from numpy.typing import DTypeLike

from ...core.dispatch import implement
from ...core.tensor import Tensor, detached, wrap
from ...core.types import Array, Operand, Operation, Option, Shape, on_tensors
from ..support.axes import kernel
from ..support.define import constant, operation
from ..support.registry import REAL, Domain, case, describe
from .joining import cast_to, operand

__all__ = ["astype", "copy", "empty_like", "full_like", "ones_like", "zeros_like"]

_NUMBERS = Domain(shaped=lambda x: x.astype(np.intp))


@operation(np.copy, kind="linear", cases=[case((2, 3)), case((2, 3), order="F")])
def copy(a: Operand, order: Option = "K") -> Array:
    """The same values in memory of their own."""
    return np.copy(a, order)


copy.vjp(a=lambda g: g)


@kernel("astype")
def _cast(x, dtype, order, casting):
    return x.astype(dtype, order, casting)


_cast.vjp(x=lambda g: g)


def _require_real(who: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "fiub":
        raise TypeError(f"{who}: a Tensor holds real numbers, got {dtype}")


@on_tensors
def astype(
    x: Operand,
    dtype: DTypeLike,
    order: Option = "K",
    casting: Option = "unsafe",
    subok: bool = True,
    copy: bool = True,
) -> Operand:
    """x as another type; a constant where that is not floating point.

    The walk casts the gradient back to the type of x.
    """
    _require_real("astype", np.dtype(dtype))
    if not copy and np.dtype(dtype) == detached(x).dtype:
        return x
    if np.dtype(dtype).kind == "f":
        return _cast(x, dtype, order, casting)
    return wrap(detached(x).astype(dtype, order, casting), None)


implement("astype", astype, "numpy.astype")
describe(
    astype,
    lambda x, dtype: x.astype(dtype),
    kind="linear",
    cases=[case((2, 3), dtype=np.float64)],
)


@on_tensors
def full_like(
    a: Operand,
    fill_value: Operand,
    dtype: DTypeLike | None = None,
    order: Option = "K",
    *,
    shape: Shape | None = None,
) -> Operand:
    """A value broadcast to the shape of an array, as ``numpy.full_like``.

    Differentiable in the value. NumPy's function asks only the array whether it is a
    tensor.

    Parameters
    ----------
    a : Tensor or array
        Whose shape and dtype are taken.
    fill_value : Tensor, array or number
        Broadcasts to the shape.
    dtype : dtype, optional
        In place of that of `a`.
    order : {"K", "C", "F", "A"}
        How the result is laid out in memory.
    shape : tuple of int, optional
        In place of that of `a`.

    Returns
    -------
    Tensor or array
        A new one; a Tensor if `a` or the value is one.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> x = tg.Tensor(2.0, requires_grad=True)
    >>> tg.full_like(np.zeros(3), x).sum().backward()
    >>> x.grad
    Tensor(3.)
    """
    like: Any = np.empty_like(detached(a), dtype, order, shape=shape)
    if Tensor in (type(a), type(fill_value)):
        _require_real("full_like", like.dtype)
    value = cast_to("full_like", operand(fill_value), like.dtype)
    y: Any = np.copy(np.broadcast_to(value, like.shape))
    return y if type(y) is Tensor or type(a) is not Tensor else wrap(y, None)


implement("full_like", full_like, np.full_like)
describe(
    full_like,
    # NumPy asks only the first argument whether it is a tensor.
    lambda a, v, **kwargs: (
        np.full_like(type(v)(a), v, **kwargs)
        if type(v) is Tensor
        else np.full_like(a, v, **kwargs)
    ),
    kind="linear",
    domains=(_NUMBERS, REAL),
    cases=[
        case((2, 3), (), dtype=np.float64),
        case((2, 3), (3,), dtype=np.float64),
        case((2, 3), (4, 1), shape=(4, 2), dtype=np.float64),
    ],
)


def _shaped_like(
    reference: Any,
) -> Operation[Concatenate[Operand, ...], Tensor, Array]:
    """Let a NumPy function that makes an array like a tensor make a constant."""
    make = constant(reference)

    @functools.wraps(reference)
    def function(*args: Any, **kwargs: Any) -> Any:
        y = make(*args, **kwargs)
        _require_real(reference.__name__, y.dtype)
        return y

    function.__doc__ = make.__doc__
    implement(reference.__name__, function, reference)
    return cast("Any", function)


zeros_like = _shaped_like(np.zeros_like)
ones_like = _shaped_like(np.ones_like)
empty_like = _shaped_like(np.empty_like)
