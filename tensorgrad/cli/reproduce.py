"""`tensorgrad reproduce`: nine training runs of a textbook, beside its figures.

They are from two chapters on backpropagation and optimizers.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from .. import data, nn, optim
from ..ops.networks.losses import softmax_cross_entropy
from . import pictures
from .progress import Progress
from .recipes import RECIPES

Row = dict[str, Any]
Pair = tuple[Row, Row]
"""A printed row of the book and ours."""

CLOSE = 1e-3
NAMES = {"learning_rate": "lr", "epsilon": "eps"}
ADAM = {
    "optimizer": "Adam",
    "hyperparameters": RECIPES["adam"].options,
    "printed": [],
}
"""Drawn beside the book's runs; as `tensorgrad train` has it by default."""
NOTE = (
    "What to expect: every learning rate to its last digit, and the run with decay "
    "0.01 in all rows; runs at a rate near 1 are chaotic, so that later rows depend "
    "on the last bit of exp and of the matrix product, with any code."
)


def reproduce(args: argparse.Namespace) -> int:
    """Repeat the chosen runs, print both figures, and return the exit status."""
    drawn = pictures.pictures(args)
    reference = load()
    epochs = args.epochs or reference["epochs"]
    numbers = dict.fromkeys(args.run or range(1, len(reference["runs"]) + 1))
    pairs: list[Pair] = []
    with drawn.side_by_side(epochs) as watch:
        with Progress((len(numbers) + bool(drawn.paths)) * epochs) as progress:
            progress.line(NOTE)
            for number in numbers:
                pairs += _show(number, reference, epochs, progress, watch)
            if drawn.paths:
                deque(rows(reference, ADAM, epochs, progress, watch))
        print(f"\n{summary(pairs)}")
    return 0


def load() -> dict[str, Any]:
    """Return the book's runs: their settings and the rows it prints."""
    file = importlib.resources.files("tensorgrad") / "reference/optimizer_runs.json"
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return loaded


def rows(
    reference: dict[str, Any],
    run: dict[str, Any],
    epochs: int,
    progress: Progress,
    watch: pictures.WatchRun,
) -> Iterator[Pair]:
    """Train as one run did, and yield each row of the book with ours."""
    x, y, model, optimizer = _start(reference, run)
    record = watch(model, x, y, _settings(run))
    printed = {row["epoch"]: row for row in run["printed"]}
    for epoch in range(epochs):
        logits = model(x)
        loss = softmax_cross_entropy(logits, y)
        if record or epoch in printed:
            accuracy = data.accuracy(logits, y)
            ours = {"accuracy": accuracy, "loss": loss.item()}
            if record:
                record(loss.item(), accuracy, optimizer.lr, _arrays(model))
            if epoch in printed:
                yield printed[epoch], ours | {"learning_rate": optimizer.lr}
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        progress.advance()


def _arrays(model: nn.Module) -> list[Any]:
    return [p.data for p in model.parameters()]


def _settings(run: dict[str, Any]) -> str:
    """Return the optimizer of a run and its hyperparameters, as a title."""
    settings = run["hyperparameters"].items()
    return ", ".join(
        [run["optimizer"], *(f"{NAMES.get(k, k)} {v:g}" for k, v in settings)]
    )


def _start(reference: dict[str, Any], run: dict[str, Any]) -> Any:
    """Draw data and then weights from one stream, as the book does."""
    dataset, sizes = reference["dataset"], reference["model"]["layers"]
    rng = np.random.RandomState(dataset["seed"])
    x, y = data.spiral(dataset["samples_per_class"], dataset["classes"], rng)
    first, last = (nn.Dense(*s, rng=rng, scale=0.01) for s in pairwise(sizes))
    model = nn.Sequential(first, nn.ReLU(), last)
    settings = {NAMES.get(k, k): v for k, v in run["hyperparameters"].items()}
    return x, y, model, getattr(optim, run["optimizer"])(model.parameters(), **settings)


def _show(
    number: int,
    reference: dict[str, Any],
    epochs: int,
    progress: Progress,
    watch: pictures.WatchRun,
) -> list[Pair]:
    run = reference["runs"][number - 1]
    settings = ", ".join(f"{k} {v:g}" for k, v in run["hyperparameters"].items())
    progress.line(f"\nrun {number}: {run['optimizer']}, {settings}")
    progress.line(
        f"{'epoch':>5}  {'acc':>5} {'book':>5}  {'loss':>5} {'book':>5}  "
        f"{'lr':<21} {'book':<21} within {CLOSE}"
    )
    pairs = []
    for pair in rows(reference, run, epochs, progress, watch):
        progress.line(formatted(*pair))
        pairs.append(pair)
    if not pairs:
        first = run["printed"][0]["epoch"]
        progress.line(f"the book prints no row before epoch {first}")
    return pairs


def formatted(book: Row, ours: Row) -> str:
    """Return a row of both figures as a line."""
    mark = "yes" if close(book, ours) else "no"
    return (
        f"{book['epoch']:>5}  {ours['accuracy']:>5.3f} {book['accuracy']:>5.3f}  "
        f"{ours['loss']:>5.3f} {book['loss']:>5.3f}  {ours['learning_rate']!s:<21} "
        f"{book.get('learning_rate', '-')!s:<21} {mark}"
    )


def close(book: Row, ours: Row) -> bool:
    """Tell whether accuracy and loss, as printed, agree within 0.001."""
    # As the book gives three digits, at most one apart in the last.
    return all(
        abs(round(ours[k], 3) - book[k]) < 1.5 * CLOSE for k in ("accuracy", "loss")
    )


def summary(pairs: list[Pair]) -> str:
    """Say how many rows agree."""
    agreeing = sum(close(book, ours) for book, ours in pairs)
    rates = [(t, o) for t, o in pairs if "learning_rate" in t]
    same = sum(t["learning_rate"] == o["learning_rate"] for t, o in rates)
    return (
        f"accuracy and loss agree within {CLOSE} in {agreeing} of {len(pairs)} rows, "
        f"the learning rate to the last digit in {same} of {len(rates)}"
    )
