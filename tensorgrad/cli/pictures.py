"""The pictures of `--plot` and `--animate`: checked before a run, drawn after it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from . import save
from .errors import CommandError, UsageError
from .fit import Steps, Watch

FRAMES = 100
WatchRun = Callable[[Any, Any, Any, str], Watch | None]
"""Given model, data and title, returns what to call before each of its updates."""


@final
@dataclass(frozen=True)
class Pictures:
    """What to draw of a run.

    Attributes
    ----------
    paths : list of Path
        Files to write; none where no picture is asked for.
    raw : bool
        Whether changes are shown as fast as they are.
    """

    paths: list[Path]
    raw: bool

    @contextmanager
    def watching(self, steps: Steps, run: dict[str, Any]) -> Iterator[None]:
        """Record a training within the block, and draw it afterwards.

        It is drawn if it fails, too: then there is most to see.
        """
        if not self.paths:
            yield
            return
        from .. import plot

        history = plot.History(**run, frames=FRAMES)
        steps.watch = history.record
        try:
            yield
        except CommandError:
            self.draw(plot.training, history)
            raise
        self.draw(plot.training, history)

    @contextmanager
    def side_by_side(self, epochs: int) -> Iterator[WatchRun]:
        """Yield a function that records runs, and draw them after the block."""
        if not self.paths:
            yield lambda model, x, y, title: None
            return
        from .. import plot

        histories: list[plot.History] = []

        def watch(model: Any, x: Any, y: Any, title: str) -> Watch:
            histories.append(
                plot.History(model, x, y, steps=epochs, frames=FRAMES, title=title)
            )
            return histories[-1].record

        yield watch
        self.draw(plot.comparison, histories)

    def draw(self, picture: Callable[..., Any], runs: Any) -> None:
        """Write each file with a function of `tg.plot`, and say so in a line.

        Raises
        ------
        CommandError
            If a file cannot be written.
        """
        for path in self.paths:
            with save.writing(str(path)):
                picture(runs, path, raw=self.raw)
            print(f"drawn: {path}", flush=True)


def pictures(args: argparse.Namespace) -> Pictures:
    """Return the pictures that the options ask for.

    Raises
    ------
    UsageError
        If one cannot be written, there or with what is installed.
    """
    if args.plot is None and args.animate is None:
        if args.raw:
            raise UsageError("--raw belongs to --animate or --plot; give one of them")
        return Pictures([], raw=False)
    from ..plot import writers

    endings = (
        ("--plot", args.plot, writers.STILL),
        ("--animate", args.animate, writers.MOVING),
    )
    paths = []
    for option, name, endings_of in endings:
        if name is not None:
            paths.append(save.checked(name, option, list(endings_of)))
            _check_installed(option, name, writers.check)
    return Pictures(paths, raw=args.raw)


def _check_installed(option: str, name: str, check: Callable[[str], Any]) -> None:
    try:
        check(name)
    except ImportError as error:
        raise UsageError(f"{option}: {error}") from None
