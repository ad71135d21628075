"""Callbacks: called after each epoch, and asked whether the training shall end."""

from __future__ import annotations

import copy
import math
from typing import Any, final

from .loop import Run

__all__ = ["EarlyStopping"]


@final
class EarlyStopping:
    """End a training that no longer gets better, and go back to its best epoch.

    Parameters
    ----------
    monitor : str
        The figure of the log to look at.
    patience : int
        Epochs without improvement after which to end.
    min_delta : float
        What counts as an improvement: by more than this.
    maximize : bool
        Whether larger is better.
    restore : bool
        Whether the model gets the weights of the best epoch when the training ends by
        this.

    Attributes
    ----------
    best : float
        The best figure so far.
    best_epoch : int
        Its epoch, from 1.

    Raises
    ------
    ValueError
        If patience is below 1, or min_delta below 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> stopping = tg.train.EarlyStopping("val_loss", patience=5)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        maximize: bool = False,
        restore: bool = True,
    ) -> None:
        if patience < 1 or not min_delta >= 0:
            raise ValueError(
                "EarlyStopping: expected patience of at least 1 and min_delta of at "
                f"least 0, got {patience} and {min_delta}"
            )
        self.monitor, self.patience, self.min_delta = monitor, patience, min_delta
        self.maximize, self.restore = maximize, restore
        self.best, self.best_epoch = math.nan, 0
        self._weights: dict[str, Any] = {}

    def __call__(self, run: Run) -> bool:
        """Return whether to end, once the weights are those of the best epoch."""
        if self.monitor not in run.log.last:
            raise KeyError(
                f"EarlyStopping: the log has no figure {self.monitor!r}; there are "
                f"{', '.join(run.log.names)}"
            )
        figure = run.log.last[self.monitor]
        gain = (figure - self.best) * (1 if self.maximize else -1)
        if math.isnan(self.best) or gain > self.min_delta:
            self.best, self.best_epoch = figure, run.epoch
            self._weights = copy.deepcopy(run.model.state_dict())
        ended = run.epoch - self.best_epoch >= self.patience
        if ended and self.restore:
            run.model.load_state_dict(self._weights)
        return ended

    def state_dict(self) -> dict[str, Any]:
        """Return the best figure, its epoch and its weights, for a checkpoint.

        Returns
        -------
        dict
            For `load_state_dict`.
        """
        return {"best": [self.best, self.best_epoch], "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was called.

        Parameters
        ----------
        state : dict
            What `state_dict` returned.
        """
        (self.best, self.best_epoch), self._weights = state["best"], state["weights"]
