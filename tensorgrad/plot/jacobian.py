"""Heat maps of Jacobians."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..extras import load
from .figures import Picture, blank, finished, numbers
from .palette import INK, diverging, luminance

__all__ = ["jacobian"]

Array = NDArray[Any]

VALUES = 144
"""Up to so many elements are written out."""
CELL = 70
"""Width of an element that a number is written into, in pixels."""
LABELS = 16
"""Up to so many rows or columns each has its number."""


def jacobian(
    f: Callable[..., Any] | ArrayLike,
    x: ArrayLike | None = None,
    path: str | Path | None = None,
    *,
    title: str = "",
) -> Picture:
    """Draw a Jacobian: a row for each output, a column for each input.

    Red is positive, blue negative; elements of small ones are written out. Outputs and
    inputs of several axes are counted in the order of their elements.

    Parameters
    ----------
    f : callable or (outputs, inputs) array
        A function of one array, whose Jacobian at x is computed, or a Jacobian.
    x : array_like, optional
        Where, if f is a function.
    path : str or Path, optional
        Where to write; the ending chooses .png, .svg or .pdf.
    title : str
        Heads the picture.

    Returns
    -------
    matplotlib.figure.Figure or None
        The picture, if `path` is None.

    Raises
    ------
    ValueError
        If the array has not two axes, or an ending is unknown.
    ImportError
        If matplotlib is missing; the message names the extra that brings it.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> figure = tg.plot.jacobian(tg.softmax, [2.0, 1.0, 0.1])
    """
    j = _matrix(f, x)
    largest = float(np.abs(j[np.isfinite(j)]).max(initial=0)) or 1.0
    cell = min(CELL, 900 / max(j.shape))
    high, wide = (max(cell * n, 200) for n in j.shape)
    figure = blank(wide + 210, high + 110, path)
    ax = figure.add_subplot()
    ax.imshow(diverging(j / largest), aspect="equal", interpolation="nearest")
    ax.set(xlabel="input", ylabel="output", title=title)
    for axis, n in ((ax.xaxis, j.shape[1]), (ax.yaxis, j.shape[0])):
        axis.set_ticks(range(n) if n <= LABELS else _few(n))
    ax.tick_params(length=0)
    if j.size <= VALUES:
        _write(ax, j, largest)
    _add_scale(figure, ax, largest)
    return finished(figure, path)


def _matrix(f: Any, x: Any) -> Array:
    if callable(f) and not hasattr(f, "shape"):
        from ..transforms import jacobian as derivative

        at = np.asarray(x, dtype=float)
        matrix = numbers(derivative(f)(at))
        return matrix.reshape(matrix.size // max(at.size, 1), at.size)
    j = numbers(f).astype(float)
    if j.ndim != 2 or not j.size:
        raise ValueError(
            "tg.plot.jacobian: expected a matrix of outputs by inputs, got shape "
            f"{j.shape}; reshape it to (outputs, inputs)"
        )
    return j


def _few(n: int) -> list[int]:
    step = -(-n // 8)
    return list(range(0, n, step))


def _write(ax: Any, j: Array, largest: float) -> None:
    shade = luminance(diverging(j / largest))
    size = 10 if j.size <= 36 else 8
    for (row, column), value in np.ndenumerate(j):
        colour = INK if shade[row, column] > 0.35 else "white"
        words = f"{value + 0.0:.2g}"
        style = {"ha": "center", "va": "center", "color": colour, "fontsize": size}
        ax.text(column, row, words, **style)


def _add_scale(figure: Any, ax: Any, largest: float) -> None:
    colours = diverging(np.linspace(-1, 1, 257)) / 255
    scale = load("matplotlib.cm", "plot", "tg.plot").ScalarMappable(
        load("matplotlib.colors", "plot", "tg.plot").Normalize(-largest, largest),
        load("matplotlib.colors", "plot", "tg.plot").ListedColormap(colours),
    )
    bar = figure.colorbar(scale, ax=ax, pad=0.03)
    bar.set_label("derivative of output in input")
    bar.outline.set_visible(False)
