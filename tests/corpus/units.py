"""The same functions in other units, and in other precisions."""

from dataclasses import replace
from typing import Any

import numpy as np

from .case import Map

SCALES = (1e-8, 1e-4, 1e4, 1e8)


def in_units(function: Map, inner: float, outer: float) -> Map:
    """Return ``outer * f(x / inner)`` at ``inner * x``.

    Whatever `inner` and `outer` are, this is the same function in other units: where
    one gradient passes the other must.
    """

    def f(*arrays: Any) -> Any:
        return outer * np.asarray(function.f(*(x / inner for x in arrays)))

    def vjp(g: Any, *arrays: Any) -> Any:
        found = function.vjp(outer * g, *(x / inner for x in arrays))
        if isinstance(found, tuple):
            return tuple(None if d is None else d / inner for d in found)
        return found / inner

    point = tuple(inner * np.asarray(x) for x in function.point)
    name = f"{function.name}, x in {1 / inner:.0e}, f in {1 / outer:.0e}"
    return replace(function, name=name, f=f, vjp=vjp, point=point)


def in_float32(function: Map) -> Map:
    """Return a function that computes in float32, with its gradient in float64."""

    def f(*arrays: Any) -> Any:
        return function.f(*(np.asarray(x).astype(np.float32) for x in arrays))

    def vjp(g: Any, *arrays: Any) -> Any:
        exact = (np.asarray(x).astype(np.float64) for x in arrays)
        return function.vjp(np.asarray(g).astype(np.float64), *exact)

    point = tuple(np.asarray(x).astype(np.float32) for x in function.point)
    return replace(
        function, name=f"{function.name}, float32", f=f, vjp=vjp, point=point
    )
