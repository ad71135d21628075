"""Weights and biases of each layer beside the update that was just made to them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .calm import Follower
from .figures import plain, text
from .history import History, Moment
from .squares import Field, fields_of

__all__ = ["Panel", "add_panels"]

Array = NDArray[Any]
Box = tuple[float, float, float, float]
SQUARE_STEP = 0.11
"""Largest move of a square in a frame, its scale being 1. Luminance moves by less."""
SCALE_STEP = 0.15
"""Largest move in a frame of what a field is divided by, in powers of ten."""
HEADING = 0.042
"""Height of the words above a field, in fractions of the figure."""


@dataclass(frozen=True)
class Panel:
    """The squares of one layer: what it holds, or what was added to it.

    Attributes
    ----------
    follow, scale : Follower
        Of the depth of colour, and of what values are divided by.
    power : float
        The depth of a colour is the magnitude to this power.
    """

    field: Field
    shows: Literal["parameters", "update"]
    image: Any
    largest: Any
    follow: Follower
    scale: Follower
    power: float

    def show(self, moment: Moment) -> None:
        """Show the squares of a moment."""
        values = np.nan_to_num(self.field.values(getattr(moment, self.shows)))
        top = float(np.abs(values).max(initial=0))
        name = "update" if self.shows == "update" else "weights and bias"
        self.largest.set_text(f"{name}, largest {top:.2g}" if top else f"{name}, zero")
        divisor = 10 ** float(self.scale(np.log10(np.array(top)))) if top else 1.0
        cells = np.clip(self.field.fill(values) / divisor, -1, 1)
        depth = np.sign(cells) * np.abs(cells) ** self.power
        self.image.set_data(self.field.picture(self.follow(depth)))

    @property
    def settled(self) -> bool:
        """Whether colours show the values as they are."""
        return self.follow.settled and self.scale.settled


def add_panels(figure: Any, history: History, box: Box, *, raw: bool) -> list[Panel]:
    """Draw the fields of each layer, one layer below the other, into a box."""
    left, bottom, width, height = box
    shapes = [p.shape for p in history.moments[0].parameters]
    wide, high = figure.get_size_inches()
    half = 0.48 * width

    def room(layers: int) -> float:
        """Return the height of a field, in fractions."""
        return height / layers - HEADING - 0.012

    fields = fields_of(history.names, shapes, lambda n: half * wide / (room(n) * high))
    panels = []
    for i, field in enumerate(fields):
        top = bottom + height - i * height / len(fields)
        text(figure, left, top, _heading(field), fontsize=10, weight="bold", va="top")
        low = top - HEADING - room(len(fields))
        for j, shows in enumerate(("parameters", "update")):
            place = (left + j * (width - half), low, half, room(len(fields)))
            panels.append(_panel(figure, field, shows, place, raw))
    return panels


def _heading(field: Field) -> str:
    return ", ".join(filter(None, [field.layer.title, field.note]))


def _panel(figure: Any, field: Field, shows: Any, box: Box, raw: bool) -> Panel:
    ax = plain(figure.add_axes(box, anchor="NW"))
    image = ax.imshow(
        field.picture(np.zeros(field.places.shape)), interpolation="nearest"
    )
    words = text(figure, box[0], box[1] + box[3] + 0.005, "", fontsize=9)
    squares = Follower(math.inf if raw else SQUARE_STEP)
    steady = shows == "update" and not raw
    scale = Follower(SCALE_STEP if steady else math.inf)
    return Panel(field, shows, image, words, squares, scale, 1.0 if raw else 0.5)
