"""Kernels: generated source, compiled by LLVM and kept on disk between processes."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
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


def cache_folder() -> Path:
    """Return the folder of kernels: TENSORGRAD_CACHE, or in the user's cache folder."""
    folder = os.environ.get("TENSORGRAD_CACHE")
    if folder:
        return Path(folder)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tensorgrad"


def prepared(
    source: str,
    arrays: Sequence[Value],
    integers: int = 0,
    numbers: int = 0,
    more: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
) -> Callable[..., Callable[..., None]]:
    """Return what binds a kernel to integers: a function of numbers and arrays.

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
) -> Callable[..., Callable[..., None]]:
    from . import machine

    names = " ".join(kind.name for kind in kinds)
    modules = frozenset(function.__module__ for _, function in more)
    key = f"{_version(modules)}\n{integers} {numbers} {names}\n{source}"
    symbol = f"kernel_{_digest(key.encode())[:24]}"
    try:
        path = cache_folder() / f"{symbol}.o"
        return machine.linked(symbol, _read(path))
    except Exception:
        # Not there, or what lies there is not what was written.
        code = machine.machine_code(
            symbol, source, kinds, integers, numbers, dict(more)
        )
    with contextlib.suppress(Exception):
        # A folder that cannot be written to keeps nothing.
        _write(path, code)
    return machine.linked(symbol, code)


@functools.cache
def _version(modules: frozenset[str]) -> str:
    """Return what machine code depends on besides its source."""
    from . import elementary, intrinsics, machine, translate

    own = elementary, intrinsics, machine, translate
    others = map(importlib.import_module, sorted(modules))
    texts = map(inspect.getsource, (*own, *others))
    return "\n".join([machine.processor(), *texts])


def _read(path: Path) -> bytes:
    """Return the bytes of a file, if they are those that were written.

    Raises
    ------
    ValueError
        If they are not.
    """
    digest, _, code = path.read_bytes().partition(b"\n")
    if digest.decode() != _digest(code):
        raise ValueError(f"{path} has changed since it was written")
    return code


def _write(path: Path, code: bytes) -> None:
    """Write a file that other processes may write too: all of it appears at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(_digest(code).encode() + b"\n" + code)
    os.replace(draft, path)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
