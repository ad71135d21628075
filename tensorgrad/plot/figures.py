"""Figures: empty ones, moving ones of which most stays, and the way to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ..extras import load
from .palette import INK

__all__ = [
    "STILL",
    "Stage",
    "blank",
    "finished",
    "new_figure",
    "numbers",
    "plain",
    "text",
]

# A figure or an animation of matplotlib, which is an extra.
Picture = Any

STILL = (".png", ".svg", ".pdf")
"""Endings of files that hold one picture."""


def new_figure(width: int, height: int, *, managed: bool = False) -> Any:
    """Return an empty figure of that many pixels, drawn by Agg.

    A managed one belongs to pyplot, which shows it where figures are shown.
    """
    size = {"figsize": (width / 100, height / 100), "dpi": 100, "facecolor": "white"}
    if managed:
        return load("matplotlib.pyplot", "plot", "tg.plot").figure(**size)
    figure = load("matplotlib.figure", "plot", "tg.plot").Figure(**size)
    load("matplotlib.backends.backend_agg", "plot", "tg.plot").FigureCanvasAgg(figure)
    return figure


def plain(ax: Any) -> Any:
    """Take the box and ticks off axes, and return them."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


@final
class Stage:
    """A figure and the artists on it that move.

    Parameters
    ----------
    figure : matplotlib Figure
    moving : list of artists
        From the lowest to the topmost; they cover what stands still.
    """

    def __init__(self, figure: Any, moving: list[Any]) -> None:
        self.figure, self.moving = figure, moving
        self._still: Any = None

    def picture(self) -> NDArray[np.uint8]:
        """Return the figure as it is now, uint8 of shape (height, width, 3)."""
        canvas = self.figure.canvas
        if self._still is None:
            # Not before, as a figure that is shown or saved whole leaves these out.
            for artist in self.moving:
                artist.set_animated(True)
            canvas.draw()
            self._still = canvas.copy_from_bbox(self.figure.bbox)
        canvas.restore_region(self._still)
        for artist in self.moving:
            self.figure.draw_artist(artist)
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def text(figure: Any, x: float, y: float, words: str, **style: Any) -> Any:
    """Write words into a figure, at a place given in fractions of it."""
    return figure.text(x, y, words, **({"color": INK, "fontsize": 10} | style))


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
    if Path(path).suffix.lower() not in STILL:
        raise ValueError(
            f"tg.plot: expected a file name ending in {', '.join(STILL)}, got "
            f"{Path(path).name!r}"
        )
    figure.savefig(path, dpi=150)
    return None
