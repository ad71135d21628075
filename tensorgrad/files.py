"""Files that are written whole, or not at all, and arrays in them."""

from __future__ import annotations

import contextlib
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


@contextmanager
def replacement(path: Path) -> Iterator[IO[bytes]]:
    """Yield a new file, which takes the place of `path` once it is on the disk.

    Where the block raises, or the process ends in it, `path` is what it was.
    """
    temporary = temporary_name(path)
    try:
        with temporary.open("w+b") as file:
            yield file
            # On the disk before the name points at it, or a power cut leaves an
            # empty file.
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def temporary_name(path: Path) -> Path:
    """Return a name in the same folder, as replacing across disks is not atomic."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _sync_folder(folder: Path) -> None:
    # Not every system opens folders; where it does, the new name is on the disk too.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_arrays(archive: zipfile.ZipFile, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as NumPy's ``savez`` does, whatever their names are."""
    for name, array in arrays.items():
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            npy.write_array(member, array, allow_pickle=False)


def read_array(archive: zipfile.ZipFile, item: zipfile.ZipInfo) -> NDArray[Any]:
    """Return an array, whose header may not ask for more memory than is there.

    Raises
    ------
    ValueError
        If it is no array, or one of objects.
    """
    with archive.open(item) as member:
        version = npy.read_magic(member)
        first = version == (1, 0)
        read = npy.read_array_header_1_0 if first else npy.read_array_header_2_0
        shape, fortran, dtype = read(member)
        size = member.tell() + math.prod(shape) * dtype.itemsize
        if dtype.hasobject or size != item.file_size:
            raise ValueError("an array in it is not what its header says")
        flat = np.frombuffer(bytearray(member.read()), dtype)
    return flat.reshape(shape, order="F" if fortran else "C")
