"""Learning rates as functions of the step, which is counted from 0.

Each returns a function that can be pickled. An optimizer asks it once a step, compiled
or not. Where a schedule is taken, a number stands for a constant one.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from .settings import StateDict, at_least_zero

__all__ = [
    "Plateau",
    "cosine",
    "exponential",
    "inverse_time",
    "joined",
    "linear",
    "one_cycle",
    "staircase",
    "warmup",
]

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
    return partial(_inverse_time, lr, decay)


def _inverse_time(lr: float, decay: float, step: int) -> float:
    return lr * (1 / (1 + decay * step))


def exponential(lr: float, factor: float) -> Schedule:
    """Learning rate lr * factor**step.

    Parameters
    ----------
    lr : float
        The rate at step 0.
    factor : float
        What it is multiplied with in each step.

    Returns
    -------
    callable
        Takes the step, returns the rate.
    """
    at_least_zero("exponential", "factor", factor)
    return partial(_exponential, lr, factor)


def _exponential(lr: float, factor: float, step: int) -> float:
    return lr * factor**step


def staircase(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """Learning rate lr * factor**(step // every), constant in between.

    Parameters
    ----------
    lr : float
        The rate of the first steps.
    every : int
        Steps from one change to the next.
    factor : float
        What the rate is multiplied with then.

    Returns
    -------
    callable
        Takes the step, returns the rate.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> rate = tg.optim.schedules.staircase(1.0, every=10, factor=0.5)
    >>> rate(9), rate(10)
    (1.0, 0.5)
    """
    _steps("staircase", "every", every)
    at_least_zero("staircase", "factor", factor)
    return partial(_staircase, lr, every, factor)


def _staircase(lr: float, every: int, factor: float, step: int) -> float:
    return lr * factor ** (step // every)


def linear(start: float, end: float, steps: int) -> Schedule:
    """Learning rate from `start` to `end` in a straight line, constant from then on.

    Parameters
    ----------
    start, end : float
        The rates at step 0 and from step `steps` on.
    steps : int
        How long it changes.

    Returns
    -------
    callable
        Takes the step, returns the rate.
    """
    return partial(_linear, start, end, _steps("linear", "steps", steps))


def _linear(start: float, end: float, steps: int, step: int) -> float:
    return start + (end - start) * min(step / steps, 1)


def cosine(lr: float, steps: int, end: float = 0.0) -> Schedule:
    """Learning rate that falls to `end` along half a cosine, constant from then on.

    ``end + (lr - end) * (1 + cos(pi * step / steps)) / 2`` [1]_.

    Parameters
    ----------
    lr : float
        The rate at step 0.
    steps : int
        How long it falls.
    end : float
        The rate from step `steps` on.

    Returns
    -------
    callable
        Takes the step, returns the rate.

    References
    ----------
    .. [1] Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts",
       ICLR 2017.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> rate = tg.optim.schedules.cosine(1.0, steps=100)
    >>> rate(0), round(rate(50), 12), rate(100)
    (1.0, 0.5, 0.0)
    """
    return partial(_cosine, lr, end, _steps("cosine", "steps", steps))


def _cosine(start: float, end: float, steps: float, step: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(step / steps, 1))) / 2


def warmup(schedule: float | Schedule, steps: int, start: float = 0.0) -> Schedule:
    """Rise in a straight line to the rate a schedule begins with, then follow it.

    Parameters
    ----------
    schedule : float or callable
        What comes after the rise, counted from its own step 0.
    steps : int
        How long the rate rises.
    start : float
        The rate at step 0.

    Returns
    -------
    callable
        Takes the step, returns the rate.

    Examples
    --------
    >>> from tensorgrad.optim import schedules
    >>> rate = schedules.warmup(schedules.cosine(0.1, steps=90), steps=10)
    >>> rate(0), rate(5), rate(10), rate(100)
    (0.0, 0.05, 0.1, 0.0)
    """
    peak = _rate(schedule, 0)
    return joined([linear(start, peak, steps), schedule], [steps])


def one_cycle(
    lr: float,
    steps: int,
    *,
    rise: float = 0.3,
    start: float | None = None,
    end: float | None = None,
) -> Schedule:
    """Rise to a large rate and fall below the first one, both along half a cosine.

    The rate is largest at step ``rise * steps - 1`` and smallest at ``steps - 1`` [1]_.

    Parameters
    ----------
    lr : float
        The largest rate.
    steps : int
        Of the cycle; from then on the rate stays.
    rise : float
        The part of the steps in which it rises, from 0 to 1.
    start : float, optional
        The rate at step 0; lr / 25 by default.
    end : float, optional
        The last rate; start / 10,000 by default.

    Returns
    -------
    callable
        Takes the step, returns the rate.

    References
    ----------
    .. [1] Smith, Topin, "Super-convergence", 2017.
    """
    _steps("one_cycle", "steps", steps)
    if not 0 <= rise <= 1:
        raise ValueError(f"one_cycle: rise must be from 0 to 1, got {rise}")
    start = lr / 25 if start is None else start
    end = start / 1e4 if end is None else end
    return partial(_one_cycle, start, lr, end, rise * steps - 1, steps - 1)


def _one_cycle(
    start: float, lr: float, end: float, peak: float, last: int, step: int
) -> float:
    if step < peak:
        return _cosine(start, lr, peak, step)
    return _cosine(lr, end, max(last - peak, 1), step - peak)


def joined(
    schedules: Sequence[float | Schedule], boundaries: Sequence[int]
) -> Schedule:
    """Follow one schedule after the other, each counted from its own step 0.

    Parameters
    ----------
    schedules : sequence of float or callable
        In the order in which they follow.
    boundaries : sequence of int
        The step at which each but the first begins, in increasing order.

    Returns
    -------
    callable
        Takes the step, returns the rate.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> rate = tg.optim.schedules.joined([0.1, 0.01], [50])
    >>> rate(49), rate(50)
    (0.1, 0.01)
    """
    rising = all(a < b for a, b in pairwise([0, *boundaries]))
    if len(boundaries) != len(schedules) - 1 or not rising:
        raise ValueError(
            "joined: expected increasing steps above 0, one fewer than the "
            f"{len(schedules)} schedules, got {[*boundaries]}"
        )
    return partial(_joined, [*schedules], [0, *boundaries])


def _joined(schedules: list[float | Schedule], begins: list[int], step: int) -> float:
    i = bisect_right(begins, step) - 1
    return _rate(schedules[i], step - begins[i])


class Plateau:
    """A rate that falls when what is reported has not improved for a while.

    Report a loss with `report` after each epoch; as a function of the step it returns
    the rate in force.

    Parameters
    ----------
    lr : float
        The first rate.
    factor : float
        What it is multiplied with, from 0 to below 1.
    patience : int
        How many reports without improvement are let pass.
    threshold : float
        Less than this part of the best does not count as improvement.
    cooldown : int
        How many reports after a fall are not counted.
    end : float
        The rate below which it does not fall.
    maximize : bool
        For reports of which more is better, as of an accuracy.

    Attributes
    ----------
    lr : float
        The rate in force.
    best : float
        The best report.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.Tensor([1.0], requires_grad=True)
    >>> rate = tg.optim.schedules.Plateau(0.1, factor=0.5, patience=0)
    >>> optimizer = tg.optim.SGD([w], rate)
    >>> for loss in (2.0, 1.0, 1.0):
    ...     rate.report(loss)
    >>> rate.lr
    0.05
    """

    def __init__(
        self,
        lr: float,
        *,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        cooldown: int = 0,
        end: float = 0.0,
        maximize: bool = False,
    ) -> None:
        if not 0 <= factor < 1:
            raise ValueError(f"Plateau: factor must be from 0 to below 1, got {factor}")
        self.lr = at_least_zero("Plateau", "lr", lr)
        self.factor, self.patience, self.threshold = factor, patience, threshold
        self.cooldown, self.end, self.maximize = cooldown, end, maximize
        self.best = -math.inf if maximize else math.inf
        self.bad = self.resting = 0

    def __call__(self, step: int) -> float:
        """Return the rate in force."""
        return self.lr

    def report(self, value: float) -> None:
        """Take notice of a loss, and let the rate fall if it is time.

        Parameters
        ----------
        value : float
            As a rule the loss of samples held out, after an epoch.
        """
        value = float(value)
        sign = -1 if self.maximize else 1
        if value * sign < self.best * sign * (1 - sign * self.threshold):
            self.best, self.bad = value, 0
        else:
            self.bad += 1
        if self.resting:
            self.resting, self.bad = self.resting - 1, 0
        if self.bad > self.patience:
            self.lr = max(self.lr * self.factor, self.end)
            self.resting, self.bad = self.cooldown, 0

    def state_dict(self) -> StateDict:
        """Return the rate, the best report, and the counts.

        Returns
        -------
        dict
            Of numbers.
        """
        return {name: getattr(self, name) for name in ("lr", "best", "bad", "resting")}

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from what `state_dict` returned.

        Parameters
        ----------
        state : dict
            Of numbers.
        """
        for name in self.state_dict():
            setattr(self, name, state[name])


def _rate(schedule: float | Schedule, step: int) -> float:
    return schedule(step) if callable(schedule) else schedule


def _steps(name: str, what: str, value: int) -> int:
    if not value >= 1:
        raise ValueError(f"{name}: {what} must be at least 1, got {value}")
    return value
