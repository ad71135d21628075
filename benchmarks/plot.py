"""Plots on logarithmic axes: the peers in each case, and scaling."""

from pathlib import Path
from typing import Any

from .cases import AXES
from .peers import PEERS
from .rows import Group, threads_title
from .table import figure as figure_of

MISSING = "the plots need matplotlib: pip install -e '.[plot]'"


def plot(groups: list[Group], stem: Path) -> list[Path]:
    """Write what can be plotted; return the files. Raises ImportError."""
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(MISSING) from error
    matplotlib.use("Agg")
    axes = {axis: along(groups, axis) for axis in AXES}
    scaling = {axis: found for axis, found in axes.items() if found}
    others = [g for g in groups if g.case.split("-")[0] not in AXES]
    drawn = {"": dots(others)} if others else {}
    drawn |= {"-scaling": lines(scaling)} if scaling else {}
    return [save(drawn[end], stem.with_name(f"{stem.name}{end}.png")) for end in drawn]


def save(figure: Any, path: Path) -> Path:
    """Write a figure, let go of it, and return its file."""
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return path


def colours() -> dict[str, Any]:
    """Return a colour for each peer, the same in every plot."""
    from matplotlib import colormaps

    palette = colormaps["tab20"]
    return {name: palette(i) for i, name in enumerate(PEERS)}


def dots(groups: list[Group]) -> Any:
    """Return a panel for each case, with a dot for each peer."""
    import matplotlib.pyplot as plt

    shown = [g for g in groups if any(not row.problem for row in g.rows)]
    columns = min(4, len(shown)) or 1
    rows = [shown[i : i + columns] for i in range(0, len(shown), columns)] or [[]]
    heights = [1.2 + 0.22 * max([0, *(len(g.rows) for g in row)]) for row in rows]
    figure, panels = plt.subplots(
        len(rows),
        columns,
        figsize=(6 * columns, sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for panel in panels.flat[len(shown) :]:
        panel.set_axis_off()
    for panel, group in zip(panels.flat, shown, strict=False):
        dot(panel, group)
    return figure


def dot(panel: Any, group: Group) -> None:
    """Draw the medians of one case and the quartiles around them."""
    known = colours()
    rows = [row for row in reversed(group.rows) if not row.problem]
    for height, row in enumerate(rows):
        colour = known.get(row.peer, "grey")
        panel.plot([row.low, row.high], [height, height], color=colour)
        panel.plot(row.median, height, "o", color=colour)
        text = f"  {figure_of(row.median)}"
        panel.annotate(text, (max(row.median, row.high), height), va="center", size=7)
    panel.set_yticks(range(len(rows)), [row.title for row in rows])
    panel.set_xscale("log")
    panel.margins(x=0.15, y=0.1)
    panel.grid(axis="y", linewidth=0.4)
    panel.set_title(f"{group.title}; {group.threads_title}", fontsize=9, loc="left")
    panel.tick_params(labelsize=7, which="both")


Points = dict[str, list[tuple[int, float]]]


def along(groups: list[Group], axis: str) -> dict[int, Points]:
    """Return, by threads and by peer, size and median along an axis."""
    found: dict[int, Points] = {}
    for group in groups:
        name, _, value = group.case.partition("-")
        for row in group.rows if name == axis else ():
            if not row.problem:
                points = found.setdefault(group.threads, {}).setdefault(row.peer, [])
                points.append((int(value), row.median))
    return found


def lines(scaling: dict[str, dict[int, Points]]) -> Any:
    """Return panels of time over size: a row for each number of threads."""
    import matplotlib.pyplot as plt

    threads = sorted({t for found in scaling.values() for t in found}, reverse=True)
    figure, panels = plt.subplots(
        len(threads),
        len(scaling),
        figsize=(4.2 * len(scaling), 4.0 * len(threads)),
        squeeze=False,
        layout="constrained",
    )
    for count, across in zip(threads, panels, strict=True):
        for (axis, found), panel in zip(scaling.items(), across, strict=True):
            curves(panel, axis, found.get(count, {}))
            panel.set_title(f"{axis}, {threads_title(count)}", fontsize=9)
    panels[0][-1].legend(fontsize=7, bbox_to_anchor=(1.02, 1), loc="upper left")
    return figure


def curves(panel: Any, axis: str, points: Points) -> None:
    """Draw a curve for each peer."""
    known = colours()
    for peer, found in points.items():
        style = "-" if peer in PEERS and PEERS[peer].ours else "--"
        title = PEERS[peer].title if peer in PEERS else peer
        colour = known.get(peer, "grey")
        panel.loglog(*zip(*found, strict=True), style, color=colour, label=title)
    sizes = sorted({size for found in points.values() for size, _ in found})
    panel.set_xticks(sizes, map(str, sizes))
    panel.minorticks_off()
    panel.set_xlabel(axis, fontsize=8)
    panel.set_ylabel("us per step", fontsize=8)
