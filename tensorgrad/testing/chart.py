"""The picture of a result: claimed against numerical derivatives, with error bars."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..extras import load
from .problem import Array
from .verdict import KINK, NAMES, Comparison

if TYPE_CHECKING:
    from .result import Result

STYLES = {
    "agrees": {"color": "#3a6ea5", "marker": "o"},
    "kink": {"color": "#8a4fa0", "marker": "D"},
    "too noisy": {"color": "#8c8c8c", "marker": "s"},
    "disagrees": {"color": "#cc4125", "marker": "X"},
}
"""Colours that differ in lightness too, and markers, for whoever sees no red."""

WIDE = 1e3
"""Ratio of sizes from which the axes are logarithmic."""


class Points(NamedTuple):
    """What is drawn, one entry each: the bars go from `low` to `high`."""

    numerical: Array
    low: Array
    high: Array
    claimed: Array
    state: Array

    @property
    def sizes(self) -> Array:
        """The magnitudes of all that is drawn, but zeros."""
        sizes: Array = np.abs(np.concatenate([self.numerical, self.claimed]))
        return np.asarray(sizes[sizes > 0])


def draw(result: Result, ax: Any = None) -> Any:
    """Draw a result into `ax`, or a new figure; return the axes."""
    ax = _axes() if ax is None else ax
    ax.set_title(_title(result), loc="left", fontsize="medium")
    ax.set_xlabel("numerical derivative ± error bar")
    ax.set_ylabel("claimed gradient")
    if result.comparison is None or not result.comparison.state.size:
        return ax
    points, left_out = _points(result.comparison)
    limits = _frame(ax, points)
    ax.plot(limits, limits, color="black", linewidth=0.8, zorder=1, label="exact")
    for state, name in enumerate(NAMES):
        _draw_state(ax, points, state, name)
    if left_out:
        ax.plot([], [], " ", label=f"{left_out} not finite, not drawn")
    if not result.ok or result.verdict == "kink":
        _name_worst(ax, result)
    ax.legend(frameon=False, loc="best")
    return ax


def _axes() -> Any:
    pyplot = load("matplotlib.pyplot", "plot", "result.plot()")
    return pyplot.subplots(figsize=(6.4, 6.4), layout="constrained")[1]


def _title(result: Result) -> str:
    order = "" if result.order == 1 else f" of order {result.order}"
    text = f"gradient{order}: {result.verdict.upper()}"
    lines = textwrap.wrap(result.diagnosis, 72)
    return "\n".join([text, *lines])


def _points(comparison: Comparison) -> tuple[Points, int]:
    """Return the finite points of a comparison, and how many others there are.

    At a kink the difference means nothing: the bar is what lies between the sides.
    """
    unit = comparison.experiment.units[:, None]
    numerical, error, claimed = (
        part / unit
        for part in (comparison.numerical, comparison.error, comparison.analytic)
    )
    kink = comparison.state == KINK
    low = np.where(kink, comparison.low / unit, numerical - error)
    high = np.where(kink, comparison.high / unit, numerical + error)
    middle = np.where(np.isfinite(low + high), (low + high) / 2, claimed)
    numerical = np.where(kink, middle, numerical)
    finite = np.isfinite(numerical) & np.isfinite(claimed)
    parts = (numerical, low, high, claimed, comparison.state)
    return Points(*(part[finite] for part in parts)), int((~finite).sum())


def _frame(ax: Any, points: Points) -> tuple[float, float]:
    """Give both axes the same scale and limits, and return these."""
    drawn = np.concatenate([points.numerical, points.claimed])
    least, most = float(drawn.min(initial=0)), float(drawn.max(initial=0))
    sizes = points.sizes
    if sizes.size and sizes.max() > WIDE * sizes.min():
        threshold = float(sizes.min())
        least = 3 * least if least < 0 else -threshold
        most = 3 * most if most > 0 else threshold
        _make_logarithmic(ax, threshold, least, most)
    else:
        room = 0.08 * (most - least) or 1.0
        least, most = least - room, most + room
    ax.set(xlim=(least, most), ylim=(least, most))
    ax.set_box_aspect(1)
    ax.grid(color="#e4e4e4", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return least, most


def _make_logarithmic(ax: Any, threshold: float, least: float, most: float) -> None:
    """Make both axes logarithmic to either side of 0, with few enough ticks to read."""
    first = int(np.ceil(np.log10(threshold))) + 1
    last = int(np.floor(np.log10(max(-least, most))))
    decades = 10.0 ** np.arange(last, first - 1, -max(1, (last - first) // 4))
    ticks = np.concatenate([-decades, [0.0], decades])
    ticks = ticks[(least <= ticks) & (ticks <= most)]
    ax.set_xscale("symlog", linthresh=threshold)
    ax.set_yscale("symlog", linthresh=threshold)
    ax.set_xticks(ticks)
    ax.set_yticks(ticks)


def _draw_state(ax: Any, points: Points, state: int, name: str) -> None:
    chosen = points.state == state
    if not chosen.any():
        return
    x, y = points.numerical[chosen], points.claimed[chosen]
    span = ax.get_xlim()
    low, high = (np.clip(p[chosen], *span) for p in (points.low, points.high))
    many = chosen.sum() > 200
    ax.errorbar(
        x,
        y,
        xerr=np.abs([x - low, high - x]),
        linestyle="none",
        markersize=4 if many else 7,
        alpha=0.5 if many else 0.9,
        markeredgecolor="white",
        markeredgewidth=0.5,
        elinewidth=1.2,
        capsize=3,
        zorder=2 + state,
        label=f"{name} ({chosen.sum()})",
        **STYLES[name],
    )


def _name_worst(ax: Any, result: Result) -> None:
    """Write the place of the worst entry beside it."""
    worst = result.worst
    if worst is None or not np.isfinite([worst.numerical, worst.analytic]).all():
        return
    at = (worst.numerical, worst.analytic)
    on_the_right = worst.numerical > np.mean(ax.get_xlim())
    ax.annotate(
        str(worst),
        at,
        xytext=(-12 if on_the_right else 12, -14),
        textcoords="offset points",
        ha="right" if on_the_right else "left",
        va="top",
        fontsize="small",
        annotation_clip=False,
    )
