"""A record of a run while it trains: its figures, and now and then its weights."""

from __future__ import annotations

import copy
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["History", "Moment"]

Array = NDArray[Any]
MEMORY = 2**30
"""Bytes that the moments of one run may take, roughly."""
PART = 2048
"""Samples per call of a model."""


@dataclass(frozen=True)
class Moment:
    """A run as it stood before one of its steps.

    Attributes
    ----------
    step : int
        Steps taken before.
    parameters, update : list of arrays
        In the order of the model's parameters; the update is what the step before has
        added, zero where there was none.
    """

    step: int
    parameters: list[Array]
    update: list[Array]


@final
class History:
    """The figures and moments of a run, noted sparsely enough not to slow it.

    Figures are kept of every step, parameters and updates only of `frames` steps
    evenly spread over the run: the first, the last, and those between.

    Parameters
    ----------
    model : callable with ``named_parameters()``
        Gives scores of shape (n, classes) for x.
    x : (n, features) array
        One sample a row.
    y : (n,) integers
        The class of each.
    steps : int
        Of the whole run.
    frames : int
        Moments to keep, at least 1; fewer where they would take more than about a
        gigabyte.
    steps_per_epoch : int
        Batches of an epoch.
    title : str
        Heads the pictures.
    features, classes : sequences of str, optional
        Names of the columns of x and of the classes.

    Attributes
    ----------
    moments : list of Moment
    losses, accuracies, rates : arrays of float
        One figure for each step recorded.

    Raises
    ------
    ValueError
        If a count is below 1, or shapes of x and y do not fit.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x, y = tg.data.spiral(20, 3, rng=0)
    >>> model = tg.nn.Sequential(tg.nn.Dense(2, 8, rng=0), tg.nn.Dense(8, 3, rng=0))
    >>> optimizer = tg.optim.SGD(model.parameters(), 0.5)
    >>> history = tg.plot.History(model, x, y, steps=50, frames=5)
    >>> for _ in range(50):
    ...     logits = model(x)
    ...     loss = tg.softmax_cross_entropy(logits, y)
    ...     accuracy = tg.data.accuracy(logits, y)
    ...     history.record(loss.item(), accuracy, optimizer.lr)
    ...     optimizer.zero_grad()
    ...     loss.backward()
    ...     optimizer.step()
    >>> [moment.step for moment in history.moments]
    [0, 12, 24, 37, 49]
    """

    def __init__(
        self,
        model: Any,  # a module, which pictures know nothing of, or one of PyTorch
        x: Array,
        y: Array,
        *,
        steps: int,
        frames: int = 100,
        steps_per_epoch: int = 1,
        title: str = "",
        features: Sequence[str] = (),
        classes: Sequence[str] = (),
    ) -> None:
        self.x, self.y = np.asarray(x), np.asarray(y)
        _check(self.x, self.y, steps, frames, steps_per_epoch)
        self.steps_per_epoch, self.title = steps_per_epoch, title
        self.features, self.classes = tuple(features), tuple(classes)
        parameters = dict(model.named_parameters())
        self.names, self._live = list(parameters), list(parameters.values())
        self._model = copy.deepcopy(model)
        self._due = _spread(steps, _affordable(frames, self._live))
        self._next = next(self._due)
        self._before: list[Array] = []
        self.moments: list[Moment] = []
        self.losses, self.accuracies, self.rates = (array("d") for _ in range(3))

    def record(
        self,
        loss: float,
        accuracy: float,
        lr: float,
        parameters: Sequence[Array] | None = None,
    ) -> None:
        """Note the figures of a step; to be called before each optimizer step.

        Parameters
        ----------
        loss, accuracy : float
            Of the parameters as they are.
        lr : float
            The rate in force.
        parameters : sequence of arrays, optional
            As they were before the step, where that has been taken already.
        """
        step = len(self.losses)
        self.losses.append(loss)
        self.accuracies.append(accuracy)
        self.rates.append(lr)
        if step >= self._next - 1:
            live = [p.data for p in self._live]
            self._keep(step, live if parameters is None else parameters)

    def _keep(self, step: int, parameters: Sequence[Array]) -> None:
        """Keep a moment that is due, and what the one of the next step starts from."""
        now = [p.copy() for p in parameters]
        if step == self._next:
            before = self._before or now
            change = [new - old for new, old in zip(now, before, strict=True)]
            self.moments.append(Moment(step, now, change))
            self._next = next(self._due, 2**62)
        if step == self._next - 1:
            self._before = now

    def scores(self, moment: Moment, x: Array) -> Array:
        """Return what the model of a moment gives for x.

        Parameters
        ----------
        moment : Moment
            One of `moments`.
        x : (n, features) array
            One sample a row.

        Returns
        -------
        (n, classes) array
            The scores of each sample.
        """
        for p, then in zip(self._model.parameters(), moment.parameters, strict=True):
            p.data = then
        # In parts, whose hidden layers stay in the cache.
        parts = (x[i : i + PART] for i in range(0, len(x), PART))
        with np.errstate(all="ignore"):
            return np.concatenate([_array(self._model(part)) for part in parts])


def _array(x: Any) -> Array:
    """Return a tensor's array, or anything else as an array."""
    return np.asarray(x.numpy() if hasattr(x, "numpy") else x)


def _check(x: Array, y: Array, *counts: int) -> None:
    if x.ndim != 2 or y.shape != x.shape[:1] or not x.size:
        raise ValueError(
            "History: expected x of shape (n, features) and y of shape (n,), got "
            f"{x.shape} and {y.shape}"
        )
    if min(counts) < 1:
        raise ValueError(
            "History: steps, frames and steps_per_epoch must be at least 1, got "
            f"{', '.join(map(str, counts))}"
        )


def _affordable(frames: int, parameters: list[Any]) -> int:
    size: int = 2 * sum(p.data.nbytes for p in parameters)
    return max(1, min(frames, MEMORY // max(size, 1)))


def _spread(steps: int, frames: int) -> Any:
    """Return an iterator of step numbers from 0 to the last, evenly apart."""
    if frames == 1:
        return iter([steps - 1])
    chosen = np.linspace(0, steps - 1, min(frames, steps)).round()
    return iter(chosen.astype(int).tolist())
