"""The page docs/performance.md, made from a record."""

from typing import Any

from .cases import AXES, CASES
from .peers import PEERS
from .rows import Group, Row, groups
from .table import figure, percent, quartiles, times

INTRODUCTION = """\
# Performance

Made by `python -m benchmarks --page` from [{stem}.json]({stem}.json); do not edit. The
record was made with

    pip install -e '.[plot]' -r benchmarks/requirements-peers.txt
    {command}

and any machine can make its own. {machine}
"""
BUSY = """

**The machine was busy with other work: these figures are provisional.**"""
METHOD = """\
## How it is measured

Each library runs in a process of its own, one case at a time. The processes take turns,
one batch of steps each, so that a slow spell of the machine falls on all; {rounds}
rounds of about {milliseconds:.0f} ms are taken of each, fewer but three where they are
slow. A table gives the median over the rounds and the quartiles. The ratios are medians
of the ratios round by round, to tensorgrad eager and to tensorgrad compiled (fused,
where numba is installed), above 1 where tensorgrad is ahead. *Products* is the time
that the matrix products alone take which the gradient needs, written into arrays
allocated once, over the time of the step.

Before anything is timed all libraries take the first steps from the same parameters, in
float32; one whose losses differ from those of the loop by hand by more than half the
digits of float32 is named and not timed. The variables `OPENBLAS_CORETYPE` and
`OPENBLAS_L2_SIZE` are unset for every process, and the number of threads is set for
each library by the variables it reads. One thread is one core besides, on Linux: JAX
keeps another busy whatever it is told. With all threads there is a pause of 0.1 s
before each turn, because idle threads of the one before go on spinning for a while.

- By hand: NumPy, operation by operation as the text does, without the gradient of the
  samples.
- PyTorch: `torch.nn.Linear`, its own loss and optimizers; compiled are the loss with
  its gradient and the optimizer's step.
- JAX: the whole step under one `jit`, with parameters and state donated.
- MyGrad: its own loss, memory guarding off. HIPS autograd has no loss: it is written
  out. Both update in NumPy as by hand.
- tinygrad: the whole step under `TinyJit`, with its own loss and optimizers.
- Scalar nodes: `y = y + x` until so many nodes are alive, then the gradient; building
  and differentiating are timed, freeing is not (MyGrad frees while it differentiates).
- Memory: the peak of the process over three steps after the first ones, beyond what it
  holds once the library has trained a tiny model, 8 wide, of as many layers.
"""


def page(record: dict[str, Any], stem: str) -> str:
    """Return the page of a record."""
    found = groups(record["results"])
    steps = [g for g in found if not along(g)]
    scaled = [g for g in found if along(g)]
    parts = [
        INTRODUCTION.format(
            stem=stem, command=record["command"], machine=machine(record)
        ),
        ahead(found),
        f"## Figures\n\n![relative times]({stem}.png)",
        *map(section, steps),
    ]
    if scaled:
        parts += [f"## Scaling\n\n![scaling]({stem}-scaling.png)", scaling(scaled)]
    return "\n\n".join(part.strip() for part in (*parts, method(record))) + "\n"


def along(group: Group) -> bool:
    """Whether a case is a point of an axis of the scaling."""
    return group.case.split("-")[0] in AXES


def machine(record: dict[str, Any]) -> str:
    """Return a paragraph on the machine and the versions."""
    box, versions = record["machine"], record["versions"]
    memory = f", {box['memory'] / 2**30:.0f} GiB" if box["memory"] else ""
    kernel = next(iter(record["blas"].values()))
    names = ", ".join(f"{name} {number}" for name, number in versions.items())
    busy = BUSY if (box["load"] or 0) > box["cores"] / 2 else ""
    return (
        f"This one, on {record['made'][:10]}:\n\n"
        f"- {box['processor']}, {box['cores']} cores{memory}, {box['system']}, load "
        f"{box['load']} at the start\n"
        f"- NumPy's BLAS: {kernel['name']} {kernel['version']}, kernel "
        f"{kernel['kernel']}\n- {names}{busy}"
    )


def method(record: dict[str, Any]) -> str:
    """Return how it was measured."""
    settings = record["settings"]
    return METHOD.format(
        rounds=settings["rounds"],
        milliseconds=1e3 * settings["seconds"],
    )


def table(header: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table, all columns but the first to the right."""
    rules = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rules, *lines))


def section(group: Group) -> str:
    """Return the table of a case."""
    header = ["", "median", "quartiles", "/ eager", "/ compiled", "products"]
    lines = [cells(row) for row in group.rows if not row.problem]
    notes = [f"- {row.title}: {row.problem}" for row in group.rows if row.problem]
    notes += [f"- {r.title} kept {r.cores:.1f} cores busy." for r in group.greedy]
    title = f"### {CASES[group.case].title}, {group.threads_title}"
    parts = [title, f"In {CASES[group.case].unit}.", table(header, lines)]
    return "\n\n".join([*parts, "\n".join(notes)] if notes else parts)


def cells(row: Row) -> list[str]:
    """Return the cells of a peer."""
    ratios = [times(row.over_base), times(row.over_compiled), percent(row.share)]
    return [row.title, figure(row.median), quartiles(row), *ratios]


def scaling(found: list[Group]) -> str:
    """Return a table for each axis and number of threads: medians in microseconds."""
    parts = []
    for axis in AXES:
        for threads in dict.fromkeys(g.threads for g in found):
            chosen = [
                g for g in found if g.case.startswith(axis) and g.threads == threads
            ]
            if chosen:
                title = f"### {axis.capitalize()}, {chosen[0].threads_title}"
                parts += [title, "In us per step.", matrix(chosen)]
    return "\n\n".join(parts)


def matrix(found: list[Group]) -> str:
    """Return a row for each peer and a column for each size."""
    header = ["", *(g.case.partition("-")[2] for g in found)]
    peers = dict.fromkeys(row.peer for g in found for row in g.rows)
    lines = []
    for peer in peers:
        measured = [g.row((peer,)) for g in found]
        lines.append(
            [
                PEERS[peer].title if peer in PEERS else peer,
                *(figure(row.median) if row else "-" for row in measured),
            ]
        )
    return table(header, lines)


def ahead(found: list[Group]) -> str:
    """Return where a peer is ahead of the fastest way to use tensorgrad."""
    lines = [line for group in found for line in leaders(group)]
    text = "\n".join(lines) or "Nowhere in this record."
    return f"## Where a peer is ahead\n\n{text}"


OURS = tuple(name for name, peer in PEERS.items() if peer.ours)
NOT_PEERS = (*OURS, "products", "loop", "separate", "one")


def leaders(group: Group) -> list[str]:
    """Return a line for each peer that takes less than the best of ours."""
    best = min(
        (r for r in group.rows if r.peer in OURS and not r.problem),
        key=lambda row: row.median,
        default=None,
    )
    rivals = [r for r in group.rows if r.peer not in NOT_PEERS and not r.problem]
    return [
        f"- {CASES[group.case].title}, {group.threads_title}: {row.title} takes "
        f"{row.median / best.median:.2f} of what {best.title} takes"
        for row in sorted(rivals, key=lambda row: row.median)
        if best and row.median < best.median
    ]
