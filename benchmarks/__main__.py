"""Compare tensorgrad with every library installed.

Each library runs in a process of its own; the processes take turns, so that a slow
spell of the machine falls on all. Before anything is timed, all take some steps from
the same start; one that does not arrive where the others do is named and left out.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from . import cases, peers, record
from .cases import Case
from .page import page
from .peers import Peer
from .plot import plot
from .rows import group
from .session import Settings, measure
from .table import HEADER, LEGEND, block

ROOT = Path(__file__).resolve().parents[1]
THREADS = {"1": 1, "all": 0}
PAGE = ROOT / "docs" / "performance.json"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, allow_abbrev=False
    )
    option = found.add_argument
    many: Any = {"action": "append", "metavar": "NAME"}
    option(
        "--case", **many, help="only this case, or these: batch stands for batch-..."
    )
    option("--peer", **many, help="only this peer; may be given again")
    option("--threads", action="append", choices=THREADS, help="default: both")
    option("--rounds", type=positive, help="turns of each peer (default 30)")
    option("--quick", action="store_true", help="under a minute: few cases, few rounds")
    option(
        "--output",
        type=Path,
        default=Path("benchmark-results.json"),
        help="where the record goes, and the chart beside it (default %(default)s)",
    )
    option(
        "--page",
        type=Path,
        nargs="?",
        const=PAGE,
        metavar="RECORD",
        help="measure nothing: write the page and the chart of a record beside it, and "
        "of those named RECORD-... (default docs/performance.json)",
    )
    option("--list", action="store_true", help="name the cases and the peers")
    return found


def positive(text: str) -> int:
    """Return a count of at least one."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value


def settings(options: argparse.Namespace) -> Settings:
    """Return how long to measure."""
    if options.quick:
        return Settings(options.rounds or 5, 0.01, patience=30.0, budget=5.0)
    return Settings(options.rounds or Settings.rounds)


def threads(options: argparse.Namespace) -> list[int]:
    """Return the numbers of threads, 0 for all."""
    names = options.threads or (["1"] if options.quick else list(THREADS))
    return [THREADS[name] for name in dict.fromkeys(names)]


def run(found: list[Case], able: list[Peer], options: argparse.Namespace) -> int:
    """Measure, print and write; return how many peers failed or disagreed."""
    absent = {p.name: reason(p, options) for p in able}
    missing = {name: why for name, why in absent.items() if why}
    able = [p for p in able if p.name not in missing]
    how = settings(options)
    made = record.begin(threads(options), how, missing)
    introduce(made)
    for case in found:
        for count in threads(options):
            results = measure(case, able, count, how)
            if results:
                made["groups"].append(group(results))
                record.write(made, options.output)
                print(block(made["groups"][-1]), flush=True)
    return conclude(made, options.output)


def reason(peer: Peer, options: argparse.Namespace) -> str | None:
    """Return why a peer is not measured, if it is not."""
    if options.quick and peer.slow and not options.peer:
        return "compiles too long for --quick"
    missing = peer.missing()
    return f"{missing} is not installed" if missing else None


def introduce(made: dict[str, Any]) -> None:
    """Print where this runs, and the head of the table."""
    print(f"{made['machine']['processor']}, {made['machine']['cores']} cores")
    print(", ".join(f"{name} {version}" for name, version in made["versions"].items()))
    for count, blas in made["blas"].items():
        print(f"BLAS, threads {THREADS_TITLE[count]}: {blas}")
    for name, why in made["missing"].items():
        print(f"not measured: {peers.PEERS[name].title}: {why}")
    print(f"\n{HEADER}", flush=True)


THREADS_TITLE = {"0": "all", "1": "1"}


def conclude(made: dict[str, Any], output: Path) -> int:
    """Print what the columns mean, draw the chart, name and count what failed."""
    print(f"\n{LEGEND}\n\nwrote {output}")
    try:
        for path in plot(made["groups"], output.with_suffix(".png")):
            print(f"wrote {path}")
    except ImportError as error:
        print(error)
    failed = [(g.case, row) for g in made["groups"] for row in g.rows if row.problem]
    for case, row in failed:
        print(f"{case}: {row.peer} {row.problem}")
    return len(failed)


def write_page(path: Path) -> None:
    """Write the page and the chart of a record, and of those beside it."""
    made = record.family(path)
    target = path.with_suffix(".md")
    target.write_text(page(made), "utf-8")
    groups = made[path.stem]["groups"]
    for written in (target, *plot(groups, path.with_suffix(".png"))):
        print(f"wrote {written}")


def show_names() -> None:
    """Print the names of cases and peers."""
    for title, things in (("cases", cases.CASES), ("peers", peers.PEERS)):
        print(f"{title}:")
        for name, thing in things.items():
            print(f"  {name:18}{thing.title}")


def main() -> int:
    options = parser().parse_args()
    if options.list:
        show_names()
        return 0
    if options.page:
        write_page(options.page)
        return 0
    names = options.case or (cases.QUICK if options.quick else list(cases.CASES))
    try:
        found = cases.chosen(names)
        able = peers.chosen(options.peer or peers.PEERS)
    except ValueError as error:
        parser().error(str(error))
    return 1 if run(found, able, options) else 0


if __name__ == "__main__":
    sys.exit(main())
