"""Kinds of arrays: what computes where an ndarray would, in a way of its own.

A kind says in `call` what becomes of a call of a NumPy function. Everything else an
array has (operators, methods, both of NumPy's protocols) arrives there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from ..facts import POWERS
from .foreign import KINDS, NATIVE
from .tensor import Tensor


def _reading(name: str, how: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.readable(how), name)(*args, **kwargs)

    return method


class Operand:
    """What NumPy's functions accept, and Python must not look at."""

    __slots__ = ()

    precedence = 0
    """Of two kinds in a call the one with the greater makes it."""

    def __init_subclass__(cls) -> None:
        NATIVE.add(cls)
        KINDS.add(cls)

    def call(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Return the result of a call of a NumPy function.

        Parameters
        ----------
        function : callable
            A function of ``numpy``, a ufunc or a method of one, a method of
            ``numpy.ndarray``, or an operator from :mod:`operator`.
        args : tuple
            Among them this one.
        kwargs : dict
            An array in `out` is written to.
        """
        raise NotImplementedError

    def yields_to(self, other: Any) -> bool:
        """Whether a call with `other` is made by that."""
        kind = type(other)
        return kind is Tensor or _precedence(kind) > self.precedence

    @property
    def memory(self) -> Any:
        """The ndarray whose memory it stands for, None where there is none."""
        return None

    def unassignable(self) -> Exception | None:
        """Return the error for an assignment to ``.data`` of a tensor that holds it."""
        return TypeError(f"{type(self).__name__}: .data of a Tensor was assigned")

    def readable(self, how: str) -> Any:
        """Return an ndarray for Python to look at, by `how`; raise where there is none.

        Raises
        ------
        Exception
            That which `unreadable` returns.
        """
        raise self.unreadable(how)

    def unreadable(self, how: str) -> Exception:
        """Return the error for a value that Python asks for, by `how`."""
        return TypeError(f"{type(self).__name__}: a value was asked for, by {how}")

    __bool__ = _reading("__bool__", "if, and, or, not, min, max or bool()")
    __float__ = _reading("__float__", "float()")
    __int__ = _reading("__int__", "int()")
    __index__ = _reading("__index__", "using it as an index or a length")
    __complex__ = _reading("__complex__", "complex()")
    __format__ = _reading("__format__", "formatting or printing it")
    __array__ = _reading("__array__", "np.asarray")

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        if any(self.yields_to(x) for x in inputs):
            return NotImplemented
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        out = kwargs.get("out", ())
        if len(out) == 1:
            kwargs["out"] = out[0]
        return self.call(function, inputs, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if any(t is Tensor or _precedence(t) > self.precedence for t in types):
            return NotImplemented
        return self.call(function, args, kwargs)


def _precedence(kind: type) -> int:
    return kind.precedence if issubclass(kind, Operand) else 0


def _binary(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if self.yields_to(other):
            return NotImplemented
        return self.call(function, (self, other), {})

    return method


def _reflected(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return self.call(function, (other, self), {})

    return method


def _unary(function: Callable[..., Any]) -> Callable[[Any], Any]:
    def method(self: Any) -> Any:
        return self.call(function, (self,), {})

    return method


def _in_place(
    ufunc: np.ufunc, operation: Callable[..., Any]
) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        # A NumPy scalar is not written to: the name is given a new one.
        if type(other) is Tensor:
            return NotImplemented if self.scalar else ufunc(self, other, out=self)
        if self.scalar:
            return operation(self, other)
        self.call(ufunc, (self, other), {"out": self})
        return self

    return method


def _method(name: str) -> Callable[..., Any]:
    function = getattr(np.ndarray, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.call(function, (self, *args), kwargs)

    method.__name__ = name
    return method


def _reduction(ufunc: np.ufunc, has_dtype: bool) -> Callable[..., Any]:
    """Return a method that calls the reduction NumPy's method of that name calls."""

    def method(self: Any, axis: Any = None, *args: Any, **kwargs: Any) -> Any:
        if not has_dtype:
            args = (None, *args)
        return self.call(ufunc.reduce, (self, axis, *args), kwargs)

    return method


class DuckArray(Operand):
    """A kind of array; a subclass has `shape`, `dtype`, `scalar` and `call`.

    Attributes
    ----------
    shape : tuple of int
        Length along each axis.
    dtype : dtype
        Type of the elements.
    scalar : bool
        Whether it stands for one of NumPy's scalars, which is never written to.
    """

    __slots__ = ()

    shape: Any
    dtype: Any
    scalar: Any

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return int(self.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return int(self.shape[0])

    __add__, __radd__ = _binary(np.add), _reflected(np.add)
    __sub__, __rsub__ = _binary(np.subtract), _reflected(np.subtract)
    __mul__, __rmul__ = _binary(np.multiply), _reflected(np.multiply)
    __truediv__, __rtruediv__ = _binary(np.divide), _reflected(np.divide)
    __matmul__, __rmatmul__ = _binary(np.matmul), _reflected(np.matmul)
    __and__, __rand__ = _binary(np.bitwise_and), _reflected(np.bitwise_and)
    __or__, __ror__ = _binary(np.bitwise_or), _reflected(np.bitwise_or)
    __xor__, __rxor__ = _binary(np.bitwise_xor), _reflected(np.bitwise_xor)
    __lshift__, __rlshift__ = _binary(np.left_shift), _reflected(np.left_shift)
    __rshift__, __rrshift__ = _binary(np.right_shift), _reflected(np.right_shift)
    __lt__, __le__ = _binary(np.less), _binary(np.less_equal)
    __gt__, __ge__ = _binary(np.greater), _binary(np.greater_equal)
    __eq__, __ne__ = _binary(np.equal), _binary(np.not_equal)
    __neg__, __abs__ = _unary(np.negative), _unary(np.absolute)
    __invert__, __pos__ = _unary(np.invert), _unary(np.positive)
    __hash__ = object.__hash__

    # Of these NumPy's scalars have bits of their own, so the operator is called.
    __floordiv__ = _binary(operator.floordiv)
    __rfloordiv__ = _reflected(operator.floordiv)
    __mod__, __rmod__ = _binary(operator.mod), _reflected(operator.mod)
    __divmod__, __rdivmod__ = _binary(divmod), _reflected(divmod)
    __rpow__ = _reflected(operator.pow)

    def __pow__(self, other: Any) -> Any:
        if type(other) is Tensor:
            return NotImplemented
        usual = not self.scalar and self.dtype.kind == "f"
        if usual and type(other) in (int, float) and other:
            if other in POWERS:
                return self.call(POWERS[other], (self,), {})
            return self.call(np.power, (self, other), {})
        return self.call(operator.pow, (self, other), {})

    def __ipow__(self, other: Any) -> Any:
        usual = not self.scalar and self.dtype.kind == "f"
        if usual and type(other) in (int, float) and other in POWERS:
            self.call(POWERS[other], (self,), {"out": self})
            return self
        if usual or self.scalar or type(other) is Tensor:
            return self._raised(other)
        # By the number NumPy decides what it computes for integers.
        self.call(operator.ipow, (self, other), {})
        return self

    _raised = _in_place(np.power, operator.pow)
    __iadd__ = _in_place(np.add, operator.add)
    __isub__ = _in_place(np.subtract, operator.sub)
    __imul__ = _in_place(np.multiply, operator.mul)
    __itruediv__ = _in_place(np.divide, operator.truediv)
    __ifloordiv__ = _in_place(np.floor_divide, operator.floordiv)
    __imod__ = _in_place(np.remainder, operator.mod)
    __iand__ = _in_place(np.bitwise_and, operator.and_)
    __ior__ = _in_place(np.bitwise_or, operator.or_)
    __ixor__ = _in_place(np.bitwise_xor, operator.xor)
    __ilshift__ = _in_place(np.left_shift, operator.lshift)
    __irshift__ = _in_place(np.right_shift, operator.rshift)

    def __imatmul__(self, other: Any) -> Any:
        self[...] = self @ other
        return self

    def __getitem__(self, index: Any) -> Any:
        if self.scalar and (index is Ellipsis or index == ()):
            return self
        return self.call(operator.getitem, (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        self.call(operator.setitem, (self, index, value), {})

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    @property
    def T(self) -> Any:
        """The array with its axes reversed."""
        return self.transpose()

    @property
    def mT(self) -> Any:
        """The array with its last two axes swapped."""
        return self.swapaxes(-1, -2)

    @property
    def real(self) -> Any:
        """The array itself, which is real."""
        return self

    sum = _reduction(np.add, True)
    prod = _reduction(np.multiply, True)
    max = _reduction(np.maximum, False)
    min = _reduction(np.minimum, False)
    any = _reduction(np.logical_or, False)
    all = _reduction(np.logical_and, False)

    argmax, argmin = _method("argmax"), _method("argmin")
    argpartition, argsort = _method("argpartition"), _method("argsort")
    astype, choose, clip = _method("astype"), _method("choose"), _method("clip")
    compress, conj = _method("compress"), _method("conj")
    conjugate, copy = _method("conjugate"), _method("copy")
    cumprod, cumsum = _method("cumprod"), _method("cumsum")
    diagonal, dot, fill = _method("diagonal"), _method("dot"), _method("fill")
    flatten, mean, nonzero = _method("flatten"), _method("mean"), _method("nonzero")
    partition = _method("partition")
    put, ravel, repeat = _method("put"), _method("ravel"), _method("repeat")
    reshape, round = _method("reshape"), _method("round")
    searchsorted, sort = _method("searchsorted"), _method("sort")
    squeeze, std, swapaxes = _method("squeeze"), _method("std"), _method("swapaxes")
    take, trace, transpose = _method("take"), _method("trace"), _method("transpose")
    var, view = _method("var"), _method("view")

    item = _reading("item", ".item()")
    tolist = _reading("tolist", ".tolist()")
    tobytes = _reading("tobytes", ".tobytes()")
