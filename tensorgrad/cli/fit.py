"""The training loop, which can be stopped between two steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .. import data
from ..capture import compile  # noqa: A004
from ..core.mode import no_grad
from ..nn import Module
from ..ops.networks.losses import softmax_cross_entropy
from ..optim import Optimizer
from .errors import DivergedError, StoppedError

Array = NDArray[Any]
Watch = Callable[[float, float, float, list[Array]], None]


@final
class Fit:
    """A model being trained, one epoch at a time.

    Parameters
    ----------
    model : Module
        Gives logits.
    optimizer : Optimizer
    x, y : arrays of shape (n, features) and (n,)
    rng : numpy.random.RandomState
        Shuffles the samples where there is more than one batch.
    batch_size : int, optional
        All samples by default.
    stopping : callable
        Tells before each step the signal for which to stop, or 0.
    captured : bool
        Record the step, and replay it.

    Attributes
    ----------
    watch : callable or None
        Called after each update with the loss, the accuracy and the rate that were in
        force before it, and the parameters of then.
    epochs : int
        Completed so far.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        x: Array,
        y: Array,
        rng: np.random.RandomState,
        batch_size: int | None = None,
        stopping: Callable[[], int] = lambda: 0,
        captured: bool = False,
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.x, self.y = x, y
        self.rng, self.stopping = rng, stopping
        self.watch: Watch | None = None
        self.batch_size = min(batch_size or len(x), len(x))
        self.epochs = 0
        self._take = compile(self._update) if captured else self._update
        self._last = [p.data.copy() for p in optimizer.params]
        self._before = [p.data.copy() for p in optimizer.params]

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.x) // self.batch_size)

    def epoch(self) -> tuple[float, float]:
        """Take the steps of one epoch.

        Returns
        -------
        accuracy, loss : float
            Means over the samples, each as it came by: before its step.

        Raises
        ------
        DivergedError
            If the loss is not finite.
        StoppedError
            If asked to stop. Either way the parameters are those of a whole step.
        """
        hits = total = 0.0
        for batch in self._batches():
            accuracy, loss = self._step(self.x[batch], self.y[batch])
            size = len(self.y[batch])
            hits += accuracy * size
            total += loss * size
        self.epochs += 1
        return hits / len(self.y), total / len(self.y)

    def restore(self) -> None:
        """Put back the parameters of the last loss that was finite."""
        with no_grad():
            for p, last in zip(self.optimizer.params, self._last, strict=True):
                p[...] = last

    def _batches(self) -> Iterator[Any]:
        if self.batch_size == len(self.x):
            yield slice(None)
            return
        order = self.rng.permutation(len(self.x))
        for start in range(0, len(order), self.batch_size):
            yield order[start : start + self.batch_size]

    def _step(self, x: Array, y: Array) -> tuple[float, float]:
        signum = self.stopping()
        if signum:
            raise StoppedError(signum)
        for p, before in zip(self.optimizer.params, self._before, strict=True):
            np.copyto(before, p.data)
        rate = self.optimizer.lr
        logits, loss = self._take(x, y)
        value = loss.item()
        if not math.isfinite(value):
            raise DivergedError(str(value))
        if self.watch is not None:
            self.watch(value, data.accuracy(logits, y), rate, self._before)
        self._last, self._before = self._before, self._last
        return data.accuracy(logits, y), value

    def _update(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return logits and loss of a batch, and then take the step."""
        logits = self.model(x)
        loss = softmax_cross_entropy(logits, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return logits, loss


def evaluate(model: Module, x: Array, y: Array) -> tuple[float, float]:
    """Return accuracy and loss of a model; NaN both where the loss is not finite."""
    with no_grad():
        logits = model(x)
        loss = float(softmax_cross_entropy(logits, y))
    if not math.isfinite(loss):
        return math.nan, math.nan
    return data.accuracy(logits, y), loss
