"""A bar that shows how far the work has come: tqdm's, where it is installed."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Self


class NoBar:
    """What stands for a bar where none is shown."""

    def update(self, count: int) -> None:
        """Count steps."""

    def set_postfix(self, figures: dict[str, str]) -> None:
        """Show figures behind the bar."""

    def close(self) -> None:
        """Remove the bar."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# tqdm carries no types.
def bar(total: int, unit: str, shown: bool | None = None) -> Any:
    """Return a bar on standard error, a terminal unless `shown` says otherwise."""
    # Either is None in a process that was started with it closed.
    on_terminal = sys.stdout and sys.stderr and sys.stderr.isatty()
    if not (on_terminal if shown is None else shown):
        return NoBar()
    try:
        tqdm = importlib.import_module("tqdm")
    except ImportError:
        return NoBar()
    return tqdm.tqdm(total=total, unit=unit, leave=False)
