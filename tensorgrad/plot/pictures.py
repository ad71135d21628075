"""Pictures of recorded runs, shown or written to a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .canvas import Canvas
from .figures import Picture
from .history import History
from .runs import Runs
from .writers import MOVING, check, write

__all__ = ["comparison", "training"]


def training(
    history: History,
    path: str | Path | None = None,
    *,
    raw: bool = False,
    fps: float = 10,
) -> Picture:
    """Draw a run: data and regions, weights and updates, and its curves.

    Parameters
    ----------
    history : History
        Of a run, whole or broken off.
    path : str or Path, optional
        Where to write. The ending chooses: .png, .svg and .pdf hold the last moment;
        .mp4, .webp, .gif and .html all of them, one after the other.
    raw : bool
        Shows every value literally. Without it no colour changes fast enough to
        flash, and the last frame is held until nothing lags behind.
    fps : float
        Frames per second of an animation.

    Returns
    -------
    matplotlib.figure.Figure or None
        The last moment, if `path` is None.

    Raises
    ------
    ValueError
        If nothing was recorded, or the ending is unknown.
    ImportError
        If a package is missing; the message names the extra that brings it.
    """
    _check_recorded([history])
    return _draw(partial(Canvas, history, raw=raw), path, fps)


def comparison(
    histories: Sequence[History],
    path: str | Path | None = None,
    *,
    raw: bool = False,
    fps: float = 10,
) -> Picture:
    """Draw several runs on the same data side by side, with the same axes.

    Parameters
    ----------
    histories : sequence of History
        Each with a title. They are to have recorded the same number of steps.
    path, raw, fps : optional
        As of :func:`training`.

    Returns
    -------
    matplotlib.figure.Figure or None
        The last moment, if `path` is None.

    Raises
    ------
    ValueError
        If a run has nothing recorded, or the ending is unknown.
    ImportError
        If a package is missing; the message names the extra that brings it.
    """
    _check_recorded(histories)
    return _draw(partial(Runs, histories, raw=raw), path, fps)


def _draw(film: Callable[..., Any], path: str | Path | None, fps: float) -> Any:
    if path is None:
        still = film(managed=True, moving=False)
        still.show(still.count - 1)
        return still.figure
    path = check(path)
    write(partial(film, moving=path.suffix.lower() in MOVING), path, fps)
    return None


def _check_recorded(histories: Sequence[History]) -> None:
    if not histories or not all(h.moments for h in histories):
        raise ValueError(
            "tg.plot: expected runs with at least one moment recorded, got none; call "
            "record() before each optimizer step"
        )
