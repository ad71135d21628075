"""A trained network and all that its use needs, as one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, asdict, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import nn, train
from ..core.mode import no_grad
from ..nn import functional
from ..ops.elementwise.logspace import sigmoid
from . import save
from .encoders import Column, encode
from .errors import UsageError
from .table import Table

Array = NDArray[Any]
FORMAT = "tensorgrad train, 1"
PART = 4096
"""Rows that are computed at once."""

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": nn.ReLU(),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "elu": functional.elu,
    "selu": functional.selu,
    "leaky-relu": functional.leaky_relu,
    "softplus": functional.softplus,
    "mish": functional.mish,
}


@dataclass
class Model:
    """A network, what its inputs and outputs are, and how it was trained.

    Attributes
    ----------
    layers : list of int
        Features, units of each hidden layer, outputs.
    activation : str
        One of `ACTIVATIONS`.
    dropout : float
        Share of zeros behind each hidden layer.
    columns : list of Column
        Encoded, of which the features are made.
    target : str
        Name of what is predicted.
    classes : list of str
        None for a regression.
    mean, scale : float
        Of the target of a regression: the output is (target - mean) / scale.
    has_header : bool
        Whether the columns were named by the file.
    training : dict
        How it was trained, in words and numbers.
    rng : RandomState, optional
        Draws the weights.
    network : Sequential
        Gives logits, or one number.
    """

    layers: list[int]
    activation: str = "relu"
    dropout: float = 0.0
    columns: list[Column] = field(default_factory=list)
    target: str = ""
    classes: list[str] = field(default_factory=list)
    mean: float = 0.0
    scale: float = 1.0
    has_header: bool = True
    training: dict[str, Any] = field(default_factory=dict)
    rng: InitVar[Any] = None
    network: nn.Sequential = field(init=False)

    def __post_init__(self, rng: Any) -> None:
        rng = rng or np.random.RandomState(0)
        steps: list[Any] = []
        for ins, outs in pairwise(self.layers):
            steps += [nn.Dense(ins, outs, rng=rng), ACTIVATIONS[self.activation]]
            if self.dropout:
                steps.append(nn.Dropout(self.dropout, rng=rng.randint(2**31)))
        self.network = nn.Sequential(*steps[: -2 if self.dropout else -1])

    @property
    def shape(self) -> str:
        """The lengths of the layers, as the title has them."""
        return "-".join(map(str, self.layers))

    @property
    def features(self) -> list[str]:
        """Names of the features."""
        return [name for column in self.columns for name in column.features]

    def encoded(self, table: Table) -> tuple[Array, list[str]]:
        """Return the features of a table, and sentences about its cells.

        Raises
        ------
        UsageError
            If a column is missing.
        """
        names = set(table.frame.columns)
        missing = [c.name for c in self.columns if c.name not in names]
        if missing:
            raise UsageError(
                f"{table.source}: there is no column {missing[0]!r}, which the model "
                f"was trained with; the columns are "
                f"{', '.join(map(repr, table.frame.columns)):.200}"
            )
        notes = [column.strange(table.frame[column.name]) for column in self.columns]
        x = encode(self.columns, table.frame, table.source)
        return x, [note for note in notes if note]

    def outputs(self, x: Array) -> Array:
        """Return the probabilities of the classes, or the predicted numbers."""
        self.network.eval()
        with no_grad(), np.errstate(all="ignore"):
            parts = [self.network(x[i : i + PART]) for i in range(0, len(x), PART)]
        y = np.concatenate([np.asarray(part.numpy(), np.float64) for part in parts])
        if not self.classes:
            return np.asarray(y[:, 0] * self.scale + self.mean)
        with np.errstate(all="ignore"):
            y = np.exp(y - y.max(axis=1, keepdims=True))
            return np.asarray(y / y.sum(axis=1, keepdims=True))

    def save(self, path: Path) -> None:
        """Write the model to a file, whole or not at all.

        Raises
        ------
        CommandError
            If it cannot be written; what was there is still there then.
        """
        state = {f.name: getattr(self, f.name) for f in fields(self)}
        state["columns"] = [asdict(column) for column in self.columns]
        state["network"] = self.network.state_dict()
        with save.writing("--save"):
            train.save(path, {"format": FORMAT, **state})


def load(path: str) -> Model:
    """Return the model in a file.

    Raises
    ------
    UsageError
        If it is none.
    """
    try:
        state = train.load(path)
    except OSError as error:
        reason = {
            FileNotFoundError: "there is no such file",
            IsADirectoryError: "expected a saved model, got a folder",
        }.get(type(error), f"the file cannot be read: {error.strerror}")
        raise UsageError(f"{path}: {reason}") from None
    except ValueError as error:
        raise UsageError(
            f"{error}".replace("tg.train.save", "tensorgrad train")
        ) from None
    try:
        if state.pop("format") != FORMAT:
            raise ValueError
        weights = state.pop("network")
        state["columns"] = [Column(**column) for column in state["columns"]]
        _check(state, [w.shape for w in weights.values() if w.ndim == 2])
        model = Model(**state)
        model.network.load_state_dict(weights)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise UsageError(
            f"{path}: expected a model that tensorgrad train --save has written, got "
            "another checkpoint"
        ) from None
    return model


def _check(state: dict[str, Any], shapes: list[tuple[int, ...]]) -> None:
    """Raise ValueError where the parts of a model do not fit together."""
    columns: list[Column] = state["columns"]
    lengths = [shapes[0][0], *(shape[1] for shape in shapes)]
    features = sum(len(column.features) for column in columns)
    numbers = [
        len(x) == len(c.parts) and np.isfinite(x).all()
        for c in columns
        if c.kind != "category"
        for x in (c.fill, c.mean, c.scale)
    ]
    if (
        state["layers"] != lengths
        or [features, len(state["classes"]) or 1] != [lengths[0], lengths[-1]]
        or not all(numbers)
        or not np.isfinite([state["mean"], state["scale"]]).all()
        or not {"data", "optimizer"} <= state["training"].keys()
    ):
        raise ValueError
