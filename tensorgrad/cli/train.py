"""`tensorgrad train`: a network that learns a data set or a file."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ..capture import compile  # noqa: A004
from ..core.errors import NonFiniteError
from ..optim.schedules import Plateau
from ..train import Batches, CheckpointError, Checkpoints, EarlyStopping, evaluate, fit
from . import pictures, save
from .errors import CommandError, StoppedError, UsageError
from .fit import Steps
from .models import Model
from .progress import Progress
from .recipes import RECIPES, SCHEDULES, Reporter, chosen
from .signals import interruptible
from .tasks import BUILT_IN, Task, built_in, from_file

Array = NDArray[Any]
STOPPED: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
REPAID = 2000
"""Steps from which on recording one costs less than replaying the others saves."""
PATIENCE = 20
SAVES = 20
"""Checkpoints of a whole training, roughly."""


def train(args: argparse.Namespace) -> int:
    """Train as the options say, and return the exit status."""
    options = chosen(args.optimizer, vars(args))
    path = None if args.save is None else save.checked(args.save)
    drawn = pictures.pictures(args)
    checkpointed = _has_checkpoints(args)
    rng = np.random.RandomState(args.seed)
    task = (built_in if args.data in BUILT_IN else from_file)(args, rng)
    if drawn.paths and not task.classes:
        raise UsageError(
            "--plot and --animate show how classes are learned; of a regression, draw "
            "the result with tensorgrad evaluate --plot"
        )
    layers = [task.x.shape[1], *args.layers, task.outputs]
    model = Model(layers, args.activation, args.dropout, rng=rng, **task.model)
    session = _session(args, task, model, options, rng)
    session.path = path
    if checkpointed:
        every = max(1, session.epochs // SAVES)
        session.checkpoints = Checkpoints(args.checkpoints, every_epochs=every)
    watching = drawn.watching(session.steps, session.history())
    # Left in the opposite order: while it draws, Ctrl-C ends it at once.
    with (
        watching,
        interruptible() as session.steps.stopping,
        _warnings_told(),
        np.errstate(all="ignore"),
    ):
        return session.run()


def _has_checkpoints(args: argparse.Namespace) -> bool:
    """Check the options about checkpoints; tell whether there shall be some."""
    if args.checkpoints is None:
        if args.resume:
            raise UsageError("--resume needs the folder to go on from: --checkpoints")
        return False
    try:
        os.makedirs(args.checkpoints, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--checkpoints: {args.checkpoints!r} is no folder to write to: "
            f"{error.strerror}"
        ) from None
    there = Checkpoints(args.checkpoints).paths()
    if there and not args.resume:
        raise UsageError(
            f"--checkpoints: {args.checkpoints!r} holds those of another training; add "
            "--resume to go on with it, or choose an empty folder"
        )
    if there and (args.plot or args.animate):
        raise UsageError(
            "--plot and --animate show a training from its first step; leave them out "
            "with --resume"
        )
    return True


def _session(
    args: argparse.Namespace,
    task: Task,
    model: Model,
    options: dict[str, float],
    rng: np.random.RandomState,
) -> Session:
    size = min(args.batch_size or task.batch_size, len(task.x))
    batches = Batches(
        *(task.x, task.y), batch_size=size, shuffle=size < len(task.x), rng=rng
    )
    epochs = args.epochs or task.epochs
    total = epochs * len(batches)
    settings, figure = {**options}, "val_loss" if task.held else "loss"
    rate: Any = settings.pop("lr")
    callbacks: list[Any] = []
    if args.schedule:
        rate = SCHEDULES[args.schedule](rate, total)
        callbacks += [Reporter(rate, figure)] if isinstance(rate, Plateau) else []
    if args.early_stopping or args.patience:
        patience = args.patience or PATIENCE
        callbacks.append(EarlyStopping(figure, patience=patience))
    optimizer = RECIPES[args.optimizer].make(
        model.network.parameters(), lr=rate, **settings
    )
    how = ", ".join(f"{name} {value:g}" for name, value in options.items())
    schedule = f", {args.schedule} schedule" if args.schedule else ""
    words = f"{args.optimizer} with {how}{schedule}"
    model.training = {"data": Path(args.data).name, "optimizer": words}
    steps = Steps(optimizer, *_compiler(args.compile, total))
    return Session(task, model, steps, batches, epochs, options["lr"], callbacks)


def _compiler(wanted: bool | None, steps: int) -> tuple[Callable[..., Any] | None, str]:
    """Return what compiles a step where that pays, and words for it."""
    if wanted:
        return compile, "; steps are compiled"
    if wanted is None and steps >= REPAID:
        # The bits are those of eager steps, and nothing waits for kernels.
        return partial(compile, fused=False), "; steps are recorded and replayed"
    return None, ""


@contextmanager
def _warnings_told() -> Iterator[None]:
    """Print warnings about checkpoints as the command's."""
    with warnings.catch_warnings():
        warnings.simplefilter("once", RuntimeWarning)
        warnings.showwarning = lambda message, *_, **__: print(
            f"tensorgrad: warning: {message}", file=sys.stderr
        )
        yield


@final
@dataclass
class Session:
    """One training from the first line to the summary.

    Attributes
    ----------
    task : Task
    model : Model
    steps : Steps
    batches : Batches
    epochs : int
        To train for, at most.
    lr : float
        The initial rate.
    callbacks : list of callables
        As `tensorgrad.train.fit` takes them.
    checkpoints : Checkpoints or None
    path : Path or None
        Where to keep the model.
    done : int
        Epochs completed.
    """

    task: Task
    model: Model
    steps: Steps
    batches: Batches
    epochs: int
    lr: float
    callbacks: list[Any]
    checkpoints: Checkpoints | None = None
    path: Path | None = None
    done: int = 0

    def history(self) -> dict[str, Any]:
        """Return what a picture of the training needs to know."""
        task, words = self.task, self.model.training
        name = words["data"].partition(".")[0]
        heading = words["optimizer"].replace(" with ", ", ")
        return {
            "model": self.model.network,
            "x": task.x,
            "y": task.y,
            "steps": self.epochs * len(self.batches),
            "steps_per_epoch": len(self.batches),
            "title": f"{heading}; {name}, model {self.model.shape}",
            "features": task.features,
            "classes": task.classes if task.held else (),
        }

    def run(self) -> int:
        """Train, keep the model however that ends, and return the exit status.

        Raises
        ------
        CommandError
            If the loss is no longer finite, or the model cannot be written.
        """
        began, signum = perf_counter(), 0
        try:
            with Progress(self.epochs, unread=self.path is not None) as progress:
                self._begin(progress)
                self._train(progress)
        except StoppedError as stopped:
            signum = stopped.signum
        except NonFiniteError as error:
            reason = str(error).removeprefix("tg.train.fit: ")
            raise self._failure(reason.partition("; the parameters")[0]) from None
        except CheckpointError as error:
            raise UsageError(f"--resume: {error}") from None
        self._finish(perf_counter() - began, STOPPED.get(signum, ""))
        return 128 + signum if signum else 0

    def _begin(self, progress: Progress) -> None:
        model = f"model {self.model.shape}; {self.model.training['optimizer']}"
        if self.task.held:
            for line in [*self.task.about, f"{model}{self.steps.words}"]:
                progress.line(line)
        else:
            progress.line(f"{self.task.about[0]}; {model}{self.steps.words}")

    def _train(self, progress: Progress) -> None:
        every = interval(self.epochs, self.task.lines)

        def report(run: Any) -> None:
            row, self.done = run.log.last, run.epoch
            if (run.epoch - 1) % every == 0 or run.epoch == self.epochs:
                figures = [f"{k}: {row[k]:z.3f}" for k in ("acc", "loss") if k in row]
                rate = f"lr: {row['lr']:.4g}"
                progress.line(", ".join([f"epoch: {run.epoch - 1}", *figures, rate]))
            progress.advance()

        log = fit(
            self.model.network,
            self.steps.optimizer,
            self.batches,
            loss=self.task.loss,
            epochs=self.epochs,
            validation=self.task.held if self.callbacks else None,
            metrics=self.task.metrics,
            compile=self.steps,
            callbacks=[report, *self.callbacks],
            checkpoints=self.checkpoints,
            progress=False,
        )
        self.done = len(log)

    def _finish(self, seconds: float, stopped: str) -> None:
        task, held = self.task, self.task.held
        scores = {"training": self._score(task.x, task.y)}
        if math.isnan(scores["training"]["loss"]):
            raise self._failure(f"the loss became nan after {self.done} epochs")
        if held:
            scores["held out"] = self._score(*held)
        self.model.training |= {"epochs": self.done, "scores": scores}
        try:
            saved = self._keep()
        finally:
            print(f"{self._end(stopped)} {self.done} epochs in {seconds:.1f} s")
            for part, figures in scores.items():
                print(f"{part}: {words_of(figures)}")
        print(end=saved)

    def _end(self, stopped: str) -> str:
        stoppers = [c for c in self.callbacks if isinstance(c, EarlyStopping)]
        if stopped:
            return f"stopped by {stopped} after"
        if stoppers and self.done - stoppers[0].best_epoch >= stoppers[0].patience:
            best = stoppers[0].best_epoch
            return f"stopped early, back to the best weights, of {best} epochs, after"
        return "trained for"

    def _score(self, x: Array, y: Array) -> dict[str, float]:
        """Return a score; loss and error are NaN where they are not finite."""
        task = self.task
        figures = evaluate(
            self.model.network,
            (x, y),
            loss=task.loss,
            metrics=task.metrics,
            batch_size=4096,
        )
        loss = figures["loss"] if math.isfinite(figures["loss"]) else math.nan
        if task.classes:
            figures = {"accuracy": figures["acc"], "loss": loss}
        else:
            figures = {
                "R2": 1 - loss / max(float(y.var()), 1e-30),
                "error": math.sqrt(loss) * self.model.scale,
                "loss": loss,
            }
        return figures | {"samples": len(x)}

    def _keep(self) -> str:
        """Save the model if an option says so, and return a line about it."""
        if self.path is None:
            return ""
        self.model.save(self.path)
        return f"saved: {self.path}\n"

    def _failure(self, reason: str) -> CommandError:
        """Keep the parameters of the last finite loss, and say what to do."""
        self.steps.restore()
        note = "; the parameters before that are saved" if self._keep() else ""
        return CommandError(f"{reason}; try a smaller --lr than {self.lr:g}{note}")


def words_of(figures: dict[str, float]) -> str:
    """Return a score as part of a line."""
    if "R2" in figures:
        scores = f"R2 {figures['R2']:z.3f}, error {figures['error']:.4g}"
    else:
        scores = f"accuracy {figures['accuracy']:.3f}, loss {figures['loss']:z.3f}"
    return f"{scores} on {figures['samples']} samples"


def interval(epochs: int, lines: int = 100) -> int:
    """Return how often to print: 1, 2 or 5 times a power of ten, for so many lines.

    Examples
    --------
    >>> [interval(n) for n in (1, 101, 102, 1000, 10001)]
    [1, 1, 2, 10, 100]
    """
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if (epochs - 1) // step <= lines:
                return step
        power *= 10
