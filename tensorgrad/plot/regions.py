"""Samples in their plane, over the classes that a model sees there."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .calm import Follower
from .figures import plain
from .history import History, Moment
from .palette import INK, class_colour, class_marker, encoded, light_of
from .plane import Plane, class_light, edges, plane_of, probabilities

__all__ = ["Regions"]

Array = NDArray[Any]
SHARE_STEP, BORDER_STEP, MARK_STEP = 1 / 3, 0.25, 0.11
"""Largest moves in a frame: of class shares, all mixtures of which have one luminance;
of borders, from none to white; of marks, from hollow to full. Luminance moves by less
than a tenth."""


@final
class Regions:
    """The samples of a run and the regions of its model, on given axes.

    Parameters
    ----------
    history : History
    ax : matplotlib Axes
    side : int
        Pixels of the map of regions, across and down.
    raw : bool
        Colours each point by its likeliest class alone, at once.
    size : float
        Diameter of a sample in points.

    Attributes
    ----------
    plane : Plane
    """

    def __init__(
        self, history: History, ax: Any, side: int, *, raw: bool, size: float = 5.5
    ) -> None:
        self.history, self.side, self.raw = history, side, raw
        self.plane: Plane = plane_of(history.x, history.y, history.features)
        self._shares = Follower(1.0 if raw else SHARE_STEP, together=True)
        self._border = Follower(1.0 if raw else BORDER_STEP)
        self._full = Follower(1.0 if raw else MARK_STEP)
        self._labels = history.y[self.plane.chosen]
        self._image: Any = None
        left, right, bottom, top = extent = self.plane.extent()
        plain(ax).set(xlim=(left, right), ylim=(bottom, top))
        if self.plane.is_feature_space:
            blank = np.full((side, side, 3), 255, np.uint8)
            self._image = ax.imshow(
                blank, extent=extent, aspect="auto", interpolation="bilinear"
            )
            self._grid = self.plane.grid(side)
        else:
            ax.set_facecolor("#F7F7F7")
        self._samples = [
            self._drawn(ax, k, size)
            for k in range(int(self._labels.max(initial=0)) + 1)
        ]

    def _drawn(self, ax: Any, k: int, size: float) -> Any:
        """Draw the samples of a class, and return them."""
        x, y = self.plane.points[self._labels == k].T
        return ax.scatter(
            x,
            y,
            s=size**2,
            marker=class_marker(k),
            color=class_colour(k),
            linewidths=size / 6,
        )

    def key(self, limit: int = 7) -> list[tuple[Any, str]]:
        """Return samples and the name of their class, of the first few classes."""
        names = self.history.classes or range(len(self._samples))
        return [
            (drawn, str(name))
            for drawn, name in zip(self._samples, names, strict=False)
        ][:limit]

    @property
    def artists(self) -> list[Any]:
        """What moves, the lowest first."""
        return [*filter(None, [self._image]), *self._samples]

    @property
    def settled(self) -> bool:
        """Whether the regions are those of the moment shown."""
        return all(f.settled for f in (self._shares, self._border, self._full))

    def show(self, moment: Moment) -> None:
        """Show what the model of a moment predicts for the plane and the samples."""
        scores = self.history.scores(moment, self.history.x[self.plane.chosen])
        right = probabilities(scores).argmax(axis=1) == self._labels
        full = self._full(right)[:, None]
        for k, drawn in enumerate(self._samples):
            ink, own = light_of(class_colour(k)), full[self._labels == k]
            drawn.set_facecolor(encoded(own * ink + (1 - own)))
        if self._image is not None:
            self._image.set_data(self._picture(moment))

    def _picture(self, moment: Moment) -> Array:
        p = probabilities(self.history.scores(moment, self._grid))
        winners = p.argmax(axis=1).reshape(self.side, self.side)
        if self.raw:
            p = np.eye(p.shape[1])[winners.ravel()]
        shares = self._shares(p.reshape(self.side, self.side, -1))
        return class_light(shares, self._border(edges(winners)))


def add_key(ax: Any, regions: Regions) -> None:
    """Name the classes in a line above the axes."""
    handles, names = zip(*regions.key(), strict=True)
    ax.legend(
        handles,
        names,
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=len(names),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.2,
        borderpad=0.2,
    )
