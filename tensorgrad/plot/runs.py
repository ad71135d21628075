"""Several runs side by side: the regions of each, its loss and its accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .canvas import epoch_of
from .curves import ACCURACY, Curve, add_curve, epochs_of, figures_of, limits
from .figures import Stage, new_figure, text
from .history import History
from .regions import Regions

__all__ = ["Runs"]

Array = NDArray[Any]
GRID, ACROSS = 160, 5
HOLLOW = "A hollow mark is a sample the model has wrong; across: epochs."
# In pixels.
LEFT, HEADING = 60, 64
SIDE, PITCH, ROW = 320, 364, 650
CURVE = 92
TOPS = {"words": 20, "regions": 54, "loss": 406, "accuracy": 524}
"""Where the parts of a run begin, below the top of its place."""


@final
class Runs:
    """All pictures of several runs, with the same axes.

    Parameters
    ----------
    histories : sequence of History
        Each with at least one moment.
    raw, managed, moving : bool
        As of :class:`Canvas`.
    """

    title = "Training runs side by side"

    def __init__(
        self,
        histories: Sequence[History],
        *,
        raw: bool = False,
        managed: bool = False,
        moving: bool = True,
    ) -> None:
        self.histories = list(histories)
        self.count = max(len(h.moments) for h in self.histories)
        self.columns = min(ACROSS, len(self.histories))
        rows = math.ceil(len(self.histories) / self.columns)
        self.size = LEFT + self.columns * PITCH, HEADING + rows * ROW
        self.figure = new_figure(*self.size, managed=managed)
        right = self.size[0] - PITCH + SIDE
        self._epoch = self._text(right, 40, "", fontsize=16, ha="right")
        self._text(LEFT, 40, self.title, fontsize=16, weight="bold")
        self._text(LEFT + PITCH, 40, HOLLOW, fontsize=10)
        self.regions = [self._regions(i, raw) for i in range(len(self.histories))]
        self.curves = [*self._curves("loss"), *self._curves("accuracy")]
        self.stage = Stage(self.figure, self._moving())

    def _axes(self, i: int, part: str, height: int) -> Any:
        """Return axes for a part of run i."""
        left, top = self._place(i)
        wide, high = self.size
        bottom = high - top - TOPS[part] - height
        box = (left / wide, bottom / high, SIDE / wide, height / high)
        return self.figure.add_axes(box)

    def _place(self, i: int) -> tuple[int, int]:
        """Return left and top of the place of run i."""
        row, column = divmod(i, self.columns)
        return LEFT + column * PITCH, HEADING + row * ROW

    def _text(self, left: float, top: float, words: str, **look: Any) -> Any:
        wide, high = self.size
        return text(self.figure, left / wide, 1 - top / high, words, **look)

    def _regions(self, i: int, raw: bool) -> Regions:
        history = self.histories[i]
        left, top = self._place(i)
        name, _, settings = history.title.partition(", ")
        self._text(left, top + TOPS["words"], name, fontsize=12, weight="bold")
        self._text(left, top + TOPS["words"] + 20, settings, fontsize=10)
        ax = self._axes(i, "regions", SIDE)
        return Regions(history, ax, GRID, raw=raw, size=3.6)

    def _curves(self, name: str) -> list[Curve]:
        """Draw a figure of each run within the same limits."""
        epochs = [epochs_of(h) for h in self.histories]
        figures = [figures_of(h)[name] for h in self.histories]
        bounds = limits(np.concatenate(figures)) if name == "loss" else ACCURACY
        curves = []
        for i, (x, y) in enumerate(zip(epochs, figures, strict=True)):
            ax = self._axes(i, name, CURVE)
            ax.set_xlim(0, max(1, *(e[-1] for e in epochs)))
            curves.append(add_curve(ax, name, x, y, bounds))
            ax.tick_params(labelleft=i % self.columns == 0, labelbottom=name != "loss")
        return curves

    def _moving(self) -> list[Any]:
        regions = [artist for part in self.regions for artist in part.artists]
        curves = [artist for part in self.curves for artist in part.artists]
        return [*regions, *curves, self._epoch]

    def show(self, i: int) -> None:
        """Put moment i of every run on the figure; a shorter run stays at its last."""
        moments = [h.moments[min(i, len(h.moments) - 1)] for h in self.histories]
        for regions, moment in zip(self.regions, moments, strict=True):
            regions.show(moment)
        for curve, moment in zip(self.curves, 2 * moments, strict=True):
            curve.show(moment.step)
        self._epoch.set_text(self.label(i))

    def label(self, i: int) -> str:
        """Return the caption of moment i."""
        longest = max(self.histories, key=lambda h: len(h.moments))
        return epoch_of(longest, i)

    @property
    def settled(self) -> bool:
        """Whether nothing lags behind the moments shown."""
        return all(regions.settled for regions in self.regions)

    def picture(self) -> NDArray[np.uint8]:
        """Return the figure as it is now, uint8 of shape (height, width, 3)."""
        return self.stage.picture()
