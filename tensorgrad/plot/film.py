"""The parts of an animation, whoever draws it and wherever it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Film", "Frame", "Make", "frames"]

Frame = tuple[str, NDArray[np.uint8]]
"""What a frame shows, in words, and the picture, of shape (height, width, 3)."""


class Film(Protocol):
    """A figure that can be put to each moment of a run, in turn."""

    figure: Any
    title: str
    count: int

    def show(self, i: int) -> None:
        """Put moment i on the figure."""

    def label(self, i: int) -> str:
        """Say which moment it is."""

    @property
    def settled(self) -> bool:
        """Whether nothing lags behind the moment shown."""

    def picture(self) -> NDArray[np.uint8]:
        """Return the figure as it is."""


Make = Callable[[], Film]
"""Makes a film that has shown nothing yet."""


def frames(film: Film) -> Iterator[Frame]:
    """Yield a frame for each moment, and of the last until it shows it as it is."""
    last = film.count - 1
    for i in range(film.count):
        film.show(i)
        yield film.label(i), film.picture()
    while not film.settled:
        film.show(last)
        yield film.label(last), film.picture()
