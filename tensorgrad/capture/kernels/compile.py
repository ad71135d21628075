"""Kernels: generated source, compiled by LLVM where that is installed."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ...extras import missing
from ..program import Value


def installed() -> bool:
    """Whether llvmlite is installed."""
    try:
        return importlib.util.find_spec("llvmlite") is not None
    except ValueError:
        # What Python says of a module that was marked as missing.
        return False


def unusable() -> str:
    """Return why kernels cannot be compiled, in a sentence; "" where they can."""
    if not installed():
        return str(missing("llvmlite", "fast", "tg.compile(fused=True)"))
    return _broken()


@functools.cache
def _broken() -> str:
    try:
        import llvmlite.binding  # noqa: F401

        from . import machine  # noqa: F401
    except Exception as error:
        why = f"cannot be imported ({type(error).__name__}: {error})"
        return (
            f"llvmlite is installed, but {' '.join(why.split())}; install one that can"
        )
    return ""


def require_llvm() -> None:
    """Raise where fused kernels cannot be compiled.

    Raises
    ------
    ImportError
        If llvmlite is not installed, or cannot be used.
    """
    reason = unusable()
    if reason:
        raise ImportError(reason)


def prepared(
    source: str,
    arrays: Sequence[Value],
    integers: int = 0,
    numbers: int = 0,
    more: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
) -> Callable[..., Any]:
    """Return what makes a Native of the integers of a kernel.

    The kernel is compiled for such arguments, or comes from memory or from disk.

    Parameters
    ----------
    source : str
        See `translate`.
    arrays : sequence of Value
        What comes last. No two share memory, and their layout is that of `source`.
    integers, numbers : int
        How many integers come first, and how many floats after them.
    more : mapping of str to callable
        Functions that the source calls besides those of all kernels.
    """
    require_llvm()
    kinds = tuple(value.dtype for value in arrays)
    return _compiled(source, kinds, integers, numbers, tuple(more.items()))


@functools.cache
def _compiled(
    source: str,
    kinds: tuple[np.dtype[Any], ...],
    integers: int,
    numbers: int,
    more: tuple[tuple[str, Callable[..., Any]], ...],
) -> Callable[..., Any]:
    from . import machine
    from .chain import Native
    from .disk import kept, version

    names = " ".join(kind.name for kind in kinds)
    modules = frozenset(function.__module__ for _, function in more)
    address = kept(
        f"{version(modules)}\n{integers} {numbers} {names}\n{source}",
        lambda symbol: machine.machine_code(
            symbol, source, kinds, integers, numbers, dict(more)
        ),
    )

    def bind(*integers: int, **more: Any) -> Native:
        return Native(address, integers, numbers, len(kinds), **more)

    return bind
