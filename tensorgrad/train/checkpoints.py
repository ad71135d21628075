"""Checkpoints: nests of arrays, numbers and text in one file with a checksum.

The file is a zip archive: an array a member, in NumPy's own format, so ``numpy.load``
reads them, and ``state.json``, which is the nest with the arrays' numbers in their
places. A SHA-256 of all that stands at the very end, as the archive's comment. Nothing
is pickled, and nothing unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, final

import numpy as np
from numpy.typing import NDArray

from ..core.errors import TensorgradError
from ..files import read_array, replacement, write_arrays

__all__ = ["CheckpointError", "Checkpoints", "load", "save"]

Array = NDArray[Any]

_NEST = "state.json"
_ARRAY = "array"
_DIGITS = 64
_CHUNK = 2**20


class CheckpointError(TensorgradError, ValueError):
    """A file is not a checkpoint, or no longer the one that was written."""


def save(path: str | os.PathLike[str], state: Any) -> None:
    """Write a nest of arrays, numbers and text to a file, all of it or nothing.

    It is written beside `path`, brought to the disk and then renamed: `path` is what it
    was, or the new checkpoint, whenever the process or the machine stops.

    Parameters
    ----------
    path : str or path
        By custom ending in ``.ckpt``.
    state : nest
        Dicts with text for keys, lists, tuples (which come back as lists), arrays,
        tensors (as arrays), numbers, text, booleans and None.

    Raises
    ------
    TypeError
        For anything else in the nest.
    OSError
        If the file cannot be written; what was there is still there then.

    Examples
    --------
    >>> import numpy as np
    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "run.ckpt")
    ...     save(path, {"weights": [np.ones(2)], "epoch": 3})
    ...     load(path)
    {'weights': [array([1., 1.])], 'epoch': 3}
    """
    arrays: list[Array] = []
    nest = json.dumps(_flat(state, "state", arrays))
    target = Path(os.path.realpath(path))
    try:
        with replacement(target) as file:
            _write(file, nest, arrays)
    except OSError as error:
        raise OSError(
            error.errno,
            f"the checkpoint {str(path)!r} cannot be written: {error.strerror}; what "
            "was there before is still there",
        ) from None


def load(path: str | os.PathLike[str]) -> Any:
    """Return what :func:`save` wrote.

    Parameters
    ----------
    path : str or path
        Of a file that `save` has written.

    Returns
    -------
    nest
        With arrays of the caller's own.

    Raises
    ------
    CheckpointError
        If the file is no checkpoint, or damaged.
    OSError
        If it cannot be read.
    """
    with Path(path).open("rb") as file:
        _check_sum(file, str(path))
        try:
            with zipfile.ZipFile(file) as archive:
                return _read(archive)
        except (
            *(ValueError, KeyError, IndexError, TypeError, EOFError, MemoryError),
            *(RecursionError, NotImplementedError, RuntimeError, zipfile.BadZipFile),
        ) as error:
            raise CheckpointError(
                f"{str(path)!r} is no checkpoint that tg.train.save has written: "
                f"{str(error) or type(error).__name__:.80}"
            ) from None


def _flat(x: Any, name: str, arrays: list[Array]) -> Any:
    """Return a nest that JSON can hold; arrays go to the list, their places in."""
    if x is None or type(x) in (bool, int, float, str):
        return x
    if isinstance(x, dict):
        for key in x:
            if type(key) is not str:
                raise TypeError(
                    f"tg.train.save: {name} has the key {key!r:.40}; a checkpoint's "
                    "keys are text"
                )
        items = {key: _flat(v, f"{name}[{key!r}]", arrays) for key, v in x.items()}
        return {"": items} if _ARRAY in x or "" in x else items
    if isinstance(x, list | tuple):
        return [_flat(v, f"{name}[{i}]", arrays) for i, v in enumerate(x)]
    if hasattr(x, "numpy") or isinstance(x, np.ndarray | np.generic):
        array = np.asarray(x.numpy() if hasattr(x, "numpy") else x)
        if not array.dtype.hasobject:
            arrays.append(array)
            return {_ARRAY: len(arrays) - 1}
    raise TypeError(
        f"tg.train.save: {name} is {type(x).__name__} {x!r:.40}; a checkpoint holds "
        "dicts, lists, arrays, numbers and text"
    )


def _nested(x: Any, array: Callable[[int], Array]) -> Any:
    """Return the nest that `_flat` made flat."""
    if isinstance(x, list):
        return [_nested(v, array) for v in x]
    if not isinstance(x, dict):
        return x
    if x.keys() == {_ARRAY}:
        return array(x[_ARRAY])
    return {key: _nested(v, array) for key, v in x.get("", x).items()}


def _write(file: IO[bytes], nest: str, arrays: list[Array]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = b"0" * _DIGITS
        archive.writestr(_NEST, nest)
        write_arrays(archive, {str(i): array for i, array in enumerate(arrays)})
    file.seek(0)
    digest, size = _digest(file)
    file.seek(size)
    file.write(digest.encode())


def _digest(file: IO[bytes]) -> tuple[str, int]:
    """Return the checksum of all but the last digits, and where these begin."""
    size = file.seek(0, os.SEEK_END) - _DIGITS
    file.seek(0)
    digest, left = hashlib.sha256(), size
    while left > 0:
        part = file.read(min(_CHUNK, left))
        if not part:
            break
        digest.update(part)
        left -= len(part)
    return digest.hexdigest(), size


def _check_sum(file: IO[bytes], name: str) -> None:
    start = file.read(2)
    if start != b"PK":
        what = "is empty" if not start else "is no checkpoint"
        raise CheckpointError(
            f"{name!r} {what}; expected a file that tg.train.save has written"
        )
    digest, _ = _digest(file)
    if file.read() != digest.encode():
        raise CheckpointError(
            f"{name!r} is damaged, or was not written by tg.train.save: its checksum "
            "does not fit; use the checkpoint before it"
        )
    file.seek(0)


def _read(archive: zipfile.ZipFile) -> Any:
    members = {item.filename: item for item in archive.infolist()}
    if any(item.compress_type != zipfile.ZIP_STORED for item in members.values()):
        raise ValueError("it holds compressed members")
    nest = json.loads(archive.read(_NEST))

    def array(number: Any) -> Array:
        return read_array(archive, members[f"{int(number)}.npy"])

    return _nested(nest, array)


@final
class Checkpoints:
    """The checkpoints of a training, in a folder.

    Parameters
    ----------
    folder : str or path
        Made where it is missing. Files in it are named by the steps taken.
    every_epochs : int
        Epochs from one checkpoint to the next; one is written at the end, too.
    every_steps : int, optional
        Steps from one to the next, besides.
    keep : int
        How many to keep: the newest.

    Raises
    ------
    ValueError
        If a count is below 1.

    Examples
    --------
    >>> import tempfile
    >>> import tensorgrad as tg
    >>> x, y = tg.data.spiral(100, 3)
    >>> model = tg.nn.Dense(2, 3, rng=0)
    >>> optimizer = tg.optim.SGD(model.parameters(), 0.1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for epochs in (2, 5):  # the second call goes on from the first
    ...         log = tg.train.fit(model, optimizer, (x, y), epochs=epochs, rng=0,
    ...                            loss=tg.softmax_cross_entropy,
    ...                            checkpoints=tg.train.Checkpoints(folder))
    >>> log["epoch"]
    [1, 2, 3, 4, 5]
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        every_epochs: int = 1,
        every_steps: int | None = None,
        keep: int = 3,
    ) -> None:
        if min(every_epochs, keep, 1 if every_steps is None else every_steps) < 1:
            raise ValueError(
                "Checkpoints: expected counts of at least 1, got "
                f"every_epochs={every_epochs}, every_steps={every_steps}, keep={keep}"
            )
        self.folder = Path(folder)
        self.every_epochs, self.every_steps = every_epochs, every_steps
        self.keep = keep

    def paths(self) -> list[Path]:
        """Return the files, the newest first.

        Returns
        -------
        list of Path
            Named by the steps that had been taken.
        """
        return sorted(self.folder.glob("step-*.ckpt"), reverse=True)

    # A nest of whatever was saved.
    def latest(self) -> Any:
        """Return the state in the newest file that is not damaged.

        Returns
        -------
        nest or None
            None where there is no file.

        Raises
        ------
        CheckpointError
            If all are damaged.

        Warns
        -----
        RuntimeWarning
            For each file that is damaged.
        """
        error = None
        for path in self.paths():
            try:
                return load(path)
            except (CheckpointError, OSError) as caught:
                error = caught
                warnings.warn(f"{caught}", RuntimeWarning, stacklevel=2)
        if error is not None:
            raise CheckpointError(
                f"no checkpoint in {str(self.folder)!r} can be read; remove them to "
                "begin anew"
            )
        return None

    def resume(self, run: Any) -> bool:
        """Put a run where its newest checkpoint was.

        Parameters
        ----------
        run : Run
            Or whatever has `load_state_dict`.

        Returns
        -------
        bool
            False where there is no checkpoint.

        Raises
        ------
        CheckpointError
            If all are damaged, or of another training.
        """
        state = self.latest()
        if state is None:
            return False
        try:
            run.load_state_dict(state)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the checkpoints in {str(self.folder)!r} are of another training: "
                f"{error}"
            ) from error
        return True

    def after_step(self, run: Any) -> None:
        """Write a checkpoint where one is due after a step.

        Parameters
        ----------
        run : Run
            Or whatever has `steps` and `state_dict`.
        """
        if self.every_steps is not None and run.steps % self.every_steps == 0:
            self._write(run)

    def after_epoch(self, run: Any, *, last: bool) -> None:
        """Write a checkpoint where one is due after an epoch.

        Parameters
        ----------
        run : Run
            Or whatever has `epoch`, `steps` and `state_dict`.
        last : bool
            Whether no other epoch follows, after which one is always due.
        """
        if last or run.epoch % self.every_epochs == 0:
            self._write(run)

    def _write(self, run: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{run.steps:012d}.ckpt"
        try:
            save(path, run.state_dict())
        except OSError as error:
            # Days of training are not lost for a disk that is full for an hour.
            warnings.warn(
                f"{error.strerror}; the training goes on", RuntimeWarning, stacklevel=2
            )
            return
        for old in self.paths()[self.keep :]:
            old.unlink(missing_ok=True)
