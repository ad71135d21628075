"""What is to be learned: a built-in data set, or a file with rows held out."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import data, extras, nn
from ..ops.networks.losses import softmax_cross_entropy
from . import encoders, table
from .columns import Target, examine
from .errors import UsageError

Array = NDArray[Any]
SAMPLES, CLASSES = 100, 3
BUILT_IN = {"spiral": data.spiral, "vertical": data.vertical}
HELD_OUT = 0.2
"""Of the rows of a file."""
LARGE, BATCH = 2000, 256
"""Of more rows than that, a step takes so many."""


@dataclass(frozen=True)
class Task:
    """What is to be learned.

    Attributes
    ----------
    about : list of str
        Describes it in lines.
    x, y : arrays of shape (n, features), and (n,) or of a regression (n, 1)
    outputs : int
        Of the network: classes, or 1.
    epochs, batch_size : int
        By default.
    lines : int
        At most how many epochs to print, roughly.
    held : tuple of arrays, optional
        Features and labels that are scored but not learned.
    features : tuple of str
        What pictures call the features.
    model : dict
        What a `Model` is told about columns and target.
    """

    about: list[str]
    x: Array
    y: Array
    outputs: int
    epochs: int
    batch_size: int
    lines: int = 100
    held: tuple[Array, Array] | None = None
    features: tuple[str, ...] = ("x\N{SUBSCRIPT ONE}", "x\N{SUBSCRIPT TWO}")
    model: dict[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """Names of the classes, none for a regression."""
        names: list[str] = self.model["classes"]
        return names

    @property
    def loss(self) -> Callable[..., Any]:
        """The loss function."""
        return softmax_cross_entropy if self.classes else nn.functional.mse_loss

    @property
    def metrics(self) -> dict[str, Callable[..., float]]:
        """The accuracy of a classification."""
        return {"acc": accuracy} if self.classes else {}


def accuracy(scores: Any, labels: Array) -> float:
    """Return the share of right rows, NaN where a score is."""
    has_nan = np.isnan(np.asarray(scores.numpy())).any()
    return math.nan if has_nan else data.accuracy(scores, labels)


def built_in(args: argparse.Namespace, rng: np.random.RandomState) -> Task:
    """Return the task that a data set of the package is.

    Raises
    ------
    UsageError
        If an option is for files.
    """
    for option in ("target", "task", "separator", "encoding"):
        if getattr(args, option) is not None:
            raise UsageError(
                f"--{option} is about a file, but {args.data} is a built-in data set; "
                "leave it out"
            )
    x, y = BUILT_IN[args.data](SAMPLES, CLASSES, rng)
    columns = [
        encoders.Column(name, "number", ("",), "", (0.0,), (0.0,), (1.0,))
        for name in ("x1", "x2")
    ]
    classes = [str(k) for k in range(CLASSES)]
    model = {"columns": columns, "target": "class", "classes": classes}
    about = f"{args.data}: {len(x)} samples, {CLASSES} classes"
    return Task([about], x, y, CLASSES, 10001, len(x), model=model)


def from_file(args: argparse.Namespace, rng: np.random.RandomState) -> Task:
    """Return the task that a file is, and print what looks odd in it.

    Raises
    ------
    UsageError
        If nothing can be learned from it.
    """
    whole = read(args, None if args.target is None else True)
    frame, target, columns, notes = examine(whole, args.target, args.task)
    y: Array = target.values
    scaling: dict[str, float] = {}
    held = held_out(y if target.classes else np.zeros(len(y), np.int64), HELD_OUT, rng)
    columns = encoders.fit(columns, frame[~held], args.data)
    x = encoders.encode(columns, frame, args.data)
    if not target.classes:
        y, scaling = _standardised(target, held, args.data)
    warn(args.data, notes)
    rows = int((~held).sum())
    return Task(
        [
            f"{args.data}: {rows} rows, {len(x) - rows} held out; {target.about}",
            _about(columns, frame),
        ],
        x[~held],
        y[~held],
        outputs=len(target.classes) or 1,
        epochs=201,
        batch_size=rows if rows <= LARGE else BATCH,
        lines=10,
        held=(x[held], y[held]),
        features=tuple(f"{n}, standardised" for c in columns for n in c.features),
        model={
            "columns": columns,
            "has_header": whole.has_header,
            "target": target.name,
            "classes": target.classes,
            **scaling,
        },
    )


def read(args: argparse.Namespace, has_header: bool | None) -> table.Table:
    """Read the file that the options name."""
    # Without pandas, too, this is what is wrong.
    if not os.path.exists(args.data):
        names = "" if hasattr(args, "model") else "spiral, vertical or "
        raise UsageError(
            f"{args.data}: there is no such file; expected {names}the path of a file"
        )
    return table.read(args.data, args.separator, args.encoding, has_header)


def warn(source: str, notes: Sequence[str]) -> None:
    """Print sentences about a file on standard error."""
    for sentence in notes:
        print(f"tensorgrad: warning: {source}: {sentence}", file=sys.stderr)


def _standardised(
    target: Target, held: NDArray[np.bool_], source: str
) -> tuple[Array, dict[str, float]]:
    """Return the numbers of a regression as features are, and how to go back."""
    pandas = extras.load("pandas", "data", "a regression")
    frame = pandas.DataFrame({target.name: target.values})
    columns = [encoders.Column(target.name, "number")]
    (column,) = encoders.fit(columns, frame[~held], source)
    y = encoders.encode([column], frame, source)
    return y, {"mean": column.mean[0], "scale": column.scale[0]}


def held_out(labels: NDArray[np.int64], fraction: float, rng: Any) -> NDArray[Any]:
    """Return which rows to hold out, as booleans.

    At least one; every class keeps a row to train on, and the classes share as evenly
    as that allows.
    """
    order = rng.permutation(len(labels))
    shuffled = labels[order]
    counts = np.bincount(labels)
    # The rank of each row among those of its class, in the shuffled order.
    by_class = np.argsort(shuffled, kind="stable")
    first = np.cumsum(counts) - counts
    rank = np.empty(len(labels), dtype=np.int64)
    rank[by_class] = np.arange(len(labels)) - first[shuffled[by_class]]
    # Taking the rows of highest quantile takes the same fraction of every class;
    # the first of a class always stays.
    quantile = np.where(rank > 0, (rank + 0.5) / counts[shuffled], 0)
    many = min(max(1, round(fraction * len(labels))), int(np.count_nonzero(rank)))
    held = np.zeros(len(labels), dtype=bool)
    held[order[np.argsort(-quantile, kind="stable")[:many]]] = True
    return held


def _about(columns: Sequence[encoders.Column], frame: table.Frame) -> str:
    """Say in a line how columns become features."""
    parts = []
    for kind, several, form in (
        ("number", "numbers", ""),
        ("category", "categories", "columns of 0 and 1"),
        ("date", "dates", "numbers"),
    ):
        those = [column for column in columns if column.kind == kind]
        width = sum(len(column.features) for column in those)
        if those:
            name = kind if len(those) == 1 else several
            parts.append(f"{len(those)} {name}" + (f" as {width} {form}" * bool(form)))
    counts = {c.name: int(frame[c.name].isna().sum()) for c in columns}
    missing = [f"{name!r:.40} {count}" for name, count in counts.items() if count]
    if missing:
        more = f" and {len(missing) - 3} more columns" if len(missing) > 3 else ""
        parts.append(
            f"missing values ({', '.join(missing[:3])}{more}) replaced by the median, "
            "or a category of their own"
        )
    return f"features: {', '.join(parts)}"
