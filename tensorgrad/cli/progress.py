"""Lines on standard output and, on a terminal, a bar on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Self

from ..bar import NoBar, bar


class Progress:
    """Print lines, and show how far the work has come.

    The bar is tqdm's; without the extra `progress`, or where standard error is not a
    terminal, there is none.

    Parameters
    ----------
    total : int
        Steps of the whole work.
    unread : bool
        Whether to go on in silence when the reader of the output goes away; if not
        that is a BrokenPipeError, as the lines are all there is to the work.
    """

    def __init__(self, total: int, *, unread: bool = False) -> None:
        self._bar = bar(total, "epoch")
        self._unread = unread

    def line(self, text: str) -> None:
        """Print a line, above the bar."""
        try:
            if isinstance(self._bar, NoBar):
                print(text)
            else:
                self._bar.write(text, file=sys.stdout, end="\n")
            print(end="", flush=True)
        except BrokenPipeError:
            if not self._unread:
                raise
            drop_output()

    def advance(self) -> None:
        """Count one step."""
        self._bar.update(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def drop_output() -> None:
    """Discard all further output, and what is still buffered."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
