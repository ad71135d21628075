"""What the recorder asks of a function before it calls it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...facts import KNOWN, TABLE, facts_of
from .traced import Traced


def written_arguments(
    function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> list[Any]:
    """Return what a call is going to write to: the first argument, and ``out``."""
    known, out = facts_of(function), kwargs.get("out")
    arrays = [*out] if type(out) is tuple else [out]
    if known.arguments:
        arguments = known.bound(args, kwargs)
        if known.writes(arguments):
            arrays.append(arguments[known.names[0]])
    return [x for x in arrays if x is not None]


def of_scalars(function: Callable[..., Any], args: Sequence[Any]) -> Any:
    """Return what NumPy calls for a function with scalars of its own as arguments."""
    if function in _METHODS:
        return _METHODS[function] if _is_scalar(args[0]) else function
    if function in _OPERATORS and any(map(_is_scalar, args)):
        return _OPERATORS[function]
    return function


def _is_scalar(x: Any) -> bool:
    return type(x) is Traced and x.scalar


def _operator(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def with_scalars(*args: Any) -> Any:
        return function(*(a[()] if isinstance(a, np.ndarray) else a for a in args))

    return with_scalars


def _method(name: str) -> Callable[..., Any]:
    """Return a method of NumPy's scalars, whose results are scalars as a rule."""

    @functools.wraps(getattr(np.ndarray, name))
    def method(x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x[()], name)(*args, **kwargs)

    return method


_OPERATORS = {
    f: _operator(f) for known in TABLE if known.scalars for f in known.functions
}
_METHODS = {
    getattr(np.ndarray, name): _method(name)
    for name in dir(np.generic)
    if callable(getattr(np.ndarray, name, None)) and not name.startswith("_")
}
# Where nothing but the copying matters it may be left out, and kernels can do it.
KNOWN.update(
    (method, facts_of(of_arrays))
    for of_arrays, method in _METHODS.items()
    if facts_of(of_arrays).kind == "copy"
)
KNOWN.update((of_scalars, facts_of(f)) for f, of_scalars in _OPERATORS.items())
