"""Methods and attributes of an ndarray, by the operations behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, cast

import numpy as np

from . import dispatch
from .elsewhere import check_keywords
from .extraction import formats_text, lost_gradient
from .mode import is_grad_enabled
from .place import outer_frame

if TYPE_CHECKING:
    from .tensor import Tensor, TensorLike

    _Several = Callable[[Any], tuple[Tensor, ...]]

P = ParamSpec("P")

operations: dict[str, Callable[..., Tensor]] = dispatch.operations
"""Here each is called with a tensor."""


_DOCUMENTATION = """As ``numpy.ndarray.{name}``, and {how}.

Parameters
----------
*args, **kwargs : as in ``numpy.ndarray.{name}``
    With the same meaning; `out` is refused.

Returns
-------
Tensor
    A new one, or several where NumPy returns several arrays.
"""


# With one argument alone a checker applies these to each overload NumPy declares.
def _method(
    like: Callable[Concatenate[Any, P], object],
) -> Callable[Concatenate[Any, P], Tensor]:
    return _like(like, "differentiable")


def _constant(
    like: Callable[Concatenate[Any, P], object],
) -> Callable[Concatenate[Any, P], Tensor]:
    return _like(like, "a constant")


def _like(like: Callable[..., Any], how: str) -> Callable[..., Any]:
    """Return a method with the name and the arguments of an array's."""
    name = like.__name__
    operation = {"conj": "conjugate"}.get(name, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            check_keywords(f"Tensor.{name}", kwargs)
        return operations[operation](self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = _DOCUMENTATION.format(name=name, how=how)
    return method


_REFUSAL = """Refused: use {instead}.

Parameters
----------
*args, **kwargs : anything
    Not looked at.

Raises
------
TypeError
    Always.
"""


def _refused(name: str, instead: str) -> Callable[..., NoReturn]:
    def method(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            f"Tensor.{name} would write in place, which backward cannot undo; "
            f"use {instead}, which makes a new tensor"
        )

    method.__name__ = name
    method.__doc__ = _REFUSAL.format(instead=instead)
    return method


class ArrayMethods:
    """What a tensor shares with ndarray: as there, and differentiable.

    Names are looked up when they are used, so the operations may be defined above the
    core.
    """

    __slots__ = ()

    all = _constant(np.ndarray.all)
    any = _constant(np.ndarray.any)
    argmax = _constant(np.ndarray.argmax)
    argmin = _constant(np.ndarray.argmin)
    argpartition = _constant(np.ndarray.argpartition)
    argsort = _constant(np.ndarray.argsort)
    astype = _method(np.ndarray.astype)
    choose = _method(np.ndarray.choose)
    clip = _method(np.ndarray.clip)
    conj = _method(np.ndarray.conj)
    conjugate = _method(np.ndarray.conjugate)
    copy = _method(np.ndarray.copy)
    cumprod = _method(np.ndarray.cumprod)
    cumsum = _method(np.ndarray.cumsum)
    diagonal = _method(np.ndarray.diagonal)
    dot = _method(np.ndarray.dot)
    flatten = _method(np.ndarray.flatten)
    max = _method(np.ndarray.max)
    mean = _method(np.ndarray.mean)
    min = _method(np.ndarray.min)
    nonzero = cast("_Several", _constant(np.ndarray.nonzero))
    prod = _method(np.ndarray.prod)
    ravel = _method(np.ndarray.ravel)
    repeat = _method(np.ndarray.repeat)
    round = _method(np.ndarray.round)
    searchsorted = _constant(np.ndarray.searchsorted)
    squeeze = _method(np.ndarray.squeeze)
    std = _method(np.ndarray.std)
    sum = _method(np.ndarray.sum)
    swapaxes = _method(np.ndarray.swapaxes)
    take = _method(np.ndarray.take)
    trace = _method(np.ndarray.trace)
    var = _method(np.ndarray.var)

    fill = _refused("fill", "tg.full_like")
    itemset = _refused("itemset", "tg.index_update")
    partition = _refused("partition", "np.partition(t, kth)")
    put = _refused("put", "tg.put")
    resize = _refused("resize", "np.resize(t, shape)")
    sort = _refused("sort", "np.sort(t)")

    def __round__(self, digits: int = 0) -> Tensor:
        return operations["round"](self, digits)

    def compress(self, condition: TensorLike, axis: int | None = None) -> Tensor:
        """As ``numpy.ndarray.compress``, and differentiable.

        Parameters
        ----------
        condition : array_like of bool
            Which to keep along the axis.
        axis : int or None
            None means the tensor laid out flat.

        Returns
        -------
        Tensor
            What is kept.
        """
        return operations["compress"](condition, self, axis)

    def reshape(self, *shape: int | Sequence[int], order: str = "C") -> Tensor:
        """As ``numpy.ndarray.reshape``, and differentiable.

        Parameters
        ----------
        *shape : int, or one tuple of int
            The new lengths; one may be -1 and follows from the others.
        order : {"C", "F", "A"}
            In which the elements are read and written.

        Returns
        -------
        Tensor
            Of the new shape.
        """
        new_shape = shape[0] if len(shape) == 1 else shape
        return operations["reshape"](self, new_shape, order)

    def transpose(self, *axes: int | Sequence[int] | None) -> Tensor:
        """As ``numpy.ndarray.transpose``, and differentiable.

        Parameters
        ----------
        *axes : int, or one tuple of int
            The axes in their new order; reversed where none is given.

        Returns
        -------
        Tensor
            With the axes in that order.
        """
        order = axes[0] if len(axes) == 1 else (axes or None)
        return operations["transpose"](self, order)

    def __len__(self: Any) -> int:
        if not self._value.shape:
            raise TypeError("len() of a 0-d Tensor; use .size or .item()")
        return int(self._value.shape[0])

    def __iter__(self: Any) -> Iterator[Tensor]:
        return iter(operations["unstack"](self) if len(self) else ())

    def __contains__(self: Any, item: Any) -> bool:
        value = self._seen("'in'")
        return bool((value == getattr(item, "_value", item)).any())

    def __bool__(self: Any) -> bool:
        if self.size != 1:
            raise ValueError(
                f"truth value of a Tensor of shape {self.shape} is ambiguous; use "
                ".any() or .all() of its .numpy()"
            )
        return bool(self._seen("if, and, or, not or bool()"))

    def __float__(self: Any) -> float:
        return float(self._number("float()"))

    def __int__(self: Any) -> int:
        return int(self._number("int()"))

    def __complex__(self: Any) -> complex:
        return complex(self._number("complex()"))

    __trunc__ = __int__

    def _number(self: Any, how: str) -> Any:
        """Return the value of one element for a function that asks for a number."""
        value = self._seen(how)
        needed = self.node is not None and is_grad_enabled()
        if needed and not formats_text(outer_frame()):
            raise lost_gradient(how, protocol=True)
        return value if value.shape == () else self.item()

    def __index__(self: Any) -> int:
        if self.dtype.kind not in "iu" or self.shape:
            raise TypeError(f"a {self.dtype} Tensor of shape {self.shape} is no index")
        return int(self._seen("using it as an index"))

    def __format__(self: Any, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    # A number where there is no axis, else lists of lists.
    def tolist(self: Any) -> Any:
        """Return the values as nested lists of Python scalars.

        Returns
        -------
        list or scalar
            A scalar for a tensor without axes.
        """
        return self.data.tolist()

    def tobytes(self: Any) -> bytes:
        """Return the values as bytes, in C order.

        Returns
        -------
        bytes
            Of length `nbytes`.
        """
        return bytes(self.data.tobytes())

    @property
    def T(self) -> Tensor:
        """The tensor with its axes reversed."""
        return operations["transpose"](self)

    @property
    def mT(self) -> Tensor:
        """The tensor with its last two axes swapped."""
        return operations["swapaxes"](self, -1, -2)

    @property
    def real(self: Any) -> Tensor:
        """The tensor itself, which is real."""
        tensor: Tensor = self
        return tensor

    @property
    def nbytes(self: Any) -> int:
        """Bytes the values take."""
        return int(self._value.nbytes)

    @property
    def itemsize(self: Any) -> int:
        """Bytes one value takes."""
        return int(self._value.itemsize)

    @property
    def strides(self: Any) -> tuple[int, ...]:
        """Bytes to step along each axis."""
        return tuple(self.data.strides)

    @property
    def flat(self) -> NoReturn:
        """Refused: use reshape(-1) or ravel()."""
        raise TypeError("Tensor.flat is a writable view; use .reshape(-1) or .ravel()")
