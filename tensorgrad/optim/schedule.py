"""Schedules: the learning rate as a function of the step."""

from __future__ import annotations

from collections.abc import Callable

Schedule = Callable[[int], float]


def inverse_time(lr: float, decay: float) -> Schedule:
    """Learning rate lr / (1 + decay * step), as a function of the step from 0.

    Parameters
    ----------
    lr : float
        The rate at step 0.
    decay : float
        How fast it falls: it is halved at step ``1 / decay``.

    Returns
    -------
    callable
        Takes the step, returns the rate.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> rate = tg.optim.inverse_time(1.0, 0.01)
    >>> rate(0), rate(100)
    (1.0, 0.5)
    """
    return lambda step: lr * (1 / (1 + decay * step))
