"""Change that is slow enough for the eye.

WCAG 2.2 (2.3.1) calls it a flash where the relative luminance of a part of the picture
goes up and down by a tenth or more. What follows moves by less than that in a frame.
"""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Follower"]

Array = NDArray[Any]


@final
class Follower:
    """Shows values that move towards the true ones by a bounded step a frame.

    Parameters
    ----------
    most : float
        How far a value may move in a frame; infinity shows them as they are.
    together : bool
        Moves the values along the last axis on a straight line, so that shares of a
        whole stay shares of a whole.

    Examples
    --------
    >>> import numpy as np
    >>> follow = Follower(0.25)
    >>> [follow(np.array([v])).item() for v in (0.0, 1.0, -1.0)]
    [0.0, 0.25, 0.0]
    """

    def __init__(self, most: float, *, together: bool = False) -> None:
        self.most, self.together = most, together
        self._shown: Array | None = None
        self.settled = True

    def __call__(self, values: Array) -> Array:
        """Return the values to show in the next frame."""
        if self._shown is None:
            self._shown = np.array(values, dtype=float)
            return self._shown
        distance = np.subtract(values, self._shown)
        self.settled = bool(np.abs(distance).max(initial=0) <= self.most)
        if self.together:
            furthest = np.abs(distance).max(axis=-1, keepdims=True)
            distance *= self.most / np.maximum(furthest, self.most)
        else:
            distance = np.clip(distance, -self.most, self.most)
        self._shown = self._shown + distance
        return self._shown
