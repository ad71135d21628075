"""The training loop, and how Ctrl-C ends it between two steps."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .. import data
from ..core.mode import no_grad
from ..nn import Module
from ..ops.losses import softmax_cross_entropy
from ..optim import Optimizer
from .errors import DivergedError, StoppedError

Array = NDArray[Any]
Watch = Callable[[float, float, float], None]


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
        All samples where not given.
    stopping : callable
        Tells before each step whether to stop.
    watch : callable, optional
        Called before each update with the loss, the accuracy and the rate in force.

    Attributes
    ----------
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
        stopping: Callable[[], bool] = lambda: False,
        watch: Watch | None = None,
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.x, self.y = x, y
        self.rng, self.stopping, self.watch = rng, stopping, watch
        self.batch_size = min(batch_size or len(x), len(x))
        self.epochs = 0
        self._last = [p.data.copy() for p in optimizer.params]

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
        if self.stopping():
            raise StoppedError
        logits = self.model(x)
        loss = softmax_cross_entropy(logits, y)
        value = loss.item()
        if not math.isfinite(value):
            raise DivergedError(str(value))
        for p, last in zip(self.optimizer.params, self._last, strict=True):
            np.copyto(last, p.data)
        accuracy = data.accuracy(logits, y)
        if self.watch is not None:
            self.watch(value, accuracy, self.optimizer.lr)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return accuracy, value


def evaluate(model: Module, x: Array, y: Array) -> tuple[float, float]:
    """Return accuracy and loss of a model; NaN both where the loss is not finite."""
    with no_grad():
        logits = model(x)
        loss = float(softmax_cross_entropy(logits, y))
    if not math.isfinite(loss):
        return math.nan, math.nan
    return data.accuracy(logits, y), loss


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Within it Ctrl-C is only noted; yields what tells whether it was pressed.

    So a step is never cut in half. A second Ctrl-C is a KeyboardInterrupt.
    """
    pressed = False

    def note(signum: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    previous = signal.getsignal(signal.SIGINT)
    # A process started in the background may be meant to ignore it, and only the
    # main thread may choose.
    ours = (
        previous is signal.default_int_handler
        and threading.current_thread() is threading.main_thread()
    )
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        if ours:
            signal.signal(signal.SIGINT, previous)
