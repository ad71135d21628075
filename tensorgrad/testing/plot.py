"""The picture of a result: claimed against numerical derivatives, with error bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .verdict import NAMES

if TYPE_CHECKING:
    from .result import Result

COLOURS = {
    "agrees": "tab:blue",
    "kink": "tab:purple",
    "too noisy": "tab:gray",
    "disagrees": "tab:red",
}


def draw(result: Result, ax: Any = None) -> Any:
    """Draw a result into `ax`, or a new figure; return the axes."""
    if ax is None:
        ax = _axes()
    comparison = result.comparison
    if comparison is None:
        ax.set_title(f"{result.verdict}: {result.fault}")
        return ax
    unit = comparison.experiment.units[:, None]
    claimed, real = comparison.analytic / unit, comparison.numerical / unit
    for state, name in enumerate(NAMES):
        chosen = (comparison.state == state) & np.isfinite(claimed) & np.isfinite(real)
        if chosen.any():
            bars = np.nan_to_num((comparison.error / unit)[chosen], posinf=0.0)
            x, y = real[chosen], claimed[chosen]
            ax.errorbar(x, y, xerr=bars, fmt="o", color=COLOURS[name], label=name)
    ends = [*ax.get_xlim()]
    ax.plot(ends, ends, color="black", linewidth=0.8, zorder=0)
    ax.set(xlabel="numerical derivative", ylabel="claimed gradient")
    ax.set_title(
        f"{result.verdict}: {result.fault}" if result.fault else result.verdict
    )
    ax.legend()
    return ax


def _axes() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "result.plot() needs matplotlib; install it with "
            "pip install 'tensorgrad-numpy[plot]', or pass ax="
        ) from error
    return pyplot.subplots(layout="constrained")[1]
