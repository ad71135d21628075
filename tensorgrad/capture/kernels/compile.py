"""Kernels: generated source, compiled by numba and kept on disk between processes."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import linecache
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...extras import missing
from ..program import Value

INTRINSICS = "tensorgrad.capture.kernels.intrinsics"

HEADER = """\
from numba import njit
from numpy import *
from tensorgrad.capture.kernels.intrinsics import *
from {library} import *


@njit(cache=CACHE, error_model="numpy", nogil=True, pipeline_class=Exclusive)
"""


def installed() -> bool:
    """Whether numba is installed."""
    try:
        return importlib.util.find_spec("numba") is not None
    except ValueError:
        # What Python says of a module that was marked as missing.
        return False


def unusable() -> str:
    """Return why kernels cannot be compiled, in a sentence; "" where they can."""
    if not installed():
        return str(missing("numba", "fast", "tg.compile(fused=True)"))
    return _broken()


@functools.cache
def _broken() -> str:
    try:
        import numba

        from . import intrinsics  # noqa: F401
    except Exception as error:
        why = f"cannot be imported ({type(error).__name__}: {error})"
        return f"numba is installed, but {' '.join(why.split())}; install one that can"
    if getattr(numba.config, "DISABLE_JIT", 0):
        return "numba compiles nothing while NUMBA_DISABLE_JIT is set; unset it"
    return ""


def require_numba() -> None:
    """Raise where fused kernels cannot be compiled.

    Raises
    ------
    ImportError
        If numba is not installed, or cannot be used.
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
    arrays: Sequence[tuple[Value, bool]],
    sizes: int = 0,
    numbers: int = 0,
    library: str = INTRINSICS,
) -> Callable[..., Any]:
    """Return the function of a source text, compiled for such arguments, or from disk.

    Parameters
    ----------
    arrays : sequence of tuple of Value and bool
        What comes last, and whether it is written to.
    sizes, numbers : int
        How many integers come first, and how many floats after them.
    library : str
        The module whose functions the source calls.
    """
    import numba

    kinds = tuple(_kind(value, written) for value, written in arrays)
    signature = (*[numba.int64] * sizes, *[numba.float64] * numbers, *kinds)
    return _compiled(HEADER.format(library=library) + source, library, signature)


def _kind(value: Value, written: bool) -> Any:
    """Return the type of an argument: any layout, also memory that is only read."""
    from numba import from_dtype, types

    rank = len(value.shape)
    element = from_dtype(value.dtype)
    return types.Array(element, rank, "A", readonly=not written, aligned=False)


@functools.cache
def _compiled(
    source: str, library: str, signature: tuple[Any, ...]
) -> Callable[..., Any]:
    require_numba()
    try:
        return _from_file(source, _version(library), signature)
    except Exception:
        # The folder cannot be written to, or what lies there is not what was written.
        return _from_text(source, signature)


@functools.cache
def _version(library: str) -> bytes:
    # numba notices a change of the kernel's file, not of what the kernel calls.
    import numba

    modules = [importlib.import_module(name) for name in (INTRINSICS, library)]
    sources = map(inspect.getsource, modules)
    return "".join([*sources, str(numba.__version__)]).encode()


def _from_file(
    source: str, version: bytes, signature: tuple[Any, ...]
) -> Callable[..., Any]:
    text = source.replace("CACHE", "True", 1)
    # A file for each signature: numba's index of several is not safe from races.
    key = version + repr(signature).encode() + text.encode()
    name = f"kernel_{hashlib.sha256(key).hexdigest()[:24]}"
    path = cache_folder() / f"{name}.py"
    if not path.exists() or path.read_bytes() != text.encode():
        _write(path, text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # numba pickles a kernel by the name of its module.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    _drop_broken(path)
    try:
        kernel = _ready(module.kernel, signature)
    except Exception:
        for file in _machine_code(path, "nb*"):
            file.unlink(missing_ok=True)
        raise
    for file in _machine_code(path, "nbc"):
        if not _sum(file).exists():
            _write(_sum(file), _digest(file))
    return kernel


def _ready(kernel: Any, signature: tuple[Any, ...]) -> Callable[..., Any]:
    kernel.compile(signature)
    kernel.disable_compile()
    ready: Callable[..., Any] = kernel
    return ready


def _write(path: Path, text: str) -> None:
    """Write a file that other processes may write too: all of it appears at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(text.encode())
    os.replace(draft, path)


def _drop_broken(path: Path) -> None:
    """Remove machine code whose bytes have changed since it was compiled."""
    for file in _machine_code(path, "nbc"):
        if not _sum(file).exists() or _sum(file).read_bytes() != _digest(file).encode():
            file.unlink(missing_ok=True)
            _sum(file).unlink(missing_ok=True)


def _machine_code(path: Path, suffix: str) -> list[Path]:
    return [*(path.parent / "__pycache__").glob(f"{path.stem}.kernel-*.{suffix}")]


def _sum(file: Path) -> Path:
    return file.with_suffix(".sum")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _from_text(source: str, signature: tuple[Any, ...]) -> Callable[..., Any]:
    text = source.replace("CACHE", "False", 1)
    name = f"<kernel {hashlib.sha256(text.encode()).hexdigest()[:24]}>"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    scope: dict[str, Any] = {}
    exec(compile(text, name, "exec"), scope)
    return _ready(scope["kernel"], signature)
