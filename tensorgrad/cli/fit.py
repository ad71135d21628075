"""Steps of a training that can be stopped between two of them, and watched."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .. import data
from ..core.mode import no_grad
from ..optim import Optimizer
from .errors import StoppedError

Array = NDArray[Any]
Watch = Callable[[float, float, float, list[Array]], None]


@final
class Steps:
    """Takes the steps of `tensorgrad.train.fit`, as what compiles them does.

    Parameters
    ----------
    optimizer : Optimizer
    compiler : callable, optional
        Compiles a step.
    words : str
        About that, for the title.

    Attributes
    ----------
    stopping : callable
        Tells before each step the signal for which to stop, or 0.
    watch : callable or None
        Called after each step with the loss, the accuracy and the rate that were in
        force before it, and the parameters of then.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        compiler: Callable[..., Any] | None = None,
        words: str = "",
    ) -> None:
        self.optimizer, self.compiler, self.words = optimizer, compiler, words
        self.stopping: Callable[[], int] = int
        self.watch: Watch | None = None
        self._last = [p.data.copy() for p in optimizer.params]
        self._before = [p.data.copy() for p in optimizer.params]

    def __call__(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """Return what does a step, unless it is to stop.

        What it does raises StoppedError; the parameters are those of a whole step.
        """
        take = self.compiler(step) if self.compiler else step

        def watched(*batch: Any) -> Any:
            signum = self.stopping()
            if signum:
                raise StoppedError(signum)
            for p, before in zip(self.optimizer.params, self._before, strict=True):
                np.copyto(before, p.data)
            rate = self.optimizer.lr
            value, output = take(*batch)
            loss = value.item()
            if math.isfinite(loss):
                if self.watch is not None:
                    accuracy = data.accuracy(output, batch[-1])
                    self.watch(loss, accuracy, rate, self._before)
                self._last, self._before = self._before, self._last
            return value, output

        return watched

    def restore(self) -> None:
        """Put back the parameters of the last loss that was finite."""
        with no_grad():
            for p, last in zip(self.optimizer.params, self._last, strict=True):
                p[...] = last
