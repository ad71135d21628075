"""NumPy's protocols: which operation, which array, whose memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .dispatch import implementation, unsupported
from .extraction import lost_gradient
from .foreign import NATIVE, computed
from .mode import is_grad_enabled


class NumPyProtocol:
    """NumPy's functions applied to a tensor find the operation that has the rule."""

    __slots__ = ()

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        if "out" in kwargs:
            raise TypeError(
                f"numpy.{ufunc.__name__}: out= is not supported with Tensors, whose "
                "values backward may need; use the returned tensor (x = x + t, not "
                "x += t, for an array x)"
            )
        if method == "__call__":
            return implementation(ufunc)(*inputs, **kwargs)
        if method in ("reduce", "accumulate"):
            return implementation(ufunc, method)(*inputs, **{"axis": 0} | kwargs)
        if method == "outer":
            return _outer(implementation(ufunc), *inputs, **kwargs)
        raise unsupported(ufunc, method)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if len(types) > 1 and not NATIVE.issuperset(types):
            return computed(function, function.__name__, args, kwargs)
        return implementation(function)(*args, **kwargs)

    def __array__(
        self: Any, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> np.ndarray[Any, Any]:
        if self.node is not None and is_grad_enabled():
            raise lost_gradient("np.asarray", protocol=True)
        return np.array(self._seen("np.asarray"), dtype=dtype, copy=copy)


def _outer(operation: Callable[..., Any], a: Any, b: Any, **kwargs: Any) -> Any:
    """Apply an operation to each pair of an element of `a` and one of `b`."""
    a = a if hasattr(a, "dtype") else np.asarray(a)
    return operation(a.reshape((*a.shape, *(1,) * np.ndim(b))), b, **kwargs)
