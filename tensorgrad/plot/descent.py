"""Descents: the path of an optimizer down a curve, or over contours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .figures import Picture, blank, finished
from .palette import CLASSES, INK, LINE, PALE, encoded, light_of

__all__ = ["Descent", "descent", "descents", "losses"]

Array = NDArray[Any]
Make = Callable[[list[Any]], Any]
"""Makes an optimizer for parameters: ``lambda p: tg.optim.SGD(p, lr=0.1)``."""

# From light to dark as well: no reader needs the hue to tell the order.
FIRST, LAST = light_of(CLASSES[5]), light_of(CLASSES[4])
FAR = 1e6
"""A path that has gone so far has left: nothing more is computed of it."""


@dataclass(frozen=True)
class Descent:  # numpydoc ignore=PR02
    """A path that was walked.

    Parameters
    ----------
    points : (steps + 1, dimensions) array
        Where it was before the first step and after each; fewer where it left.
    values : (steps + 1,) array
        Of the function there.
    """

    points: Array
    values: Array

    @property
    def left(self) -> bool:
        """Whether the last point is not finite or absurdly far away.

        Returns
        -------
        bool
            True once a coordinate is beyond a million.
        """
        last = self.points[-1]
        return not (np.isfinite(last).all() and np.abs(last).max() < FAR)

    @classmethod
    def walked(
        cls, f: Callable[[Any], Any], x0: ArrayLike, optimizer: Make, steps: int
    ) -> Descent:
        """Walk: a real run of an optimizer from x0.

        Parameters
        ----------
        f : callable
            Takes a Tensor of the shape of x0, returns one number.
        x0 : float or (2,) array_like
            Where to start.
        optimizer : callable
            Makes an optimizer for a list of parameters.
        steps : int
            Steps to take.

        Returns
        -------
        Descent
            The path; it ends early where it has left.
        """
        from ..core.tensor import Tensor

        x = Tensor(np.array(x0, dtype=np.float64), requires_grad=True)
        stepper = optimizer([x])
        points, values = [], []
        with np.errstate(all="ignore"):
            for k in range(steps + 1):
                y = f(x)
                points.append(x.numpy().reshape(-1).copy())
                values.append(y.item())
                if k == steps or not np.abs(points[-1]).max() < FAR:
                    break
                x.grad = None
                y.backward()
                stepper.step()
        return cls(np.array(points), np.array(values))


def descent(
    f: Callable[[Any], Any],
    x0: ArrayLike,
    optimizer: Make,
    steps: int = 50,
    path: str | Path | None = None,
    *,
    title: str = "",
    span: tuple[float, float] | None = None,
) -> Picture:
    """Draw the path of an optimizer down a function of one or two variables.

    The path runs from light blue to orange and its marks grow, from the first step to
    the last, whose value is written in the corner; a star is the lowest point shown. Of
    two variables the function is shown by contours, evenly spaced in its logarithm.

    Parameters
    ----------
    f : callable
        Takes a Tensor of the shape of x0, returns one number.
    x0 : float or (2,) array_like
        Where to start.
    optimizer : callable
        Makes an optimizer: ``lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.5)``.
    steps : int
        Steps to take, at least 1.
    path : str or Path, optional
        Where to write; the ending chooses .png, .svg or .pdf.
    title : str
        Heads the picture.
    span : (float, float), optional
        Part of each axis to show; what the path covers where not given.

    Returns
    -------
    matplotlib.figure.Figure or None
        The picture, if `path` is None.

    Raises
    ------
    ValueError
        If x0 is neither a number nor two, or steps is below 1.
    ImportError
        If matplotlib is missing; the message names the extra that brings it.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> def valley(x):
    ...     return x**2 + 1
    >>> figure = tg.plot.descent(valley, 2.0, lambda p: tg.optim.SGD(p, lr=0.1), 20)
    """
    return descents(f, x0, {title: optimizer}, steps, path, columns=1, span=span)


def descents(
    f: Callable[[Any], Any],
    x0: ArrayLike,
    optimizers: Mapping[str, Make],
    steps: int = 50,
    path: str | Path | None = None,
    *,
    columns: int = 3,
    span: tuple[float, float] | None = None,
) -> Picture:
    """Draw the paths of several optimizers down the same function, side by side.

    Parameters
    ----------
    f : callable
        Takes a Tensor of the shape of x0, returns one number.
    x0 : float or (2,) array_like
        Where to start.
    optimizers : mapping of str to callable
        What makes each optimizer, by the titles of their panels.
    steps : int
        Steps to take, at least 1.
    path : str or Path, optional
        Where to write; the ending chooses .png, .svg or .pdf.
    columns : int
        Panels beside each other.
    span : (float, float), optional
        Part of each axis to show; what the paths cover where not given.

    Returns
    -------
    matplotlib.figure.Figure or None
        The picture, if `path` is None.

    Raises
    ------
    ValueError
        If x0 is neither a number nor two, or steps is below 1.
    ImportError
        If matplotlib is missing; the message names the extra that brings it.
    """
    start = np.asarray(x0, dtype=np.float64)
    if start.size not in (1, 2) or steps < 1:
        raise ValueError(
            "tg.plot.descent: expected x0 of one or two numbers and at least one step, "
            f"got shape {start.shape} and {steps} steps"
        )
    walked = {
        title: Descent.walked(f, start, make, steps)
        for title, make in optimizers.items()
    }
    draw = _on_curve if start.size == 1 else _on_contours
    rows = -(-len(walked) // columns)
    if start.size == 1:
        wide, high = (420, 300) if len(walked) > 1 else (720, 480)
    else:
        wide, high = (320, 340) if len(walked) > 1 else (560, 580)
    figure = blank(wide * columns, high * rows, path)
    frame = span or _span(start, walked.values())
    for k, (title, run) in enumerate(walked.items()):
        ax = figure.add_subplot(rows, columns, k + 1)
        draw(ax, f, start, run, frame)
        ax.set_title(title, fontsize=11, loc="left")
        _end(ax, run)
    return finished(figure, path)


def losses(
    runs: Mapping[str, Descent],
    path: str | Path | None = None,
    *,
    title: str = "",
) -> Picture:
    """Draw the values along several descents against their steps.

    Parameters
    ----------
    runs : mapping of str to Descent
        By the names that their curves are given.
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
    ImportError
        If matplotlib is missing; the message names the extra that brings it.
    """
    figure = blank(720, 460, path)
    ax = figure.add_subplot()
    styles = ("-", "--", "-.", ":")
    top = 3 * max(run.values[0] for run in runs.values())
    for k, (name, run) in enumerate(runs.items()):
        colour, style = CLASSES[k % len(CLASSES)], styles[k % len(styles)]
        steps = np.arange(len(run.values))
        values = np.where(run.values > top, np.nan, run.values)
        ax.plot(steps, values, style, color=colour, label=name, linewidth=1.8)
    ax.set(xlabel="step", ylabel="loss", title=title, ylim=(None, top))
    ax.legend(frameon=False)
    _bare(ax)
    return finished(figure, path)


def _span(start: Array, runs: Any) -> tuple[float, float]:
    """Return what the paths that stay cover, with a margin."""
    points = [run.points for run in runs if not run.left] or [start.reshape(1, -1)]
    low = min(float(p.min()) for p in points)
    high = max(float(p.max()) for p in points)
    margin = 0.15 * (high - low) or 1.0
    return low - margin, high + margin


def _colours(count: int) -> Array:
    """Return one colour for each point, from the first to the last."""
    at = np.linspace(0, 1, max(count, 2))[:count, None]
    return encoded(FIRST + at * (LAST - FIRST))


def _sizes(count: int) -> Array:
    """Return one area for each mark; many are small, so that they show the path."""
    return np.linspace(12, 48, max(count, 2))[:count] * min(1.0, 60 / count)


def _values(f: Callable[[Any], Any], points: Array, shape: tuple[int, ...]) -> Array:
    """Return the function at some points, each given to it in that shape."""
    from ..core.mode import no_grad
    from ..core.tensor import Tensor

    with no_grad(), np.errstate(all="ignore"):
        return np.array([f(Tensor(p.reshape(shape))).item() for p in points])


def _on_curve(
    ax: Any, f: Callable[[Any], Any], start: Array, run: Descent, span: Any
) -> None:
    xs = np.linspace(span[0], span[1], 400)
    ys = _values(f, xs, start.shape)
    room = 0.06 * (ys.max() - ys.min())
    low, high = ys.min() - 2 * room, ys.max() + room
    ax.plot(xs, ys, color=PALE, linewidth=2, zorder=1)
    lowest = int(ys.argmin())
    if 0 < lowest < len(xs) - 1:
        _lowest(ax, xs[lowest], ys[lowest], (0, -15), ha="center")
    x, y = run.points[:, 0], run.values
    inside = (x >= span[0]) & (x <= span[1]) & (y >= low) & (y <= high)
    # Beyond the picture a line still shows where the next point is.
    ax.plot(np.clip(x, -FAR, FAR), np.clip(y, -FAR, FAR), color=LINE, linewidth=0.8)
    _marks(ax, x, y, inside)
    ax.set(xlim=span, ylim=(low, high), xlabel="x", ylabel="f(x)")
    _bare(ax)


def _on_contours(
    ax: Any, f: Callable[[Any], Any], start: Array, run: Descent, span: Any
) -> None:
    side = np.linspace(span[0], span[1], 90)
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    z = _values(f, grid.reshape(-1, 2), start.shape).reshape(grid.shape[:2])
    heights = np.log10(z - z.min() + 1e-3)
    ax.contour(side, side, heights, levels=14, colors=PALE, linewidths=0.8)
    row, column = np.unravel_index(z.argmin(), z.shape)
    if 0 < min(row, column) <= max(row, column) < len(side) - 1:
        _lowest(ax, side[column], side[row], (8, -3))
    x, y = run.points.T
    ax.plot(np.clip(x, -FAR, FAR), np.clip(y, -FAR, FAR), color=LINE, linewidth=0.8)
    inside = np.abs(run.points).max(axis=1) < FAR
    _marks(ax, x, y, inside)
    ax.set(xlim=span, ylim=span, xlabel="x", ylabel="y", aspect="equal")
    _bare(ax)


def _marks(ax: Any, x: Array, y: Array, inside: Array) -> None:
    colours, sizes = _colours(len(x)), _sizes(len(x))
    ax.scatter(x[inside], y[inside], c=colours[inside], s=sizes[inside], zorder=3)
    if inside[0]:
        _label(ax, "start", (x[0], y[0]), (8, 6))


def _lowest(ax: Any, x: float, y: float, offset: Any, **where: Any) -> None:
    ax.plot(x, y, "*", color=INK, markersize=9, fillstyle="none", zorder=4)
    _label(ax, "lowest", (x, y), offset, **where)


def _end(ax: Any, run: Descent) -> None:
    """Write the value at the end of a path, or where it has left."""
    step, value = len(run.points) - 1, run.values[-1]
    text = f"left at step {step}, f = " if run.left else f"step {step}: f = "
    place = {"xycoords": "axes fraction", "va": "bottom"}
    _label(ax, f"{text}{value:.3g}", (0.02, 0.02), (0, 0), **place)


def _label(ax: Any, text: str, at: Any, offset: Any, **where: Any) -> None:
    paper = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1}
    ax.annotate(
        text,
        at,
        xytext=offset,
        textcoords="offset points",
        color=INK,
        fontsize=9,
        bbox=paper,
        zorder=4,
        **where,
    )


def _bare(ax: Any) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
