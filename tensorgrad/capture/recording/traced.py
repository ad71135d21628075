"""What stands for arrays and numbers while a step is recorded.

A `Traced` computes like the array it stands for, because it does: each call is made
on the array, and written down. What Python would look at is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.foreign import NATIVE
from ...core.recording import refusal
from ...core.tensor import Tensor
from ..program import Array, Number, Value
from .questions import scalar_method

if TYPE_CHECKING:
    from .recorder import Recorder

_POWERS = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal, 1: np.positive}
"""What NumPy computes for an array to the power of these Python numbers."""


_OUTSIDE = "return the tensor and read it outside, or choose with np.where"
_IN_NUMPY = (
    "write tg.Tensor(table)[index] for table[index], np.stack for items that are set "
    "one by one, and leave out np.asarray of what is an array"
)


def _reading(how: str, remedy: str = _OUTSIDE) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise self.reading(how, remedy)

    return method


class _Reading:
    """What Python asks of numbers, refused."""

    __slots__ = ()
    recorder: Recorder

    def reading(self, how: str, remedy: str = _OUTSIDE) -> Exception:
        """Return the error for a value that Python looks at."""
        self.recorder.check_open()
        return refusal(
            f"reads a value in Python, by {how}, which is not done again when it is "
            "replayed",
            remedy,
        )

    __bool__ = _reading("if, and, or, not, min, max or bool()")
    __float__ = _reading("float()")
    __int__ = _reading("int()")
    __index__ = _reading("using it as an index or a length")
    __complex__ = _reading("complex()")
    __format__ = _reading("formatting or printing it")
    __array__ = _reading(
        "np.asarray, an array's own [] or a function that is not recorded", _IN_NUMPY
    )


def _binary(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if type(other) is Tensor:
            return NotImplemented
        return self.recorder.call(function, (self, other))

    return method


def _reflected(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return self.recorder.call(function, (other, self))

    return method


def _unary(function: Callable[..., Any]) -> Callable[[Any], Any]:
    def method(self: Any) -> Any:
        return self.recorder.call(function, (self,))

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
        self.recorder.call(ufunc, (self, other), {"out": self})
        return self

    return method


def _method(name: str) -> Callable[..., Any]:
    function, of_scalars = getattr(np.ndarray, name), scalar_method(name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        called = of_scalars if self.scalar else function
        return self.recorder.call(called, (self, *args), kwargs)

    method.__name__ = name
    return method


def _reduction(ufunc: np.ufunc, has_dtype: bool) -> Callable[..., Any]:
    """Return a method that calls the reduction NumPy's method of that name calls."""

    def method(self: Any, axis: Any = None, *args: Any, **kwargs: Any) -> Any:
        if not has_dtype:
            args = (None, *args)
        return self.recorder.call(ufunc.reduce, (self, axis, *args), kwargs)

    return method


class Traced(_Reading):
    """An array of a step that is being recorded.

    Attributes
    ----------
    recorder : Recorder
    array : ndarray
        Its contents in the call that is recorded.
    value : Value
        What it is in the program.
    scalar : bool
        Whether it stands for one of NumPy's scalars, which is never written to.
    base : Traced, ndarray or None
        What owns the memory, None if it does itself.
    """

    __slots__ = ("__weakref__", "array", "base", "recorder", "scalar", "value")

    def __init__(
        self, recorder: Recorder, array: Array, value: Value, scalar: bool, base: Any
    ) -> None:
        self.recorder = recorder
        self.array = array
        self.value = value
        self.scalar = scalar
        self.base = base

    # An array to those who ask, as the operations do.
    __class__ = property(lambda self: np.ndarray)

    # What is known without looking at values.

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""
        shape: tuple[int, ...] = self.array.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        dtype: np.dtype[Any] = self.array.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.array.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.array.size

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.array.nbytes

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.array.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes to step along each axis."""
        return self.array.strides

    @property
    def flags(self) -> Any:
        """How the elements lie in memory."""
        return self.array.flags

    def __len__(self) -> int:
        return len(self.array)

    def __repr__(self) -> str:
        return f"<recorded array, shape {self.shape}, {self.dtype}>"

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise self.reading("copying or pickling it")

    # What NumPy asks.

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        if any(type(x) is Tensor for x in inputs):
            return NotImplemented
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        out = kwargs.get("out", ())
        if len(out) == 1:
            kwargs["out"] = out[0]
        return self.recorder.call(function, inputs, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if any(issubclass(t, Tensor) for t in types):
            return NotImplemented
        return self.recorder.call(function, args, kwargs)

    # Operators.

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
            if other in _POWERS:
                return self.recorder.call(_POWERS[other], (self,))
            return self.recorder.call(np.power, (self, other))
        return self.recorder.call(operator.pow, (self, other))

    def __ipow__(self, other: Any) -> Any:
        usual = not self.scalar and self.dtype.kind == "f"
        if usual and type(other) in (int, float) and other in _POWERS:
            self.recorder.call(_POWERS[other], (self,), {"out": self})
            return self
        if usual or self.scalar or type(other) is Tensor:
            return self._raised(other)
        # By the number NumPy decides what it computes for integers.
        self.recorder.call(operator.ipow, (self, other), writes=(self,))
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

    # Parts.

    def __getitem__(self, index: Any) -> Any:
        if self.scalar and (index is Ellipsis or index == ()):
            return self
        return self.recorder.call(operator.getitem, (self, index))

    def __setitem__(self, index: Any, value: Any) -> None:
        self.recorder.call(operator.setitem, (self, index, value), writes=(self,))

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

    # Methods.

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
    put, ravel, repeat = _method("put"), _method("ravel"), _method("repeat")
    reshape, round = _method("reshape"), _method("round")
    searchsorted, sort = _method("searchsorted"), _method("sort")
    squeeze, std, swapaxes = _method("squeeze"), _method("std"), _method("swapaxes")
    take, trace, transpose = _method("take"), _method("trace"), _method("transpose")
    var, view = _method("var"), _method("view")

    item = _reading(".item()")
    tolist = _reading(".tolist()")
    tobytes = _reading(".tobytes()")


def _arithmetic(function: Callable[..., Any], reflected: bool = False) -> Any:
    def method(self: TracedNumber, other: Any) -> Any:
        pair = (other, self) if reflected else (self, other)
        if isinstance(other, int | float | TracedNumber):
            return self.recorder.compute(function, pair)
        return NotImplemented

    return method


class TracedNumber(_Reading):
    """A Python number of a step that is being recorded, and differs from call to call.

    Attributes
    ----------
    recorder : Recorder
    number : float or int
        Its value in the call that is recorded.
    value : Number
        What it is in the program.
    """

    __slots__ = ("number", "recorder", "value")

    def __init__(self, recorder: Recorder, number: float, value: Number) -> None:
        self.recorder = recorder
        self.number = number
        self.value = value

    def __repr__(self) -> str:
        return "<recorded number>"

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        if any(type(x) is Tensor for x in inputs):
            return NotImplemented
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        return self.recorder.call(function, inputs, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if any(issubclass(t, Tensor) for t in types):
            return NotImplemented
        return self.recorder.call(function, args, kwargs)

    __add__, __radd__ = _arithmetic(operator.add), _arithmetic(operator.add, True)
    __sub__, __rsub__ = _arithmetic(operator.sub), _arithmetic(operator.sub, True)
    __mul__, __rmul__ = _arithmetic(operator.mul), _arithmetic(operator.mul, True)
    __truediv__ = _arithmetic(operator.truediv)
    __rtruediv__ = _arithmetic(operator.truediv, True)
    __floordiv__ = _arithmetic(operator.floordiv)
    __rfloordiv__ = _arithmetic(operator.floordiv, True)
    __mod__, __rmod__ = _arithmetic(operator.mod), _arithmetic(operator.mod, True)
    __divmod__, __rdivmod__ = _arithmetic(divmod), _arithmetic(divmod, True)
    __pow__, __rpow__ = _arithmetic(operator.pow), _arithmetic(operator.pow, True)
    __lt__, __le__ = _arithmetic(operator.lt), _arithmetic(operator.le)
    __gt__, __ge__ = _arithmetic(operator.gt), _arithmetic(operator.ge)
    __eq__, __ne__ = _arithmetic(operator.eq), _arithmetic(operator.ne)
    __and__, __rand__ = _arithmetic(operator.and_), _arithmetic(operator.and_, True)
    __or__, __ror__ = _arithmetic(operator.or_), _arithmetic(operator.or_, True)
    __xor__, __rxor__ = _arithmetic(operator.xor), _arithmetic(operator.xor, True)
    __lshift__ = _arithmetic(operator.lshift)
    __rlshift__ = _arithmetic(operator.lshift, True)
    __rshift__ = _arithmetic(operator.rshift)
    __rrshift__ = _arithmetic(operator.rshift, True)
    __hash__ = object.__hash__

    def __neg__(self) -> Any:
        return self.recorder.compute(operator.neg, (self,))

    def __pos__(self) -> Any:
        return self.recorder.compute(operator.pos, (self,))

    def __invert__(self) -> Any:
        return self.recorder.compute(operator.invert, (self,))

    def __abs__(self) -> Any:
        return self.recorder.compute(abs, (self,))


NATIVE.update((Traced, TracedNumber))
