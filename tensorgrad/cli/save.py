"""Writing parameters to a file, all of it or nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .errors import CommandError, UsageError


def checked(
    name: str, option: str = "--save", endings: Sequence[str] = (".npz",)
) -> Path:
    """Return the path to write to, known to be writable.

    Raises
    ------
    UsageError
        If it does not end as it should, is a folder, or cannot be written.
    """
    if not name.endswith(tuple(endings)):
        raise UsageError(
            f"{option}: expected a file name ending in {', '.join(endings)}, got "
            f"{name!r}"
        )
    try:
        # Resolved, so that a link stays and the file it points at is replaced.
        path = Path(os.path.realpath(name))
        _check_folder(path, option)
    except OSError as error:
        raise UsageError(
            f"{option}: {name!r} cannot be written: {error.strerror}; choose another "
            "place"
        ) from None
    return path


def _check_folder(path: Path, option: str) -> None:
    if path.is_dir():
        raise UsageError(f"{option}: expected a file, got the folder {str(path)!r}")
    if not path.parent.is_dir():
        raise UsageError(
            f"{option}: there is no folder {str(path.parent)!r}; make it first"
        )
    # Trying is the only sure check: a disk may be mounted read-only.
    _temporary(path).open("wb").close()
    _temporary(path).unlink()


def write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays as an .npz file in place of what was there.

    Raises
    ------
    CommandError
        If it cannot be written; what was there is still there then.
    """
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            _write(file, arrays)
        os.replace(temporary, path)
    except OSError as error:
        raise CommandError(
            f"--save: {str(path)!r} cannot be written: {error.strerror}"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def _write(file: IO[bytes], arrays: dict[str, NDArray[Any]]) -> None:
    np.savez(file, **arrays)  # type: ignore[arg-type]
    # On the disk before the name points at it, or a power cut leaves an empty file.
    file.flush()
    os.fsync(file.fileno())


def _temporary(path: Path) -> Path:
    """Return a name in the same folder, as replacing across disks is not atomic."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")
