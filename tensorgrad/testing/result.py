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

WIDTH = 78


class GradientError(TensorgradError, AssertionError):
    """A gradient failed its check; the message is the report.

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

    Attributes
    ----------
    verdict : str
        "agrees"; "kink", where the function has no derivative at the point and the
        gradient lies between the one-sided ones; "too noisy" to tell; "disagrees"; or
        "invalid", where the function breaks a condition that every check rests on.
    order : int
        Of the derivatives that were examined last.
    fault, diagnosis : str
        Name of the likeliest fault and one sentence on it; empty where it agrees.
    seed : int
        Of the random numbers: passed as ``rng`` it repeats the check.
    inputs, shrunk : list of arrays
        Where it was checked; a smaller input that fails too, None where there is none.
    examinations : list of Examination
        One for each order.
    evaluations : int
        Of the function, for differences.
    """

    verdict: Verdict
    order: int
    seed: int
    inputs: list[Array]
    examinations: list[Examination] = field(repr=False)
    diagnosed: Diagnosis | None = None
    shrunk: list[Array] | None = None

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
        found = [f for e in self.examinations for f in e.findings]
        return list(dict.fromkeys(found))

    @property
    def notes(self) -> list[str]:
        """What is worth knowing without being a failure."""
        return [f.sentence for f in self.findings if not f.fatal] + _unseen(self.last)

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
        """Return the entries of the worst comparison that have a verdict."""
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
    return "\n".join([*lines, *_made(result), *_to_repeat(result)])


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
    return f", {same} of {comparison.state.size} {comparison.experiment.name}"


def _made(result: Result) -> list[str]:
    shapes = ", ".join(str(x.shape) for x in result.inputs) or "none"
    counted = f"{result.evaluations} evaluations"
    return _wrapped(f"inputs of shape {shapes}, seed {result.seed}, {counted}")


def _to_repeat(result: Result) -> list[str]:
    if result.ok or not result.inputs:
        return []
    inputs = result.inputs if result.shrunk is None else result.shrunk
    smaller = "smallest failing input" if result.shrunk is not None else "input"
    lines = [f"  {smaller}, rng={result.seed}:"]
    return lines + [line for k, x in enumerate(inputs) for line in _array(k, x)]


def _array(k: int, x: Array) -> list[str]:
    head = f"    x{k} = np."
    text = np.array_repr(x, max_line_width=WIDTH - len(head) + 4, precision=17)
    if x.size > 40:
        return [f"    x{k}: shape {x.shape}, result.inputs[{k}]"]
    lines = text.replace("\n", "\n" + " " * (len(head) - 0)).split("\n")
    return [head + lines[0], *lines[1:]]
