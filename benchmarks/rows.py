"""Rows of the tables, computed from the results of a case."""

import statistics
from dataclasses import dataclass

from .cases import CASES, STEPS, Chain
from .fair import quartiles, ratio
from .peers import PEERS
from .session import Result

BASE = ("eager", "one")
COMPILED = ("fused", "replay")
FLOOR = "products"


@dataclass
class Row:
    """A peer in a case at a number of threads, in the unit of the case."""

    peer: str
    problem: str | None
    median: float = 0.0
    low: float = 0.0
    high: float = 0.0
    over_base: float | None = None
    """Times the time of tensorgrad eager: above 1 where tensorgrad is faster."""
    over_compiled: float | None = None
    share: float | None = None
    """Of the time, what its matrix products alone would take."""
    cores: float = 0.0

    @property
    def title(self) -> str:
        """What the peer is called."""
        return PEERS[self.peer].title if self.peer in PEERS else self.peer


def threads_title(threads: int) -> str:
    """Return one thread, or all."""
    return {0: "all threads", 1: "1 thread"}.get(threads, f"{threads} threads")


@dataclass
class Group:
    """The rows of a case at a number of threads."""

    case: str
    threads: int
    rows: list[Row]

    @property
    def title(self) -> str:
        """What the case is."""
        return f"{CASES[self.case].title}; {CASES[self.case].unit}"

    @property
    def greedy(self) -> list[Row]:
        """The peers that kept more cores busy than they were to use."""
        limit = self.threads * 1.2 or float("inf")
        return [row for row in self.rows if row.cores > limit]

    @property
    def threads_title(self) -> str:
        """One thread, or all."""
        return threads_title(self.threads)

    def row(self, names: tuple[str, ...]) -> Row | None:
        """Return the first of these that was measured."""
        found = {row.peer: row for row in self.rows if not row.problem}
        return next((found[name] for name in names if name in found), None)


def group(results: list[Result]) -> Group:
    """Return the results of a case at a number of threads, as medians and ratios."""
    measured = {r.peer: r.values for r in results if r.values}
    first = results[0]
    return Group(first.case, first.threads, [row(r, measured) for r in results])


def steps(groups: list[Group]) -> list[Group]:
    """Return the training steps, at the first number of threads that was measured."""
    names = {case.name for case in STEPS}
    found = [group for group in groups if group.case in names]
    return [group for group in found if group.threads == found[0].threads]


def row(result: Result, measured: dict[str, list[float]]) -> Row:
    """Return the row of a peer, beside the values of all peers."""
    if result.problem:
        return Row(result.peer, result.problem)
    values = [value * scale(result.case) for value in result.values]
    return Row(
        result.peer,
        None,
        statistics.median(values),
        *quartiles(values),
        over_base=over(result.values, measured, BASE),
        over_compiled=over(result.values, measured, COMPILED),
        share=part(result.values, measured),
        cores=result.cores,
    )


def scale(case: str) -> float:
    """Return what makes the unit of a case of seconds or bytes."""
    found = CASES[case]
    if found.unit == "MiB":
        return 2.0**-20
    return 1e6 / found.nodes if isinstance(found, Chain) else 1e6


def over(
    mine: list[float], measured: dict[str, list[float]], names: tuple[str, ...]
) -> float | None:
    """Return the median ratio to the first of these peers that was measured."""
    for name in names:
        if len(measured.get(name, ())) == len(mine):
            return ratio(mine, measured[name])
    return None


def part(mine: list[float], measured: dict[str, list[float]]) -> float | None:
    """Return the median share of the products' time in mine."""
    floor = measured.get(FLOOR)
    return ratio(floor, mine) if floor and len(floor) == len(mine) else None
