"""The result of a check, and the report a person reads."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.errors import TensorgradError
from .block import worst_entry
from .diagnosis import Diagnosis
from .examine import Examination
from .findings import Finding
from .problem import Array
from .verdict import NAMES, Comparison, Verdict

WIDTH, HEIGHT = 78, 24
LONGEST = 80
"""Numbers of an array that is printed."""


class GradientError(TensorgradError, AssertionError):
    """A gradient failed its check; the message is the report.

    Parameters
    ----------
    result : Result
        Of the check.

    Attributes
    ----------
    result : Result
    """

    def __init__(self, result: Result) -> None:
        super().__init__(str(result))
        self.result = result


@dataclass(frozen=True)
class Entry:
    """One compared derivative.

    Attributes
    ----------
    input, output : int
        Numbers of the input and the output.
    index, output_index : tuple of int or None
        Where in them; None along a random direction.
    analytic, numerical, error : float
        The claimed derivative, that by differences, and its error bar.
    low, high : float
        The one-sided derivatives at a kink, else NaN.
    """

    input: int
    output: int
    index: tuple[int, ...] | None
    output_index: tuple[int, ...] | None
    analytic: float
    numerical: float
    error: float
    low: float
    high: float

    def __str__(self) -> str:
        above = _place("output", self.output, self.output_index)
        return f"d {above} / d {_place('input', self.input, self.index)}"


def _place(what: str, number: int, index: tuple[int, ...] | None) -> str:
    if index is None:
        return f"{what} {number} (random direction)"
    return f"{what} {number}{list(index) if index else ''}"


@dataclass
class Result:
    """What a check found; true where the gradient passes.

    Made by the functions that check; each parameter is an attribute too.

    Parameters
    ----------
    verdict : str
        "agrees"; "kink", where the function has no derivative at the point and the
        gradient lies between the one-sided ones; "too noisy" to tell; "disagrees"; or
        "invalid", where the function breaks a condition that every check rests on.
    order : int
        Of the derivatives that were examined last.
    seed : int
        Of the random numbers: passed as ``rng`` it repeats the check.
    inputs : list of arrays
        Where it was checked.
    examinations : list of Examination
        One for each order.
    diagnosed : Diagnosis or None
        The likeliest fault; None where it agrees.
    shrunk : list of arrays or None
        A smaller input that fails too; None where there is none.
    """

    verdict: Verdict
    order: int
    seed: int
    inputs: list[Array] = field(repr=False)
    examinations: list[Examination] = field(repr=False)
    diagnosed: Diagnosis | None = None
    shrunk: list[Array] | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the gradient passes: it agrees, or is a valid choice at a kink."""
        return self.verdict in ("agrees", "kink")

    def __bool__(self) -> bool:
        return self.ok

    @property
    def fault(self) -> str:
        """Name of the likeliest fault, empty where there is none."""
        return self.diagnosed.fault if self.diagnosed else ""

    @property
    def diagnosis(self) -> str:
        """The likeliest fault in one sentence, empty where there is none."""
        return self.diagnosed.sentence if self.diagnosed else ""

    @property
    def last(self) -> Examination:
        """The examination of the highest order."""
        return self.examinations[-1]

    @property
    def findings(self) -> list[Finding]:
        """What was found besides numbers, each once."""
        first, *higher = self.examinations
        # What a function does not depend on, or is linear in, has no second derivative.
        later = [f for e in higher for f in e.findings if f.fault != "unreached"]
        return list(dict.fromkeys(first.findings + later))

    @property
    def notes(self) -> list[str]:
        """What is worth knowing without being a failure."""
        found = [f.sentence for f in self.findings if not f.fatal]
        return found + _idle(self) + _unseen(self.last)

    @property
    def evaluations(self) -> int:
        """How often the function was called for differences."""
        return sum(e.problem.evaluations for e in self.examinations)

    @property
    def comparison(self) -> Comparison | None:
        """The comparison with the worst outcome."""
        return max(self.last.comparisons, key=lambda c: c.worst_state, default=None)

    @property
    def worst(self) -> Entry | None:
        """The entry with the worst verdict, and of those the furthest off."""
        comparison = self.comparison
        if comparison is None or not comparison.state.size:
            return None
        return entry(comparison, *worst_entry(comparison, comparison.worst_state))

    def entries(self, verdict: str) -> list[Entry]:
        """Return the entries of the worst comparison that have a verdict.

        Parameters
        ----------
        verdict : str
            One of those of :class:`Result`, of single entries.

        Returns
        -------
        list of Entry
            In the order of the Jacobian's rows.
        """
        if self.comparison is None:
            return []
        state = NAMES.index(verdict)
        places = np.argwhere(self.comparison.state == state)
        return [entry(self.comparison, int(j), int(i)) for j, i in places]

    def __str__(self) -> str:
        return report(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw claimed against numerical derivatives, with error bars.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure where not given.

        Returns
        -------
        Axes
            Where it was drawn.

        Raises
        ------
        ImportError
            Without matplotlib; the message names the extra.
        """
        from .plot import draw

        return draw(self, ax)


def entry(comparison: Comparison, line: int, row: int) -> Entry:
    """Return one entry of a comparison, in the units of the input."""
    column = comparison.experiment.columns[line]
    above = comparison.experiment.rows[row]
    unit = float(comparison.experiment.units[line])
    values = (
        part[line, row] / unit
        for part in (
            comparison.analytic,
            comparison.numerical,
            comparison.error,
            comparison.low,
            comparison.high,
        )
    )
    place = (column.number, above.number, column.index, above.index)
    return Entry(*place, *(float(v) + 0.0 for v in values))


def _idle(result: Result) -> list[str]:
    """Say which inputs the outputs do not change with, by either account."""
    first = result.examinations[0]
    if not first.comparisons:
        return []
    told = [f.sentence for f in first.findings if f.fault == "unreached"]
    comparison = first.comparisons[0]
    moves = (comparison.analytic != 0) | (comparison.numerical != 0)
    used = {
        c.number
        for c, row in zip(comparison.experiment.columns, moves, strict=True)
        if row.any()
    }
    idle = [k for k, x in enumerate(result.inputs) if k not in used and x.size]
    return [
        f"the output does not change with input {k}: all its derivatives are 0"
        for k in idle
        if not any(f"input {k} " in sentence for sentence in told)
    ]


def _unseen(examination: Examination) -> list[str]:
    """Say how many derivatives are too small beside the values to be compared."""
    count = 0
    for c in examination.comparisons:
        size = np.abs(c.analytic)
        count += int(((size > 0) & (c.error > size) & (c.state == 0)).sum())
    if not count:
        return []
    return [f"{count} derivatives are too small beside the values to be told from 0"]


def report(result: Result) -> str:
    """Return the report on a result, made for a terminal."""
    kind = "" if result.order == 1 else f" of order {result.order}"
    lines = [f"gradient{kind}: {result.verdict.upper()}"]
    if result.diagnosis:
        lines += _wrapped(result.diagnosis)
    lines += _of_worst(result)
    for note in result.notes:
        lines += _wrapped(f"note: {note}")
    lines += _made(result)
    return "\n".join([*lines, *_to_repeat(result, HEIGHT - len(lines))])


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  "
    )


def _of_worst(result: Result) -> list[str]:
    worst = result.worst
    if worst is None or result.verdict == "invalid":
        return []
    what = {"agrees": "widest entry", "kink": "at a kink"}.get(
        result.verdict, "worst entry"
    )
    lines = _wrapped(f"{what}: {worst}{_among(result)}")
    lines.append(f"    analytic   {worst.analytic: .12g}")
    lines.append(f"    numerical  {worst.numerical: .12g} ± {worst.error:.1e}")
    if not np.isnan(worst.low):
        lines.append(f"    one-sided  {worst.low: .6g} and {worst.high:.6g}")
    return lines


def _among(result: Result) -> str:
    comparison = result.comparison
    if comparison is None:
        return ""
    same = int((comparison.state == comparison.worst_state).sum())
    name = comparison.experiment.name.replace("a second", "at a second")
    return f", {same} of {comparison.state.size} {name}"


def _made(result: Result) -> list[str]:
    shapes = ", ".join(str(x.shape) for x in result.inputs) or "none"
    counted = f"{result.evaluations} evaluations"
    return _wrapped(f"inputs of shape {shapes}, seed {result.seed}, {counted}")


def _to_repeat(result: Result, room: int) -> list[str]:
    """Return statements to copy, which make the input that fails."""
    if result.ok or not result.inputs:
        return []
    if result.shrunk is None:
        what, name, inputs = "input", "inputs", result.inputs
    else:
        what, name, inputs = "smallest failing input", "shrunk", result.shrunk
    short = [f"    x{k} = result.{name}[{k}]" for k in range(len(inputs))]
    printed = [
        _array(f"    x{k} = ", x) if x.size <= LONGEST else [short[k]]
        for k, x in enumerate(inputs)
    ]
    while sum(map(len, printed)) >= max(room, len(printed) + 1):
        k = max(range(len(printed)), key=lambda k: len(printed[k]))
        printed[k] = [short[k]]
    return [f"  {what}, rng={result.seed}:", *(line for p in printed for line in p)]


def _array(head: str, x: Array) -> list[str]:
    if not x.size:
        return [f"{head}np.zeros({x.shape})"]
    head += "np.array("
    tail = ")" if x.dtype == np.float64 else f", dtype=np.{x.dtype})"
    # Every digit, whatever the print options are.
    with np.printoptions(floatmode="unique", threshold=LONGEST, formatter={}):
        width = WIDTH - len(head) - len(tail)
        numbers = np.array2string(x, max_line_width=width, separator=", ")
    numbers = numbers.replace("nan", "np.nan").replace("inf", "np.inf")
    return (head + numbers.replace("\n", "\n" + " " * len(head)) + tail).split("\n")
