"""Rows of the tables, computed from a record of results."""

import statistics
from dataclasses import dataclass
from typing import Any

from .cases import CASES, Chain
from .fair import quartiles, ratio
from .peers import PEERS

Result = dict[str, Any]
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


def groups(results: list[Result]) -> list[Group]:
    """Return the results, those of a case and a number of threads together."""
    together: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        together.setdefault((result["case"], result["threads"]), []).append(result)
    return [
        Group(case, threads, rows(case, found))
        for (case, threads), found in together.items()
    ]


def rows(case: str, results: list[Result]) -> list[Row]:
    """Return the rows of a case."""
    measured = {r["peer"]: r["values"] for r in results if r["values"]}
    found = [row(case, result) for result in results]
    for one in found:
        if not one.problem:
            mine = measured[one.peer]
            one.over_base = over(mine, measured, BASE)
            one.over_compiled = over(mine, measured, COMPILED)
            one.share = part(mine, measured)
    return found


def row(case: str, result: Result) -> Row:
    """Return a row without what is relative to other peers."""
    if result["problem"]:
        return Row(result["peer"], result["problem"])
    values = [value * scale(case) for value in result["values"]]
    found = Row(result["peer"], None, statistics.median(values), *quartiles(values))
    found.cores = result["cores"]
    return found


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
