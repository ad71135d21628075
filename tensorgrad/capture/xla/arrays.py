"""Arrays on a device: eager operations on a tensor that holds one run there."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.duck import DuckArray
from ...core.errors import PerformanceWarning
from ...core.foreign import DISPATCHED
from ...core.place import user_level
from ...core.tree import leaves, mapped
from ...facts import facts_of
from ..program import Array
from ..recording.views import Layout
from .cells import Cell, dense
from .functions import LoweringError, evaluate, float64, jax, jnp, updated


class DeviceArray(DuckArray):
    """An array on a device; a call of a function of NumPy's is one of JAX's.

    Parameters
    ----------
    array : array of JAX
    cell : Cell, optional
        What it is a view of, and `layout` where it lies there.
    """

    __slots__ = ("__weakref__", "_read", "cell", "layout")
    scalar = False

    def __init__(
        self, array: Any, cell: Cell | None = None, layout: Layout | None = None
    ) -> None:
        size = array.dtype.itemsize
        self.cell = cell or Cell(array.shape, dense(array.shape, size), array)
        self.layout = layout
        self._read = self.cell.array, array

    @property
    def array(self) -> Any:
        """What it holds now."""
        whole = self.cell.array
        if self._read[0] is not whole:
            now = whole if self.layout is None else self.cell.read(self.layout)
            self._read = whole, now
        return self._read[1]

    # An array to those who ask, as the operations do.
    __class__ = property(lambda self: np.ndarray)
    shape = property(lambda self: self.array.shape)
    dtype = property(lambda self: np.dtype(self.array.dtype))
    strides = property(lambda self: _outline(self).strides)
    flags = property(lambda self: _outline(self).flags)
    base = None

    def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        """Call a function on the device, or on the host where JAX has none."""
        if facts_of(function).kind == "question":
            return function(*mapped(args, _outline), **mapped(kwargs, _outline))
        kwargs = dict(kwargs)
        out = kwargs.pop("out", None)
        try:
            with float64(True):
                return _computed(function, args, kwargs, out)
        except LoweringError as error:
            if isinstance(self.array, jax.core.Tracer):
                raise
            if function not in DISPATCHED:
                warnings.warn(
                    f"{facts_of(function).name} {error}: NumPy computes it on the host",
                    PerformanceWarning,
                    stacklevel=user_level(),
                )
        result = self._on_host(function, args, kwargs)
        return result if out is None else _put(out, result.array)

    def _on_host(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        result = function(*mapped(args, _values), **mapped(kwargs, _values))
        with float64(True):
            return mapped(result, _uploaded)

    def readable(self, how: str) -> Array:
        """Return a copy of the values on the host, which is not to be written to."""
        values: Array = np.asarray(self.array)
        return values

    def unassignable(self) -> Exception:
        """Return the error for replacing the array of a tensor."""
        return TypeError(
            "Tensor.data: the tensor is on a device; make a new one, with "
            "tg.xla.device_put"
        )

    def __repr__(self) -> str:
        return f"<array on {self.array.device}, shape {self.shape}>"

    def __deepcopy__(self, memo: Any) -> DeviceArray:
        return DeviceArray(jnp.array(self.array, copy=True))


def _computed(
    function: Callable[..., Any], args: Any, kwargs: dict[str, Any], out: Any
) -> Any:
    """Call a function on the device, and write what it writes."""
    facts = facts_of(function)
    arrays = mapped(args, as_array)
    kwargs = mapped(kwargs, as_array)
    if DISPATCHED.get(function) or facts.writes(facts.bound(args, kwargs)):
        return _put(args[0], updated(function, arrays, kwargs))
    result = evaluate(function, arrays, kwargs)
    if out is None:
        layout = _layout(function, args, kwargs) if facts.kind in _VIEWS else None
        if layout is not None:
            return DeviceArray(result, args[0].cell, layout)
        return mapped(result, as_operand)
    targets = leaves(out) if isinstance(out, tuple) else [out]
    results = leaves(result) if isinstance(result, tuple) else [result]
    for target, new in zip(targets, results, strict=True):
        _put(target, new)
    return out


def _put(target: Any, new: Any) -> Any:
    """Write new contents to an array, wherever it is."""
    if type(target) is DeviceArray:
        target.cell.write(target.layout, new)
    else:
        target[...] = np.asarray(new)
    return target


_VIEWS = ("shape", "indexing")


def _layout(function: Callable[..., Any], args: Any, kwargs: Any) -> Layout | None:
    """Return where the result lies in the first argument, if it is a view of it."""
    x, *rest = args
    if type(x) is not DeviceArray or any(type(a) is DeviceArray for a in leaves(rest)):
        return None
    memory = np.empty(x.cell.shape, x.dtype)
    array = memory if x.layout is None else x.layout(memory)
    result = function(array, *rest, **kwargs)
    is_view = isinstance(result, np.ndarray) and np.may_share_memory(result, memory)
    return Layout.of(result, memory) if is_view else None


def as_array(x: Any) -> Any:
    """Return the array of JAX that an operand holds."""
    return x.array if type(x) is DeviceArray else x


def _values(x: Any) -> Any:
    return np.asarray(x.array) if type(x) is DeviceArray else x


def as_operand(x: Any) -> Any:
    """Return what the operations of the package take for an array of JAX."""
    return DeviceArray(x) if isinstance(x, jax.Array) else x


def _uploaded(x: Any) -> Any:
    is_array = isinstance(x, np.ndarray | np.generic)
    return DeviceArray(jnp.asarray(x)) if is_array else x


def _outline(x: Any) -> Any:
    """Return an array of the shape and dtype of one on a device, without memory."""
    if type(x) is not DeviceArray:
        return x
    return np.broadcast_to(np.zeros((), x.dtype), x.shape)


def on_device(values: Array, device: Any) -> DeviceArray:
    """Return a copy of an array on a device, of its dtype."""
    with float64(True):
        return DeviceArray(jax.device_put(jnp.array(values, copy=True), device))
