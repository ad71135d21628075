"""Machine code that is kept on disk between processes."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import inspect
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import elementary, intrinsics, machine, translate


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


def kept(text: str, make: Callable[[str], bytes]) -> int:
    """Return the address of a function of machine code, from disk or made.

    Parameters
    ----------
    text : str
        What the code depends on.
    make : callable
        Returns an object file, where the function has the name that it is given.
    """
    symbol = f"kernel_{_digest(text.encode())[:24]}"
    try:
        path = cache_folder() / f"{symbol}.o"
        return machine.linked(symbol, _read(path))
    except Exception:
        # Not there, or what lies there is not what was written.
        code = make(symbol)
    with contextlib.suppress(Exception):
        # A folder that cannot be written to keeps nothing.
        _write(path, code)
    return machine.linked(symbol, code)


@functools.cache
def version(modules: frozenset[str] = frozenset()) -> str:
    """Return what machine code depends on besides its source."""
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
