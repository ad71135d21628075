"""Operators as plain functions: what ``a + b`` and ``-a`` run on tensors.

An operator is the shortest way to an operation and the one most taken, so it is spared
what a call of any number of arguments needs: measured, 2.2 us become 1.4 us.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import recording
from .array_methods import ArrayMethods
from .dispatch import operations
from .foreign import NATIVE, is_number
from .mode import enabled as is_grad_enabled
from .observe import observers
from .primitive import Primitive
from .tensor import Tensor, wrap

BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "power",
    "matmul": "matmul",
}
"""Operators of two operands, and the operations behind them."""


def bind() -> None:
    """Give the tensors their operators, once the operations are defined."""
    for operator, name in BINARY.items():
        call = binary(operations[name])
        setattr(ArrayMethods, f"__{operator}__", call)
        setattr(ArrayMethods, f"__r{operator}__", reflected(call))
    ArrayMethods.__neg__ = unary(operations["negative"])


def binary(op: Any) -> Callable[[Any, Any], Any]:
    """Return a primitive of two arguments as a plain function of a tensor and any."""
    assert isinstance(op, Primitive)
    forward, plans = op.forward, op.plans
    recorded, constant = op.recorded, op.constant

    def call(a: Any, b: Any) -> Any:
        if recording.recorders:
            return op(a, b)
        if type(a) is Tensor:
            x, left = a._value, a.node
        elif type(a) in NATIVE:
            x, left = a, None
        else:
            return _with_other(op, a, b, a)
        if type(b) is Tensor:
            z, right = b._value, b.node
        elif type(b) in NATIVE:
            z, right = b, None
        else:
            return _with_other(op, a, b, b)
        y = forward(x, z)
        if (left is None and right is None) or not is_grad_enabled():
            # Of two tensors, which are real, the result is so too.
            if observers or type(a) is not type(b):
                return constant((x, z), y)
            return wrap(y, None)
        if right is None:
            return recorded(plans[1], (left,), (x, z), y)
        if left is None:
            return recorded(plans[2], (right,), (x, z), y)
        return recorded(plans[3], (left, right), (x, z), y)

    return call


def _with_other(op: Primitive, a: Any, b: Any, other: Any) -> Any:
    """Compute with a list or another library's array; leave other numbers their say."""
    return NotImplemented if is_number(type(other)) else op(a, b)


def reflected(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the operator with its operands exchanged."""
    return lambda a, b: call(b, a)


def unary(op: Any) -> Callable[[Any], Any]:
    """Return a primitive of one argument as a plain function."""
    assert isinstance(op, Primitive)
    forward, plans = op.forward, op.plans
    recorded, constant = op.recorded, op.constant

    def call(a: Any) -> Any:
        if type(a) is not Tensor or recording.recorders:
            return op(a)
        x = a._value
        y = forward(x)
        if a.node is None or not is_grad_enabled():
            return constant((x,), y) if observers else wrap(y, None)
        return recorded(plans[1], (a.node,), (x,), y)

    return call
