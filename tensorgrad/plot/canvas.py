"""The canvas of one run: data and regions, weights and updates, and the curves."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .curves import ACCURACY, Curve, add_curve, epochs_of, figures_of, limits
from .figures import Stage, new_figure, text
from .history import History
from .palette import INK
from .panels import Panel, add_panels
from .regions import Regions, add_key

__all__ = ["Canvas"]

WIDTH, HEIGHT = 1280, 960
GRID = 256
REGIONS = (0.05, 0.36, 0.42, 0.56)
SQUARES = (0.53, 0.36, 0.455, 0.575)
"""Left, bottom, width and height, in fractions of the figure."""
CAPTION = (
    "Red is positive, blue negative, white zero. Each field is divided by its own\n"
    "largest value, given above it. The update is what the last step has added."
)
CALM = "\nDepth goes with the square root"
LAGS = ", and moves by a bounded step a frame"


@final
class Canvas:
    """All pictures of one run.

    Parameters
    ----------
    history : History
        With at least one moment.
    raw : bool
        Shows classes and squares literally, however fast they change.
    managed : bool
        Whether the figure belongs to pyplot.
    moving : bool
        Whether frames follow each other, which the caption then says.
    """

    def __init__(
        self,
        history: History,
        *,
        raw: bool = False,
        managed: bool = False,
        moving: bool = True,
    ) -> None:
        self.history, self.title = history, history.title
        self.count = len(history.moments)
        self.figure = new_figure(WIDTH, HEIGHT, managed=managed)
        text(self.figure, 0.05, 0.96, history.title, fontsize=14, weight="bold")
        self._epoch = text(self.figure, 0.985, 0.96, "", fontsize=14, ha="right")
        self.regions = self._regions(raw)
        self.panels: list[Panel] = add_panels(self.figure, history, SQUARES, raw=raw)
        calm = "" if raw else CALM + (LAGS if moving else "") + "."
        text(self.figure, 0.53, 0.345, CAPTION + calm, fontsize=8.5, va="top")
        self.curves = self._curves()
        self.stage = Stage(self.figure, self._moving())

    def _regions(self, raw: bool) -> Regions:
        ax = self.figure.add_axes(REGIONS)
        regions = Regions(self.history, ax, GRID, raw=raw)
        add_key(ax, regions)
        plane = regions.plane
        below = "\n".join(filter(None, [plane.labels[0], plane.note]))
        ax.set_xlabel(below, fontsize=9.5, labelpad=4, color=INK)
        ax.set_ylabel(plane.labels[1], fontsize=9.5, labelpad=4, color=INK)
        text(self.figure, 0.47, 0.927, "hollow: wrong", fontsize=9, ha="right")
        return regions

    def _curves(self) -> list[Curve]:
        epochs = epochs_of(self.history)
        of = " of each batch" if self.history.steps_per_epoch > 1 else ""
        curves = []
        for i, (name, values) in enumerate(figures_of(self.history).items()):
            ax = self.figure.add_axes((0.05 + 0.323 * i, 0.065, 0.28, 0.19))
            ax.set_xlim(0, max(epochs[-1], 1))
            ax.set_xlabel("epoch", fontsize=9, color=INK)
            bounds = ACCURACY if name == "accuracy" else limits(values)
            curves.append(add_curve(ax, name, epochs, values, bounds, of))
        return curves

    def _moving(self) -> list[Any]:
        images = [panel.image for panel in self.panels]
        words = [panel.largest for panel in self.panels]
        lines = [artist for curve in self.curves for artist in curve.artists]
        return [*self.regions.artists, *images, *words, *lines, self._epoch]

    def show(self, i: int) -> None:
        """Put moment i of the run on the canvas."""
        moment = self.history.moments[i]
        self.regions.show(moment)
        for panel in self.panels:
            panel.show(moment)
        for curve in self.curves:
            curve.show(moment.step)
        self._epoch.set_text(self.label(i))

    def label(self, i: int) -> str:
        """Return the caption of moment i."""
        return epoch_of(self.history, i)

    @property
    def settled(self) -> bool:
        """Whether nothing lags behind the moment shown."""
        return self.regions.settled and all(p.settled for p in self.panels)

    def picture(self) -> NDArray[np.uint8]:
        """Return the canvas as it is now, uint8 of shape (height, width, 3)."""
        return self.stage.picture()


def epoch_of(history: History, i: int) -> str:
    """Say the epoch of moment i, and the step within it where it has several."""
    epoch, batch = divmod(history.moments[i].step, history.steps_per_epoch)
    return f"epoch {epoch:,}" + (f", step {batch}" if batch else "")
