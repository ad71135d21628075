"""How far gradients reach, and how much steps change the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .figures import Picture, blank, finished, numbers
from .history import History
from .palette import BLUE, INK, LINE, ORANGE, PALE

__all__ = ["gradient_flow", "updates"]

Array = NDArray[Any]

MAGNITUDE = "magnitude of the gradient (bar: middle 90 %, dot: root mean square)"
ROW, CLOSE = 34, 18
"""Height of the row of a parameter in pixels, and that of one of many."""
MANY = 16


def gradient_flow(
    parameters: object, path: str | Path | None = None, *, title: str = ""
) -> Picture:
    """Draw the sizes of the gradient in each parameter, after a ``backward()``.

    A bar spans the middle nine tenths of the magnitudes that are not 0, a dot is their
    root mean square, zeros among them. A line joins the dots of the matrices, in blue,
    another those of the biases, in orange: where gradients vanish or explode towards
    the first layers, they lean.

    Parameters
    ----------
    parameters : model with ``named_parameters()``, or iterable of Tensor
        Which have gradients.
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
        If no parameter has a gradient, or an ending is unknown.
    ImportError
        If matplotlib is missing; the message names the extra that brings it.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> model = tg.nn.Sequential(tg.nn.Dense(2, 8, rng=0), tg.nn.Dense(8, 3, rng=0))
    >>> x = np.ones((4, 2), np.float32)
    >>> loss = tg.softmax_cross_entropy(model(x), [0, 1, 2, 0])
    >>> loss.backward()
    >>> figure = tg.plot.gradient_flow(model)
    """
    pairs = [(name, p) for name, p in _named(parameters) if p.grad is not None]
    if not pairs:
        raise ValueError(
            "tg.plot.gradient_flow: expected parameters with gradients, got none; call "
            "it after loss.backward() and before zero_grad()"
        )
    figure, ax = _rows([name for name, _ in pairs], path)
    sizes = [np.abs(numbers(p.grad)).ravel() for _, p in pairs]
    for row, size in enumerate(sizes):
        _add_magnitudes(ax, row, size)
    bias = np.array([p.grad.ndim < 2 for _, p in pairs])
    for chosen, colour in ((~bias, BLUE), (bias, ORANGE)):
        rows = [i for i in np.flatnonzero(chosen) if sizes[i].any()]
        rms = [np.sqrt(np.mean(np.square(sizes[i], dtype=float))) for i in rows]
        ax.plot(rms, rows, "o-", color=colour, markersize=6, linewidth=0.8)
    ax.set(xscale="log", xlabel=MAGNITUDE)
    ax.set_title(title, fontsize=11, loc="left")
    return finished(figure, path)


def _named(parameters: Any) -> list[tuple[str, Any]]:
    if hasattr(parameters, "named_parameters"):
        return list(parameters.named_parameters())
    return [(f"parameter {i}", p) for i, p in enumerate(parameters)]


def _add_magnitudes(ax: Any, row: int, size: Array) -> None:
    some = size[size > 0]
    zero = 1 - some.size / max(size.size, 1)
    words = "all zero" if not some.size else f"{zero:.0%} zero" if zero else ""
    across = ax.get_yaxis_transform()
    ax.text(1.02, row, words, transform=across, va="center", color=INK, fontsize=9)
    if some.size:
        low, high = np.quantile(some, (0.05, 0.95))
        ax.plot([low, high], [row, row], color=PALE, linewidth=9, solid_capstyle="butt")


def updates(history: History, path: str | Path | None = None) -> Picture:
    """Draw how much the steps of a run changed each weight, relative to its size.

    A histogram for each parameter, over all recorded moments but those before the
    first step, of ``|update| / |weight|`` element by element, with its median. Weights
    or updates that are exactly 0 are left out, and their share is told.

    Parameters
    ----------
    history : History
        Of a run that was trained by an optimizer.
    path : str or Path, optional
        Where to write; the ending chooses .png, .svg or .pdf.

    Returns
    -------
    matplotlib.figure.Figure or None
        The picture, if `path` is None.

    Raises
    ------
    ValueError
        If no moment after a step was recorded, or an ending is unknown.
    ImportError
        If matplotlib is missing; the message names the extra that brings it.
    """
    moments = [moment for moment in history.moments if moment.step]
    if not moments:
        raise ValueError(
            "tg.plot.updates: expected a run with a moment recorded after a step, got "
            "none; record more steps, with frames of 2 or more"
        )
    figure, ax = _rows(history.names, path)
    for row in range(len(history.names)):
        change = np.concatenate([np.abs(m.update[row]).ravel() for m in moments])
        # The weights that the update was added to.
        before = [m.parameters[row] - m.update[row] for m in moments]
        weight = np.concatenate([np.abs(w).ravel() for w in before])
        _add_histogram(ax, row, change, weight)
    ax.set(xscale="log", xlabel="|update| / |weight|, line: median")
    ax.set_yticks(np.arange(len(history.names)) - 0.3, history.names)
    return finished(figure, path)


def _add_histogram(ax: Any, row: int, change: Array, weight: Array) -> None:
    some = (change > 0) & (weight > 0)
    share = np.log10(change[some].astype(float) / weight[some])
    left_out = 1 - share.size / max(some.size, 1)
    words = f"{left_out:.0%} zero" if left_out else ""
    if share.size:
        heights, edges = np.histogram(share, bins=60)
        top = row - 0.8 * heights / heights.max()
        ax.fill_between(10 ** edges[:-1], row, top, step="post", color=BLUE, alpha=0.75)
        middle = 10 ** float(np.median(share))
        ax.plot([middle, middle], [row, row - 0.8], color=INK, linewidth=1.2)
        words = f"median {middle:.1g}" + (f", {words}" if words else "")
    across = ax.get_yaxis_transform()
    ax.text(1.02, row, words, transform=across, va="bottom", color=INK, fontsize=9)


def _rows(names: list[str], path: str | Path | None) -> Any:
    """Return a figure and its axes, with a row for each name from the top."""
    height = ROW if len(names) <= MANY else CLOSE
    figure = blank(760, 130 + height * len(names), path)
    ax = figure.add_subplot()
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.3, -1)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=LINE, linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    return figure, ax
