"""The recurrences: how a parameter and its state follow from a gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, final

import numpy as np

from ..core.tensor import Tensor
from .optimizer import Optimizer, Schedule
from .settings import at_least_zero, below_one

__all__ = ["SGD", "AdaGrad", "Adam", "RMSProp"]

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
    decay : float
        The rate is lr / (1 + decay * step).
    momentum : float
        From 0, plain descent, to below 1.
    lr_in_velocity : bool
        With False the rate multiplies the velocity only when it is applied:
        ``v = momentum * v + g``, ``w = w - lr * v``, as PyTorch does. The two differ
        once the rate changes.
    """

    temporaries = 1

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 1.0,
        *,
        decay: float = 0.0,
        momentum: float = 0.0,
        lr_in_velocity: bool = True,
    ) -> None:
        self.momentum = below_one("SGD", "momentum", momentum)
        self.lr_in_velocity = lr_in_velocity
        super().__init__(params, lr, decay)

    def _count(self) -> int:
        return 1 if self.momentum else 0

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (change,), (rate,) = self.scratch, self.numbers
        if not self.momentum:
            w -= np.multiply(g, rate, out=change)
            return
        v = state[0]
        v *= self.momentum
        if self.lr_in_velocity:
            v -= np.multiply(g, rate, out=change)
            w += v
        else:
            v += g
            w -= np.multiply(v, rate, out=change)


@final
class AdaGrad(Optimizer):
    """Adaptive gradient descent: rates shrink with the squares seen so far.

    ``c = c + g**2``, ``w = w - lr * g / (sqrt(c) + eps)`` [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    decay : float
        The rate is lr / (1 + decay * step).
    eps : float
        Keeps the quotient finite.

    References
    ----------
    .. [1] Duchi, Hazan, Singer, "Adaptive subgradient methods", JMLR 12, 2011.
    """

    buffers = 1
    temporaries = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 1.0,
        *,
        decay: float = 0.0,
        eps: float = 1e-7,
    ) -> None:
        self.eps = at_least_zero("AdaGrad", "eps", eps)
        super().__init__(params, lr, decay)

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (cache,), (rate,) = state, self.numbers
        cache += np.multiply(g, g, out=self.scratch[0])
        w -= _scaled(g, rate, cache, self.eps, self.scratch)


@final
class RMSProp(Optimizer):
    """Root mean square propagation: rates follow a moving mean of squares.

    ``c = rho * c + (1 - rho) * g**2``, ``w = w - lr * g / (sqrt(c) + eps)`` [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    decay : float
        The rate is lr / (1 + decay * step).
    eps : float
        Keeps the quotient finite.
    rho : float
        Weight of the past in the mean, from 0 to below 1.

    References
    ----------
    .. [1] Tieleman, Hinton, "Lecture 6.5 - rmsprop", 2012.
    """

    buffers = 1
    temporaries = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 0.001,
        *,
        decay: float = 0.0,
        eps: float = 1e-7,
        rho: float = 0.9,
    ) -> None:
        self.eps = at_least_zero("RMSProp", "eps", eps)
        self.rho = below_one("RMSProp", "rho", rho)
        super().__init__(params, lr, decay)

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (cache,), (rate,) = state, self.numbers
        _move_mean(cache, self.rho, np.multiply(g, g, out=self.scratch[0]))
        w -= _scaled(g, rate, cache, self.eps, self.scratch)


@final
class Adam(Optimizer):
    """Adaptive moments: momentum over a moving mean of squares, bias corrected.

    ``m = beta1 * m + (1 - beta1) * g``, ``c = beta2 * c + (1 - beta2) * g**2``,
    ``w = w - lr * (m / (1 - beta1**t)) / (sqrt(c / (1 - beta2**t)) + eps)`` with t
    from 1 [1]_.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    decay : float
        The rate is lr / (1 + decay * step).
    eps : float
        Keeps the quotient finite.
    beta1, beta2 : float
        Weights of the past in the two means, from 0 to below 1.

    References
    ----------
    .. [1] Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """

    buffers = 2
    temporaries = 2

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule = 0.001,
        *,
        decay: float = 0.0,
        eps: float = 1e-7,
        beta1: float = 0.9,
        beta2: float = 0.999,
    ) -> None:
        self.eps = at_least_zero("Adam", "eps", eps)
        self.beta1 = below_one("Adam", "beta1", beta1)
        self.beta2 = below_one("Adam", "beta2", beta2)
        super().__init__(params, lr, decay)

    def step_numbers(self) -> tuple[float, float]:
        """Return the rate and eps of this step, each with its bias correction.

        Returns
        -------
        rate : float
            What the first moment is multiplied with.
        eps : float
            What is added to the root of the second.
        """
        t = self._steps
        # Both corrections are scalars: they go into the rate and into eps.
        root = math.sqrt(1 - self.beta2**t)
        return self._rate * root / (1 - self.beta1**t), self.eps * root

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Apply the recurrence to one parameter."""
        (m, cache), (rate, eps) = state, self.numbers
        m *= self.beta1
        m += np.multiply(g, 1 - self.beta1, out=self.scratch[0])
        _move_mean(cache, self.beta2, np.multiply(g, g, out=self.scratch[0]))
        w -= _scaled(m, rate, cache, eps, self.scratch)


def _move_mean(mean: Array, past: float, new: Array) -> None:
    """Set mean to past * mean + (1 - past) * new; `new` is overwritten."""
    mean *= past
    new *= 1 - past
    mean += new


def _scaled(
    g: Array, rate: float, cache: Array, eps: float, scratch: Sequence[Array]
) -> Array:
    """Return rate * g / (sqrt(cache) + eps), in the memory of `scratch`."""
    upper, lower = scratch
    np.sqrt(cache, out=lower)
    lower += eps
    np.multiply(g, rate, out=upper)
    upper /= lower
    return upper
