"""Kernels: generated source, compiled by numba and kept on disk between processes."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import linecache
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..extras import missing
from .program import Value

HEADER = """\
from numba import njit
from numpy import *
from tensorgrad.capture.intrinsics import *
from tensorgrad.capture.tiles import *


@njit(cache=CACHE, error_model="numpy", nogil=True, pipeline_class=Exclusive)
"""


def installed() -> bool:
    """Whether numba is there."""
    try:
        return importlib.util.find_spec("numba") is not None
    except ValueError:
        # What Python says of a module that was marked as missing.
        return False


def require_numba() -> None:
    """Raise where fused kernels cannot be compiled.

    Raises
    ------
    ImportError
        If numba is not installed.
    """
    if not installed():
        raise missing("numba", "fast", "tg.compile(fused=True)")


def cache_folder() -> Path:
    """Return where kernels are kept: TENSORGRAD_CACHE, or the user's cache folder."""
    given = os.environ.get("TENSORGRAD_CACHE")
    if given:
        return Path(given)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tensorgrad"


@functools.cache
def compiled(source: str) -> Callable[..., Any]:
    """Return the function of a source text; programs of one structure share it."""
    require_numba()
    try:
        return _from_file(_kept(source))
    except (OSError, RuntimeError):
        return _from_text(source)


@functools.cache
def _version() -> bytes:
    # numba notices a change of the kernel's file, not of what the kernel calls.
    import numba

    names = ("intrinsics.py", "tiles.py")
    called = [Path(__file__).with_name(name).read_bytes() for name in names]
    return b"".join(called) + str(numba.__version__).encode()


def _kept(source: str) -> Path:
    """Return the file of a source text, written where it is not there yet."""
    text = HEADER.replace("CACHE", "True") + source
    name = hashlib.sha256(_version() + text.encode()).hexdigest()[:24]
    path = cache_folder() / f"kernel_{name}.py"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another process may write it at the same time: it appears whole or not.
        handle, draft = tempfile.mkstemp(dir=path.parent, text=True)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.replace(draft, path)
    return path


def _from_file(path: Path) -> Callable[..., Any]:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # numba pickles a kernel by the name of its module.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    kernel: Callable[..., Any] = module.kernel
    return kernel


def _from_text(source: str) -> Callable[..., Any]:
    text = HEADER.replace("CACHE", "False") + source
    name = f"<kernel {hashlib.sha256(text.encode()).hexdigest()[:24]}>"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    scope: dict[str, Any] = {}
    exec(compile(text, name, "exec"), scope)
    kernel: Callable[..., Any] = scope["kernel"]
    return kernel


def prepare(kernel: Any, sizes: int, values: list[Value], numbers: int) -> None:
    """Compile a kernel for the arrays it will be called with, or load it from disk."""
    import numba

    arrays = [numba.typeof(_stand_in(value)) for value in values]
    kernel.compile(
        (*[numba.int64] * sizes, *[numba.float64] * numbers, *arrays),
    )


def _stand_in(value: Value) -> Any:
    """Return an array like that of a value; its memory is never touched."""
    array = getattr(value, "array", None)
    if array is not None:
        return array
    empty = np.empty(max(value.nbytes // value.dtype.itemsize, 1), value.dtype)
    return np.lib.stride_tricks.as_strided(empty, value.shape, value.strides)
