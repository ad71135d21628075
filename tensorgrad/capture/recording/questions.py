"""What NumPy's functions ask: of shapes alone, of values, or for a shape by values."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...core.tree import leaves
from .traced import Traced

_OF_SHAPES = {
    np.can_cast,
    np.common_type,
    np.iscomplexobj,
    np.isrealobj,
    np.may_share_memory,
    np.min_scalar_type,
    np.ndim,
    np.result_type,
    np.shape,
    np.size,
}

_SHAPED_BY_VALUES = {
    np.argwhere,
    np.compress,
    np.extract,
    np.flatnonzero,
    np.intersect1d,
    np.ndarray.compress,
    np.ndarray.nonzero,
    np.nonzero,
    np.setdiff1d,
    np.setxor1d,
    np.trim_zeros,
    np.union1d,
    np.unique,
    np.unique_all,
    np.unique_counts,
    np.unique_inverse,
    np.unique_values,
}


def asks_shapes(function: Callable[..., Any]) -> bool:
    """Whether the answer of a function does not depend on values."""
    return function in _OF_SHAPES


def shaped_by_values(function: Callable[..., Any], args: Sequence[Any]) -> bool:
    """Whether the result has as many elements as values say."""
    if function in (operator.getitem, operator.setitem):
        return any(_is_mask(i) for i in leaves(args[1]))
    if function is np.where:
        return len(args) == 1
    if function in (np.repeat, np.ndarray.repeat):
        return hasattr(args[1], "dtype")
    return function in _SHAPED_BY_VALUES


def _is_mask(index: Any) -> bool:
    return hasattr(index, "dtype") and index.dtype.kind == "b"


def _of_scalars(function: Callable[..., Any]) -> Callable[..., Any]:
    def with_scalars(*args: Any) -> Any:
        return function(*(a[()] if isinstance(a, np.ndarray) else a for a in args))

    with_scalars.__name__ = function.__name__
    return with_scalars


_OF_SCALARS = {
    f: _of_scalars(f) for f in (operator.pow, operator.floordiv, operator.mod, divmod)
}
"""Operators that have other last bits for NumPy's scalars than for its arrays."""


def of_scalars(function: Callable[..., Any], args: Sequence[Any]) -> Any:
    """Return what NumPy calls for a function where it is given scalars of its own."""
    if function in _METHODS:
        return _METHODS[function] if _is_scalar(args[0]) else function
    if function in _OF_SCALARS and any(map(_is_scalar, args)):
        return _OF_SCALARS[function]
    return function


def _is_scalar(x: Any) -> bool:
    return type(x) is Traced and x.scalar


def _scalar_method(name: str) -> Callable[..., Any]:
    """Return a method of NumPy's scalars, whose results are scalars as a rule."""

    def method(x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x[()], name)(*args, **kwargs)

    method.__name__ = name
    return method


_METHODS = {
    getattr(np.ndarray, name): _scalar_method(name)
    for name in dir(np.generic)
    if callable(getattr(np.ndarray, name, None)) and not name.startswith("_")
}

WRITERS = {operator.setitem, operator.ipow}
"""Functions that write to their first argument."""
