"""The result of a check, and the report a person reads."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..core.errors import TensorgradError
from ..core.terminal import printable
from .examine import Examination
from .problem import Array, Finding, renamed
from .report import as_dict, page, report
from .verdict import NAMES, Comparison, Entry, Verdict, entry, worst_entry


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


@dataclass
class Result:
    """The result of a check; true where the gradient passes.

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
    diagnosed : Finding or None
        The likeliest fault; None where it agrees.
    shrunk : list of arrays or None
        A smaller input that fails too; None where there is none.
    names : dict of str
        What the report calls an input or output that has a name: ``"params['w']"``
        for ``"input 0"``.
    located : Entry or None
        A wrong entry of a Jacobian that was compared along random directions.
    """

    verdict: Verdict
    order: int
    seed: int
    inputs: list[Array] = field(repr=False)
    examinations: list[Examination] = field(repr=False)
    diagnosed: Finding | None = None
    shrunk: list[Array] | None = field(default=None, repr=False)
    names: dict[str, str] = field(default_factory=dict, repr=False)
    located: Entry | None = field(default=None, repr=False)

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
        return self.diagnosed.renamed(self.names).sentence if self.diagnosed else ""

    @property
    def last(self) -> Examination:
        """The examination of the highest order."""
        return self.examinations[-1]

    @property
    def findings(self) -> list[Finding]:
        """Facts besides the numbers, each once."""
        first, *higher = self.examinations
        # What a function does not depend on, or is linear in, has no second derivative.
        later = [f for e in higher for f in e.findings if f.fault != "unreached"]
        return [f.renamed(self.names) for f in dict.fromkeys(first.findings + later)]

    @property
    def notes(self) -> list[str]:
        """Findings that are no failure."""
        notes = [f.sentence for f in self.findings if not f.fatal]
        idle = [renamed(sentence, self.names) for sentence in _idle(self)]
        return notes + idle + _unseen(self.last)

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
        if self.located is not None:
            return replace(self.located, names=self.names)
        comparison = self.comparison
        if comparison is None or not comparison.state.size:
            return None
        at = worst_entry(comparison, comparison.worst_state)
        return entry(comparison, *at, self.names)

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
        return [entry(self.comparison, int(j), int(i), self.names) for j, i in places]

    def __str__(self) -> str:
        return printable(report(self))

    def _repr_html_(self) -> str:
        return page(self)

    def to_dict(self) -> dict[str, object]:
        """Return what the report says as a dict that can be written as JSON.

        Returns
        -------
        dict
            The verdict, the likeliest fault, the worst entry, notes, inputs and the
            seed. Numbers that JSON has not are strings: ``"nan"``, ``"inf"``.
        """
        return as_dict(self)

    # Axes and a figure of matplotlib, which is an extra.
    def plot(self, ax: Any = None) -> Any:
        """Draw claimed against numerical derivatives, with error bars.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        Axes
            Where it was drawn.

        Raises
        ------
        ImportError
            Without matplotlib; the message names the extra.
        """
        from .chart import draw

        return draw(self, ax)


def _idle(result: Result) -> list[str]:
    """Say which inputs have only zero derivatives, claimed and numerical."""
    first = result.examinations[0]
    if not first.comparisons:
        return []
    unreached = [f.sentence for f in first.findings if f.fault == "unreached"]
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
        if not any(f"input {k} " in sentence for sentence in unreached)
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
