"""Loss, accuracy and learning rate against epochs, drawn as far as the run has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .history import History
from .palette import BLUE, INK, PALE

__all__ = [
    "ACCURACY",
    "Bounds",
    "Curve",
    "add_curve",
    "epochs_of",
    "figures_of",
    "limits",
]

Array = NDArray[Any]
Bounds = tuple[tuple[float, float], str]
"""The limits of an axis, and its scale."""
ACCURACY: Bounds = (0.0, 1.02), "linear"


@dataclass(frozen=True)
class Curve:
    """One figure of a run, and the artists that show it.

    Attributes
    ----------
    x, y : (steps,) arrays
    line, dot, value : artists
        What has been passed, where the run stands, and the figure there in words.
    form : str
        How the figure is written.
    top : float
        Upper limit of the axis.
    """

    x: Array
    y: Array
    line: Any
    dot: Any
    value: Any
    form: str
    top: float

    def show(self, step: int) -> None:
        """Draw up to a step."""
        self.line.set_data(self.x[: step + 1], self.y[: step + 1])
        inside = slice(step, step + (self.y[step] <= self.top))
        self.dot.set_data(self.x[inside], self.y[inside])
        self.value.set_text(format(self.y[step], self.form))

    @property
    def artists(self) -> list[Any]:
        """What moves."""
        return [self.line, self.dot, self.value]


def add_curve(
    ax: Any, name: str, x: Array, y: Array, bounds: Bounds, of: str = ""
) -> Curve:
    """Draw a whole curve faintly, and return what draws over it as the run goes on."""
    style(ax, *bounds)
    is_rate = name == "learning rate"
    heading = name + ("" if is_rate else of) + peak(y, bounds)
    ax.set_title(heading, loc="left", fontsize=10, color=INK)
    ax.plot(x, y, color=PALE, linewidth=0.9)
    (line,) = ax.plot([], [], color=BLUE, linewidth=1.2)
    (dot,) = ax.plot([], [], "o", color=BLUE, markersize=5, clip_on=False)
    form = ".4g" if is_rate else ".3f"
    words = ax.set_title("", loc="right", fontsize=10, color=BLUE)
    return Curve(x, y, line, dot, words, form, bounds[0][1])


def figures_of(history: History) -> dict[str, Array]:
    """Return the figures of each step by the name they are drawn under."""
    return {
        "loss": np.array(history.losses),
        "accuracy": np.array(history.accuracies),
        "learning rate": np.array(history.rates),
    }


def epochs_of(history: History) -> Array:
    """Return the epoch of each step; a fraction where epochs have several."""
    return np.arange(len(history.losses)) / history.steps_per_epoch


def style(ax: Any, bounds: tuple[float, float], scale: str) -> None:
    """Give axes their limits, few ticks, and a thin frame at the left and bottom."""
    ax.set_yscale(scale)
    ax.set_ylim(bounds)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(PALE)
    ax.tick_params(colors=INK, labelsize=9, length=3, width=0.6)
    ax.locator_params(axis="x", nbins=5)
    if scale == "linear":
        ax.locator_params(axis="y", nbins=5)
    ax.xaxis.set_major_formatter("{x:,.0f}")


def limits(values: Array) -> Bounds:
    """Return limits and scale that suit a loss or a rate.

    Linear from 0, high enough for the first value and for all of the others but a
    hundredth part that stands out; logarithmic where they reach ten times the first.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return (0.0, 1.0), "linear"
    usual = float(np.quantile(finite, 0.99))
    if usual > 10 * finite[0] > 0:
        low = float(finite[finite > 0].min())
        return (low / 1.5, 1.5 * float(finite.max())), "log"
    most, top = float(finite.max()), max(usual, float(finite[0]))
    top = most if most < 1.5 * top else top
    return (0.0, 1.1 * top or 1.0), "linear"


def peak(values: Array, bounds: Bounds) -> str:
    """Name the largest value where it lies outside the limits."""
    largest = float(np.nanmax(values, initial=0))
    return f", peak {largest:.3g}" if largest > bounds[0][1] else ""
