"""Operators of a tensor: what ``a + b`` and ``-a`` run.

An operator is the shortest way to an operation and the one most taken, so that of
arithmetic is spared what a call of any number of arguments needs: measured, 2.2 us
become 1.4 us. Operations are looked up by name when they are first used, so they may be
defined above the core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from .dispatch import operations
from .foreign import NATIVE, is_number
from .mode import enabled as is_grad_enabled
from .observe import observers

if TYPE_CHECKING:
    from .tensor import Tensor, TensorLike

    _Binary = Callable[[Any, TensorLike], Tensor]
    _Unary = Callable[[Any], Tensor]
    _Pair = Callable[[Any, TensorLike], tuple[Tensor, Tensor]]

_new: Any = object.__new__


def _parts(name: str) -> tuple[Any, Any, Any, Any]:
    """Return what an operator needs of a primitive, once it is defined."""
    op: Any = operations[name]
    return op.forward, op.plans, op.recorded, op.constant


def binary(name: str) -> _Binary:
    """Return the operator of two operands that stands for a primitive."""
    forward = plans = recorded = constant = cast("Any", None)

    def first(x: Any, z: Any) -> Any:
        nonlocal forward, plans, recorded, constant
        forward, plans, recorded, constant = _parts(name)
        return forward(x, z)

    def method(self: Any, other: Any) -> Any:
        x, left = self._value, self.node
        if type(other) is type(self):
            z, right = other._value, other.node
        elif type(other) in NATIVE:
            z, right = other, None
        else:
            return _with_other(name, self, other, other)
        if observers:
            return operations[name](self, other)
        y = forward(x, z)
        if (left is None and right is None) or not is_grad_enabled():
            if type(other) is type(self):
                # Of two tensors, which are real, the result is so too.
                return _constant(type(self), y)
            return constant((x, z), y)
        if right is None:
            return recorded(plans[1], (left,), (x, z), y)
        if left is None:
            return recorded(plans[2], (right,), (x, z), y)
        return recorded(plans[3], (left, right), (x, z), y)

    forward = first
    return method


def reflected(name: str) -> _Binary:
    """Return the operator whose left operand is no tensor."""
    forward = plans = recorded = constant = cast("Any", None)

    def first(x: Any, z: Any) -> Any:
        nonlocal forward, plans, recorded, constant
        forward, plans, recorded, constant = _parts(name)
        return forward(x, z)

    def method(self: Any, other: Any) -> Any:
        if type(other) not in NATIVE or type(other) is type(self):
            return _with_other(name, other, self, other)
        if observers:
            return operations[name](other, self)
        z = self._value
        y = forward(other, z)
        if self.node is None or not is_grad_enabled():
            return constant((other, z), y)
        return recorded(plans[2], (self.node,), (other, z), y)

    forward = first
    return method


def unary(name: str) -> _Unary:
    """Return the operator of one operand that stands for a primitive."""
    forward = plans = recorded = cast("Any", None)

    def first(x: Any) -> Any:
        nonlocal forward, plans, recorded
        forward, plans, recorded, _ = _parts(name)
        return forward(x)

    def method(self: Any) -> Any:
        if observers:
            return operations[name](self)
        x = self._value
        y = forward(x)
        if self.node is None or not is_grad_enabled():
            return _constant(type(self), y)
        return recorded(plans[1], (self.node,), (x,), y)

    forward = first
    return method


def _constant(kind: Any, value: Any) -> Any:
    tensor = _new(kind)
    tensor._value = value
    tensor.node = None
    tensor._grad = None
    return tensor


def _with_other(name: str, a: Any, b: Any, other: Any) -> Any:
    """Compute with a list or another library's array; leave other numbers their say."""
    return NotImplemented if is_number(type(other)) else operations[name](a, b)


def _by_name(name: str) -> _Binary:
    def method(self: Any, other: Any) -> Any:
        return operations[name](self, other)

    return method


def _swapped(name: str) -> _Binary:
    def method(self: Any, other: Any) -> Any:
        return operations[name](other, self)

    return method


class Operators:
    """The operators of a tensor, all differentiable where the operation is."""

    __slots__ = ()

    __add__, __radd__ = binary("add"), reflected("add")
    __sub__, __rsub__ = binary("subtract"), reflected("subtract")
    __mul__, __rmul__ = binary("multiply"), reflected("multiply")
    __truediv__, __rtruediv__ = binary("divide"), reflected("divide")
    __pow__, __rpow__ = binary("power"), reflected("power")
    __matmul__, __rmatmul__ = binary("matmul"), reflected("matmul")
    __neg__ = unary("negative")
    __abs__ = unary("absolute")

    __floordiv__, __rfloordiv__ = _by_name("floor_divide"), _swapped("floor_divide")
    __mod__, __rmod__ = _by_name("remainder"), _swapped("remainder")
    __divmod__ = cast("_Pair", _by_name("divmod"))
    __rdivmod__ = cast("_Pair", _swapped("divmod"))

    __lt__, __le__ = _by_name("less"), _by_name("less_equal")
    __gt__, __ge__ = _by_name("greater"), _by_name("greater_equal")
    # Element by element, as of arrays: what an object says of two is one answer.
    __eq__ = _by_name("equal")  # type: ignore[assignment]
    __ne__ = _by_name("not_equal")  # type: ignore[assignment]
    __hash__ = object.__hash__

    __and__, __rand__ = _by_name("bitwise_and"), _swapped("bitwise_and")
    __or__, __ror__ = _by_name("bitwise_or"), _swapped("bitwise_or")
    __xor__, __rxor__ = _by_name("bitwise_xor"), _swapped("bitwise_xor")
    __lshift__, __rlshift__ = _by_name("left_shift"), _swapped("left_shift")
    __rshift__, __rrshift__ = _by_name("right_shift"), _swapped("right_shift")

    def __invert__(self) -> Tensor:
        y: Tensor = operations["invert"](self)
        return y
