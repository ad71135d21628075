"""The table on the screen."""

from .rows import Group, Row

COLUMNS = f"{'median':>12}{'quartiles':>22}{'/ eager':>10}{'/ compiled':>12}"
HEADER = f"{'':30}{COLUMNS}{'products':>10}"
LEGEND = """\
/ eager, / compiled: over what tensorgrad eager, tensorgrad compiled (fused where it is)
takes, the median over the rounds: above 1 where tensorgrad is ahead;
products: the share that the matrix products alone take which the gradient needs"""


def figure(value: float) -> str:
    """Return a number with three digits or more, none of them past need."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def times(value: float | None) -> str:
    """Return a ratio."""
    return "" if value is None else f"{value:.2f}"


def percent(value: float | None) -> str:
    """Return a share."""
    return "" if value is None else f"{100 * value:.0f} %"


def quartiles(row: Row) -> str:
    """Return both quartiles."""
    return f"{figure(row.low)}-{figure(row.high)}"


def line(row: Row) -> str:
    """Return the line of a peer."""
    if row.problem:
        return f"  {row.title:28}  {row.problem}"
    cells = f"{figure(row.median):>12}{quartiles(row):>22}"
    cells += f"{times(row.over_base):>10}{times(row.over_compiled):>12}"
    return f"  {row.title:28}{cells}{percent(row.share):>10}"


def block(group: Group) -> str:
    """Return the lines of a case."""
    title = f"{group.case}, {group.threads_title}: {group.title}"
    notes = [f"  {row.title} kept {row.cores:.1f} cores busy" for row in group.greedy]
    return "\n".join([title, *map(line, group.rows), *notes])
