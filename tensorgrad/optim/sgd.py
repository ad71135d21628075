"""Descent along the gradient: with momentum, and with the mean of its path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack, final

import numpy as np

from ..core.tensor import Tensor
from .optimizer import Optimizer
from .schedules import Schedule
from .settings import Shared, at_least_zero, below_one

__all__ = ["ASGD", "SGD"]

Array = np.ndarray[Any, Any]


@final
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    ``v = momentum * v - lr * g``, ``w = w + v``.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    momentum : float
        From 0, plain descent, to below 1.
    lr_in_velocity : bool
        With False the rate multiplies the velocity only when it is applied:
        ``v = momentum * v + g``, ``w = w - lr * v``, as PyTorch does. The two differ
        once the rate changes.
    nesterov : bool
        Apply the velocity as it will be one step later: ``momentum * v - lr * g`` in
        place of ``v``, ``momentum * v + g`` where the rate is outside [1]_.
    dampening : float
        From the second step on the gradient enters the velocity times 1 - dampening.
    **shared
        ``decay``, ``weight_decay`` and ``maximize``, as of `Optimizer`.

    Raises
    ------
    ValueError
        If ``nesterov`` is asked for without momentum, or with dampening.

    References
    ----------
    .. [1] Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and
       momentum in deep learning", ICML 2013.
    """

    temporaries = 1

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 1.0,
        *,
        momentum: float = 0.0,
        lr_in_velocity: bool = True,
        nesterov: bool = False,
        dampening: float = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        self.momentum = below_one(self, "momentum", momentum)
        self.dampening = below_one(self, "dampening", dampening)
        self.lr_in_velocity, self.nesterov = lr_in_velocity, nesterov
        if nesterov and (dampening or not momentum):
            raise ValueError(
                "SGD: nesterov needs momentum above 0 and no dampening, got momentum "
                f"{momentum} and dampening {dampening}"
            )
        super().__init__(params, lr, **shared)

    def _count(self) -> int:
        return 1 if self.momentum else 0

    def step_numbers(self) -> tuple[float, float]:
        """Return the rate, and what the gradient enters the velocity with.

        Returns
        -------
        tuple of float
            As `update` uses them.
        """
        share = 1 - self.dampening if self.dampening and self.steps > 1 else 1.0
        return self._rate, self._rate * share if self.lr_in_velocity else share

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (change,), (rate, share) = self.scratch, self.numbers
        if not self.momentum:
            w -= np.multiply(g, rate, out=change)
            return
        v = state[0]
        v *= self.momentum
        if self.lr_in_velocity:
            v -= np.multiply(g, share, out=change)
            if self.nesterov:
                w -= change
            w += np.multiply(v, self.momentum, out=change) if self.nesterov else v
        else:
            v += np.multiply(g, share, out=change) if self.dampening else g
            np.multiply(v, self.momentum if self.nesterov else rate, out=change)
            if self.nesterov:
                change += g
                change *= rate
            w -= change


@final
class ASGD(Optimizer):
    """Averaged stochastic gradient descent: the mean of the path is kept beside it.

    ``w = w * (1 - lambd * eta) - eta * g`` with
    ``eta = lr / (1 + lambd * lr * (t - 1))**alpha``; ``state[i][0]`` is the mean of the
    parameter [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    lambd : float
        Decay of the weights, and of the rate.
    alpha : float
        Power by which the rate falls.
    t0 : float
        Until step ``t0 + 2`` the mean is the parameter itself; it is taken from there.
    **shared
        ``decay``, ``weight_decay`` and ``maximize``, as of `Optimizer`.

    References
    ----------
    .. [1] Polyak, Juditsky, "Acceleration of stochastic approximation by averaging",
       SIAM J. Control Optim. 30, 1992; the rate after Bottou, "Stochastic gradient
       descent tricks", 2012.
    """

    buffers = 1
    temporaries = 1

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 0.01,
        *,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        **shared: Unpack[Shared],
    ) -> None:
        self.lambd = at_least_zero(self, "lambd", lambd)
        self.alpha = at_least_zero(self, "alpha", alpha)
        self.t0 = at_least_zero(self, "t0", t0)
        super().__init__(params, lr, **shared)

    def step_numbers(self) -> tuple[float, float, float]:
        """Return the rate of this step, and the shares of the weights and the mean.

        Returns
        -------
        tuple of float
            As `update` uses them.
        """
        t = self.steps - 1
        rate = self._rate / (1 + self.lambd * self._rate * t) ** self.alpha
        return rate, 1 - self.lambd * rate, 1 / max(1.0, t - self.t0)

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (mean,), (change,), (rate, rest, share) = state, self.scratch, self.numbers
        w *= rest
        w -= np.multiply(g, rate, out=change)
        np.subtract(w, mean, out=change)
        change *= share
        mean += change
