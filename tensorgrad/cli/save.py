"""Places to write to, checked before there is something to write."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..files import temporary_name
from .errors import CommandError, UsageError


def checked(
    name: str, option: str = "--save", endings: Sequence[str] = (".tg",)
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
    temporary_name(path).open("wb").close()
    temporary_name(path).unlink()


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn a file that cannot be written within the block into a sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise CommandError(f"{what}: the file cannot be written: {reason}") from None
