"""The figures of a training, epoch by epoch."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from typing import Any, final

from .. import extras

__all__ = ["Log"]


@final
class Log:
    """A row of figures for each epoch.

    Attributes
    ----------
    rows : list of dict
        By name: ``epoch`` from 1, ``loss``, the metrics, those of validation with
        ``val_`` before their names, ``lr`` and ``seconds``.

    Examples
    --------
    >>> log = Log()
    >>> log.append({"epoch": 1, "loss": 0.5})
    >>> log.append({"epoch": 2, "loss": 0.25})
    >>> log["loss"], log.last["loss"]
    ([0.5, 0.25], 0.25)
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def append(self, row: dict[str, Any]) -> None:
        """Add the row of an epoch.

        Parameters
        ----------
        row : dict
            Figures by name.
        """
        self.rows.append(row)

    @property
    def last(self) -> dict[str, Any]:
        """The row of the last epoch, empty before the first."""
        return self.rows[-1] if self.rows else {}

    @property
    def names(self) -> list[str]:
        """Names of the figures, in the order they came."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.names:
            raise KeyError(f"no figure {name!r}; there are {', '.join(self.names)}")
        return [row.get(name) for row in self.rows]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        figures = ", ".join(
            f"{name} {value:.4g}"
            for name, value in self.last.items()
            if name != "epoch"
        )
        return f"Log({len(self)} epochs{figures and '; last: '}{figures})"

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows to a CSV file.

        Parameters
        ----------
        path : str or path
            What is there is replaced.
        """
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.names)
            writer.writeheader()
            writer.writerows(self.rows)

    # A data frame of pandas, which is not there for the types.
    def to_pandas(self) -> Any:
        """Return the rows as a data frame of pandas, by epoch.

        Returns
        -------
        pandas.DataFrame
            A column for each figure.

        Raises
        ------
        ImportError
            Without pandas.
        """
        pandas = extras.load("pandas", "data", "Log.to_pandas")
        return pandas.DataFrame(self.rows).set_index("epoch")

    # Axes of Matplotlib, likewise.
    def plot(self, ax: Any = None) -> Any:
        """Draw the losses, and the metrics below them.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure for None.

        Returns
        -------
        matplotlib Axes
            Where it was drawn.
        """
        if ax is None:
            pyplot = extras.load("matplotlib.pyplot", "plot", "Log.plot")
            ax = pyplot.subplots()[1]
        for name in self.names:
            if name.removeprefix("val_") not in ("epoch", "lr", "seconds"):
                style = "--" if name.startswith("val_") else "-"
                ax.plot(self["epoch"], self[name], style, label=name)
        ax.set_xlabel("epoch")
        ax.legend()
        return ax
