"""Weights of models, in the files of NumPy and of safetensors."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import extras
from ..files import read_array, replacement, write_arrays
from ..nn import Dense, Module, Sequential

__all__ = ["load_weights", "read_weights", "save_weights"]

Array = NDArray[Any]
ENDINGS = (".npz", ".safetensors")


def save_weights(
    path: str | os.PathLike[str], model: Module, *, pytorch: bool = False
) -> None:
    """Write the parameters and buffers of a model to a file, whole or not at all.

    Parameters
    ----------
    path : str or path
        Ending in ``.npz``, which `numpy.load` reads, or ``.safetensors``.
    model : Module
        Whose values are written.
    pytorch : bool
        Whether to write them as a PyTorch model of the same layers has them: a layer
        of Sequential under its number alone, the weight of Dense transposed.

    Raises
    ------
    ImportError
        For ``.safetensors`` without that package, of the extra ``formats``.
    ValueError
        For another ending.
    OSError
        If the file cannot be written; what was there is still there then.
    """
    ending = _ending(path)
    state = model.state_dict()
    if pytorch:
        names = dict(_pytorch_names(model))
        state = {
            names[name][0]: _turned(x, names[name][1]) for name, x in state.items()
        }
    # Of a view, safetensors writes the memory as it lies.
    arrays = {
        name: np.ascontiguousarray(x).reshape(x.shape) for name, x in state.items()
    }
    with replacement(Path(os.path.realpath(path))) as file:
        if ending == ".npz":
            with zipfile.ZipFile(file, "w") as archive:
                write_arrays(archive, arrays)
        else:
            file.write(_safetensors().save(arrays))


def load_weights(
    path: str | os.PathLike[str],
    model: Module,
    *,
    pytorch: bool = False,
    strict: bool = True,
) -> None:
    """Read the parameters and buffers of a model from a file.

    Parameters
    ----------
    path : str or path
        Ending in ``.npz`` or ``.safetensors``.
    model : Module
        Whose values are overwritten.
    pytorch : bool
        Whether they are those of a PyTorch model of the same layers.
    strict : bool
        Whether the names must be those of the model.

    Raises
    ------
    ImportError
        For ``.safetensors`` without that package, of the extra ``formats``.
    ValueError
        If the file is damaged, or is of another model. The model is what it was then.
    OSError
        If it cannot be read.
    """
    state: dict[str, Array] = read_weights(path)
    own = model.state_dict()
    ours = {its: (name, turn) for name, (its, turn) in _pytorch_names(model)}
    if not pytorch and not state.keys() >= own.keys() and state.keys() >= ours.keys():
        raise ValueError(
            f"{str(path)!r} has the names of a PyTorch model; pass pytorch=True"
        )
    if pytorch:
        state = {
            ours.get(its, (its, False))[0]: _turned(x, ours.get(its, (its, False))[1])
            for its, x in state.items()
            # A count that only an average of all batches would need.
            if not its.endswith("num_batches_tracked")
        }
    # A file in half or double precision is of the model too.
    model.load_state_dict(
        {name: _cast(x, own.get(name)) for name, x in state.items()}, strict=strict
    )


def read_weights(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Return the arrays in a file, by name.

    Parameters
    ----------
    path : str or path
        Ending in ``.npz`` or ``.safetensors``. Nothing in it is unpickled.

    Returns
    -------
    dict of str to ndarray
        As they stand in the file.

    Raises
    ------
    ImportError
        For ``.safetensors`` without that package, of the extra ``formats``.
    ValueError
        If the file is damaged, or of another kind.
    OSError
        If it cannot be read.
    """
    ending, content = _ending(path), Path(path)
    try:
        if ending == ".npz":
            with zipfile.ZipFile(content) as archive:
                return {
                    item.filename.removesuffix(".npy"): read_array(archive, item)
                    for item in archive.infolist()
                }
        arrays: dict[str, Array] = _safetensors().load(content.read_bytes())
        return arrays
    except (OSError, ImportError):
        raise
    # safetensors has an error of its own, and some of Python's for what it cannot do.
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} is no file of arrays, or damaged: {error!s:.80}"
        ) from None


def _ending(path: str | os.PathLike[str]) -> str:
    ending = Path(path).suffix
    if ending not in ENDINGS:
        hint = (
            "; a file of torch.save is a pickle, which can run any program: write it "
            "again with safetensors.torch.save_file(model.state_dict(), path)"
            if ending in (".pt", ".pth", ".bin")
            else ""
        )
        raise ValueError(
            f"weights: expected a file that ends in {' or '.join(ENDINGS)}, got "
            f"{str(path)!r}{hint}"
        )
    return ending


def _safetensors() -> Any:
    return extras.load("safetensors.numpy", "formats", "a file of safetensors")


def _pytorch_names(model: Module) -> Iterator[tuple[str, tuple[str, bool]]]:
    """Yield our name of each tensor, and PyTorch's and whether it is transposed."""
    modules = dict(model.named_modules())
    for name in model.state_dict():
        parts = name.split(".")
        owners = [modules.get(".".join(parts[:i])) for i in range(len(parts))]
        theirs = [
            part
            for part, owner in zip(parts, owners, strict=True)
            if not (part == "layers" and type(owner) is Sequential)
        ]
        yield (
            name,
            (".".join(theirs), type(owners[-1]) is Dense and parts[-1] == "weight"),
        )


def _turned(x: Array, turn: bool) -> Array:
    return x.T if turn else x


def _cast(x: Array, own: Array | None) -> Array:
    return x if own is None or x.dtype.kind != "f" else x.astype(own.dtype)
