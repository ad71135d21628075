"""`tensorgrad train`: a classifier of one hidden layer, on a data set or a file."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .. import data, nn
from . import pictures, save, table
from .columns import examine
from .errors import CommandError, DivergedError, StoppedError, UsageError
from .fit import Fit, evaluate
from .progress import Progress
from .recipes import RECIPES, chosen
from .signals import interruptible

Array = NDArray[Any]
SAMPLES, CLASSES = 100, 3
STOPPED: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
BUILT_IN = {"spiral": data.spiral, "vertical": data.vertical}


@dataclass(frozen=True)
class Task:
    """What is to be learned.

    Attributes
    ----------
    about : str
        Describes it in a line.
    x, y : arrays of shape (n, features) and (n,)
    classes : int
    epochs : int
        Epochs to train for by default.
    held : tuple of arrays, optional
        Features and labels that are scored but not learned.
    columns, names : tuples of str
        Names of the features and of the classes.
    arrays : dict of arrays
        What is needed beside the parameters to use the model.
    """

    about: str
    x: Array
    y: Array
    classes: int
    epochs: int
    held: tuple[Array, Array] | None = None
    columns: tuple[str, ...] = ("x\N{SUBSCRIPT ONE}", "x\N{SUBSCRIPT TWO}")
    names: tuple[str, ...] = ()
    arrays: dict[str, Array] = field(default_factory=dict)


def train(args: argparse.Namespace) -> int:
    """Train as the options say, and return the exit status."""
    options = chosen(args.optimizer, vars(args))
    path = None if args.save is None else save.checked(args.save)
    drawn = pictures.pictures(args)
    rng = np.random.RandomState(args.seed)
    task = _built_in(args, rng) if args.data in BUILT_IN else _from_file(args, rng)
    model = _model(task, args.hidden, rng)
    optimizer = RECIPES[args.optimizer].make(model.parameters(), **options)
    rates = ", ".join(f"{name} {value:g}" for name, value in options.items())
    sizes = f"{task.x.shape[1]}-{args.hidden}-{task.classes}"
    title = f"{task.about}; model {sizes}; {args.optimizer} with {rates}"
    heading = f"{args.optimizer}, {rates}; {Path(args.data).stem}, model {sizes}"
    epochs = args.epochs or task.epochs
    how = {"batch_size": args.batch_size, "captured": args.compile}
    fit = Fit(model, optimizer, task.x, task.y, rng, **how)
    watching = drawn.watching(fit, epochs, heading, task.columns, task.names)
    # Left in the opposite order: while it draws, Ctrl-C ends it at once.
    with watching, interruptible() as fit.stopping, np.errstate(all="ignore"):
        return Session(task, fit, path, options["lr"]).run(title, epochs)


def _built_in(args: argparse.Namespace, rng: np.random.RandomState) -> Task:
    if args.target is not None:
        raise UsageError(
            f"--target names a column of a CSV file, but {args.data} is a built-in "
            "data set; leave it out"
        )
    x, y = BUILT_IN[args.data](SAMPLES, CLASSES, rng)
    about = f"{args.data}: {len(x)} samples, {CLASSES} classes"
    return Task(about, x, y, CLASSES, epochs=10001)


def _from_file(args: argparse.Namespace, rng: np.random.RandomState) -> Task:
    if not os.path.exists(args.data):
        raise UsageError(
            f"{args.data}: there is no such file; expected spiral, vertical or the "
            "path of a CSV file"
        )
    try:
        data, notes = examine(table.read(args.data, args.target))
        parts = table.split(data, rng)
    except table.TableError as error:
        raise UsageError(str(error)) from None
    for sentence in notes:
        print(f"tensorgrad: warning: {args.data}: {sentence}", file=sys.stderr)
    return Task(
        f"{args.data}: {len(parts.x)} rows, {len(parts.held_x)} held out, "
        f"{len(data.classes)} classes of {data.target!r}",
        parts.x,
        parts.y,
        len(data.classes),
        epochs=201,
        held=(parts.held_x, parts.held_y),
        columns=tuple(f"{name}, standardised" for name in data.columns),
        names=data.classes,
        arrays={
            "feature_mean": parts.mean,
            "feature_std": parts.std,
            "columns": np.array(data.columns),
            "target": np.array(data.target),
            "classes": np.array(data.classes),
        },
    )


def _model(task: Task, hidden: int, rng: np.random.RandomState) -> nn.Sequential:
    return nn.Sequential(
        nn.Dense(task.x.shape[1], hidden, rng=rng),
        nn.ReLU(),
        nn.Dense(hidden, task.classes, rng=rng),
    )


@final
@dataclass(frozen=True)
class Session:
    """One training from the first line to the summary.

    Attributes
    ----------
    task : Task
    fit : Fit
    path : Path or None
        Where to keep the model.
    lr : float
        The initial rate.
    """

    task: Task
    fit: Fit
    path: Path | None
    lr: float

    def run(self, title: str, epochs: int) -> int:
        """Train, keep the model however that ends, and return the exit status.

        Raises
        ------
        CommandError
            If the loss is no longer finite, or the model cannot be written.
        """
        began, signum = perf_counter(), 0
        try:
            with Progress(epochs, unread=self.path is not None) as progress:
                progress.line(title)
                self._train(epochs, progress)
        except StoppedError as stopped:
            signum = stopped.signum
        except DivergedError as diverged:
            raise self._failure(str(diverged)) from None
        self._finish(perf_counter() - began, STOPPED.get(signum, ""))
        return 128 + signum if signum else 0

    def _train(self, epochs: int, progress: Progress) -> None:
        """Print accuracy, loss and rate of an epoch as they stood before its step."""
        every = interval(epochs)
        for epoch in range(epochs):
            lr = self.fit.optimizer.lr
            accuracy, loss = self.fit.epoch()
            if epoch % every == 0 or epoch == epochs - 1:
                progress.line(
                    f"epoch: {epoch}, acc: {accuracy:.3f}, loss: {loss:z.3f}, "
                    f"lr: {lr:.4g}"
                )
            progress.advance()

    def _finish(self, seconds: float, stopped: str) -> None:
        fit, held = self.fit, self.task.held
        score = evaluate(fit.model, fit.x, fit.y)
        if math.isnan(score[1]):
            raise self._failure("nan")
        try:
            saved = self._keep()
        finally:
            how = f"stopped by {stopped} after" if stopped else "trained for"
            print(f"{how} {fit.epochs} epochs in {seconds:.1f} s")
            print(_scored("training", score, len(fit.y)))
            if held:
                print(_scored("held out", evaluate(fit.model, *held), len(held[1])))
        print(end=saved)

    def _keep(self) -> str:
        """Save the model if an option says so, and print a line about it."""
        if self.path is None:
            return ""
        parameters = {name: p.data for name, p in self.fit.model.named_parameters()}
        save.write(self.path, parameters | self.task.arrays)
        return f"saved: {self.path}\n"

    def _failure(self, loss: str) -> CommandError:
        """Keep the parameters of the last finite loss, and say what to do."""
        self.fit.restore()
        note = "; the parameters before that are saved" if self._keep() else ""
        return CommandError(
            f"the loss became {loss} after {self.fit.epochs} epochs; try a smaller "
            f"--lr than {self.lr:g}{note}"
        )


def _scored(part: str, score: tuple[float, float], samples: int) -> str:
    accuracy, loss = score
    return f"{part}: accuracy {accuracy:.3f}, loss {loss:z.3f} on {samples} samples"


def interval(epochs: int) -> int:
    """Return how often to print: 1, 2 or 5 times a power of ten, at most 101 lines.

    Examples
    --------
    >>> [interval(n) for n in (1, 101, 102, 1000, 10001)]
    [1, 1, 2, 10, 100]
    """
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if (epochs - 1) // step <= 100:
                return step
        power *= 10
