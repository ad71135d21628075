"""The page docs/performance.md, made from a record."""

from typing import Any

from .cases import AXES, CASES
from .peers import PEERS
from .rows import Group, Row, steps
from .table import figure, percent, quartiles, times

INTRODUCTION = """\
# Performance

The time of one training step, forward, backward and update, beside other libraries:
{processor}, {threads}, {made}. [How it is measured](#how-it-is-measured) stands below.

![Time of a step over that of tensorgrad, for each library and model]({stem}.png)

{table}
"""
REPEAT = """\
## Repeat it

`python -m benchmarks --page` makes this page, so do not edit it. The peers come from

    pip install -e '.[plot]' -r benchmarks/requirements-peers.txt

{records}
"""
RECORD = """\
[{stem}.json]({stem}.json) was made with

    {command}

{machine}"""
BUSY = """

**The machine was busy with other work: these figures are provisional.**"""
METHOD = """\
## How it is measured

Each library runs in a process of its own, one case at a time. The processes take turns,
a batch of steps each, so that a slow spell of the machine hits all of them alike. Each
takes {rounds} turns of about {milliseconds:.0f} ms; where steps are slow, fewer, but at
least three. A table gives the median of the turns and the quartiles. A ratio is the
median of the ratios turn by turn, to tensorgrad eager or to tensorgrad compiled (fused,
where llvmlite is there): above 1, tensorgrad is faster. *Products* is the share of the
step that its matrix products would take alone, written into arrays allocated once.

Before anything is timed, all libraries take the first steps in float32 from the same
parameters. A library whose losses differ from those of the loop by hand by more than
half the digits of float32 is named and not timed. Every process runs without the
variables `OPENBLAS_CORETYPE` and `OPENBLAS_L2_SIZE`, and each library's own variables
set its number of threads. On Linux, one thread also means one core, because JAX keeps a
second core busy regardless of its settings. With all threads there is a pause of 0.1 s
before each turn, because the idle threads of the library before go on spinning.

- By hand: a loop in NumPy, operation by operation, as textbooks write it; the gradient
  of the samples, which nobody needs, is left out.
- PyTorch: `torch.nn.Linear`, its own loss and optimizers. Compiled are the loss with
  its gradient and the optimizer's step.
- JAX: the whole step under one `jit`, parameters and state donated.
- MyGrad: its own loss, memory guarding off. HIPS autograd has no loss: it is written
  out. Both update by the loop in NumPy.
- Raxis: `raxis.nn.Linear`, its own loss and optimizers. scikit-learn: `partial_fit` of
  its perceptron, which checks its arguments in each step; its Adam is another one.
- tinygrad: the whole step under `TinyJit`, its own loss and optimizers.
- Scalar nodes: `y = y + x` until that many nodes are alive, then the gradient. Building
  and differentiating are timed, freeing is not (MyGrad frees while it differentiates).
- Mapped: `tg.vmap(tg.grad(loss))`, `tg.jacobian` and `tg.hessian` beside those of
  `torch.func` and those of JAX under `jit`. The loop calls `tg.grad` for each sample,
  or goes back once for each row.
- Programs: value and gradient of a text that is the same for all, in float64, written
  in NumPy's names, which autograd and JAX have too (`benchmarks/scientist.py`). JAX
  under `jit`, waiting for each result; its loops are unrolled.
- Lowered to XLA: `tg.compile(step, target="xla")` beside the other ways to do a step,
  and JAX as above.
- Memory: the peak of the process over three steps after the first ones, beyond what it
  holds once the library has trained a tiny model, 8 wide, of as many layers.
"""


def page(records: dict[str, dict[str, Any]]) -> str:
    """Return the page of records by name: a chart, a table, and the details folded.

    The first is that of the training steps.
    """
    stem, record = next(iter(records.items()))
    found = [group for each in records.values() for group in each["groups"]]
    parts = [introduction(record, stem), ahead(found), "## Every case"]
    parts += [details(name, found) for name in CASES if not axis_of(name)]
    parts += [scaling(axis, found) for axis in AXES]
    parts += [method(record), repeat(records)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def introduction(record: dict[str, Any], stem: str) -> str:
    """Return the head of the page, with the table of all models."""
    models = steps(record["groups"])
    return INTRODUCTION.format(
        stem=stem,
        made=record["made"][:10],
        processor=record["machine"]["processor"],
        threads=models[0].threads_title if models else "nothing measured",
        table=matrix(models, [CASES[g.case].title for g in models], "us per step"),
    )


def axis_of(case: str) -> str | None:
    """Return the axis of the scaling that a case is a point of, if any."""
    axis = case.split("-")[0]
    return axis if axis in AXES else None


def machine(record: dict[str, Any]) -> str:
    """Return a paragraph on the machine and the versions."""
    box, versions = record["machine"], record["versions"]
    memory = f", {box['memory'] / 2**30:.0f} GiB" if box["memory"] else ""
    kernel = next(iter(record["blas"].values()))
    names = ", ".join(f"{name} {number}" for name, number in versions.items())
    busy = BUSY if (box["load"] or 0) > box["cores"] / 2 else ""
    return (
        f"on {record['made'][:10]}, on this machine:\n\n"
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


def repeat(records: dict[str, dict[str, Any]]) -> str:
    """Return how the records were made, and on what."""
    parts = [
        RECORD.format(stem=stem, command=record["command"], machine=machine(record))
        for stem, record in records.items()
    ]
    return REPEAT.format(records="\n\n".join(parts))


def table(header: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table, all columns but the first to the right."""
    rules = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rules, *lines))


def folded(title: str, parts: list[str]) -> str:
    """Return what opens at a click on its title; nothing where there is nothing."""
    body = "\n\n".join(parts)
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>" * bool(body)


def details(case: str, found: list[Group]) -> str:
    """Return the tables of a case, one for each number of threads."""
    parts = [section(group) for group in found if group.case == case]
    return folded(CASES[case].title, parts)


def section(group: Group) -> str:
    """Return the table of a case at a number of threads."""
    title = f"{group.threads_title}, {CASES[group.case].unit}"
    header = [title, "median", "quartiles", "/ eager", "/ compiled", "products"]
    lines = [cells(row) for row in group.rows if not row.problem]
    notes = [f"- {row.title}: {row.problem}" for row in group.rows if row.problem]
    notes += [f"- {r.title} kept {r.cores:.1f} cores busy." for r in group.greedy]
    return "\n\n".join([table(header, lines), "\n".join(notes)]).strip()


def cells(row: Row) -> list[str]:
    """Return the cells of a peer."""
    ratios = [times(row.over_base), times(row.over_compiled), percent(row.share)]
    return [row.title, figure(row.median), quartiles(row), *ratios]


def scaling(axis: str, found: list[Group]) -> str:
    """Return a table for each number of threads: medians along an axis."""
    chosen = [group for group in found if axis_of(group.case) == axis]
    tables = []
    for threads in dict.fromkeys(group.threads for group in chosen):
        points = [group for group in chosen if group.threads == threads]
        sizes = [group.case.partition("-")[2] for group in points]
        title = f"{points[0].threads_title}, us per step"
        tables.append(matrix(points, sizes, title))
    return folded(f"Scaling with {axis}", tables)


def matrix(found: list[Group], columns: list[str], corner: str) -> str:
    """Return a row for each peer and a column for each group."""
    peers = dict.fromkeys(row.peer for group in found for row in group.rows)
    lines = []
    for peer in peers:
        measured = [group.row((peer,)) for group in found]
        title = PEERS[peer].title if peer in PEERS else peer
        lines.append([title, *(figure(row.median) if row else "-" for row in measured)])
    return table([corner, *columns], lines)


def ahead(found: list[Group]) -> str:
    """Return where a peer is ahead of the fastest way to use tensorgrad."""
    lines = [line for group in found for line in leaders(group)]
    text = "\n".join(lines) or "Nowhere in this record."
    return f"## Where a peer is ahead\n\n{text}"


OURS = tuple(name for name, peer in PEERS.items() if peer.ours)
NOT_PEERS = (*OURS, "products", "turns", "loop", "separate", "one")


def leaders(group: Group) -> list[str]:
    """Return a line for each peer that takes less than the best of ours."""
    best = min(
        (r for r in group.rows if r.peer in OURS and not r.problem),
        key=lambda row: row.median,
        default=None,
    )
    noun = "the memory" if CASES[group.case].unit == "MiB" else "the time"
    rivals = [r for r in group.rows if r.peer not in NOT_PEERS and not r.problem]
    return [
        f"- {CASES[group.case].title}, {group.threads_title}: {row.title} takes "
        f"{row.median / best.median:.2f}x {noun} of {best.title}"
        for row in sorted(rivals, key=lambda row: row.median)
        if best and row.median < best.median
    ]
