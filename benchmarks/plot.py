"""The chart of the page: each library's time of a step over that of tensorgrad."""

from pathlib import Path
from typing import Any

from .cases import CASES
from .peers import PEERS
from .rows import Group, steps

MISSING = "the chart needs matplotlib: pip install -e '.[plot]'"
SHOWN = [
    name
    for name, peer in PEERS.items()
    if "training" in peer.kinds and name not in ("fused", "products")
]
"""Not what the others are compared with, nor what is no library."""
MARKERS = "os^vD*PhX<>dp8H"
"""One for each library: colours are but ten."""


def plot(groups: list[Group], path: Path) -> list[Path]:
    """Draw the training steps of a record; return the files. Raises ImportError."""
    models = [g for g in steps(groups) if any(r.over_compiled for r in g.rows)]
    if not models:
        return []
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(MISSING) from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = chart(models)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return [path]


def chart(models: list[Group]) -> Any:
    """Return a line for each model and on it a mark for each library."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    figure, axes = plt.subplots(
        figsize=(9, 1.6 + 0.55 * len(models)), layout="constrained"
    )
    for place, peer in enumerate(SHOWN):
        measured = [(g.row((peer,)), line) for line, g in enumerate(models)]
        points = [(row.over_compiled, line) for row, line in measured if row]
        style = {"color": f"C{place}", "marker": MARKERS[place]}
        if points:
            axes.plot(
                *zip(*points, strict=True), ls="", label=PEERS[peer].title, **style
            )
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(models)), [CASES[g.case].title for g in models])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(linewidth=0.4)
    axes.set_xlabel("time of a step / tensorgrad compiled: right of 1 is slower")
    figure.legend(loc="outside upper center", ncols=5, fontsize=9, frameon=False)
    return figure
