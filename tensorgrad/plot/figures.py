"""What single pictures share: the numbers of tensors, and the way to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blit import new_figure

__all__ = ["blank", "finished", "numbers"]

ENDINGS = (".png", ".svg", ".pdf")


def numbers(x: Any) -> NDArray[Any]:
    """Return a tensor's array, or anything else as an array."""
    return np.asarray(x.numpy() if hasattr(x, "numpy") else x)


def blank(width: float, height: float, path: str | Path | None) -> Any:
    """Return an empty figure of that many pixels; pyplot's, where it is to be shown."""
    figure = new_figure(int(width), int(height), managed=path is None)
    figure.set_layout_engine("constrained")
    return figure


def finished(figure: Any, path: str | Path | None) -> Any:
    """Return a figure, or write it where a path is given.

    Raises
    ------
    ValueError
        If the ending of the path is none of .png, .svg and .pdf.
    """
    if path is None:
        return figure
    if Path(path).suffix.lower() not in ENDINGS:
        raise ValueError(
            f"tg.plot: expected a file name ending in {', '.join(ENDINGS)}, got "
            f"{Path(path).name!r}"
        )
    figure.savefig(path, dpi=150)
    return None
